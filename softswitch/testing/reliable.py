"""Reliable provisional responses at a test phone's line (RFC 3262), both sides. Pure."""

from collections.abc import Iterable
from itertools import count
from typing import TYPE_CHECKING

from softswitch.sip.message import Field, Request, Response

if TYPE_CHECKING:
    from softswitch.testing.line import Line


class Reliable:
    """What a line does by itself about provisional responses that want a PRACK.

    :ivar pracks: whether it sends PRACKs at all.
    :ivar body: session description in its next PRACK; empty for an answer where the response
        bore an offer, and nothing elsewhere.
    :ivar answered: whether a PRACK has answered the offer of this INVITE's callee.
    """

    def __init__(self, line: "Line") -> None:
        self.pracks = True
        self.body = b""
        self.answered = False
        self._line = line
        self._numbers: dict[str, count[int]] = {}
        self._waiting: dict[tuple[str, str], tuple[str, bool]] = {}
        self._seen: set[tuple[str, str]] = set()

    # As callee.

    def fields(self, tag: str) -> list[Field]:
        """Header fields of the next reliable response from the fork ``tag``."""
        number = next(self._numbers.setdefault(tag, count(9021)))
        return [("Require", "100rel"), ("RSeq", str(number))]

    def sent(self, request: Request, response: Response, key: str) -> None:
        """A reliable response goes out, repeated under ``key`` until its PRACK comes."""
        acknowledged = f"{response.get('RSeq')} {request.get('CSeq')}"
        offer = bool(response.body) and not request.body
        self._waiting[response.to.tag or "", acknowledged] = key, offer

    def prack_received(self, prack: Request) -> tuple[int, bytes]:
        """What the PRACK is answered with: status and body."""
        waiting = self._waiting.pop((prack.to.tag or "", prack.get("RAck") or ""), None)
        if waiting is None:
            return 481, b""
        key, offered = waiting
        self._line.phone.stop(key)
        return 200, self._line.described if prack.body and not offered else b""

    def over(self) -> None:
        """A final answer goes out: nothing is repeated any more."""
        for key, _ in self._waiting.values():
            self._line.phone.stop(key)

    # As caller.

    def received(self, response: Response) -> bool:
        """Send the PRACK of a response that wants one; whether it is no copy of an earlier one."""
        number = response.get("RSeq")
        if number is None or "100rel" not in response.require:
            return True
        mark = (response.to.tag or "", number)
        first = mark not in self._seen
        self._seen.add(mark)
        if first and self.pracks:
            self.prack(response)
        return first

    def prack(self, response: Response, fields: Iterable[Field] = ()) -> None:
        """Acknowledge a reliable response."""
        line = self._line
        assert line.sent is not None
        body = self.body
        if not body and response.body and not line.sent.body:
            body = line.described
            self.answered = True
        acknowledged = ("RAck", f"{response.get('RSeq')} {response.get('CSeq')}")
        line.request("PRACK", [acknowledged, *fields], body, fork=response.to.tag or "")
