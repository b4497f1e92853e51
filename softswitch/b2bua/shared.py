"""What all calls of a switch share: who sends, who decides, who carries the audio. Pure."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Protocol

import attrs

from softswitch.b2bua import crossing
from softswitch.b2bua.occupancy import Occupancy
from softswitch.b2bua.witness import Witness
from softswitch.dialog import sips
from softswitch.dialog.dialog import Dialog
from softswitch.dialog.proof import Credentials
from softswitch.dialog.useragent import Resolver, UserAgent
from softswitch.errors import TransportError
from softswitch.flow import Flow, uri_transport
from softswitch.journal import MEDIA, TIMER, Journal
from softswitch.plugin.decisions import Admission, Proxy, Redirection, Routing, Target
from softswitch.plugin.media import IMediaEngine, IMediaWitness
from softswitch.plugin.profile import DEFAULT, Profile
from softswitch.plugin.record import CallRecord
from softswitch.plugin.views import CallView, Identity, RequestView
from softswitch.scope import Auditor, Scope
from softswitch.sip.fields import NameAddr
from softswitch.sip.forks import ForkLimits
from softswitch.sip.message import Field, Request
from softswitch.sip.replaces import Replaces
from softswitch.sip.uri import Uri
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server
from softswitch.transport.layer import Destination, TransportLayer
from softswitch.transport.search import over_udp
from softswitch.trunk.group import Trunks
from softswitch.trunk.shape import Shape
from softswitch.trunk.traffic import Traffic
from softswitch.wheel import Clock, Timer


def first_hop(target: Target) -> str:
    """The URI to which the first request to a target is sent."""
    return str(NameAddr.parse(target.route[0]).uri) if target.route else target.uri


@attrs.frozen
class CallSettings:
    """What the operator decides for all calls.

    :ivar try_seconds: a target that is silent for so long, without even a 100, is passed over.
    :ivar ring_seconds: how long a target rings unless its route says otherwise.
    :ivar media_seconds: within which the media engine must have answered.
    :ivar realm: our own digest realm.
    :ivar stop_on: refusals that speak for the callee wherever he is, so that nobody else is tried
        for him (RFC 3261 21.6).
    :ivar forks: to how many places a call may go.
    :ivar session_id: whether each side is told how the session is identified end to end (RFC 7989).
    """

    try_seconds: float = 4.0
    ring_seconds: float = 180.0
    media_seconds: float = 4.0
    realm: str = ""
    stop_on: frozenset[int] = frozenset(range(600, 700))
    forks: ForkLimits = attrs.field(factory=ForkLimits)
    session_id: bool = True


class Policies(Protocol):
    """The chain, as calls see it. Each ``tell`` is called once, now or later.

    :ivar decided: name of the policy whose decision is being told; "" where none had one.
    """

    decided: str

    def ask_admission(self, request: RequestView, tell: Callable[[Admission], None]) -> None:
        """May somebody of whom we know who he is reach that target?"""

    def ask_route(self, invite: RequestView, tell: Callable[[Routing], None]) -> None:
        """Where does this call go?"""

    def ask_redirect(
        self, call: CallView, contacts: Sequence[str], tell: Callable[[Redirection], None]
    ) -> None:
        """What becomes of a 3xx?"""


class Observer(Protocol):
    """Told of facts: the chain, and through it every ``ICallObserver``."""

    def call_started(self, record: CallRecord) -> None:
        """An INVITE was admitted."""

    def call_ringing(self, record: CallRecord) -> None:
        """The first target rings."""

    def call_answered(self, record: CallRecord) -> None:
        """The caller was told of the answer."""

    def call_ended(self, record: CallRecord) -> None:
        """The call is over; told once, last."""


#: The record of a call that is forwarded, and who is told of it.
Told = tuple[CallRecord, Observer]

#: The proxy: it answers the request, and sees the record of an INVITE to its end.
Forward = Callable[[Request, InviteServer | Server, Identity, Proxy, Told | None], None]


class Watchers(Protocol):
    """Told of the ups and downs of every user's leg; its data says which."""

    def leg_began(self, leg: Any) -> None:
        """It has been made."""

    def leg_changed(self, leg: Any) -> None:
        """It rings, it was answered, or its peer is told another name."""

    def leg_ended(self, leg: Any) -> None:
        """It is gone."""

    def call_id(self, named: str) -> str:
        """The Call-ID for which another name was shown; what is none such stays as it is."""


class Shared:
    """Services and facts, of all calls that begin under one configuration.

    :ivar engine: carries the media; None lets session descriptions pass unchanged.
    :ivar witness: what that has seen of them; None where it does not say.
    :ivar credentials: name of a trunk, address of its that a request goes to, the URI that has led
        there ("" where it has called us from it) -> what answers its challenges, None for nothing.
    :ivar observer: told of every call.
    :ivar ended: told of each call once, when it has ended, and who else is to be told.
    :ivar handed_over: told instead of a call of which nothing is made, for it is forwarded: with
        the INVITE's transaction, the decision and the observer.
    :ivar find_far: whom a call is to talk to that takes the place of a dialog: that leg, and the
        legs among which it is; None where the dialog is none of ours.
    :ivar find_calling: the call whose caller's dialog is meant, as long as nobody has answered it;
        None where there is none.
    :ivar forward: the proxy; assigned before anything arrives.
    :ivar lamps: told of every user's leg; assigned before anything arrives.
    :ivar occupancy: in which calls the users are; likewise.
    :ivar traffic: the trunks, as calls see them; assigned before anything arrives.
    :ivar mended: told what was wrong with the session descriptions that a leg was to get: the
        call's id, the leg's name, and what.
    :ivar journal: keeps what happens for whoever looks later; None where nobody does.
    :ivar own_fields: header fields of every INVITE that we send.
    :ivar is_alive: whether something can be sent on a flow.
    :ivar facing: what a flow's peer sees of us.
    :ivar profile: how the "trunk" or "user" of that name is treated within a call.
    """

    def __init__(
        self,
        clock: Clock,
        agent: UserAgent,
        transport: TransportLayer,
        resolver: Resolver,
        policies: Policies,
        engine: IMediaEngine | None,
        auditor: Auditor,
        settings: CallSettings,
        credentials: Callable[[str, str, str], Credentials | None],
        observer: Observer,
        own_fields: Sequence[Field],
        secret: bytes,
        profile: Callable[[str, str], Profile] = lambda kind, name: DEFAULT,
    ) -> None:
        self.clock = clock
        self.agent = agent
        self.policies = policies
        self.engine = engine
        self.witness = Witness(engine, clock) if IMediaWitness.providedBy(engine) else None
        self.auditor = auditor
        self.settings = settings
        self.credentials = credentials
        self.observer = observer
        self.own_fields = list(own_fields)
        self.profile = profile
        self.ended: Callable[[Any, Observer], None] = lambda call, observer: None
        self.mended: Callable[[str, str, Sequence[str]], None] = lambda call_id, leg, what: None
        self.journal: Journal | None = None
        self.handed_over: Callable[[Any, InviteServer, Proxy, Observer], None]
        self.forward: Forward
        self.find_far: Callable[[Replaces], tuple[Any, Any] | None]
        self.find_calling: Callable[[Replaces], Any | None]
        self.lamps: Watchers
        self.traffic = Traffic(Trunks(()))
        self.occupancy = Occupancy(lambda name: None, clock.seconds)
        self.is_alive = transport.is_alive
        self.facing = transport.facing
        self._transport = transport
        self._resolver = resolver
        self._secret = secret.hex()

    def renewed(
        self,
        policies: Policies,
        settings: CallSettings,
        credentials: Callable[[str, str, str], Credentials | None],
        observer: Observer,
        profile: Callable[[str, str], Profile],
    ) -> "Shared":
        """The same for calls that begin under another configuration."""
        renewed = copy(self)
        renewed.policies, renewed.settings = policies, settings
        renewed.credentials, renewed.observer, renewed.profile = credentials, observer, profile
        return renewed

    def registered(self, target: Target) -> str:
        """Name of the user, or of the PBX, who is called on the flow on which he has registered, or
        ""."""
        if target.flow is None:
            return ""
        if target.trunk is not None:
            trunk = self.traffic.named(target.trunk)
            return "" if trunk is None else trunk.registered_as
        return "" if target.call_to is None else Uri.parse(target.call_to).unquoted_user

    def goes_along(self, target: Target) -> bool:
        """Whether the requests of a dialog with a target go along its flow, and not to its Contact:
        not where that is only where we have registered."""
        return target.flow is not None and (target.trunk is None or bool(self.registered(target)))

    def shape(self, target: Target) -> Shape | None:
        """How a target's trunk wants our calls to look; None for as they are."""
        trunk = self.traffic.named(target.trunk)
        return None if trunk is None else trunk.shape

    def introduction(self, target: Target) -> list[Field]:
        """Our own header fields in what begins a dialog with a target."""
        shape = self.shape(target)
        return self.own_fields if shape is None else shape.own_fields(self.own_fields)

    def hop(self, target: Target) -> str:
        """URI that leads to where what begins a dialog with a target goes."""
        shape = self.shape(target)
        proxy = "" if shape is None or target.route else shape.outbound_proxy
        hop = proxy or first_hop(target)
        # A trunk goes over the transport that is configured, whatever the DNS would choose.
        return hop if target.trunk is None else over_udp(hop)

    def led_by(self, target: Target) -> str:
        """What has led to where what begins a dialog with a target goes, in the terms of
        ``credentials``: "" where it has registered from there."""
        if target.flow is None:
            return self.hop(target)
        return "" if self.registered(target) else target.uri

    def answering(self, request: Request, flow: Flow, tag: str, identity: Identity) -> Dialog:
        """The dialog that our answer to a request makes.

        :param tag: our own.
        :raises SipSyntaxError: when From, Contact or Record-Route cannot be read.
        """
        contact = self.answering_contact(request, flow, identity)
        user = identity.name if identity.kind == "user" else identity.registered
        dialog = Dialog.answering(request, flow, tag, contact, user)
        if identity.kind == "trunk":
            dialog.large_over_tcp = self.traffic.large_over_tcp(identity.name)
        return dialog

    def answering_contact(self, request: Request, flow: Flow, identity: Identity) -> str:
        """Our Contact field value in answers to whoever has called; a ``sips:`` URI to who has
        called one (RFC 3261 12.1.1)."""
        contact = self.contact(request.request_uri.user or "", flow)
        if sips.wants_protection(request):
            contact = sips.secured_contact(contact)
        trunk = self.traffic.named(identity.name) if identity.kind == "trunk" else None
        return contact if trunk is None or trunk.shape is None else trunk.shape.contact(contact)

    def ways(self) -> "Shared":
        """The same for what outlives a configuration: it knows which way leads where, and keeps no
        policies alive."""
        found = copy(self)
        del found.policies, found.observer, found.credentials, found.profile
        return found

    def contact(self, user: str, flow: Flow) -> str:
        """Our Contact field value towards the flow's peer."""
        facing = self._transport.facing(flow)
        at = f"{user}@" if user else ""
        host = f"[{facing.host}]" if ":" in facing.host else facing.host
        transport = "" if flow.transport == "UDP" else f";transport={uri_transport(flow.transport)}"
        return f"<sip:{at}{host}:{facing.port}{transport}>"

    def mark(self, invite: Request) -> str:
        """Our mark for calls to that INVITE's Request-URI."""
        return crossing.mark(invite.request_uri, self._secret)

    def is_marked(self, request: Request) -> bool:
        """Whether a request bears our mark: it has come back."""
        marks = request.all(crossing.MARK)
        return bool(marks) and self.mark(request) in marks

    def timer_fired(self, call: str, what: str) -> None:
        """Note that somebody was waited for in vain.

        :param call: its id.
        """
        if self.journal is not None:
            self.journal.note((self.clock.seconds(), TIMER, what, call))

    def media_changed(self, call: str, what: str) -> None:
        """Note what becomes of a call's media.

        :param call: its id.
        """
        if self.journal is not None:
            self.journal.note((self.clock.seconds(), MEDIA, what, call))

    def leave_media(self, session: str, scope: Scope, leg: str) -> None:
        """A leg leaves its media session: a port that it still holds then is a leak."""
        if self.engine is not None:
            self.engine.drop(session, leg)
            if self.engine.ports_in_use(session, leg):
                self.auditor.leaked(scope, ["ports"])

    def find_flow(self, uri: str, tell: Callable[[Flow | None], None]) -> None:
        """Call ``tell`` with a flow to where ``uri`` leads, now or later; None for nowhere, or when
        nobody has said in ``try_seconds``."""
        self.find_places(uri, lambda places: tell(self._first(places)))

    def find_places(self, uri: str, tell: Callable[[list[Destination]], None]) -> None:
        """Call ``tell`` with the places to which ``uri`` leads, in the order of trying, now or
        later; with none for nowhere, or when nobody has said in ``try_seconds``."""
        target = Uri.parse(uri)
        at_once = self._resolver.at_once(target)
        if at_once is not None:
            tell([at_once])
        else:
            self._look_up(target, tell)

    def flow_to(self, place: Destination) -> Flow | None:
        """A flow to a place; None when no listener faces it."""
        try:
            return self._transport.flow_to(*place)
        except TransportError:
            return None

    def _look_up(self, target: Uri, tell: Callable[[list[Destination]], None]) -> None:
        told: list[Timer | None] = []

        def resolved(places: list[Destination]) -> None:
            if told == [None]:
                return
            if told and (timer := told.pop()) is not None:
                timer.cancel()
            told.append(None)
            tell(places)

        self._resolver.resolve(target, resolved)
        if not told:
            told.append(self.clock.callLater(self.settings.try_seconds, resolved, []))

    def _first(self, places: list[Destination]) -> Flow | None:
        """A flow to the first place that a listener faces."""
        return next(filter(None, map(self.flow_to, places)), None)
