"""The accounts of a running switch, towards the world: the log, the store, and the command.

What was counted is written by the store's thread, at most once a second, so that a switch that is
killed forgets no more than that.
"""

import json
from typing import Any, Final

from twisted.logger import Logger

from softswitch.store.sqlite import SqliteStore
from softswitch.trunk.tolls import Refusal, Tolls

log = Logger()

#: Seconds between two writings, and between two lines of the log about the same account.
PACE: Final = 1.0
QUIET: Final = 60.0

#: Accounts of whom the log was told lately.
_REMEMBERED: Final = 10_000


class Accounting:
    """Keeps the counters of one switch.

    :param tolls: whose they are.
    """

    def __init__(self, tolls: Tolls, store: SqliteStore, reactor: Any) -> None:
        self._tolls = tolls
        self._store = store
        self._reactor = reactor
        self._changed: set[str] = set()
        self._writing: Any = None
        self._said: dict[str, float] = {}

    def start(self) -> None:
        """Take over what an earlier process has counted.

        :raises ConfigError: the store is damaged.
        """
        for holder in self._tolls.restore(self._store.load_counters()):
            log.error("what {holder} has spent cannot be restored", holder=holder)
        self._tolls.changed = self._note
        self._tolls.refused = self._refused

    def stop(self) -> None:
        """Write what is not written yet."""
        if self._writing is not None:
            self._writing.cancel()
            self._write()

    def lift(self, account: str) -> dict[str, Any]:
        """What ``softswitch account lift`` wishes for."""
        if not self._tolls.lift(account):
            said = f"{account} is not blocked; `softswitch account list` shows all"
            return {"done": False, "said": said}
        log.info("{account} may call again", account=account)
        return {"done": True, "said": f"{account} may call again"}

    def blocked(self) -> dict[str, Any]:
        """What ``softswitch account list`` wishes for."""
        return {"done": True, "blocked": self._tolls.blocked()}

    def _note(self, holder: str) -> None:
        self._changed.add(holder)
        if self._writing is None:
            self._writing = self._reactor.callLater(PACE, self._write)

    def _write(self) -> None:
        """Those whose calls go on are written again, as they go on costing."""
        self._writing = None
        changed, self._changed = self._changed, set()
        for holder in changed:
            self._store.save_counters(holder, json.dumps(self._tolls.plain(holder)))
            if self._tolls.costs(holder):
                self._note(holder)

    def _refused(self, refusal: Refusal) -> None:
        """Once per account and minute: whoever dials on and on is not to fill the disk."""
        now, said = self._reactor.seconds(), self._said
        if 0 <= now - said.get(refusal.holder, -QUIET) < QUIET:
            return
        if len(said) >= _REMEMBERED:
            said.clear()
        said[refusal.holder] = now
        log.warn(
            "a call over a trunk was refused, {limit}: {status}",
            limit=refusal.limit,
            status=refusal.status,
        )
