"""The users of the store: what stands there made into users, at the start and whenever it changes.

The rows are read in the store's thread, the directory is changed in the reactor's. A row that makes
no user is logged and passed over, as is one who claims what is another's; at the start that is a
mistake that stops it, since somebody would be reached under a number that is not his.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from twisted.logger import Logger

from softswitch.errors import ConfigError
from softswitch.ops.accounts import faults, read_settings, user_of
from softswitch.ops.house import House
from softswitch.plugin.views import User
from softswitch.policy.users import Users
from softswitch.store.users import MOST, Row

_log = Logger()

#: Name of a user, and who he is now; None when he has been removed.
Change = tuple[str, User | None]


class StoredUsers:
    """Keeps the directory as the store is.

    :param house: whose directory that is, and whose configuration says what groups there are.
    :param path: of the store, for errors.
    """

    def __init__(self, house: House, path: Path) -> None:
        self._house = house
        self._path = path

    @property
    def _users(self) -> Users:
        return self._house.premises.users

    def start(self, rows: Sequence[Row]) -> None:
        """Take over all that stands there.

        :raises ConfigError: two users claim one name or number.
        """
        for name, user in self.read(rows):
            if user is not None and (wrong := self._clash(user)):
                raise ConfigError(f"{self._path}: user {name}", wrong)
            self._put(name, user)

    def read(self, rows: Iterable[Row]) -> list[Change]:
        """What rows mean; one that makes no user is logged, and means that there is none."""
        return [(name, None if text is None else self._user(name, text)) for name, text in rows]

    def changed(self, changes: Sequence[Change]) -> None:
        """Take over changes. All who have changed are struck off first, lest one be refused what
        another has just given up; those who were known come back before others come."""
        known = {name for name, _ in changes if self._users.stored.named(name) is not None}
        for name in known:
            self._put(name, None)
        for name, user in sorted(changes, key=lambda change: change[0] not in known):
            wrong = "" if user is None else self._clash(user)
            if wrong:
                _log.error(
                    "{path}: user {name} is passed over: {wrong}",
                    path=self._path,
                    name=name,
                    wrong=wrong,
                )
            else:
                self._put(name, user)
        _log.info("users have changed: {count}", count=len(changes))

    def _put(self, name: str, user: User | None) -> None:
        if user is None:
            self._users.stored.remove(name)
        else:
            self._users.stored.put(user)

    def _clash(self, user: User) -> str:
        """Why somebody cannot be reached as he would be; "" when he can."""
        stored = self._users.stored
        if len(stored) >= MOST and stored.named(user.name) is None:
            return f"more than {MOST} users"
        if self._users.configured.named(user.name) is not None:
            _log.warn(
                "{path}: user {name} is the one of the configuration instead",
                path=self._path,
                name=user.name,
            )
        if user.name in self._house.premises.accounts:
            return "a trunk proves itself by this name"
        for name in (user.name, *user.numbers):
            if name in self._house.premises.ring_groups:
                return f"{name} is a ring group's already"
            other = self._users.at_hand(name)
            if other is not None and other.name != user.name:
                return f"{name} is user {other.name}'s already"
        return ""

    def _user(self, name: str, settings: str) -> User | None:
        try:
            table = read_settings(name, settings, str(self._path))
            for key, mend in faults(name, table, list(self._house.config.groups)):
                where = f"{self._path}: user {name}"
                raise ConfigError(f"{where}.{key}" if key else where, mend)
        except ConfigError as error:
            _log.error("a user is passed over: {error}", error=error)
            return None
        return user_of(name, table, self._house.config.realm)
