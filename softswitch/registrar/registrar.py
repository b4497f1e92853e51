"""The registrar: what a REGISTER becomes (RFC 3261 10.3). Pure.

Who sent the request, whether he may register here, and Require have been looked at before.
"""

from collections.abc import Callable
from email.utils import formatdate
from math import ceil

from softswitch.errors import PeerError, SipSyntaxError
from softswitch.flow import Flow
from softswitch.plugin.decisions import Accept
from softswitch.registrar.bindings import Binding, Bindings, address_of_record
from softswitch.sip.compose import new_tag, response
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Request, Response
from softswitch.transport.domains import Domains

#: Contact values that one REGISTER may bring; each is compared with each binding.
MAX_VALUES = 64
#: Characters of a contact's URI; it is to stand in the start line of a request.
MAX_URI = 1024


class Registrar:
    """Answers REGISTER requests from the bindings, and changes them.

    :param now: wall-clock seconds, the same as the bindings'.
    :param default_expires: seconds granted to a phone that leaves it to us.
    """

    def __init__(
        self,
        bindings: Bindings,
        domains: Domains,
        now: Callable[[], float],
        default_expires: int = 3600,
    ) -> None:
        self._bindings = bindings
        self._domains = domains
        self._now = now
        self._default_expires = default_expires

    def process(self, request: Request, flow: Flow, accept: Accept) -> Response:
        """Carry out a REGISTER, wholly or not at all, and compose its answer."""
        try:
            aor = self._address_of_record(request)
            values = request.values("Contact")
            if "*" in values:
                self._remove_all(request, aor, values)
            elif values:
                if len(values) > MAX_VALUES:
                    raise PeerError("Too many contacts", 403)
                wanted = [
                    self._binding(request, aor, contact, flow, accept)
                    for contact in request.contacts
                ]
                self._bindings.update(aor, wanted, accept.max_contacts)
        except PeerError as error:
            fields: list[Field] = []
            if error.status == 423:
                fields.append(("Min-Expires", str(accept.min_expires)))
            return response(request, error.status, error.reason, to_tag=new_tag(), fields=fields)
        return response(request, 200, to_tag=new_tag(), fields=self._current(aor))

    def _address_of_record(self, request: Request) -> str:
        uri = request.to.uri
        if uri.scheme not in ("sip", "sips"):
            raise SipSyntaxError("To is no SIP URI", header="To")
        if not uri.user or not self._domains.is_ours(uri.host, uri.port):
            raise PeerError("Not Found", 404)
        return address_of_record(uri, self._domains.primary)

    def _remove_all(self, request: Request, aor: str, values: list[str]) -> None:
        if len(values) > 1 or request.expires != 0:
            raise SipSyntaxError("Contact * wants Expires 0 and no other", header="Contact")
        self._bindings.remove_all(aor, request.call_id, request.cseq.number)

    def _binding(
        self, request: Request, aor: str, contact: NameAddr, flow: Flow, accept: Accept
    ) -> Binding:
        uri = str(contact.uri)
        if contact.uri.scheme not in ("sip", "sips"):
            raise SipSyntaxError("Contact is no SIP URI", header="Contact")
        if len(uri) > MAX_URI:
            raise SipSyntaxError("Contact is too long", header="Contact")
        now = self._now()
        return Binding(
            aor=aor,
            contact=uri,
            flow=flow,
            call_id=request.call_id,
            cseq=request.cseq.number,
            registered_at=now,
            expires_at=now + self._granted(request, contact, accept),
            q=_preference(contact),
            instance=contact.params.get("+sip.instance") or "",
            user_agent=request.get("User-Agent") or "",
        )

    def _granted(self, request: Request, contact: NameAddr, accept: Accept) -> int:
        """Seconds that a contact gets (10.3 step 7).

        :raises PeerError: 423 when it asks for fewer than the least, and for less than an hour.
        """
        requested = contact.expires
        if requested is None:
            requested = request.expires
        if requested is None:
            requested = max(self._default_expires, accept.min_expires)
        if 0 < requested < min(accept.min_expires, 3600):
            raise PeerError("Interval Too Brief", 423)
        return min(requested, accept.max_expires)

    def _current(self, aor: str) -> list[Field]:
        now = self._now()
        return [
            ("Contact", _shown(binding, ceil(binding.expires_at - now)))
            for binding in self._bindings.contacts(aor)
        ] + [("Date", formatdate(now, usegmt=True))]


def _preference(contact: NameAddr) -> float:
    """
    :raises SipSyntaxError: the q parameter is none (25.1 qvalue).
    """
    try:
        return contact.q
    except SipSyntaxError as error:
        raise SipSyntaxError("Bad q in Contact", header="Contact") from error


def _shown(binding: Binding, expires: int) -> str:
    """A binding as a Contact value; the phone finds itself in it by URI or instance."""
    value = f"<{binding.contact}>;expires={expires}"
    if binding.q != 1.0:
        value += f";q={binding.q:g}"
    if binding.instance:
        value += f";+sip.instance={binding.instance}"
    return value
