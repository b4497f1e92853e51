"""What one leg holds, and the proof that it let go of everything. Pure.

A leg opens a scope. Transactions, sessions and media put themselves in while they hold timers
or ports and take themselves out when they have none. After the leg has ended the scope closes
with the last of them (up to 64*T1 later) and then asks whether anything is left. The auditor
counts scopes that found something, or that never closed.
"""

from collections.abc import Callable
from typing import Protocol

from softswitch.wheel import Clock


class Held(Protocol):
    """Something that a scope can own."""

    def leftovers(self) -> list[str]:
        """Names of the timers, ports or transactions that it still has; empty when clean."""


class Scope:
    """All that one leg holds.

    :ivar name: for the log: the call's id and the leg.
    :ivar ended_at: when the leg ended, by the auditor's clock; None while it lives.
    :ivar until: when what is lawfully left must be over at the latest, by that clock.
    :ivar closed: whether the last thing has been released after the end.
    :ivar on_closed: called once when it closes.
    """

    __slots__ = ("_auditor", "_held", "closed", "ended_at", "name", "on_closed", "until")

    def __init__(self, name: str, auditor: "Auditor") -> None:
        self.name = name
        self.ended_at: float | None = None
        self.until = 0.0
        self.closed = False
        self.on_closed: Callable[[], None] | None = None
        self._auditor = auditor
        self._held: list[Held] = []
        auditor.open.add(self)

    def hold(self, thing: Held) -> None:
        """Take note that ``thing`` now has timers, ports or a transaction for this leg."""
        self._held.append(thing)

    def release(self, thing: Held) -> None:
        """Take note that ``thing`` has ended, and look whether it really let go."""
        self._held.remove(thing)
        left = thing.leftovers()
        if left:
            self._auditor.leaked(self, left)
        if self.ended_at is not None and not self._held:
            self._close()

    def give(self, thing: Held) -> None:
        """Take note that another scope holds ``thing`` from now on, timers and all."""
        self._held.remove(thing)
        if self.ended_at is not None and not self._held:
            self._close()

    def end(self) -> None:
        """The leg has ended; close as soon as nothing is held. Harmless when repeated."""
        if self.ended_at is not None:
            return
        self.ended_at = self._auditor.seconds()
        if not self._held:
            self._close()

    def allow(self, seconds: float) -> None:
        """What is held may lawfully go on for so long, be the leg over or not (RFC 5057)."""
        self.until = max(self.until, self._auditor.seconds() + seconds)

    def holding(self) -> list[str]:
        """What is still held, by type and leftovers, for the auditor's report."""
        return [f"{type(thing).__name__}{thing.leftovers()}" for thing in self._held]

    def _close(self) -> None:
        self.closed = True
        self._auditor.open.discard(self)
        self._auditor.closed += 1
        then, self.on_closed = self.on_closed, None
        if then is not None:
            then()


class Auditor:
    """Counts scopes, and finds those that leak.

    :ivar open: scopes that have not closed.
    :ivar closed: how many have.
    :ivar leaks: how many things were left behind; this is to stay 0.
    :param report: told the scope's name and what was left, once per leak.
    :param grace: seconds after a leg's end by which its scope must have closed; the longest
        lawful wait is a CANCEL unanswered for 64*T1 followed by an accepted INVITE's 64*T1.
    """

    def __init__(
        self,
        clock: Clock,
        report: Callable[[str, list[str]], None],
        grace: float = 100.0,
    ) -> None:
        self.open: set[Scope] = set()
        self.closed = 0
        self.leaks = 0
        self.seconds = clock.monotonic
        self._report = report
        self._grace = grace

    def leaked(self, scope: Scope, left: list[str]) -> None:
        """Count and report what ``scope`` left behind."""
        self.leaks += 1
        self._report(scope.name, left)

    def sweep(self) -> None:
        """Report and close by force every scope that is overdue; call it every few seconds."""
        limit = self.seconds() - self._grace
        over = [s for s in self.open if s.ended_at is not None and s.ended_at < limit]
        for scope in [s for s in over if s.until < limit]:
            self.leaked(scope, scope.holding())
            scope._close()
