"""What a call knows: how far it has come, its legs and bridges, its record. Pure.

``call`` does what stands here.
"""

from collections.abc import Iterable
from enum import StrEnum

import attrs

from softswitch.b2bua.leg import LegData
from softswitch.b2bua.steps import BridgeData
from softswitch.b2bua.transfer import TransferData
from softswitch.b2bua.trials import HuntData
from softswitch.b2bua.verdicts import admitted
from softswitch.plugin.record import CallRecord
from softswitch.plugin.views import Identity
from softswitch.sip.message import Field, Request
from softswitch.sip.names import REASONS


class State(StrEnum):
    """How far a call has come."""

    ASKING = "asking"
    HUNTING = "hunting"
    ANSWERING = "answering"
    TALKING = "talking"
    ENDED = "ended"


class Event(StrEnum):
    """What can happen to a call."""

    ROUTED = "routed"
    TURNED_AWAY = "turned away"
    PROXIED = "forwarded"
    ANSWERED = "callee answered"
    BRIDGED = "caller told"
    EXHAUSTED = "all targets failed"
    CANCELLED = "caller gave up"
    HUNG_UP = "one side hung up"
    PICKED_UP = "takes another call's place"
    REPLACED = "another call has taken its place"
    SHUT = "switch stops"


@attrs.define
class Loan:
    """A leg of another call, on trial; plain data.

    :ivar call: the other call's id.
    :ivar name: the leg's name here.
    :ivar was: its name there.
    :ivar groups: ``call_group`` of the record here, and of that there, if nothing comes of it.
    """

    call: str
    name: str
    was: str
    groups: tuple[str, str]


@attrs.define
class CallData:
    """What a call knows; plain data.

    :ivar id: unique for ever; in the log and the record.
    :ivar invite: the caller's INVITE.
    :ivar identity: who called.
    :ivar record: what is left of the call in the end.
    :ivar state: how far it has come.
    :ivar hunt: what is tried and is still to be tried.
    :ivar transfer: the last one, under way or over; None before the first.
    :ivar loan: the leg that it has of another call until it talks to it; None for none.
    :ivar joined: name of the bridge over which both sides talk; "" before the answer.
    :ivar recorded: whether what they say is to be recorded.
    :ivar legs: those that have not ended, by name.
    :ivar bridges: those that have not ended, by the name of leg b.
    """

    id: str
    invite: Request
    identity: Identity
    record: CallRecord
    state: State = State.ASKING
    hunt: HuntData = attrs.Factory(HuntData)
    transfer: TransferData | None = None
    loan: Loan | None = None
    joined: str = ""
    recorded: bool = False
    legs: dict[str, LegData] = attrs.Factory(dict)
    bridges: dict[str, BridgeData] = attrs.Factory(dict)


def note_answer(record: CallRecord, now: float) -> None:
    """The caller has been told that somebody talks to it."""
    record.answered, record.status, record.reason = now, 200, REASONS[200]


def end_attempt(record: CallRecord, call_id: str, now: float) -> None:
    """The callee whose leg has this Call-ID is in the call no more."""
    for attempt in record.attempts:
        if attempt.call_id_b == call_id:
            attempt.ended = now


def end_record(
    record: CallRecord, who: str, status: int, reason: str, fields: Iterable[Field], now: float
) -> None:
    """The call is over, and so is each attempt.

    :param fields: of what has ended it.
    """
    record.ended, record.hung_up, record.status, record.reason = now, who, status, reason
    record.causes = [value for name, value in fields if name == "Reason"]
    for attempt in record.attempts:
        record.limit = record.limit or attempt.limit
        if attempt.ended is None:
            attempt.ended = now


def new_record(
    name: str, request: Request, identity: Identity, policy: str, to_tag: str, now: float
) -> CallRecord:
    """What a call's record says from the beginning.

    :param policy: which has said who calls.
    """
    record = CallRecord(
        id=name,
        call_id_a=request.call_id,
        from_tag=request.from_.tag or "",
        identity_kind=identity.kind,
        identity=identity.name,
        caller=str(request.from_.uri),
        called=request.uri,
        invited=now,
        to_tag=to_tag,
        call_group=name,
        user=identity.name if identity.kind == "user" else "",
        verdicts=[admitted(policy, identity)],
    )
    verdict = identity.verification
    if verdict is not None:
        record.verstat, record.unverified = verdict.verstat, verdict.reason
        record.attestation, record.origid = verdict.attestation, verdict.origid
    return record
