"""What a REGISTER asks for (RFC 3261 10.2, 10.3 steps 5 to 7, RFC 5626 6), whoever is to grant it.
Pure."""

import attrs

from softswitch.errors import PeerError, SipSyntaxError
from softswitch.flow import Flow
from softswitch.registrar.bindings import Binding, address_of_record
from softswitch.sip.fields import NameAddr, number
from softswitch.sip.message import Request
from softswitch.transport.domains import Domains

#: Contact values that one REGISTER may bring; each is compared with each binding.
MAX_VALUES = 64
#: Characters of a contact's URI; it is to stand in the start line of a request.
MAX_URI = 1024
#: A wish for at least so many seconds is never refused as too short (10.2.8).
_HOUR = 3600


@attrs.frozen
class Wish:
    """One contact of a REGISTER.

    :ivar contact: as it stands there.
    :ivar uri: its URI as written.
    :ivar seconds: for which it asks; 0 to be removed, None to leave it to the registrar.
    :ivar q: preference, 0.0 to 1.0.
    :ivar instance: value of ``+sip.instance`` as written, or "".
    :ivar reg_id: which of the instance's flows it is (RFC 5626 4.2); 0 where it is not to be called
        over that very flow alone.
    """

    contact: NameAddr
    uri: str
    seconds: int | None
    q: float
    instance: str
    reg_id: int = 0

    def binding(
        self, request: Request, aor: str, flow: Flow, now: float, granted: float
    ) -> Binding:
        """What becomes of it when it is granted.

        :param now: wall-clock seconds.
        :param granted: seconds.
        """
        return Binding(
            aor=aor,
            contact=self.uri,
            flow=flow,
            call_id=request.call_id,
            cseq=request.cseq.number,
            registered_at=now,
            expires_at=now + granted,
            q=self.q,
            instance=self.instance,
            user_agent=request.get("User-Agent") or "",
        )


@attrs.frozen
class Asked:
    """What one REGISTER asks for.

    :ivar aor: canonical address of record.
    :ivar removes_all: whether its Contact is ``*``.
    :ivar wishes: its contacts; none where it only asks which there are.
    """

    aor: str
    removes_all: bool
    wishes: tuple[Wish, ...]


def read(request: Request, flow: Flow, domains: Domains, min_expires: int) -> Asked:
    """Read a REGISTER for one of our domains.

    :param flow: on which it came; a ``sips:`` contact is believed over TLS only (RFC 5630 5.1.1).
    :param min_expires: seconds; who asks for fewer is refused.
    :raises PeerError: 404 for an address of record that is none of ours, 423 for a wish that is
        too short, 403 for too many contacts, 439 for a flow that does not end here, 400 for what
        cannot be read.
    """
    uri = request.to.uri
    if uri.scheme not in ("sip", "sips"):
        raise SipSyntaxError("To is no SIP URI", header="To")
    if not uri.user or not domains.is_ours(uri.host, uri.port):
        raise PeerError("Not Found", 404)
    aor = address_of_record(uri, domains.primary)
    values = request.values("Contact")
    if "*" in values:
        if len(values) > 1 or request.expires != 0:
            raise SipSyntaxError("Contact * wants Expires 0 and no other", header="Contact")
        return Asked(aor, True, ())
    if len(values) > MAX_VALUES:
        raise PeerError("Too many contacts", 403)
    contacts = request.contacts if values else ()
    if not flow.secure and any(each.uri.scheme == "sips" for each in contacts):
        raise SipSyntaxError("SIPS Contact without TLS", header="Contact")
    outbound = _asks_for_outbound(request)
    wishes = tuple(_wish(request, each, min_expires, outbound) for each in contacts)
    if len({wish.uri for wish in wishes}) < len(wishes):
        raise SipSyntaxError("Duplicate Contact", header="Contact")
    if sum(1 for wish in wishes if wish.reg_id and wish.seconds != 0) > 1:
        raise SipSyntaxError("Several reg-id", header="Contact")
    return Asked(aor, False, wishes)


def _asks_for_outbound(request: Request) -> bool:
    """Whether a ``reg-id`` counts (RFC 5626 6).

    :raises PeerError: 439 where the phone is not connected with us itself: its flow ends at whoever
        is between, and nothing can be sent along it from here.
    """
    if "outbound" not in request.supported:
        return False
    through = len(request.values("Via")) > 1
    if through and any("reg-id" in each.params for each in request.contacts):
        raise PeerError("First Hop Lacks Outbound Support", 439)
    return not through


def _wish(request: Request, contact: NameAddr, min_expires: int, outbound: bool) -> Wish:
    uri = str(contact.uri)
    if contact.uri.scheme not in ("sip", "sips"):
        raise SipSyntaxError("Contact is no SIP URI", header="Contact")
    if len(uri) > MAX_URI:
        raise SipSyntaxError("Contact is too long", header="Contact")
    seconds = request.expires if contact.expires is None else contact.expires
    if seconds is not None and 0 < seconds < min(min_expires, _HOUR):
        raise PeerError("Interval Too Brief", 423)
    instance = contact.params.get("+sip.instance") or ""
    reg_id = _reg_id(contact) if outbound and instance else 0
    return Wish(contact, uri, seconds, _preference(contact), instance, reg_id)


def _reg_id(contact: NameAddr) -> int:
    """
    :raises SipSyntaxError: it is none (RFC 5626 4.2: 1 to 2**31 - 1).
    """
    text = contact.params.get("reg-id")
    if text is None:
        return 0
    try:
        found = number(text, 2**31 - 1)
    except SipSyntaxError:
        found = 0
    if not found:
        raise SipSyntaxError("Bad reg-id in Contact", header="Contact")
    return found


def _preference(contact: NameAddr) -> float:
    """
    :raises SipSyntaxError: the q parameter is none (25.1 qvalue).
    """
    try:
        return contact.q
    except SipSyntaxError as error:
        raise SipSyntaxError("Bad q in Contact", header="Contact") from error
