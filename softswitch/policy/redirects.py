"""Redirection: what we tell a caller (RFC 3261 8.3), and what a callee tells us (8.1.3.4). Pure."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import attrs
from zope.interface import implementer

from softswitch.errors import SipSyntaxError
from softswitch.plugin.decisions import Follow, PassOn, Redirect, Redirection, Reject, Route, Target
from softswitch.plugin.interfaces import Answer, IRedirectPolicy, IRouter
from softswitch.plugin.views import CallView, House, InviteView
from softswitch.policy.located import dialled, ring
from softswitch.policy.waiting import once_known
from softswitch.sip.uri import Uri


@implementer(IRouter)
@attrs.define
class Redirects:
    """Sends the callers of some users elsewhere.

    :ivar users: name -> URIs, the preferred one first.
    :ivar status: of the redirection.
    """

    users: Mapping[str, tuple[str, ...]]
    status: Literal[300, 301, 302, 305, 380] = 302
    _house: House = attrs.field(init=False, repr=False)

    def start(self, house: House) -> None:
        """Take note of what knows the served domains."""
        self._house = house

    def route(self, invite: InviteView) -> Redirect | None:
        """A redirection for the users that are listed."""
        contacts = self.users.get(dialled(invite.uri, self._house))
        return Redirect(contacts, self.status) if contacts else None


@implementer(IRedirectPolicy)
@attrs.define
class FollowRedirects:
    """Follows a 300, 301 or 302 within limits, and never to a place that was tried already.

    A contact in our own domain means the user of that name; any other must lie in one of
    ``domains``, lest a phone be made to call wherever it likes at our expense.

    :ivar domains: hosts that may be followed to, besides our own.
    :ivar depth: redirections in a row that are followed.
    :ivar count: contacts of one redirection that are followed.
    :ivar otherwise: what becomes of a redirection that is not followed: it is passed on to the
        caller, or the target counts as failed.
    """

    domains: tuple[str, ...] = ()
    depth: int = 3
    count: int = 5
    otherwise: Literal["pass on", "refuse"] = "pass on"
    _house: House = attrs.field(init=False, repr=False)

    def start(self, house: House) -> None:
        """Take note of what knows our users."""
        self._house = house
        self.domains = tuple(domain.lower() for domain in self.domains)

    def redirected(self, call: CallView, contacts: Sequence[str]) -> Answer[Redirection]:
        """The places that may be followed to; when none is left, ``otherwise``."""
        return once_known(partial(self._decide, call, contacts))

    def _decide(self, call: CallView, contacts: Sequence[str]) -> Redirection:
        if call.status in (300, 301, 302) and call.depth < self.depth:
            tried = [Uri.parse(uri) for uri in call.tried]
            targets = [
                target
                for contact in contacts[: self.count]
                for target in self._targets(call, contact)
                if not any(Uri.parse(target.uri).same_as(uri) for uri in tried)
            ]
            if targets:
                return Follow(targets)
        return PassOn() if self.otherwise == "pass on" else Reject(480)

    def _targets(self, call: CallView, contact: str) -> Sequence[Target]:
        try:
            uri = Uri.parse(contact)
        except SipSyntaxError:
            return ()
        if uri.scheme not in ("sip", "sips"):
            return ()
        if self._house.is_ours(uri.host, uri.port):
            found = ring(uri.unquoted_user, self._house, None, call.invite)
            return found.targets if isinstance(found, Route) else ()
        if uri.host.lower() not in self.domains:
            return ()
        # 8.1.3.4: neither "method" nor the headers belong into a Request-URI.
        params = {name: value for name, value in uri.params.items() if name != "method"}
        same_host = uri.host.lower() == Uri.parse(call.target.uri).host.lower()
        trunk = call.target.trunk if same_host else None
        return (Target(str(attrs.evolve(uri, params=params, headers={})), trunk=trunk),)
