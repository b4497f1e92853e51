"""Hostile messages for ``scripts/soak``: 10^7 at the whole switch on the loop network, 10^5 at a
running one beside good calls, and atheris, which looks for branches of the parser that nothing has
reached yet."""

import subprocess
import sys
import tempfile
import time
import traceback
from math import ceil
from multiprocessing import Pool
from pathlib import Path

import wire
from hostile import MESSAGES, besiege, corpus

#: Growth of the memory of a process after its first quarter that is taken for noise.
GREATEST_GROWTH = 0.05
#: Switches that have been besieged before all caches are full.
SETTLED = 100

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
    sizes: list[int] = []
    with Pool() as pool:
        seeds = range(seed, seed + ceil(count / MESSAGES))
        for number, size, fault in pool.imap_unordered(_besieged, seeds):
            sent += number
            sizes.append(size)
            faults += [fault] if fault else []
            if len(sizes) % 100 == 0:
                spent = time.monotonic() - begun
                print(
                    f"{sent} of {count} messages, {spent:.0f} s, {len(faults)} faults", flush=True
                )
    quarter = len(sizes) // 4
    if quarter and max(sizes[quarter:]) > (1 + GREATEST_GROWTH) * max(sizes[:quarter]):
        faults.append(
            f"the memory grew from {max(sizes[:quarter])} to {max(sizes[quarter:])} bytes"
        )
    return faults


def _besieged(seed: int) -> tuple[int, int, str]:
    try:
        return (*besiege(seed), "")
    except BaseException as error:
        said = "".join(traceback.format_exception(error))
        return 0, 0, f"hostile messages with seed {seed}: {said}"


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
