"""The watchdog: a thread that says who holds the reactor up.

A policy runs in the switch's own thread, and one that sleeps, computes or waits for a disk keeps
everybody waiting. The chain notes which policy has the reactor, and since when; the thread looks at
that now and then, and at the reactor's stack where it is too long. So the log hears which policy it
is, and the file and line at which it stands: at once, since some never go on.

What else may hold the reactor up is looked for less often: where the reactor is found at work it is
asked for a beat, and must give it before long. No message sets a timer, and a reactor that waits
for its sockets is not woken.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from sysconfig import get_path
from time import perf_counter, sleep
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

from twisted.internet import base
from twisted.logger import Logger

import softswitch
from softswitch.policy.budget import Asked, Attention

log = Logger()

#: Seconds between two looks; each wakes a processor that might have slept.
TICK: Final = 0.05

#: Seconds for which a policy may have the reactor, or a beat may be late.
LATE: Final = 0.05

#: Looks for each one at what is no policy's.
SELDOM: Final = 2

#: Seconds between two lines of the log about the same place.
QUIET: Final = 10.0

#: Places of which it is remembered that the log has heard of them.
_PLACES: Final = 100

#: Where a reactor waits for its sockets.
_WAITING: Final = frozenset(("doPoll", "doSelect", "select"))

_OURS: Final = str(Path(softswitch.__file__).parent)
_REACTOR: Final = str(Path(base.__file__).parent)
_LIBRARIES: Final = tuple({get_path(name) for name in ("stdlib", "purelib", "platlib")})

#: From here on a stack is a policy's own.
_ASKING: Final = frozenset(f"{_OURS}/policy/{name}.py" for name in ("chain", "awaited"))


class Place(NamedTuple):
    """A line of code."""

    file: str
    line: int
    function: str


class Watchdog:
    """Watches one reactor.

    :param attention: says which policy has it.
    """

    def __init__(self, reactor: Any, attention: Attention) -> None:
        self._reactor = reactor
        self._attention = attention
        self._watched = 0
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._looks = 0
        # Since when the policy has had the reactor that was named last.
        self._named = 0.0
        # When a beat was asked for; None where none is awaited.
        self._asked: float | None = None
        self._beaten = False
        self._told = False
        self._heard: dict[Place, float] = {}

    def start(self) -> None:
        """Begin to watch the thread that calls this."""
        self._watched = threading.get_ident()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopping = True
        if self._thread is not None:
            self._thread.join()

    def look(self, stack: Callable[[], FrameType | None], now: float) -> None:
        """See how the reactor is.

        :param stack: gives the innermost frame of its stack.
        :param now: by what measures the policies, seconds.
        """
        policy, began = self._attention.policy, self._attention.began
        if policy is None:
            self._looks += 1
            if self._looks % SELDOM == 0:
                self._look_for_a_beat(stack, now)
        elif now - began >= LATE and began != self._named:
            self._named = began
            self._tell(stack(), policy, now)

    def _look_for_a_beat(self, stack: Callable[[], FrameType | None], now: float) -> None:
        if self._asked is None:
            frame = stack()
            if frame is not None and frame.f_code.co_name not in _WAITING:
                self._asked, self._beaten, self._told = now, False, False
                self._reactor.callFromThread(self._beat)
        elif self._beaten:
            self._asked = None
        elif not self._told and now - self._asked >= LATE:
            self._told = True
            self._tell(stack(), None, now)

    def _run(self) -> None:
        while not self._stopping:
            sleep(TICK)
            self.look(self._stack, perf_counter())

    def _stack(self) -> FrameType | None:
        return sys._current_frames().get(self._watched)

    def _beat(self) -> None:
        """In the reactor's thread."""
        self._beaten = True

    def _tell(self, frame: FrameType | None, policy: Asked | None, now: float) -> None:
        if frame is None:
            return
        place = blamed(frame, of_policy=policy is not None)
        if place is None:
            return
        if now - self._heard.get(place, -QUIET) < QUIET:
            return
        if len(self._heard) >= _PLACES:
            self._heard.clear()
        self._heard[place] = now
        who = "the switch itself" if policy is None else f"policy {policy.label!r}"
        log.error(
            "{who} keeps everybody waiting: {file}:{line} in {function}",
            who=who,
            policy=None if policy is None else policy.label,
            **place._asdict(),
        )


def blamed(frame: FrameType, *, of_policy: bool) -> Place | None:
    """The line that an operator can do something about: the innermost of a stack that belongs to no
    library and not to the switch; else the innermost of the switch, or of the library that the
    reactor has called; of a policy out of a library, where it is asked. None where the reactor is
    between two things, so that a busy machine is to blame.

    :param of_policy: whether a policy has the reactor, so that only its part of the stack counts.
    """
    stack = (list(_of_policy(frame)) if of_policy else []) or list(_whole(frame))
    for place in stack:
        if not place.file.startswith((_OURS, *_LIBRARIES, "<")):
            return place
    if of_policy:
        return stack[-1]
    ours = (place for place in stack if place.file.startswith(_OURS))
    theirs = (place for place in stack if not place.file.startswith(_REACTOR))
    return next(ours, next(theirs, None))


def _whole(frame: FrameType | None) -> Iterator[Place]:
    while frame is not None and not _is_loop(frame.f_code):
        yield Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        frame = frame.f_back


def _is_loop(code: CodeType) -> bool:
    """Whether it is what runs the reactor: who has called that keeps nobody waiting."""
    return code.co_name in ("run", "mainLoop") and code.co_filename.startswith(_REACTOR)


def _of_policy(frame: FrameType) -> Iterator[Place]:
    for place in _whole(frame):
        if place.file in _ASKING:
            return
        yield place
