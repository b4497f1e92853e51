"""Hostile messages for ``scripts/soak``: 10^7 at the whole switch on the loop network, 10^5 at a
running one beside good calls, and atheris, which looks for branches of the parser that nothing has
reached yet."""

import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import ceil
from multiprocessing import Pool
from pathlib import Path

import wire
from hostile import MESSAGES, besiege, corpus

#: Growth of the memory of a process after its first quarter that is taken for noise.
GREATEST_GROWTH = 0.05
#: Switches that one process has besieged before all its caches are full, and as many that have to
#: follow: else nothing is said of its memory.
SETTLED = 400

FUZZER = """
import sys
import atheris
with atheris.instrument_imports(include=["softswitch"]):
    from softswitch.errors import PeerError
    from softswitch.sdp.session import SessionDescription
    from softswitch.sip import multipart, compose
    from softswitch.sip.message import Request
    from softswitch.sip.parser import MessageSyntaxError, parse

def once(data):
    try:
        message = parse(data)
        for view in ("vias", "from_", "contacts", "routes", "record_routes", "expires"):
            getattr(message, view)
        if isinstance(message, Request):
            message.stamp("192.0.2.1", 5060)
            compose.response(message, 200, to_tag="t").encode()
        kind = message.get("Content-Type") or ""
        if multipart.is_multipart(kind):
            multipart.flattened(kind, message.body)
        SessionDescription.parse(message.body)
    except PeerError:
        pass

atheris.Setup(sys.argv, once)
atheris.Fuzz()
"""


def at_the_switch(count: int, seed: int) -> list[str]:
    """So many messages at the whole switch on the loop network, on every processor.

    :returns: what did not hold.
    """
    faults, sent, begun = [], 0, time.monotonic()
    sizes: defaultdict[int, list[int]] = defaultdict(list)
    with Pool() as pool:
        seeds = range(seed, seed + ceil(count / MESSAGES))
        for done, (process, number, size, fault) in enumerate(
            pool.imap_unordered(_besieged, seeds), 1
        ):
            sent += number
            if fault:
                faults.append(fault)
                print(fault, flush=True)
            if not fault:
                sizes[process].append(size)
            if done % 100 == 0:
                spent = time.monotonic() - begun
                print(
                    f"{sent} of {count} messages, {spent:.0f} s, {len(faults)} faults", flush=True
                )
    print(
        f"{sent} mutated messages at the whole switch in {time.monotonic() - begun:.0f} s, by "
        f"{len(sizes)} processes, {len(faults)} faults"
    )
    return faults + [fault for each in sizes.values() for fault in _grown(each)]


def _grown(sizes: Sequence[int]) -> Iterator[str]:
    """Print by how much the memory of a process has grown, if it has been at it for long enough.

    :param sizes: bytes after each switch, in order.
    :returns: what did not hold.
    """
    settled = max(SETTLED, len(sizes) // 4)
    if len(sizes) < 2 * SETTLED:
        print(f"a process has besieged {len(sizes)} switches: too few to say that its memory grows")
        return
    before, after = max(sizes[:settled]), max(sizes[settled:])
    words = (
        f"memory {before / 2**20:.1f} MiB in the first {settled} of {len(sizes)} switches of a "
        f"process, at most {after / 2**20:.1f} MiB from then on: {after / before - 1:+.1%}"
    )
    print(words)
    if after > (1 + GREATEST_GROWTH) * before:
        yield words


def _besieged(seed: int) -> tuple[int, int, int, str]:
    try:
        return (os.getpid(), *besiege(seed), "")
    except BaseException as error:
        said = "".join(traceback.format_exception(error))
        return os.getpid(), 0, 0, f"hostile messages with seed {seed}: {said}"


def on_the_wire(count: int, seed: int) -> list[str]:
    """So many messages at a running switch, once with bans and once without, at 500 a second.

    :returns: what did not hold.
    """
    faults = []
    for bans in (False, True):
        with tempfile.TemporaryDirectory(prefix="softswitch-wire-") as folder:
            found = wire.play(Path(folder), count, max(10, count // 500), seed, bans)
            faults += [f"bans {'on' if bans else 'off'}: {each}" for each in found]
        print(f"{count} messages on the wire, bans {'on' if bans else 'off'}: {len(found)} faults")
    return faults


def by_coverage(runs: int) -> list[str]:
    """So many runs of atheris over parser, parts and session descriptions, beginning with the
    corpus.

    :returns: what did not hold.
    """
    with tempfile.TemporaryDirectory(prefix="softswitch-atheris-") as place:
        folder = Path(place)
        (folder / "fuzzer.py").write_text(FUZZER)
        (folder / "corpus").mkdir()
        for number, data in enumerate(corpus()):
            (folder / "corpus" / str(number)).write_bytes(data)
        command = [sys.executable, "fuzzer.py", f"-runs={runs}", "-max_len=16384", "corpus"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    last = "\n".join(done.stderr.splitlines()[-30:])
    print(f"atheris, {runs} runs: {done.stderr.splitlines()[-1:] or ['nothing said']}")
    return [f"atheris: {last}"] if done.returncode else []
