"""What a policy sees: read-only views of a request, a call, a user, a binding. Pure.

A policy never meets a transaction, a dialog or a socket. Views are made per request, so they
copy nothing and parse nothing until they are asked.
"""

from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Protocol

import attrs

from softswitch.errors import SipSyntaxError
from softswitch.flow import Flow
from softswitch.plugin.verification import Attestation, Verification, Verstat
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Request
from softswitch.sip.names import canonical
from softswitch.sip.uri import Uri

if TYPE_CHECKING:
    from softswitch.plugin.decisions import Challenge, Reject, Target

#: Where a trunk says which number it calls.
CalledFrom = Literal["request-uri", "to", "p-called-party-id"]


#: Kinds of identity that stand for a phone that has registered through this switch.
REGISTERED = frozenset(("user", "phone"))


@attrs.frozen
class Identity:
    """Who sent a request, as an admission policy found out.

    :ivar kind: "user", "trunk", "phone" for one that has registered through us at a PBX, or "peer"
        for whatever else a policy knows.
    :ivar name: the user's or trunk's name in the configuration or directory; a phone's user name
        at its PBX.
    :ivar domain: the domain under which a user is known; "" for others.
    :ivar force_rport: answer to the source address and port even when the Via does not ask for
        it (RFC 3581 says only with ``rport``; many phones behind a NAT forget it).
    :ivar display: the name that is shown where we vouch for the user (RFC 3325), or "".
    :ivar registered: of a trunk that registers to us, or a phone that has registered through us,
        the user name under which it has; else "".
    :ivar number: stands for the caller's own, in From and where we vouch for him; "" for none.
    :ivar called_from: where a trunk says which number it calls.
    :ivar verification: what came of verifying the caller's number; None where nobody did.
    """

    kind: str
    name: str
    domain: str = ""
    force_rport: bool = False
    display: str = ""
    registered: str = ""
    number: str = ""
    called_from: CalledFrom = "request-uri"
    verification: Verification | None = None


@attrs.frozen
class Forwarded:
    """Where a user's calls go instead of his phones: the name of another user, or a SIP URI, whose
    host may be the name of a trunk; "" for nowhere.

    :ivar always: all of them, and no phone rings.
    :ivar busy: when he is busy.
    :ivar no_answer: when nobody has answered after ``after``.
    :ivar unreachable: when no phone is registered, or none can be reached.
    :ivar after: seconds that his phones ring where ``no_answer`` says something.
    """

    always: str = ""
    busy: str = ""
    no_answer: str = ""
    unreachable: str = ""
    after: float = 20.0

    @property
    def places(self) -> tuple[str, ...]:
        """Those that are named."""
        return tuple(filter(None, (self.always, self.busy, self.no_answer, self.unreachable)))


@attrs.frozen
class CallLimits:
    """In how many calls at once a user may be; 0 for any number.

    :ivar calls: all together.
    :ivar calls_in: that others have made to him.
    :ivar calls_out: that he has made.
    :ivar status: what a call beyond them gets: 486 or 480.
    """

    calls: int = 0
    calls_in: int = 0
    calls_out: int = 0
    status: int = 486

    @property
    def any(self) -> bool:
        """Whether there is any limit."""
        return bool(self.calls or self.calls_in or self.calls_out)


@attrs.frozen
class RingGroup:
    """Several who are rung for one name.

    :ivar name: user part of its address.
    :ivar members: names or numbers of users, or SIP URIs, whose host may be the name of a trunk.
    :ivar strategy: all at once; or one after the other: in the order given, by chance, or whoever
        has been in no call for the longest time first.
    :ivar ring_seconds: that each member rings.
    :ivar numbers: further names under which it is reached.
    :ivar otherwise: where a call goes that nobody has taken, as in ``Forwarded``; "" for nowhere.
    """

    name: str
    members: tuple[str, ...]
    strategy: Literal["all", "in-turn", "random", "longest-idle"] = "all"
    ring_seconds: float = 20.0
    numbers: tuple[str, ...] = ()
    otherwise: str = ""


@attrs.frozen
class User:
    """Somebody who may register and call.

    :ivar name: user part of the address of record, and the digest user name.
    :ivar ha1: algorithm -> hex digest of ``name:realm:password`` (RFC 7616 3.4.2).
    :ivar display: display name, or "".
    :ivar group: user group of the configuration, or "".
    :ivar numbers: further names under which he is reached, and may call: extensions, numbers.
    :ivar do_not_disturb: what callers hear who shall not reach him: "busy" (486) or "unavailable"
        (480); "" where he may be rung.
    :ivar disturbed_by: names of users, and numbers of others, who may ring him all the same.
    :ivar limits: in how many calls he may be.
    :ivar forwarded: where his calls go instead, for the policy ``forwarding``.
    :ivar fraud: cells of ``plugin.tolls.TollLimits`` in which he differs from his group.
    """

    name: str
    ha1: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    display: str = ""
    group: str = ""
    forwarded: Forwarded = Forwarded()
    numbers: tuple[str, ...] = ()
    do_not_disturb: Literal["", "busy", "unavailable"] = ""
    disturbed_by: tuple[str, ...] = ()
    limits: CallLimits = CallLimits()
    fraud: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class BindingView:
    """One contact of an address of record, as registered (RFC 3261 10).

    :ivar aor: address of record, ``user@domain``.
    :ivar contact: the contact's URI as the phone wrote it, but for header fields.
    :ivar flow: the flow on which it registered; a closed one is not shown at all. None where
        only the URI is known.
    :ivar q: preference, 0.0 to 1.0.
    :ivar expires_at: when it expires, Unix time, seconds.
    :ivar user_agent: the phone's User-Agent, or "".
    :ivar instance: its ``+sip.instance``, or "".
    :ivar registrar: name of the trunk whose registrar has granted it; "" for our own.
    :ivar proved: whether that registrar has accepted credentials that came on this flow.
    :ivar spare: contact and flow of the same phone's further flows (RFC 5626), the newest first.
    """

    aor: str
    contact: str
    flow: Flow | None
    q: float = 1.0
    expires_at: float = 0.0
    user_agent: str = ""
    instance: str = ""
    registrar: str = ""
    proved: bool = False
    spare: tuple[tuple[str, Flow], ...] = ()


class RequestView:
    """A request from outside, read-only.

    Its mandatory fields have been checked, so the attributes below do not raise.

    :ivar source: the flow on which it came.
    :ivar identity: who sent it; None while admission is still being asked.
    """

    __slots__ = ("_request", "identity", "source")

    def __init__(self, request: Request, source: Flow, identity: Identity | None = None) -> None:
        self._request = request
        self.source = source
        self.identity = identity

    @property
    def method(self) -> str:
        """ "INVITE", "REGISTER" ..."""
        return self._request.method

    @property
    def uri(self) -> Uri:
        """Who is called: the Request-URI, with the number of another field in it where the trunk
        from which it came says it there."""
        identity = self.identity
        if identity is None or identity.called_from == "request-uri":
            return self._request.request_uri
        return self.called(identity.called_from)

    def called(self, called_from: CalledFrom) -> Uri:
        """The Request-URI, with the number that another field says; as it is, where that says
        none."""
        uri, named = self._request.request_uri, None
        if called_from == "to":
            named = self._request.to.uri
        elif called_from == "p-called-party-id":
            with suppress(SipSyntaxError):
                named = NameAddr.parse(self._request.get("P-Called-Party-ID") or "").uri
        if named is None or not named.user:
            return uri
        if uri.scheme == "tel" or uri.opaque:
            return named
        return attrs.evolve(uri, user=named.user, password=None)

    @property
    def verstat(self) -> Verstat | Literal[""]:
        """Whether the caller's number is his, as the verdict on it says (RFC 8224); "" where nobody
        has verified it."""
        verdict = None if self.identity is None else self.identity.verification
        return "" if verdict is None else verdict.verstat

    @property
    def attestation(self) -> Attestation | Literal[""]:
        """How far the signer of the number vouches for it (RFC 8588 4); "" where it did not pass,
        or he does not say."""
        verdict = None if self.identity is None else self.identity.verification
        return "" if verdict is None else verdict.attestation

    @property
    def from_(self) -> NameAddr:
        """The From field: who claims to call."""
        return self._request.from_

    @property
    def to(self) -> NameAddr:
        """The To field: who was meant to be called."""
        return self._request.to

    @property
    def call_id(self) -> str:
        """The Call-ID of the sender's dialog."""
        return self._request.call_id

    @property
    def body(self) -> bytes:
        """The body, as received."""
        return self._request.body

    def header(self, name: str) -> str | None:
        """The first line of a field, by any spelling of its name, or None."""
        return self._request.get(canonical(name))

    def headers(self, name: str) -> list[str]:
        """Every line of a field, by any spelling of its name."""
        return self._request.all(canonical(name))


#: What a router sees; ``identity`` is known by then.
InviteView = RequestView


@attrs.frozen
class CallView:
    """A call, one target of which answered with a 3xx.

    :ivar id: the switch's name for the call, as in the log and the record.
    :ivar invite: the caller's INVITE.
    :ivar target: the target that redirected.
    :ivar status: the 3xx.
    :ivar depth: how many redirections led to that target; 0 when it came from a router.
    :ivar tried: every URI that this call has been sent to, that target's included.
    """

    id: str
    invite: RequestView
    target: "Target"
    status: int
    depth: int = 0
    tried: tuple[str, ...] = ()

    @property
    def call_id(self) -> str:
        """The Call-ID of the caller's dialog."""
        return self.invite.call_id


class TrunkView(Protocol):
    """A trunk, as a policy sees it."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""

    @property
    def force_rport(self) -> bool:
        """See ``Identity.force_rport``."""

    @property
    def registered_as(self) -> str:
        """See ``Identity.registered``."""

    @property
    def verifies(self) -> bool:
        """Whether the numbers of calls from it are verified."""

    def requires_identity(self, request: RequestView) -> bool:
        """Whether a call from it is refused whose number does not pass."""

    def reads(self, request: RequestView) -> CalledFrom:
        """Where a request from this trunk says which number it calls."""

    def shown(self, request: RequestView) -> str | None:
        """The number that is to stand for the caller of a request from this trunk, "" where he is
        shown as he shows himself; None where that is not allowed."""

    def targets(self, number: str, invite: RequestView | None = None) -> "list[Target]":
        """A target per member of the trunk that is up, in the order of trying, for a dialled
        number; none where none is up.

        :param invite: of which call; by its caller or Call-ID it may stick to a member.
        """


class House(Protocol):
    """What the switch offers a policy that has a method ``start(house)``; called once, at load."""

    @property
    def domain(self) -> str:
        """The one name that stands for all served domains."""

    @property
    def realm(self) -> str:
        """The digest realm."""

    def now(self) -> float:
        """Unix time, seconds; virtual in tests."""

    def is_ours(self, host: str, port: int | None = None) -> bool:
        """Whether a URI's host, and port if it has one, name this switch: a served domain or an
        address of ours."""

    def find_user(self, name: str) -> User | None:
        """The user of that name or number, as far as can be said at once: of a directory that has
        to be waited for, what it has said last."""

    def look_up_user(self, name: str) -> "User | Reject | Awaitable[User | Reject | None] | None":
        """The user of that name or number; a refusal where a directory has failed."""

    def ring_group(self, name: str) -> RingGroup | None:
        """The ring group of that name or number."""

    def idle_since(self, user: str) -> float | None:
        """When the last call of a user ended, Unix time, 0.0 where there was none; None while he is
        in one."""

    def locate(self, user: str, domain: str) -> list[BindingView]:
        """Where a user can be reached now, the preferred contact first."""

    def registered_on(self, flow: Flow) -> list[BindingView]:
        """Who has registered on a flow."""

    def fronted(self, token: str) -> BindingView | None:
        """The contact that a PBX knows by this user part of a Contact of ours; one that cannot be
        reached has no flow."""

    def e164(self, number: str, caller: Identity | None = None) -> str:
        """A number as its caller writes it (``[numbering]`` says how), in E.164: "+442071838750".

        :returns: "" for what is no telephone number: a name, an extension, a short code.
        """

    def trunk(self, name: str) -> TrunkView | None:
        """The trunk of that name."""

    def trunk_at(self, host: str) -> TrunkView | None:
        """The trunk to whose networks an address literal belongs."""

    def trunk_of(self, request: RequestView) -> "TrunkView | Challenge | Reject | None":
        """The trunk that has sent a request, by its credentials or its address (and then by its
        Request-URI, of several at that address); what to answer where they are wrong, or belong to
        none; None for strangers."""

    def verify(
        self, request: RequestView, trunk: str = ""
    ) -> "Verification | Awaitable[Verification]":
        """What is to be thought of the number that a request comes from (RFC 8224 6); an awaitable
        where a certificate has to be fetched.

        :param trunk: name of the trunk that has sent it, whose way of writing numbers holds; "" for
            nobody's.
        """

    def authenticate(
        self, request: RequestView
    ) -> "User | Challenge | Reject | Awaitable[User | Challenge | Reject]":
        """Check a request's digest credentials (RFC 3261 22): who it is, or what to answer; an
        awaitable only where a directory of users has to be waited for."""
