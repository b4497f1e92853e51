"""A queue: its members ring in turn, whoever has talked least lately first."""

import attrs
from zope.interface import implementer

from softswitch.plugin.decisions import Reject, Route, Target
from softswitch.plugin.interfaces import IRouter
from softswitch.plugin.observer import Observer
from softswitch.plugin.record import CallRecord
from softswitch.plugin.views import House, InviteView


@implementer(IRouter)
@attrs.define
class DeskQueue(Observer):
    """One number, many members. A member who talks is not rung; who has been idle for the longest
    time rings first, and when all have rung in vain they ring once more.

    :ivar number: what is dialled.
    :ivar members: names of users.
    :ivar ring_seconds: for which each of them rings.
    :ivar rounds: how often they are gone through.
    """

    number: str
    members: tuple[str, ...]
    ring_seconds: float = 15.0
    rounds: int = 2
    _house: House = attrs.field(init=False, repr=False)
    #: Name of a member -> when he last hung up.
    _idle_since: dict[str, float] = attrs.field(init=False, factory=dict)
    #: A call's id -> who answered it.
    _talks: dict[str, str] = attrs.field(init=False, factory=dict)

    def start(self, house: House) -> None:
        """Every member has to be a user."""
        self._house = house
        for name in self.members:
            if house.find_user(name) is None:
                raise ValueError(f"members: there is no [users.{name}]")

    def route(self, invite: InviteView) -> Route | Reject | None:
        """480 when nobody is there, or all are talking."""
        uri = invite.uri
        if uri.unquoted_user != self.number or not self._house.is_ours(uri.host, uri.port):
            return None
        busy = set(self._talks.values())
        free = [name for name in self.members if name not in busy]
        free.sort(key=lambda name: self._idle_since.get(name, 0.0))
        targets = [target for name in free for target in self._phones(name)]
        return Route(targets * self.rounds) if targets else Reject(480, "Nobody At The Desk")

    def _phones(self, name: str) -> list[Target]:
        """All phones of a member, which ring at once."""
        house = self._house
        return [
            Target(
                binding.contact,
                self.ring_seconds,
                group=1 + self.members.index(name),
                flow=binding.flow,
                call_to=f"sip:{name}@{house.domain}",
            )
            for binding in house.locate(name, house.domain)
        ]

    # What the switch tells. A member who is called directly is busy, too.

    def call_answered(self, record: CallRecord) -> None:
        """Somebody talks now."""
        answered = [each.target for each in record.attempts if each.answered is not None]
        for name in self.members:
            phones = self._house.locate(name, self._house.domain)
            if any(phone.contact in answered for phone in phones):
                self._talks[record.id] = name

    def call_ended(self, record: CallRecord) -> None:
        """He has time again."""
        name = self._talks.pop(record.id, None)
        if name is not None:
            self._idle_since[name] = self._house.now()
