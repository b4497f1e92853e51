"""What a policy may decide: frozen values, each a whole sentence. Pure.

A policy answers one of these, or None ("ask the next one"), or an awaitable of either. The chain
looks at each answer before anybody acts on it: a status that is none, a URI that cannot be read
or a header field that belongs to the core counts as rubbish, and the request is answered 500.
"""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, Literal

import attrs

from softswitch.flow import Flow
from softswitch.plugin.verification import Attestation
from softswitch.plugin.views import Identity


@attrs.frozen
class Allow:
    """The request comes from somebody who is known, and may go on.

    :ivar identity: who that is; the routers and the call record see it.
    """

    identity: Identity


@attrs.frozen
class Challenge:
    """The request must prove who sent it: 401 with digest challenges (RFC 3261 22.2).

    :ivar realm: the realm to name; None for the switch's own.
    :ivar stale: the proof was right but its nonce too old (RFC 7616 3.3), so the phone need not
        ask for the password again.
    :ivar algorithms: one challenge each, in this order; empty for the listener's.
    """

    realm: str | None = None
    stale: bool = False
    algorithms: tuple[str, ...] = ()


@attrs.frozen
class Reject:
    """No.

    :ivar status: SIP status, 400 to 699 (the chain passes nothing else).
    :ivar reason: reason phrase; None for the RFC's.
    :ivar headers: fields to add to the response, name -> value.
    """

    status: int
    reason: str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)


#: How ringing came to nothing: somebody was busy, rang and was not answered, or was not there; or
#: "failed", which stands for whatever has no route of its own.
Outcome = Literal["busy", "no_answer", "unreachable", "failed"]

#: Why a call was diverted (RFC 5806).
DivertedFor = Literal[
    "unknown",
    "user-busy",
    "no-answer",
    "unavailable",
    "unconditional",
    "time-of-day",
    "do-not-disturb",
    "deflection",
    "follow-me",
    "out-of-service",
    "away",
]


def as_cells(cells: Any) -> Any:
    """Cells of a profile with tuples for lists, which is what a profile holds."""
    if not cells or not isinstance(cells, (dict, Mapping)):
        return cells
    return {name: tuple(cell) if isinstance(cell, list) else cell for name, cell in cells.items()}


@attrs.frozen
class Diversion:
    """A call is forwarded, and whoever is rung shall know by whom (RFC 5806, RFC 7044).

    :ivar by: SIP, SIPS or TEL URI of who forwards.
    :ivar reason: why.
    """

    by: str
    reason: DivertedFor = "unconditional"


def as_diversions(diversions: Iterable[Diversion]) -> tuple[Diversion, ...]:
    """Those, in their order."""
    return tuple(diversions)


def as_route(route: str | Iterable[str]) -> tuple[str, ...]:
    """One or several Route field values."""
    return (route,) if isinstance(route, str) else tuple(route)


@attrs.frozen
class Target:
    """One place to ring.

    :ivar uri: where to: a SIP or SIPS URI, or a TEL URI where the trunk can turn it into one.
    :ivar ring_seconds: how long it may ring; None for the switch's default.
    :ivar group: targets that follow each other and share a group other than 0 ring at once;
        0, the default, rings by itself.
    :ivar q: preference, 0.0 to 1.0; the higher goes first.
    :ivar trunk: name of the trunk whose settings and credentials the new leg uses.
    :ivar member: address of the trunk's member that is meant, as in the configuration; "" for
        whichever has the address to which the URI leads.
    :ivar headers: fields to add to the new INVITE, name -> value.
    :ivar flow: send on this flow instead of resolving the URI: the one on which a phone
        registered.
    :ivar spare: URI and flow of the same phone's further flows: each in turn is tried where the one
        before is broken, or nothing at all is heard on it (RFC 5626 6).
    :ivar route: Route field values that the first request bears, the first hop first: it goes
        there unless a flow is named.
    :ivar call_to: URI of the new leg's To; None for the target's own.
    :ivar dialog: cells of its profile (``plugin.profile.Profile``) that are others in this call.
    :ivar caller: number that is shown instead of the caller's own; "" for that.
    :ivar callee: who is reached in this way as in others, whatever the trunk: when he is busy, they
        are not tried any more. "" where the targets of one trunk alone lead to the same.
    :ivar attestation: how far we vouch for the caller's number where the trunk's calls are signed
        (RFC 8588 4): "A", "B" or "C"; "" for as far as is known.
    """

    uri: str
    ring_seconds: float | None = None
    group: int = 0
    q: float = 1.0
    trunk: str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    flow: Flow | None = None
    call_to: str | None = None
    dialog: Mapping[str, Any] = attrs.field(factory=dict, converter=as_cells)
    member: str = ""
    caller: str = ""
    callee: str = ""
    route: tuple[str, ...] = attrs.field(default=(), converter=as_route)
    attestation: Attestation | Literal[""] = ""
    spare: tuple[tuple[str, Flow], ...] = ()


def as_targets(targets: str | Target | Iterable[str | Target]) -> tuple[Target, ...]:
    """One or several targets, a plain URI standing for a ``Target`` with defaults."""
    if isinstance(targets, (str, Target)):
        targets = (targets,)
    return tuple([Target(target) if isinstance(target, str) else target for target in targets])


_preference = attrgetter("q")


def steps(targets: Iterable[Target]) -> list[list[Target]]:
    """The order of ringing: by descending q, else as given; each step's targets ring at once."""
    found: list[list[Target]] = []
    for target in sorted(targets, key=_preference, reverse=True):
        if found and target.group and found[-1][0].group == target.group:
            found[-1].append(target)
        else:
            found.append([target])
    return found


@attrs.frozen
class Route:
    """The call, or other request, goes to these targets.

    :ivar targets: ``steps`` says in which order they ring. None at all is what a trunk without a
        member that is up has: the caller hears 500, or 480, with ``Reason: Q.850;cause=38``.
    :ivar dialog: cells of the caller's profile (``plugin.profile.Profile``) that are others in
        this call; a target has its own.
    :ivar forward: where the call goes on when all targets have failed, by what came of it; such a
        route may have a ``forward`` in its turn. Its ``dialog`` means nothing.
    :ivar diversions: who has forwarded the call to these targets, the first one first.
    :ivar record: whether the media engine records what both sides say, from the answer on; it may
        be one that cannot. That of a ``forward`` means nothing.
    """

    targets: tuple[Target, ...] = attrs.field(converter=as_targets)
    dialog: Mapping[str, Any] = attrs.field(factory=dict, converter=as_cells)
    forward: Mapping[Outcome, "Route"] = attrs.field(factory=dict)
    diversions: tuple[Diversion, ...] = attrs.field(default=(), converter=as_diversions)
    record: bool = False


attrs.resolve_types(Route)


@attrs.frozen
class Proxy:
    """The request is forwarded to these targets as it is (RFC 3261 16): of a call no
    back-to-back agent is made, and no audio is relayed.

    A target's ``call_to`` and ``route`` and the credentials of its trunk are of no use here: a
    proxy leaves To as it is, and passes challenges on.

    :ivar targets: ``steps`` says in which order they are tried; none at all as in a ``Route``.
    :ivar record_route: whether the further requests of a dialog that the request makes come this
        way too. Without it the record of a call ends with the answer.
    """

    targets: tuple[Target, ...] = attrs.field(converter=as_targets)
    record_route: bool = True


def as_contacts(contacts: str | Iterable[str]) -> tuple[str, ...]:
    """One or several URIs."""
    return (contacts,) if isinstance(contacts, str) else tuple(contacts)


@attrs.frozen
class Redirect:
    """The caller is told to call elsewhere itself (RFC 3261 8.3).

    :ivar contacts: URIs, the preferred one first.
    :ivar status: 300, 301, 302, 305 or 380.
    """

    contacts: tuple[str, ...] = attrs.field(converter=as_contacts)
    status: int = 302


@attrs.frozen
class Accept:
    """The registration may be made, within limits (RFC 3261 10.3).

    :ivar max_expires: seconds; a longer wish is cut to it.
    :ivar min_expires: seconds; a shorter wish gets 423.
    :ivar max_contacts: contacts that the address of record may have; beyond it the oldest goes.
    """

    max_expires: int = 3600
    min_expires: int = 60
    max_contacts: int = 10


@attrs.frozen
class Front:
    """The registration is passed on to the registrar of a PBX that we front, which knows the
    passwords; what it accepts stands with us too, under a Contact of ours.

    :ivar targets: the registrar's addresses, in the order of trying, each with the ``trunk`` by
        whose name it is known; their user parts mean nothing.
    :ivar max_expires: seconds that the phone gets at most, however long the PBX grants.
    :ivar min_expires: seconds; a phone that asks for fewer gets 423.
    :ivar ask: seconds that the PBX is asked for, or more where it wants more.
    :ivar max_contacts: contacts that the address of record may have with us; beyond it the oldest
        goes.
    :ivar domain: host of Request-URI, From and To towards the PBX; "" for what the phone wrote.
    :ivar path: whether our Path goes along (RFC 3327): "auto" to a PBX that has said ``Supported:
        path``.
    :ivar throttle: whether a refresh that the PBX need not hear of is answered here.
    """

    targets: tuple[Target, ...] = attrs.field(converter=as_targets)
    max_expires: int = 120
    min_expires: int = 60
    ask: int = 600
    max_contacts: int = 10
    domain: str = ""
    path: Literal["auto", "always", "never"] = "auto"
    throttle: bool = True


@attrs.frozen
class Follow:
    """A 3xx that came back is followed: these targets are rung instead (RFC 3261 8.1.3.4).

    :ivar targets: at least one; ``steps`` says in which order they ring.
    """

    targets: tuple[Target, ...] = attrs.field(converter=as_targets)


@attrs.frozen
class PassOn:
    """A 3xx that came back goes on to the caller, contacts and all."""


Admission = Allow | Challenge | Reject
Routing = Route | Proxy | Redirect | Reject
Registration = Accept | Front | Reject
Redirection = Follow | PassOn | Reject
