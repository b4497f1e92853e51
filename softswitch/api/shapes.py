"""What the API shows: attrs classes that become JSON and, in the document, schemas. Pure.

Their docstrings are the document's descriptions. Times are RFC 3339 in UTC with microseconds; None
stands for what has not happened. Octets of no encoding, which a peer may send, become "?".
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

import attrs

from softswitch.b2bua.call import Call
from softswitch.b2bua.leg import LegData
from softswitch.b2bua.progress import State
from softswitch.flow import Flow
from softswitch.plain import to_plain
from softswitch.plugin.record import Attempt, CallRecord
from softswitch.registrar.bindings import Binding
from softswitch.transport.bans import Ban

#: How far a call has come: nobody has rung yet, somebody rings, both talk; or it is only forwarded,
#: and whether anybody answered is all that is known.
CallState = Literal["trying", "ringing", "talking", "forwarded"]


def to_json(body: Any) -> bytes:
    """A body in UTF-8."""
    plain = json.dumps(to_plain(body), ensure_ascii=False, separators=(",", ":"))
    return plain.encode("utf-8", "replace")


def utc(seconds: float) -> str:
    """A time as ``2026-01-31T12:00:00.000000Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def maybe_utc(seconds: float | None) -> str | None:
    """The same of what may not have happened."""
    return None if seconds is None else utc(seconds)


def written(flow: Flow) -> str:
    """The far end of a flow, as ``udp:192.0.2.1:5060``."""
    host = f"[{flow.remote_host}]" if ":" in flow.remote_host else flow.remote_host
    return f"{flow.transport.lower()}:{host}:{flow.remote_port}"


@attrs.frozen
class CallSummary:
    """A call that has not ended, in the list.

    :ivar id: unique for ever; the same in the log and in the call record.
    :ivar state: how far it has come.
    :ivar caller: URI of the caller's From, as received.
    :ivar called: Request-URI, as received.
    :ivar identity_kind: who the caller has proved to be: "user", "trunk", "phone" or "peer".
    :ivar identity: his name.
    :ivar trunk: that it goes out on; null for none.
    :ivar target: Request-URI of whom is tried, or talked to; null before anybody is.
    :ivar invited: when the INVITE came.
    :ivar ringing: when somebody rang first.
    :ivar answered: when it was answered.
    :ivar silences: legs that were found not to be heard.
    """

    id: str
    state: CallState
    caller: str
    called: str
    identity_kind: str
    identity: str
    trunk: str | None
    target: str | None
    invited: str
    ringing: str | None
    answered: str | None
    silences: int


@attrs.frozen
class CallPage:
    """A page of calls, the newest first.

    :ivar calls: of the page; it may hold fewer than asked for, even none, and yet not be the last.
    :ivar next: cursor of the next page; null for none.
    :ivar total: all calls that go on, whatever was asked for.
    """

    calls: list[CallSummary]
    next: str | None
    total: int


@attrs.frozen
class AttemptShown:
    """A target that was tried.

    :ivar target: Request-URI as it was sent.
    :ivar call_id: Call-ID of that leg.
    :ivar trunk: name of the trunk; null for a registered user or a plain URI.
    :ivar leg: name of the leg; "" where none was made.
    :ivar started: when it was tried.
    :ivar ringing: when it rang.
    :ivar answered: when it answered.
    :ivar ended: when it failed, hung up or was given up.
    :ivar status: final SIP status; 0 when none came.
    :ivar reason: its phrase, or our own words.
    :ivar limit: the limit of its trunk that it would have broken; "" for none.
    """

    target: str
    call_id: str
    trunk: str | None
    leg: str
    started: str
    ringing: str | None
    answered: str | None
    ended: str | None
    status: int
    reason: str
    limit: str


@attrs.frozen
class LegShown:
    """One side of a call.

    :ivar name: "a" for the caller, "b1", "b2" ... for those who are tried.
    :ivar kind: who it is: "user", "trunk" or "peer".
    :ivar peer: the name of the user or trunk; "" for others.
    :ivar member: address of the trunk's member; "" for none in particular.
    :ivar life: how far its dialog has come: "early", "confirmed" or "ended".
    :ivar call_id: Call-ID of its dialog.
    :ivar local_tag: our tag.
    :ivar remote_tag: its tag; "" before it has given one.
    :ivar remote: its From or To.
    :ivar remote_target: URI that its requests go to.
    :ivar address: where it was last heard, as "udp:192.0.2.1:5060".
    :ivar joined: whether it talks now.
    """

    name: str
    kind: str
    peer: str
    member: str
    life: str
    call_id: str
    local_tag: str
    remote_tag: str
    remote: str
    remote_target: str
    address: str
    joined: bool


@attrs.frozen
class SilenceShown:
    """A leg of which the other side hears nothing, though the call has been answered.

    :ivar leg: whose audio is missing.
    :ivar cause: why.
    :ivar detail: what has been seen.
    :ivar at: when that was found.
    """

    leg: str
    cause: str
    detail: str
    at: str


@attrs.frozen
class CallShown:
    """A call that has not ended, whole.

    :ivar summary: what the list says of it.
    :ivar call_id: Call-ID of the caller's leg.
    :ivar from_tag: the caller's tag.
    :ivar to_tag: ours.
    :ivar legs: those that have not ended; none of a call that is only forwarded.
    :ivar attempts: the targets that were tried, in their order.
    :ivar silences: the legs that were not heard, and why.
    :ivar mended: what was wrong with session descriptions before they left.
    :ivar recording: name of the file in which it is recorded; "" for none.
    :ivar transfer: how far a transfer has come; null where there was none.
    """

    summary: CallSummary
    call_id: str
    from_tag: str
    to_tag: str
    legs: list[LegShown]
    attempts: list[AttemptShown]
    silences: list[SilenceShown]
    mended: list[str]
    recording: str
    transfer: str | None


@attrs.frozen
class CallMedia:
    """What has become of the packets of a call that goes on.

    :ivar streams: one for each leg and line of media, as under `media` in a record; none where
        nobody measures them, or nobody has answered.
    :ivar recording: name of the file in which it is recorded; "" for none.
    """

    streams: list[dict[str, Any]]
    recording: str


@attrs.frozen
class RegistrationShown:
    """A contact of a user.

    :ivar aor: address of record.
    :ivar contact: URI as the phone wrote it.
    :ivar reg_id: which of the phone's flows it is (RFC 5626); 0 for a contact like any other.
    :ivar address: where it registered from, as "udp:192.0.2.1:5060".
    :ivar user_agent: what the phone calls itself; "" for nothing.
    :ivar instance: value of its +sip.instance; "" for none.
    :ivar q: preference, 0 to 1.
    :ivar registered_at: when.
    :ivar expires_at: when it ends.
    :ivar reachable: whether its connection still stands and, behind NAT on UDP, whether it answers
        when it is asked.
    :ivar registrar: the trunk to whose PBX its REGISTER was passed on; "" where we are it.
    """

    aor: str
    contact: str
    reg_id: int
    address: str
    user_agent: str
    instance: str
    q: float
    registered_at: str
    expires_at: str
    reachable: bool
    registrar: str


@attrs.frozen
class RegistrationPage:
    """A page of contacts, by address of record.

    :ivar registrations: of the page.
    :ivar next: cursor of the next page; null for none.
    :ivar total: all contacts, whatever was asked for.
    """

    registrations: list[RegistrationShown]
    next: str | None
    total: int


@attrs.frozen
class Removed:
    """What a removal has removed.

    :ivar removed: how many.
    """

    removed: int


@attrs.frozen
class BanShown:
    """A network from which nothing is taken.

    :ivar network: in CIDR notation, or a single address.
    :ivar until: when it ends; null for never.
    :ivar why: what for.
    :ivar by: who has made it: "score", "command" or "configuration".
    :ivar proven: whether its source was seen to be real.
    :ivar at: when it was made.
    """

    network: str
    until: str | None
    why: str
    by: str
    proven: bool
    at: str


@attrs.frozen
class BanPage:
    """A page of bans, by network.

    :ivar bans: of the page.
    :ivar next: cursor of the next page; null for none.
    :ivar total: all bans, whatever was asked for.
    """

    bans: list[BanShown]
    next: str | None
    total: int


def state_of(call: Call) -> CallState:
    """How far a call has come."""
    if call.state in (State.ASKING, State.HUNTING):
        return "trying" if call.data.record.ringing is None else "ringing"
    return "talking"


def summary(record: CallRecord, state: CallState) -> CallSummary:
    """A call in the list."""
    attempt = record.attempts[-1] if record.attempts else None
    return CallSummary(
        record.id,
        state,
        record.caller,
        record.called,
        record.identity_kind,
        record.identity,
        None if attempt is None else attempt.trunk,
        None if attempt is None else attempt.target,
        utc(record.invited),
        maybe_utc(record.ringing),
        maybe_utc(record.answered),
        len(record.silences),
    )


def whole(record: CallRecord, state: CallState, call: Call | None) -> CallShown:
    """A call, whole.

    :param call: None for one that is only forwarded.
    """
    data = None if call is None else call.data
    legs: Iterable[LegData] = () if data is None else data.legs.values()
    joined = set() if data is None or not data.joined else {"a", data.joined}
    if data is not None and data.joined in data.bridges:
        bridge = data.bridges[data.joined]
        joined = {bridge.a, bridge.b}
    transfer = None if data is None else data.transfer
    return CallShown(
        summary(record, state),
        record.call_id_a,
        record.from_tag,
        record.to_tag,
        [_leg(each, each.name in joined) for each in legs],
        [_attempt(each) for each in record.attempts],
        [SilenceShown(each.leg, each.cause, each.detail, utc(each.at)) for each in record.silences],
        list(record.mended),
        record.recording,
        None if transfer is None else str(transfer.state),
    )


def registration(binding: Binding) -> RegistrationShown:
    """A contact."""
    return RegistrationShown(
        binding.aor,
        binding.contact,
        binding.reg_id,
        written(binding.flow),
        binding.user_agent,
        binding.instance,
        binding.q,
        utc(binding.registered_at),
        utc(binding.expires_at),
        binding.reachable,
        "" if binding.grant is None else binding.grant.registrar,
    )


def ban_shown(ban: Ban) -> BanShown:
    """A ban."""
    return BanShown(ban.network, maybe_utc(ban.until), ban.why, ban.by, ban.proven, utc(ban.at))


def _leg(leg: LegData, joined: bool) -> LegShown:
    dialog = leg.session.dialog
    return LegShown(
        leg.name,
        leg.kind,
        leg.peer,
        leg.member,
        str(leg.session.life),
        dialog.call_id,
        dialog.local_tag,
        dialog.remote_tag,
        dialog.remote,
        dialog.remote_target,
        written(dialog.flow),
        joined,
    )


def _attempt(attempt: Attempt) -> AttemptShown:
    return AttemptShown(
        attempt.target,
        attempt.call_id_b,
        attempt.trunk,
        attempt.leg,
        utc(attempt.started),
        maybe_utc(attempt.ringing),
        maybe_utc(attempt.answered),
        maybe_utc(attempt.ended),
        attempt.status,
        attempt.reason,
        attempt.limit,
    )
