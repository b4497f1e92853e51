"""Calls that an operator leads elsewhere, or begins: transferred, originated."""

from collections.abc import Iterable

import attrs
from twisted.internet.defer import Deferred

from softswitch.api.body import reader
from softswitch.api.calls import Calls
from softswitch.api.house import House
from softswitch.api.operation import Answer, Asked, Operation
from softswitch.api.problem import ProblemError
from softswitch.b2bua import ordered
from softswitch.b2bua.originating import Originated
from softswitch.errors import SipSyntaxError
from softswitch.plugin.views import Identity
from softswitch.sip.uri import Uri
from softswitch.trunk.group import escape_user

#: Characters of a number or URI.
LONGEST = 512


@attrs.frozen
class TransferWish:
    """Where a call is to go on.

    :ivar to: a user's name, a number as its caller would dial it, or a SIP or tel URI.
    :ivar leg: name of the leg that stays; whom it talks to now is dismissed.
    """

    to: str
    leg: str = "a"


@attrs.frozen
class OriginateWish:
    """Two who are to talk.

    :ivar user: the user on whose behalf the call is made: his rights and limits count.
    :ivar to: a user's name, a number as he would dial it, or a SIP or tel URI.
    :ivar first: who is called first and then connected, likewise; null for the user himself.
    """

    user: str
    to: str
    first: str | None = None


@attrs.frozen
class Tried:
    """Something is tried; what becomes of it is seen in the call and its events.

    :ivar id: of the call.
    :ivar target: URI that is tried.
    """

    id: str
    target: str


class Moving:
    """The operations that transfer calls and begin them."""

    def __init__(self, house: House, calls: Calls) -> None:
        self._house = house
        self._calls = calls

    def operations(self) -> Iterable[Operation]:
        """Those that there are."""
        return (
            Operation(
                "transfer",
                "POST",
                "/api/v1/calls/{id}/transfer",
                "Have one side of a call talk to somebody else (blind transfer). Policies are asked"
                " as if the other side had sent a REFER; the call goes on as before when nothing"
                " comes of it.",
                self.transfer,
                "operate",
                answers={202: Tried},
                refusals=(404, 409),
                body=TransferWish,
                read=reader(TransferWish),
            ),
            Operation(
                "originate",
                "POST",
                "/api/v1/calls",
                "Call one and connect him with another once he answers. It is a call of its own,"
                " made on behalf of a user; policies are asked about both.",
                self.originate,
                "operate",
                answers={202: Tried},
                refusals=(409,),
                body=OriginateWish,
                read=reader(OriginateWish),
            ),
        )

    def transfer(self, asked: Asked) -> "Deferred[Answer]":
        """See ``operations``."""
        wish: TransferWish = asked.body
        call = self._calls.ours(asked.path["id"])
        leg = call.legs.get(wish.leg)
        if leg is None:
            known = ", ".join(call.data.legs)
            raise ProblemError(404, f"the legs of this call are {known}", "leg")
        uri = uri_of(wish.to, self._house.domain, "to")
        told: Deferred[Answer] = Deferred()

        def answered(status: int, reason: str) -> None:
            if status == 202:
                told.callback(Answer(202, Tried(call.data.id, uri)))
            elif status == 491:
                detail = "its two sides do not talk, or are being transferred already"
                told.errback(ProblemError(409, detail, "id"))
            else:
                told.errback(ProblemError(409, f"it was refused: {status} {reason}", "to"))

        try:
            ordered.transfer(call, leg, uri, answered)
        except SipSyntaxError as error:
            raise ProblemError(400, f"nobody can be called there: {error.reason}", "to") from None
        return told

    def originate(self, asked: Asked) -> "Deferred[Answer]":
        """See ``operations``."""
        wish: OriginateWish = asked.body
        house, domain = self._house, self._house.domain
        user = house.premises.find_user(wish.user) if wish.user else None
        if user is None:
            raise ProblemError(400, "there is no user of this name", "user")
        second = uri_of(wish.to, domain, "to")
        first = uri_of(user.name if wish.first is None else wish.first, domain, "first")
        own = uri_of(user.name, domain, "user")
        # What his phone shows while it rings: whom he will talk to.
        shown = "".join(each for each in wish.to if each not in '"\\')[:64]
        told: Deferred[Answer] = Deferred()

        def refused(call: Originated) -> None:
            status, reason = call.refused or (0, "")
            if not told.called:
                told.errback(ProblemError(409, f"it was refused: {status} {reason}", "first"))

        call = Originated(
            house.transport,
            house.agent,
            house.clock,
            house.transport.listeners[0].name,
            Identity("user", user.name, domain, display=user.display),
            first,
            second,
            f'"{shown}" <{own}>',
            refused,
        )
        call.start()
        for known in reversed(house.switch.calls.values()):
            if known.data.record.call_id_a == call.call_id:
                told.callback(Answer(202, Tried(known.data.id, first)))
                break
        return told


def uri_of(text: str, domain: str, field: str) -> str:
    """The URI of a name, number or URI.

    :param domain: of names and numbers.
    :param field: where it stands, for the problem.
    :raises ProblemError: 400, it is none.
    """
    wanted = "a name, a number, or a sip, sips or tel URI is wanted"
    if not 1 <= len(text) <= LONGEST or not text.isprintable():
        raise ProblemError(400, wanted, field)
    scheme, colon, _ = text.partition(":")
    if not colon:
        host = f"[{domain}]" if ":" in domain else domain
        return f"sip:{escape_user(text)}@{host}"
    try:
        uri = Uri.parse(text)
    except SipSyntaxError as error:
        raise ProblemError(400, f"{wanted}: {error.reason}", field) from None
    if scheme.lower() not in ("sip", "sips", "tel") or uri.headers or ">" in text or "<" in text:
        raise ProblemError(400, wanted, field)
    return str(uri)
