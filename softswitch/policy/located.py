"""Calls to registered users. Pure. RFC 3261 section 10 and 16.5."""

from functools import partial
from itertools import groupby

import attrs
from zope.interface import implementer

from softswitch.plugin.decisions import Reject, Route, Routing, Target
from softswitch.plugin.interfaces import Answer, IRouter
from softswitch.plugin.views import House, InviteView, User
from softswitch.policy.waiting import at_hand, once_known
from softswitch.sip.uri import Uri
from softswitch.trunk.group import escape_user

_SEPARATORS = str.maketrans("", "", "-.()")


@implementer(IRouter)
@attrs.define
class Located:
    """A request for a user of ours goes to where that user is registered.

    :ivar ring_seconds: how long each phone may ring; None for the switch's default.
    """

    ring_seconds: float | None = None
    _house: House = attrs.field(init=False, repr=False)

    def start(self, house: House) -> None:
        """Take note of what knows the users and their contacts."""
        self._house = house

    def route(self, invite: InviteView) -> Answer[Routing]:
        """480 for a user who is not registered; None for whom nobody knows."""
        name = dialled(invite.uri, self._house)
        if not name:
            return None
        return once_known(partial(ring, name, self._house, self.ring_seconds, invite))


def dialled(uri: Uri, house: House) -> str:
    """Who or what was called in our domain, without escapes; "" for other domains.

    A TEL URI belongs to whom it was sent; its visual separators mean nothing (RFC 3966 4).
    """
    if uri.scheme == "tel":
        return uri.unquoted_user.translate(_SEPARATORS)
    if house.is_ours(uri.host, uri.port):
        return uri.unquoted_user
    return ""


def ring(
    name: str,
    house: House,
    ring_seconds: float | None = None,
    invite: InviteView | None = None,
) -> Route | Reject | None:
    """Every contact of a user: descending by q, those of one q at once.

    To be called within ``once_known``.

    :param name: his name, or a number of his.
    :param invite: who calls; some may disturb him whom others may not.
    :returns: 480 when there is none, 486 or 480 when he is not to be disturbed, None when nobody
        has that name.
    """
    user = at_hand(name, house)
    if user is None:
        return None
    quiet = quiet_for(user, house, invite)
    if quiet is not None:
        return quiet
    bindings = house.locate(user.name, house.domain)
    if not bindings:
        return Reject(480)
    address_of_record = str(Uri("sip", escape_user(user.name), host=house.domain))
    return Route(
        [
            Target(
                binding.contact,
                ring_seconds,
                group,
                q,
                flow=binding.flow,
                call_to=address_of_record,
                spare=binding.spare,
            )
            for group, (q, equals) in enumerate(groupby(bindings, lambda found: found.q), 1)
            for binding in equals
        ]
    )


def quiet_for(user: User, house: House, invite: InviteView | None) -> Reject | None:
    """What a caller hears who may not disturb a user; None where he may.

    A user of ours is known by his name. Another's number counts as long as it is no user's, whom he
    might play. Only calls disturb, and OPTIONS hears what they would (RFC 3261 11.2).
    """
    if not user.do_not_disturb:
        return None
    if invite is not None and invite.method not in ("INVITE", "OPTIONS"):
        return None
    if user.disturbed_by and invite is not None and invite.identity is not None:
        who = invite.identity
        number = invite.from_.uri.unquoted_user
        if who.kind == "user":
            caller = house.find_user(who.name)
            known = {who.name, *(caller.numbers if caller is not None else ())}
        else:
            known = {number} if house.find_user(number) is None else set()
        if not known.isdisjoint(user.disturbed_by):
            return None
    return Reject(486 if user.do_not_disturb == "busy" else 480)
