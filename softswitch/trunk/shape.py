"""How our calls look to a trunk, where it wants them otherwise than we would write them. Pure.

All of it is said when the dialog begins, and is the dialog's from then on: From and To stay
(RFC 3261 12.2.1.1), retransmissions, CANCEL and the ACK of a refusal repeat what the INVITE said
(9.1, 17.1.1.3), a Contact is ours in every request and answer. An outbound proxy is a route for
what begins a dialog; the answer's Record-Route says how it goes on (12.1.2).
"""

import re

import attrs

from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field
from softswitch.sip.uri import Uri

#: A telephone number, digits with a plus before them, with or without parameters of its own.
_NUMBER = re.compile(r"\+?[0-9*#]+(?:;.*)?")


@attrs.frozen
class Shape:
    """What a trunk wants.

    :ivar outbound_proxy: SIP URI to which all that begins a dialog goes; "" for the member itself.
    :ivar outbound_route: whether a Route names that proxy, too.
    :ivar request_host: ``host`` or ``host:port`` in the Request-URI and To; "" for the member's.
    :ivar from_user: user part of From, instead of the caller's number; "" for that.
    :ivar from_domain: host of From; "" for our address.
    :ivar contact_user: user part of our Contact; "" for the caller's number, or whom it called.
    :ivar contact_host: ``host`` or ``host:port`` in it; "" for our address.
    :ivar user_phone: whether URIs that hold a telephone number say so (RFC 3261 19.1.1).
    :ivar user_agent: User-Agent; "" for our own.
    """

    outbound_proxy: str = ""
    outbound_route: bool = True
    request_host: str = ""
    from_user: str = ""
    from_domain: str = ""
    contact_user: str = ""
    contact_host: str = ""
    user_phone: bool = False
    user_agent: str = ""

    @property
    def route_set(self) -> list[str]:
        """Route values of what begins a dialog."""
        routed = self.outbound_proxy and self.outbound_route
        return [f"<{self.outbound_proxy};lr>"] if routed else []

    def request_uri(self, uri: str) -> str:
        """Who is called, as the trunk wants to read it."""
        parsed = Uri.parse(uri)
        if self.request_host and parsed.scheme != "tel":
            host = Uri.parse(f"sip:{self.request_host}")
            parsed = attrs.evolve(parsed, host=host.host, port=host.port)
        return str(self._phone(parsed))

    def from_(self, value: str) -> str:
        """The From value, without a tag, for one that would be ours. Who is anonymous stays so
        (RFC 3323 4.1.1.3)."""
        named = NameAddr.parse(value)
        if named.uri.is_anonymous:
            return value
        uri = attrs.evolve(named.uri, user=self.from_user) if self.from_user else named.uri
        return str(NameAddr(named.display, self._phone(uri)))

    def contact(self, value: str) -> str:
        """Our Contact value, for the one that we would give."""
        named = NameAddr.parse(value)
        uri = attrs.evolve(named.uri, user=self.contact_user) if self.contact_user else named.uri
        return self.at_our_host(str(NameAddr("", uri)))

    def at_our_host(self, contact: str) -> str:
        """A Contact value of ours at the host that the trunk wants in it."""
        if not self.contact_host:
            return contact
        host = Uri.parse(f"sip:{self.contact_host}")
        uri = attrs.evolve(NameAddr.parse(contact).uri, host=host.host, port=host.port)
        return str(NameAddr("", uri))

    def own_fields(self, fields: list[Field]) -> list[Field]:
        """The fields by which we introduce ourselves."""
        if not self.user_agent:
            return fields
        others = [field for field in fields if field[0] != "User-Agent"]
        return [*others, ("User-Agent", self.user_agent)]

    def _phone(self, uri: Uri) -> Uri:
        if not self.user_phone or uri.scheme == "tel" or not _NUMBER.fullmatch(uri.unquoted_user):
            return uri
        return attrs.evolve(uri, params={**uri.params, "user": "phone"})
