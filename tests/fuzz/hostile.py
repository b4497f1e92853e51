"""The corpus, and what is done with it: Hypothesis's strategies, and a siege for a seed.

The corpus: the 49 messages of RFC 4475, those of ``softswitch explain``'s tests, and what the peers
and the switch say to each other in a basic call, a registration, a transfer and a subscription.
"""

import gc
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from softswitch.testing.mutation import Mutator
from softswitch.testing.siege import Siege
from softswitch.testing.stage import Stage

TESTS = Path(__file__).parent.parent
#: Of each property in ``scripts/test``.
EXAMPLES = 5000
#: Messages that a switch has to bear before another one is put in its place.
MESSAGES = 1000

FUZZING = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@cache
def corpus() -> Sequence[bytes]:
    """Every message that is changed."""
    torture = sorted((TESTS / "torture" / "messages").glob("*.dat"))
    return (*(path.read_bytes() for path in torture), *_explained(), *_spoken())


def _explained() -> list[bytes]:
    """The messages of ``softswitch explain``'s tests, moved to the loop network."""
    found = []
    for path in sorted((TESTS / "explain" / "corpus").rglob("*.sip")):
        text = re.sub(r"(?m)^# .*\n", "", path.read_text("utf-8")).replace("NET", "127.88.0")
        head, _, body = text.partition("\n\n")
        found.append((head.replace("\n", "\r\n") + "\r\n\r\n").encode() + body.encode())
    return found


def _spoken() -> list[bytes]:
    """What is said on a stage, one message of each kind and direction."""
    with Stage() as stage:
        alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
        for phone in (alice, bob, carol):
            phone.can("100rel", "timer", "replaces", "norefersub")
        alice.call("bob")
        bob.ring(reliable=True)
        bob.answer()
        bob.line.update(bob.sdp("sendonly", 2))
        alice.line.request("INFO", [("Info-Package", "x")], b"x")
        bob.line.refer(bob.uri("carol"))
        stage.run(1)
        carol.answer()
        stage.run(1)
        carol.hang_up()
        stage.run(5)
        watcher = alice.dial("bob")
        watcher.request("SUBSCRIBE", [("Event", "dialog"), ("Expires", "60")])
        stage.run(1)
        alice.call("bob")
        alice.cancel()
        stage.run(1)
        alice.dial("bob").request("MESSAGE", [("Content-Type", "text/plain")], b"hello")
        alice.register(0)
        said = {}
        for each in stage.network.log:
            start = b" ".join(each.data.split(b"\r\n")[0].split()[:2])
            said.setdefault((start, each.to == stage.address), each.data)
        stage.run(100)
    return list(said.values())


def messages() -> st.SearchStrategy[bytes]:
    """A message of the corpus, changed; what Hypothesis draws chooses and shortens the changes."""
    return st.builds(_mutated, st.sampled_from(corpus()), st.randoms(use_true_random=False))


def documents(bodies: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of these bodies, changed."""
    return st.builds(_rewritten, st.sampled_from(bodies), st.randoms(use_true_random=False))


def _mutated(message: bytes, chance: Random) -> bytes:
    return Mutator(chance, corpus()).mutate(message)


def _rewritten(document: bytes, chance: Random) -> bytes:
    return Mutator(chance, corpus()).document(document)


def besiege(
    seed: int, number: int = MESSAGES, look: Callable[[Siege], Any] | None = None
) -> tuple[int, int]:
    """Send so many messages at a switch, which the seed chooses.

    :param look: at the siege, when it is over.
    :returns: how many were sent, and the bytes of memory in use after it.
    :raises Exception: whatever the switch let out; AssertionError for what was left behind.
    """
    chance = Random(seed)
    siege = Siege(chance, corpus(), chance.choice(("UDP", "UDP", "TCP")), watched=seed % 10 == 0)
    for _ in range(2):
        siege.storm(number // 2)
        siege.good_call()
    siege.end()
    if look is not None:
        look(siege)
    sent = siege.sent
    del siege
    gc.collect()
    return sent, resident()


def resident() -> int:
    """Bytes of memory that this process has in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
