"""Who may register what: users and PBXs their own address of record. Pure. RFC 3261 10.3."""

import attrs
from zope.interface import implementer

from softswitch.plugin.decisions import Accept, Registration, Reject
from softswitch.plugin.interfaces import IRegistrationPolicy
from softswitch.plugin.views import House, RequestView


@implementer(IRegistrationPolicy)
@attrs.define
class OwnRegistration:
    """A user registers contacts for the address of record that is his, and for no other; so does a
    trunk that registers, which is where it did so last.

    :ivar min_expires: seconds; a shorter wish gets 423.
    :ivar max_expires: seconds; a longer wish is cut to it.
    :ivar max_contacts: contacts per user; beyond it the oldest goes.
    """

    min_expires: int = 60
    max_expires: int = 3600
    max_contacts: int = 10
    _house: House = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.min_expires <= self.max_expires or self.max_expires < 1:
            raise ValueError("0 <= min_expires <= max_expires is wanted")
        if self.max_contacts < 1:
            raise ValueError("max_contacts: at least 1 is wanted")

    def start(self, house: House) -> None:
        """Take note of what knows the served domains."""
        self._house = house

    def register(self, request: RequestView) -> Registration | None:
        """404 for a domain that is not served, 403 for somebody else's address."""
        identity = request.identity
        if identity is None:
            return None
        own = identity.name if identity.kind == "user" else identity.registered
        if not own:
            return None
        uri = request.to.uri
        if not self._house.is_ours(uri.host, uri.port):
            return Reject(404)
        if uri.unquoted_user != own:
            return Reject(403)
        contacts = self.max_contacts if identity.kind == "user" else 1
        return Accept(self.max_expires, self.min_expires, contacts)
