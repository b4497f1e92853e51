"""Broken session descriptions through relay and guard, as a call would have them go. Pure.

Two legs negotiate, first one way and then the other, each with what a mutator has made of
something good. What leaves is read by ``legality``, which knows nothing of the guard.
"""

from collections.abc import Callable, Iterator
from random import Random

import attrs

from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.media.endpoint import MediaEndpoint
from softswitch.media.relay import RelayEngine
from softswitch.plugin.media import MediaAnswer, MediaNetwork, MediaQuestion
from softswitch.sdp.places import Place
from softswitch.testing.clock import VirtualClock
from softswitch.testing.legality import faults
from softswitch.testing.media import StillPath
from softswitch.testing.mutator import GOOD, Mutator

#: The relay's addresses, as the two sides see them.
HOSTS = ("127.55.0.1", "fd55::1")


@attrs.define
class Tally:
    """What became of descriptions.

    :ivar sent: how many were put in.
    :ivar left: how many of them left.
    :ivar mended: of these, in how many something was mended.
    :ivar refused: how many were refused, by the relay or by the guard.
    """

    sent: int = 0
    left: int = 0
    mended: int = 0
    refused: int = 0


class Party:
    """One leg."""

    def __init__(self, name: str, host: str) -> None:
        self.name = name
        self.network = MediaNetwork(host, host)
        self.media = MediaEndpoint()
        self.heard = b""


class IllegalError(AssertionError):
    """Something has left that may not; says what was put in, what came out, and what is wrong."""


def play(seed: int, count: int) -> Tally:
    """So many mutated descriptions through relay and guard.

    :raises IllegalError: one left that may not.
    :raises Exception: whatever was raised but for ``SdpSyntaxError``.
    """
    tally = Tally()
    mutator, chance = Mutator(seed), Random(seed)
    engine = RelayEngine(VirtualClock(), (20000, 29999), 0.0, seed=seed, path=StillPath())
    number = 0
    while tally.sent < count:
        number += 1
        negotiate(engine, f"call{number}", mutator.mutated, chance, tally)
        engine.release(f"call{number}")
    return tally


def negotiate(
    engine: RelayEngine,
    session: str,
    mutated: Callable[[bytes], bytes],
    chance: Random,
    tally: Tally,
) -> None:
    """Up to three rounds of offer and answer between two legs.

    :param mutated: what becomes of a good description.
    :raises IllegalError: something left that may not.
    """
    hosts = (HOSTS[0], HOSTS[0]) if chance.random() < 0.8 else chance.choice((HOSTS, HOSTS[::-1]))
    parties = [Party("a", hosts[0]), Party("b", hosts[1])]
    for _ in range(chance.choice((1, 2, 3))):
        chance.shuffle(parties)
        near, far = parties
        for party in parties:
            party.media.fork()
        offered = _cross(engine, session, "offer", near, far, mutated(_good(chance, near)), tally)
        answer = b""
        if offered:
            good = _good(chance, far) if chance.random() < 0.3 else _answer_to(offered, far)
            answer = _cross(engine, session, "answer", far, near, mutated(good), tally)
        for party in parties:
            if answer:
                party.media.commit()
            else:
                party.media.roll_back()
        if offered and not answer:
            engine.ask(_question(session, "withdraw", near, far, b""), _heedless)


def _cross(
    engine: RelayEngine,
    session: str,
    kind: str,
    source: Party,
    target: Party,
    sdp: bytes,
    tally: Tally,
) -> bytes:
    """What leaves to the target of what the source says; empty where that is refused."""
    tally.sent += 1
    answers = kind == "answer"
    host = target.network.advertise
    before = 0
    if not answers:
        state = target.media.state
        before = max(state.local.count(b"\nm="), state.remote.count(b"\nm="))
    noted = len(target.media.mended)
    heard: list[MediaAnswer] = []
    try:
        told = source.media.answered(sdp) if answers else sdp
        engine.ask(_question(session, kind, source, target, told), heard.append)
        (answer,) = heard
        if isinstance(answer.error, MediaError):
            raise IllegalError(f"{answer.error}: {sdp!r}")
        if answer.error is not None:
            raise answer.error
        source.media.incoming(sdp)
        place = Place((host,), said=sdp)
        left = target.media.outgoing(answer.sdp, host, place, answers=answers)
    except SdpSyntaxError:
        tally.refused += 1
        return b""
    tally.left += 1
    tally.mended += len(target.media.mended) > noted
    ports = dict(_ports(engine, session, target.name))
    known = [ports.get(at, 0) for at in range(max(ports, default=-1) + 1)]
    offer = target.media.pending.remote if answers and target.media.pending else b""
    wrong = faults(left, host, known, offer=offer, before=before)
    wrong += _version_faults(target.heard, left)
    target.heard = left
    if wrong:
        raise IllegalError(f"{sdp!r} left as {left!r}, in answer to {offer!r}: {wrong}")
    return left


def _version_faults(before: bytes, now: bytes) -> list[str]:
    """What is wrong with the o= of one description after another (RFC 3264 8): the same but for the
    version, which goes up by one with each change and else stays."""
    if not before or now == before:
        return []
    (*one, version, _, family, host), (*other, later, _, new_family, new_host) = (
        each.split(b"\n")[1].split() for each in (before, now)
    )
    same = (one, family, host) == (other, new_family, new_host)
    return [] if same and int(later) == int(version) + 1 else [f"o= {now!r} after {before!r}"]


def _question(session: str, kind: str, near: Party, far: Party, sdp: bytes) -> MediaQuestion:
    return MediaQuestion(
        1,
        session,
        kind,  # type: ignore[arg-type]  # one of its three
        sdp,
        near.name,
        far.name,
        near.network,
        far.network,
        "127.55.0.9",
    )


def _ports(engine: RelayEngine, session: str, leg: str) -> Iterator[tuple[int, int]]:
    for counters in engine.counters(session):
        if counters.leg == leg and not counters.rtcp:
            yield counters.line, counters.port


def _good(chance: Random, party: Party) -> bytes:
    """A good description, with addresses that can be reached from the party's side."""
    return _at_home(chance.choice(GOOD), party)


def _at_home(sdp: bytes, party: Party) -> bytes:
    if ":" not in party.network.bind:
        return sdp
    lines = sdp.split(b"\r\n")
    return b"\r\n".join(
        b"c=IN IP6 2001:db8::10" if line[:2] == b"c=" and b"0.0.0.0" not in line else line
        for line in lines
    )


def _answer_to(offered: bytes, party: Party) -> bytes:
    """A good answer."""
    host = "2001:db8::20" if ":" in party.network.bind else "192.0.2.20"
    kind = "IP6" if ":" in host else "IP4"
    lines = []
    for line in offered.decode("utf-8", "surrogateescape").split("\r\n"):
        if line.startswith("o="):
            line = f"o=bob 5 1 IN {kind} {host}"
        elif line.startswith("c="):
            line = f"c=IN {kind} {host}"
        elif line == "a=sendonly":
            line = "a=recvonly"
        elif line == "a=recvonly":
            line = "a=sendonly"
        lines.append(line)
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def _heedless(answer: MediaAnswer) -> None:
    """Nobody waits for what becomes of a withdrawal."""
