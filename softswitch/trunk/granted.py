"""What a registrar's answer says (RFC 3261 10.2.4, 10.2.8; RFC 3608). Pure."""

from softswitch.errors import SipSyntaxError
from softswitch.sip.fields import NameAddr, seconds
from softswitch.sip.message import Response
from softswitch.trunk.upstream import token_in


def granted_seconds(response: Response, token: str, asked: int) -> int:
    """For how long a 2xx says that our contact is bound (RFC 3261 10.2.4); 0 where it is not.

    Our contact is known by its token: a border element may have put its own address there. A
    registrar that names no contact at all, against 10.3 step 8, is believed where it says Expires.
    """
    overall = response.expires
    try:
        contacts = response.contacts
    except SipSyntaxError:
        return 0
    if not contacts:
        return overall or 0
    for contact in contacts:
        if token_in(contact.uri) == token:
            said = contact.expires
            return (asked if overall is None else overall) if said is None else said
    return 0


def service_route(response: Response) -> list[str]:
    """The Service-Route of a 2xx (RFC 3608 5); none where it cannot be read."""
    routes = response.values("Service-Route")
    try:
        return [str(NameAddr.parse(route)) for route in routes]
    except SipSyntaxError:
        return []


def delta(response: Response, name: str) -> int:
    """Seconds in a field such as Retry-After, comment and parameters apart; 0 without any."""
    text = (response.get(name) or "").partition(";")[0].partition("(")[0].strip()
    try:
        return seconds(text) if text else 0
    except SipSyntaxError:
        return 0
