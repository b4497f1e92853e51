"""A PBX that registers to us: where its numbers are reached. Pure.

Its binding is kept like a phone's, under the user name with which it proves itself; a number is
called at its Contact, along the flow on which it registered (RFC 3261 16.5, RFC 5626 5.3).
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import attrs

from softswitch.plugin.views import BindingView
from softswitch.sip.uri import Uri
from softswitch.trunk.group import Trunk


class Locate(Protocol):
    """The registrar's knowledge."""

    def __call__(self, user: str, domain: str) -> Sequence[BindingView]:
        """Where a user can be reached now, the preferred contact first."""


@attrs.frozen
class RegisteredPbx:
    """Where a trunk is that registers.

    :ivar contacts: asked for each call; none while it is not registered.
    :ivar domain: ours, in which its numbers are.
    """

    contacts: Callable[[], Sequence[BindingView]]
    domain: str

    def places(self, user: str) -> list[tuple[BindingView, str, str]]:
        """A binding, the URI there, and the URI of To, for each place at which it is reached.

        :param user: the number, escaped, that takes the place of the Contact's user part.
        """
        called = str(Uri("sip", user, host=self.domain))
        found = []
        for binding in self.contacts():
            contact = Uri.parse(binding.contact)
            uri = attrs.evolve(contact, user=user, password=None, headers={})
            found.append((binding, str(uri), called))
        return found


def located(trunks: Iterable[Trunk], locate: Locate, domain: str) -> list[Trunk]:
    """The trunks, of which those that register know where that is.

    :param domain: the one name that stands for all served domains.
    """
    return [
        attrs.evolve(
            trunk, pbx=RegisteredPbx(partial(locate, trunk.inbound.username, domain), domain)
        )
        if trunk.inbound.registers
        else trunk
        for trunk in trunks
    ]
