"""The bans of a running switch, towards the world: the log, a file, a firewall, and the command.

All of it is beside the calls: the file is written by a thread, at most once a second, and so is the
firewall told.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from cattrs.errors import BaseValidationError
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from softswitch.ops.ban import BANS, OUTCOME, WISH
from softswitch.ops.firewall import Firewall
from softswitch.ops.whole import write_whole
from softswitch.plain import from_plain, to_plain
from softswitch.transport.bans import Ban
from softswitch.transport.door import Door

log = Logger()

#: Seconds between two writings of the file, and lines of the log in that time: an attacker with
#: many sources is not to fill the disk.
PACE: Final = 1.0
LINES: Final = 50


class Banning:
    """Keeps the bans of one switch.

    :ivar firewall: who else keeps those that are proven.
    :ivar others: what else a command may wish for -> what does it, with the wish, and says what
        came of it.
    :param door: whose they are.
    :param state: the state directory.
    """

    def __init__(self, door: Door, state: Path, firewall: Firewall, reactor: Any) -> None:
        self._door = door
        self._state = state
        self.firewall = firewall
        self._reactor = reactor
        self._writing: Any = None
        self._changed = False
        self._lines = 0
        # Networks that were banned by order, and of which the firewall was told.
        self._told: set[str] = set()
        self.others: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}

    def start(self) -> None:
        """Take over the bans of the last run, and have the firewall keep them, too."""
        bans = self._door.bans
        path = self._state / BANS
        try:
            kept = [from_plain(Ban, each) for each in json.loads(path.read_bytes())["bans"]]
            restored = bans.restore(
                each
                for each in kept
                if each.by != "configuration" and not self._door.trusts(each.network)
            )
        except FileNotFoundError:
            restored = 0
        except (OSError, ValueError, KeyError, TypeError, BaseValidationError) as error:
            log.error("{path}: bans cannot be restored: {error}", path=path, error=repr(error))
            restored = 0
        if restored:
            log.info("{count} bans restored", count=restored)
        for ban in bans.all():
            self._tell(ban)
        bans.made.append(self._made)
        bans.lifted.append(self._lifted)

    def stop(self) -> None:
        """Write what is not written yet."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        if self._changed:
            self._write(self._kept())
        self.firewall.stop()

    def renewed(self) -> None:
        """The configuration says otherwise by now who is trusted: a network in which somebody has
        become so is the door's alone, and the other way round."""
        for ban in self._door.bans.all():
            if ban.by != "score":
                self._tell(ban)

    def serve(self) -> None:
        """Do what a command wishes for, and write what came of it."""
        try:
            wish = json.loads((self._state / WISH).read_bytes())
            answer = self._granted(wish)
        except (OSError, ValueError, KeyError, TypeError) as error:
            answer = {"done": False, "said": f"the wish cannot be read: {error!r}"}
        self._write_down(OUTCOME, {"at": time.time_ns(), **answer})

    def _granted(self, wish: dict[str, Any]) -> dict[str, Any]:
        doing, door = wish["do"], self._door
        if doing in self.others:
            return self.others[doing](wish)
        if doing == "list":
            return {"done": True, **_plain(self._door.bans.all())}
        network = wish["network"]
        if doing == "add":
            ban = door.ban(network, wish["seconds"], wish["why"])
            if ban is None:
                said = f"{network} is trusted: a trunk's, or in door.trusted"
                return {"done": False, "said": said}
            if ban.by == "configuration":
                said = f"{network} is banned for ever already, by door.banned of the configuration"
                return {"done": False, "said": said}
            return {"done": True, "said": f"{ban.network} is banned"}
        if door.lift(network) is None:
            return {
                "done": False,
                "said": f"{network} is not banned; `softswitch ban list` shows all",
            }
        return {"done": True, "said": f"{network} is banned no longer"}

    def _made(self, ban: Ban) -> None:
        self._lines += 1
        if self._lines <= LINES:
            seconds = self._door.bans.left(ban)
            log.warn(
                "banned {network} {length}: {why}, {proof}",
                network=ban.network,
                length="for ever" if seconds is None else f"for {seconds:.0f} s",
                why=ban.why,
                proof="proven" if ban.proven else "unproven",
            )
        self._told.discard(ban.network)
        self._tell(ban)
        self._write_soon(ban)

    def _lifted(self, ban: Ban) -> None:
        log.info("lifted the ban of {network}", network=ban.network)
        if ban.by == "score" or ban.network in self._told:
            self._told.discard(ban.network)
            if ban.proven:
                self.firewall.lift(ban)
        self._write_soon(ban)

    def _tell(self, ban: Ban) -> None:
        """Have the firewall keep a ban, if it is proven and nobody is trusted there: a firewall
        does not know who is."""
        if not ban.proven:
            return
        trusted = self._door.trusted_within(ban.network)
        told = ban.network in self._told
        if trusted is None and not told:
            self.firewall.ban(ban, self._door.bans.left(ban))
            if ban.by != "score":
                self._told.add(ban.network)
        elif trusted is not None:
            log.warn(
                "the firewall is not told of {network}: {trusted} is trusted",
                network=ban.network,
                trusted=trusted,
            )
            if told:
                self._told.discard(ban.network)
                self.firewall.lift(ban)

    def _write_soon(self, ban: Ban) -> None:
        """Have the log caught up, and what outlives the process written."""
        self._changed = self._changed or ban.proven
        if self._writing is None:
            self._writing = self._reactor.callLater(PACE, self._write_in_thread)

    def _write_in_thread(self) -> None:
        self._writing = None
        if self._lines > LINES:
            log.warn("banned {count} more in that second", count=self._lines - LINES)
        self._lines = 0
        if self._changed:
            self._changed = False
            self._run(self._write, self._kept())

    def _run(self, work: Callable[..., None], *args: Any) -> None:
        pool = self._reactor.getThreadPool()
        deferToThreadPool(self._reactor, pool, work, *args).addErrback(_failed)

    def _kept(self) -> list[Ban]:
        """What outlives the process: an attacker with many sources is not to fill the disk, nor to
        keep it busy."""
        return [ban for ban in self._door.bans.all() if ban.proven]

    def _write(self, bans: list[Ban]) -> None:
        if not self._write_down(BANS, _plain(bans)):
            self._changed = True

    def _write_down(self, name: str, figures: dict[str, Any]) -> bool:
        """Write a file of the state directory; False, and a line in the log, where that fails."""
        try:
            write_whole(self._state / name, figures)
        except OSError as error:
            log.error(
                "{path} cannot be written: {error}", path=self._state / name, error=error.strerror
            )
            return False
        return True


def _plain(bans: list[Ban]) -> dict[str, Any]:
    return {"bans": [to_plain(ban) for ban in bans]}


def _failed(failure: Failure) -> None:
    log.failure("the bans cannot be written", failure)
