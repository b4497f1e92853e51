"""Who else keeps the bans: a set of nftables, or commands of the operator's own.

Both are programs, which a thread runs one after the other; what waits is bounded. Bans that have
come about since the last run go to nftables in one.
"""

import subprocess
from collections import Counter, deque
from collections.abc import Sequence
from threading import Condition, Thread
from typing import Final, NamedTuple

from twisted.logger import Logger

from softswitch.ops.door_tables import FirewallTable
from softswitch.transport.bans import Ban

log = Logger()

#: Changes that may wait; more are not told.
MOST: Final = 10_000
#: Changes that one run of nft takes.
BATCH: Final = 500
#: Seconds that a program gets.
PATIENCE: Final = 10.0


class Change(NamedTuple):
    """A ban that was made, or lifted.

    :ivar seconds: for which it holds; None for ever.
    """

    network: str
    made: bool
    seconds: float | None = None


class Firewall:
    """Tells those of the bans whom the configuration names.

    :ivar table: whom.
    :ivar counters: what was told -> how often.
    """

    def __init__(self, table: FirewallTable) -> None:
        self.table = table
        self.counters: Counter[str] = Counter()
        self._waiting: deque[Change] = deque()
        self._changed = Condition()
        self._thread: Thread | None = None
        self._stopping = False

    def ban(self, ban: Ban, seconds: float | None) -> None:
        """A ban was made."""
        if self.table.table or self.table.ban:
            self._put(Change(ban.network, True, seconds))

    def lift(self, ban: Ban) -> None:
        """A ban was lifted before its time."""
        if self.table.table or self.table.lift:
            self._put(Change(ban.network, False))

    def stop(self) -> None:
        """Tell no more, once what waits has been told."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _put(self, change: Change) -> None:
        with self._changed:
            if len(self._waiting) >= MOST:
                self.counters["not told: too many"] += 1
                return
            self._waiting.append(change)
            self._changed.notify()
        if self._thread is None:
            self._thread = Thread(target=self._work, name="firewall", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._stopping:
                        return
                    self._changed.wait()
                count = min(BATCH, len(self._waiting))
                changes = [self._waiting.popleft() for _ in range(count)]
            if self.table.table:
                self._tell_nft(changes)
            for change in changes:
                command = self.table.ban if change.made else self.table.lift
                if command:
                    _run(spelled(command, change))
            self.counters["told"] += len(changes)

    def _tell_nft(self, changes: Sequence[Change]) -> None:
        """All at once; one by one where that fails, for then nothing of it holds."""
        lines = [line for change in changes if (line := nft_line(self.table, change))]
        if lines and not _run(("nft", "-f", "-"), "\n".join(lines), quiet=len(lines) > 1):
            for line in lines if len(lines) > 1 else ():
                _run(("nft", "-f", "-"), line)


def nft_line(table: FirewallTable, change: Change) -> str:
    """What nftables is told; "" where there is no set for such addresses."""
    name = table.set6 if ":" in change.network else table.set
    if not name:
        return ""
    if not change.made:
        return f"delete element {table.table} {name} {{ {change.network} }}"
    timeout = "" if change.seconds is None else f" timeout {max(1, round(change.seconds))}s"
    # The second one takes the place of an element whose time would be over earlier.
    put = f"add element {table.table} {name} {{ {change.network}{timeout} }}"
    return f"{put}\ndelete element {table.table} {name} {{ {change.network} }}\n{put}"


def spelled(command: Sequence[str], change: Change) -> list[str]:
    """A command of the operator's with the ban in it; 0 seconds stand for ever."""
    seconds = "0" if change.seconds is None else str(max(1, round(change.seconds)))
    return [
        word.replace("{address}", change.network).replace("{seconds}", seconds) for word in command
    ]


def _run(command: Sequence[str], given: str = "", *, quiet: bool = False) -> bool:
    """Have a program run to its end; whether it did well. What it says is logged else."""
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        trouble = str(error)
    else:
        if not done.returncode:
            return True
        trouble = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
    if not quiet:
        log.error("{program}: {trouble}", program=command[0], trouble=trouble[:500])
    return False
