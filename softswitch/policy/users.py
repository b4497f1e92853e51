"""Where users are found: in the configuration, in the store, with plug-ins; asked in this order.

The first two are in memory. A plug-in that answers at once is asked each time; what one has
answered after a wait is remembered for a while, so that a call asks it once. Its deadline and its
failures are the policy chain's, as those of any policy; so is how many questions it may be thinking
about at once.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from weakref import ref

import attrs
from twisted.internet.defer import Deferred

from softswitch.plugin.decisions import Reject
from softswitch.plugin.views import User
from softswitch.policy.chain import PolicyChain
from softswitch.policy.waiting import Found
from softswitch.wheel import Clock

#: Asks the plug-ins for the user of a name; the answer is told now or later.
Ask = Callable[[str, Callable[[Found], None]], None]

#: Answers that are remembered, of those who exist and of those who do not.
REMEMBERED: Final = 10_000


class Roll:
    """Users by name and by number. Of several who claim one number the first keeps it.

    :param users: who stands on it from the beginning.
    """

    def __init__(self, users: Iterable[User] = ()) -> None:
        self._by_name: dict[str, User] = {}
        self._by_number: dict[str, User] = {}
        for user in users:
            self.put(user)

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> User | None:
        """The user of a name or number."""
        user = self._by_name.get(name)
        return self._by_number.get(name) if user is None else user

    def named(self, name: str) -> User | None:
        """The user of a name, not of a number."""
        return self._by_name.get(name)

    def put(self, user: User) -> None:
        """Add a user, or take him for another of his name."""
        self.remove(user.name)
        self._by_name[user.name] = user
        for number in user.numbers:
            self._by_number.setdefault(number, user)

    def remove(self, name: str) -> None:
        """Strike a user off; harmless for nobody."""
        user = self._by_name.pop(name, None)
        for number in user.numbers if user is not None else ():
            if self._by_number.get(number) is user:
                del self._by_number[number]


@attrs.define
class _Answer:
    """What a plug-in has said of a name.

    :ivar until: when it is to be asked again, by the clock.
    """

    user: User | None
    until: float


class Users:
    """Every directory of users.

    :ivar stored: users of the store; whoever reads it keeps it up to date.
    :ivar ask: asks the plug-ins; None while there are none.
    :param configured: users of the configuration, who come first.
    :param remember: seconds for which an answer is good that had to be waited for.
    """

    def __init__(self, configured: Roll, clock: Clock, remember: float) -> None:
        self.configured = configured
        self.stored = Roll()
        self.ask: Ask | None = None
        self._clock = clock
        self._remember = remember
        self._known: dict[str, _Answer] = {}
        self._unknown: dict[str, _Answer] = {}
        self._asking: dict[str, list[Deferred[Found]]] = {}

    def at_hand(self, name: str) -> User | None:
        """The user of a name or number in the configuration or the store; one of the store who has
        the name of one of the configuration is nobody."""
        user = self.configured.get(name)
        if user is None:
            user = self.stored.get(name)
            if user is not None and self.configured.named(user.name) is not None:
                return None
        return user

    def find(self, name: str) -> User | None:
        """The user of a name or number, as far as can be said at once.

        Of a plug-in that has to be waited for that is what it has said last, however long ago.
        """
        found = self.at_hand(name)
        if found is not None or self.ask is None:
            return found
        known = self._known.get(name)
        if known is not None:
            return known.user
        if name in self._unknown or name in self._asking:
            return None
        answer = self._look_up(self.ask, name)
        return answer if isinstance(answer, User) else None

    def look_up(self, name: str) -> Found | Awaitable[Found]:
        """The user of a name or number, after a wait if need be; a refusal where a plug-in has
        failed, which has been logged."""
        found = self.at_hand(name)
        if found is not None or self.ask is None:
            return found
        known = self._known.get(name) or self._unknown.get(name)
        if known is not None and self._clock.monotonic() < known.until:
            return known.user
        return self._look_up(self.ask, name)

    def _look_up(self, ask: Ask, name: str) -> Found | Deferred[Found]:
        """Ask the plug-ins, unless somebody has asked them the same already."""
        answer: Deferred[Found] = Deferred()
        waiting = self._asking.get(name)
        if waiting is not None:
            waiting.append(answer)
            return answer
        self._asking[name] = [answer]
        at_once: list[Found] = []
        late = False

        def told(found: Found) -> None:
            if late:
                self._answered(name, found)
            else:
                at_once.append(found)

        ask(name, told)
        late = True
        if not at_once:
            return answer
        del self._asking[name]
        return at_once[0]

    def _answered(self, name: str, found: Found) -> None:
        """A plug-in has answered after a wait."""
        if not isinstance(found, Reject):
            self._known.pop(name, None)
            self._unknown.pop(name, None)
            memory = self._unknown if found is None else self._known
            memory[name] = _Answer(found, self._clock.monotonic() + self._remember)
            if len(memory) > REMEMBERED:
                del memory[next(iter(memory))]
        for answer in self._asking.pop(name):
            answer.callback(found)


def asking(chain: PolicyChain) -> Ask:
    """What asks a chain for users, and does not keep it: its own policies hold the premises."""
    known = ref(chain)

    def ask(name: str, tell: Callable[[Found], None]) -> None:
        asked = known()
        if asked is None:
            tell(None)
        else:
            asked.ask_user(name, tell)

    return ask
