"""What a dialog knows (RFC 3261 section 12). Pure, and plain data.

A dialog builds the requests that are sent within it and checks those that arrive in it; what is
done with them is the session's matter.
"""

from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address
from typing import Self

import attrs

from softswitch.dialog import sips
from softswitch.dialog.proof import Space
from softswitch.errors import SipSyntaxError
from softswitch.flow import SECURE, WEBSOCKETS, Flow
from softswitch.sip import compose
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.uri import Uri, addressed

DialogKey = tuple[str, str, str]

#: The methods that we serve, as a field value.
ALLOW = ", ".join(compose.ALLOW)

#: Requests whose Contact moves the peer's target (RFC 3261 12.2, RFC 3311, RFC 5057 5.4).
REFRESHING = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})


@attrs.define
class Dialog:
    """A peer-to-peer relation between us and one peer.

    :ivar call_id: the Call-ID.
    :ivar local_tag: our tag.
    :ivar remote_tag: the peer's tag; "" until it has given one.
    :ivar local: our From or To field value, with the tag.
    :ivar remote: the peer's From or To field value, with the tag where there is one.
    :ivar contact: our Contact field value.
    :ivar remote_target: URI to which requests are addressed.
    :ivar route_set: Route field values, first hop first.
    :ivar local_cseq: number of our last request.
    :ivar remote_cseq: number of the peer's last request, None before the first.
    :ivar flow: path on which the peer was last validly heard.
    :ivar registered: name of the user of ours whose registered phone the peer is; "" for others.
    :ivar spaces: protection spaces that have challenged requests of ours.
    :ivar symmetric: whether requests go back along ``flow`` rather than to the peer's Contact:
        a registered peer, one behind NAT, or one that has called us over TLS, which would not let
        us in where it has no certificate.
    :ivar secure: whether it was begun over TLS for a ``sips:`` URI: then nothing leaves TLS,
        whatever the peer's Contact and Record-Routes say (RFC 3261 12.1.1, 12.1.2).
    :ivar large_over_tcp: whether a request that is too large for a datagram may go over TCP, where
        nothing says by which transport the peer is to be reached (RFC 3261 18.1.1).
    :ivar session_id: the Session-ID of all that we send within it (RFC 7989); "" for none.
    """

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    remote: str
    contact: str
    remote_target: str
    flow: Flow
    symmetric: bool = False
    registered: str = ""
    route_set: list[str] = attrs.Factory(list)
    local_cseq: int = 0
    remote_cseq: int | None = None
    spaces: list[Space] = attrs.Factory(list)
    secure: bool = False
    large_over_tcp: bool = True
    session_id: str = ""

    @classmethod
    def answering(
        cls, request: Request, flow: Flow, local_tag: str, contact: str, registered: str = ""
    ) -> Self:
        """The dialog that our answer to ``request`` makes (RFC 3261 12.1.1).

        :param registered: name of the user of ours whose phone sent it; "" for others.
        :raises SipSyntaxError: when From, Contact or Record-Route cannot be read.
        """
        return cls(
            call_id=request.call_id,
            local_tag=local_tag,
            remote_tag=request.from_.tag or "",
            local=f"{request.get('To')};tag={local_tag}",
            remote=request.get("From") or "",
            contact=contact,
            remote_target=_target(request),
            flow=flow,
            symmetric=bool(registered) or flow.transport in SECURE or behind_nat(request, flow),
            registered=registered,
            route_set=[str(route) for route in request.record_routes],
            remote_cseq=request.cseq.number,
            secure=flow.transport in SECURE and request.uri[:5].lower() == "sips:",
        )

    @classmethod
    def forgotten(cls, response: Response, flow: Flow) -> Self:
        """What a 2xx says of the INVITE of ours that it answers, for ``take_down``."""
        return cls(
            call_id=response.call_id,
            local_tag=response.from_.tag or "",
            remote_tag="",
            local=response.get("From") or "",
            remote="",
            contact="",
            remote_target=addressed(str(response.to.uri)),
            flow=flow,
        )

    @property
    def key(self) -> DialogKey:
        """The dialog's identity (RFC 3261 12)."""
        return (self.call_id, self.local_tag, self.remote_tag)

    def another(self) -> "Dialog":
        """A dialog that another callee of the same INVITE may make."""
        return Dialog(
            self.call_id,
            self.local_tag,
            "",
            self.local,
            self.remote,
            self.contact,
            self.remote_target,
            self.flow,
            self.symmetric,
            self.registered,
            local_cseq=self.local_cseq,
            spaces=self.spaces,
            secure=self.secure,
            large_over_tcp=self.large_over_tcp,
            session_id=self.session_id,
        )

    def established(self, response: Response, flow: Flow, *, anew: bool = True) -> None:
        """Take in the response that made or refreshed the dialog (RFC 3261 12.1.2, 12.2.1.2).

        :param anew: whether it makes the dialog, or confirms an early one: its tag and its route
            set are those that count (13.2.2.4). Later ones change neither.
        :raises SipSyntaxError: when To, Contact or Record-Route cannot be read.
        """
        target = _target(response)
        routes = [str(route) for route in response.record_routes]
        if anew:
            self.remote_tag = response.to.tag or ""
            self.remote = response.get("To") or ""
            self.route_set = routes[::-1]
        if target:
            self.remote_target = target
        self.flow = flow
        self.symmetric = self.symmetric or behind_nat(response, flow)

    def moved(self, response: Response) -> None:
        """Take in where a 2xx to our UPDATE says that the peer is (RFC 3311 5.3); nothing, where
        that cannot be read."""
        with suppress(SipSyntaxError):
            self.remote_target = _target(response) or self.remote_target

    def heard(self, request: Request, flow: Flow) -> bool:
        """Take in a request of the peer (RFC 3261 12.2.2).

        :returns: False when it is out of order and to be answered with 500.
        :raises SipSyntaxError: when Contact cannot be read.
        """
        number = request.cseq.number
        if self.remote_cseq is not None and number < self.remote_cseq:
            return False
        self.remote_cseq = number
        self.flow = flow
        if request.method in REFRESHING:
            target = _target(request)
            if target:
                self.remote_target = target
                self.symmetric = self.symmetric or behind_nat(request, flow)
        return True

    def request(
        self, method: str, fields: Iterable[Field] = (), body: bytes = b"", max_forwards: int = 70
    ) -> Request:
        """Our next request within the dialog, with a new CSeq, without a Via (12.2.1.1)."""
        self.local_cseq += 1
        return self._build(method, self.local_cseq, fields, body, max_forwards)

    def ack(self, cseq: int, fields: Iterable[Field] = (), body: bytes = b"") -> Request:
        """The ACK of the 2xx to our INVITE number ``cseq`` (RFC 3261 13.2.2.4)."""
        return self._build("ACK", cseq, fields, body, 70)

    def next_hop(self) -> Flow | Uri:
        """Where our next request goes: back along the flow, or to an URI to be resolved.

        What begins the dialog goes on the flow that was found for it. After that a route set is
        always followed; without one, a registered peer or one behind NAT is reached along its flow,
        since its Contact may be a private address. Over TLS a hop that is where the flow leads is
        reached along it, since an address has seldom a certificate (RFC 5923).

        :raises SipSyntaxError: when the first Route or the target is no URI.
        """
        if not (self.remote_tag or self.remote_cseq):
            return self.flow
        if self.route_set:
            first = self.first_route()
            return self.flow if self.flow.secure and _is_at(first, self.flow) else first
        if self.symmetric:
            return self.flow
        target = sips.over_tls(self.remote_target) if self.secure else Uri.parse(self.remote_target)
        return self.flow if _is_at(target, self.flow) else target

    def first_route(self) -> Uri:
        """The first hop of the route set.

        :raises SipSyntaxError: it is no URI.
        """
        first = NameAddr.parse(self.route_set[0]).uri
        return sips.over_tls(str(first)) if self.secure else first

    def takes_tcp(self) -> bool:
        """Whether our next request, too large for a datagram, may go over TCP to where it would
        have gone over UDP: not along a flow, and not where the transport is said.

        :raises SipSyntaxError: when the first Route or the target is no URI.
        """
        if not self.large_over_tcp or (self.symmetric and not self.route_set):
            return False
        hop = self.first_route() if self.route_set else Uri.parse(self.remote_target)
        return hop.scheme == "sip" and "transport" not in hop.params

    def next_host(self) -> str:
        """Name or address of where our next request goes; "" where that cannot be read."""
        try:
            hop = self.next_hop()
        except SipSyntaxError:
            return ""
        return hop.remote_host if isinstance(hop, Flow) else hop.params.get("maddr") or hop.host

    def _build(
        self, method: str, cseq: int, fields: Iterable[Field], body: bytes, max_forwards: int
    ) -> Request:
        target = self.remote_target
        routes = self.route_set
        if routes and "lr" not in (first := NameAddr.parse(routes[0]).uri).params:
            # A strict router comes first (12.2.1.1): it wants itself in the Request-URI.
            routes = [*routes[1:], f"<{target}>"]
            target = str(first)
        built = [
            ("Max-Forwards", str(max_forwards)),
            *[("Route", route) for route in routes],
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
            *fields,
        ]
        if method in REFRESHING:
            built.append(("Contact", self.contact))
            built.append(("Allow", ALLOW))
        if self.session_id:
            built.append(("Session-ID", self.session_id))
        return Request(method, target, built, body)


def _is_at(target: Uri, flow: Flow) -> bool:
    """Whether a target is the address that a UDP flow leads to, so that none has to be found; of
    TLS, any port there."""
    if flow.transport in SECURE:
        return target.host == flow.remote_host and target.transport == flow.transport
    return (
        target.host == flow.remote_host
        and (target.port or 5060) == flow.remote_port
        and flow.transport == "UDP"
        and target.scheme == "sip"
        and (target.params.get("transport") or "udp").lower() == "udp"
        and "maddr" not in target.params
    )


def _target(message: Message) -> str:
    """The URI in a message's Contact, or "" without one.

    :raises SipSyntaxError: when there are several, or it cannot be read.
    """
    contacts = message.contacts
    if not contacts:
        return ""
    if len(contacts) > 1:
        raise SipSyntaxError("Several Contacts", header="Contact")
    return addressed(str(contacts[0].uri))


def behind_nat(message: Message, flow: Flow) -> bool:
    """Whether the peer's Contact cannot be reached from here: none, a private address in a
    message that came from a public one, or that of a WebSocket, which nobody but the peer opens."""
    if flow.transport in WEBSOCKETS:
        return True
    contacts = message.contacts
    if not contacts:
        return True
    host = contacts[0].uri.host
    if host == flow.remote_host or message.get("Record-Route") is not None:
        return False
    return _private(host) and not _private(flow.remote_host)


@lru_cache(maxsize=4096)
def _private(host: str) -> bool:
    """Whether ``host`` is an address that means nothing outside its own network."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return False
