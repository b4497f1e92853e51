"""What each leg of a call saw, a row of words per leg: the two sides of a ladder. Pure.

::

    alice: >INVITE+ <180 <200+ >ACK >BYE <200
    bob: <INVITE+ >180 >200+ <ACK <BYE >200

``>`` is what the phone sent, ``<`` what came to it; ``+`` stands for a session description, with
its direction where that is not sendrecv, and ``:`` for the status that a NOTIFY tells. Copies of a
message are left out, and 100, which says nothing of the other side.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from softswitch.errors import SipSyntaxError
from softswitch.sip.message import Message
from softswitch.sip.parser import parse
from softswitch.testing.ladder import Address, Carried
from softswitch.testing.peer import kind


class Step(NamedTuple):
    """One message on a leg.

    :ivar leg: the phone's name, followed by ".2" for its second Call-ID, and so on.
    :ivar sent: whether the phone sent it; else the switch did.
    :ivar at: second.
    """

    leg: str
    sent: bool
    message: Message
    at: float

    def __str__(self) -> str:
        return f"{'>' if self.sent else '<'}{kind(self.message)}{_body(self.message)}"


def steps(log: Iterable[Carried], names: Mapping[Address | str, str]) -> Iterator[Step]:
    """Every SIP message between the switch and a phone, once.

    :param names: host -> name; the switch's is "switch".
    """
    seen: set[tuple[str, str, bytes]] = set()
    legs: dict[tuple[str, str], str] = {}
    calls: dict[str, int] = {}
    for carried in log:
        source, to = (names.get(end[0], "") for end in (carried.source, carried.to))
        if (source, to, carried.data) in seen or "switch" not in (source, to):
            continue
        seen.add((source, to, carried.data))
        try:
            message = parse(carried.data)
            phone = to if source == "switch" else source
            leg = phone, message.call_id
        except SipSyntaxError:
            continue
        if leg not in legs:
            calls[phone] = calls.get(phone, 0) + 1
            legs[leg] = phone if calls[phone] == 1 else f"{phone}.{calls[phone]}"
        yield Step(legs[leg], source != "switch", message, carried.at)


def rows(taken: Iterable[Step]) -> dict[str, str]:
    """Leg -> what it saw, in order."""
    found: dict[str, list[str]] = {}
    for step in taken:
        if kind(step.message) != 100:
            found.setdefault(step.leg, []).append(str(step))
    return {leg: " ".join(words) for leg, words in found.items()}


def direction(sdp: bytes) -> str:
    """The last direction in a session description: "sendonly"; "sendrecv" where none is given."""
    found = [line[2:].decode() for line in sdp.split(b"\r\n") if line[2:] in _DIRECTIONS]
    return found[-1] if found else "sendrecv"


def _body(message: Message) -> str:
    if message.content_type == "application/sdp":
        return "+" + direction(message.body).replace("sendrecv", "")
    if message.content_type == "message/sipfrag":
        return ":" + message.body.split()[1].decode()
    return ""


_DIRECTIONS = (b"sendrecv", b"sendonly", b"recvonly", b"inactive")
