"""Provisional responses that are acknowledged (RFC 3262): both sides of 100rel. Pure.

Ours go out one at a time, each again and again until its PRACK has come, and what comes after it
waits in order; a 2xx waits too as long as a session description is on its way (RFC 3262 3). Those
of the peer are taken in order, and acknowledged at once, unless they bear an offer: then the PRACK
waits for its answer (RFC 3262 4 and 5).
"""

import random
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from softswitch.dialog.data import Heard, Provisional, Reliable
from softswitch.dialog.dialog import ALLOW
from softswitch.dialog.usage import (
    Event,
    State,
    bears_sdp,
    compose_within,
    has_option,
    supported,
)
from softswitch.errors import SipSyntaxError
from softswitch.plugin.profile import Profile
from softswitch.sip import compose
from softswitch.sip.fields import MOST_CSEQ, number
from softswitch.sip.message import Field, Request, Response
from softswitch.transaction.server import Server

if TYPE_CHECKING:
    from softswitch.dialog.exchange import Exchange

#: The greatest RSeq (RFC 3262 7.1).
RSEQ_LIMIT = 2**32 - 1

#: Seconds after which a reliable response is followed by another, lest a proxy on the way give up.
EXTENSION = 150.0


def is_wanted(invite: Request, profile: Profile, body: bytes) -> bool:
    """Whether a provisional response with this body is to be sent reliably to their INVITE."""
    if has_option(invite, "Require", "100rel"):
        return True
    chosen = profile.reliable == "supported" or (profile.reliable == "sdp" and bool(body))
    return chosen and has_option(invite, "Supported", "100rel")


# Ours, in answer to their INVITE.


def provide(session: "Exchange", said: Provisional) -> None:
    """Send a provisional response, reliably where that is wanted, or let it wait its turn."""
    data = session.data
    assert data.invite is not None
    if data.reliable is None:
        data.reliable = Reliable(random.randrange(0, 2**31 - 1))
    state = data.reliable
    if state.sent is not None or state.prack is not None:
        state.waiting.append(said)
    elif is_wanted(data.invite, session.profile, said.body):
        _send(session, state, said)
    else:
        session.repeat(said)


def holds_back(state: Reliable | None) -> bool:
    """Whether a 2xx has to wait: what bears a session description is not acknowledged yet."""
    if state is None:
        return False
    under_way = [state.sent, *state.waiting]
    return state.prack is not None or any(said is not None and said.body for said in under_way)


def prack_received(session: "Exchange", request: Request, transaction: Server) -> None:
    """Their PRACK: what it acknowledges is sent no more, and the next may go (RFC 3262 3)."""
    data = session.data
    state = data.reliable
    invite = data.invite
    if state is None or state.sent is None or request.get("RAck") is None:
        session.answer(transaction, 481)
        return
    if _acknowledged(request) != (state.rseq, state.cseq, "INVITE"):
        session.answer(transaction, 481)
        return
    described = bears_sdp(request)
    said, state.sent = state.sent, None
    session.stop_timers("1xx resend", "PRACK")
    offered = bool(said.body) and not state.settled and invite is not None and not invite.body
    state.settled = state.settled or bool(said.body)
    if described and not offered:
        state.prack = request
        transaction.adopt(session.scope, None)
        session.hold_open("PRACK", transaction)
    else:
        session.answer(transaction, 200)
    if described:
        session.user.prack_received(request)
    _go_on(session, state)


def answer_prack(session: "Exchange", status: int, fields: Iterable[Field], body: bytes) -> None:
    """Answer the PRACK that has brought an offer, and let go what has waited for that."""
    state = session.data.reliable
    if state is not None and state.prack is not None:
        fields = [*fields, *session.identified]
        response = compose.response(state.prack, status, fields=fields, body=body)
        state.prack = None
        session.let_go_of("PRACK", response)
        _go_on(session, state)


def _send(session: "Exchange", state: Reliable, said: Provisional) -> None:
    data, t1 = session.data, session.agent.timers.t1
    assert data.invite is not None
    tag = said.tag or data.dialog.local_tag
    state.rseq = state.last[tag] = state.last.get(tag, state.rseq) + 1
    state.cseq = data.invite.cseq.number
    state.sent = said
    state.status = said.status
    fields = [
        ("Contact", data.dialog.contact),
        ("Require", "100rel"),
        ("RSeq", str(state.rseq)),
        ("Allow", ALLOW),
        ("Supported", supported(session.profile)),
        *said.fields,
    ]
    response = compose_within(data, said.status, said.reason, fields, said.body, said.tag)
    session.stop_timers("1xx", "1xx resend", "PRACK")
    session.set_timer("PRACK", 64 * t1, session.fire, Event.PRACK_MISSING)
    _resend(session, response, t1)


def _resend(session: "Exchange", response: Response, wait: float) -> None:
    """The intervals double without a limit (RFC 3262 3)."""
    assert session.transaction is not None
    session.transaction.respond(response)
    session.set_timer("1xx resend", wait, _resend, session, response, 2 * wait)


def _go_on(session: "Exchange", state: Reliable) -> None:
    """Something was acknowledged or answered: what has waited for it may go."""
    if session.state is State.HELD:
        # No further provisional response may follow a final one, so but for an answer none does.
        state.waiting = [said for said in state.waiting if said.body]
        if not holds_back(state):
            session.fire(Event.PRACKED)
            return
    if session.state not in (State.THEIRS, State.HELD):
        return
    while state.waiting and state.sent is None and state.prack is None:
        provide(session, state.waiting.pop(0))
    if state.sent is None and session.state is State.THEIRS and "1xx" not in session.timers:
        again = Provisional(state.status, None, [], b"")
        session.set_timer("1xx", EXTENSION, provide, session, again)


def _acknowledged(prack: Request) -> tuple[int, int, str]:
    """What RAck names: RSeq, CSeq number and method.

    :raises SipSyntaxError: when it cannot be read.
    """
    parts = (prack.get("RAck") or "").split()
    if len(parts) != 3:
        raise SipSyntaxError("Bad RAck", header="RAck")
    return number(parts[0], RSEQ_LIMIT), number(parts[1], MOST_CSEQ), parts[2]


# Theirs, in answer to our INVITE.


def is_news(session: "Exchange", tag: str, response: Response) -> bool:
    """Take in a provisional response with RSeq, and acknowledge it unless its offer wants an answer
    first.

    :returns: False for a copy, and for one out of order: the user does not hear of it.
    """
    if not has_option(response, "Require", "100rel") or session.find_dialog(tag) is None:
        return True
    try:
        rseq = number(response.get("RSeq") or "", RSEQ_LIMIT)
    except SipSyntaxError:
        return False
    data, cseq = session.data, response.cseq.number
    before = data.heard.get(tag)
    if before is not None and before.cseq == cseq:
        if rseq == before.rseq and before.lost:
            _send_prack(session, tag, before, (), b"")
        if rseq != before.rseq + 1:
            return False
    settled = before is not None and before.cseq == cseq and before.settled
    described = bears_sdp(response)
    data.heard[tag] = heard = Heard(rseq, cseq, settled=settled, described=described)
    if described and not settled and data.invite is not None and not data.invite.body:
        heard.held = True
    else:
        _send_prack(session, tag, heard, (), b"")
    return True


def prack(session: "Exchange", tag: str, fields: Iterable[Field], body: bytes) -> None:
    """Acknowledge the offer that came with this To tag, with its answer."""
    heard = session.data.heard.get(tag)
    if heard is not None and heard.held:
        heard.held = False
        _send_prack(session, tag, heard, fields, body)


def _send_prack(
    session: "Exchange", tag: str, heard: Heard, fields: Iterable[Field], body: bytes
) -> None:
    heard.lost = False
    rack = ("RAck", f"{heard.rseq} {heard.cseq} INVITE")
    tell = partial(_prack_answered, heard, bool(body))
    session.request("PRACK", [rack, *fields], body, tell, tag=tag)


def _prack_answered(
    heard: Heard, answered: bool, status: int, reason: str, response: Response | None
) -> None:
    """What was described is agreed now; or the PRACK did not arrive, and a copy of what it was for
    is acknowledged again."""
    if 200 <= status < 300:
        heard.settled = heard.settled or heard.described
    elif response is None and not answered:
        heard.lost = True
