"""How a command speaks to the switch that runs: by a signal, and by files in the state directory.

The process that holds the state directory's lock gets the signal, and writes what came of it into a
file, whose ``at`` tells one answer from the next. One command asks after the other.
"""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from softswitch.ops.pidfile import NAME, holder

#: Seconds between two looks at the outcome.
_LOOK: Final = 0.05


class NoAnswerError(Exception):
    """No switch runs, or it does not answer; says why."""


def ask(
    state: Path,
    number: signal.Signals,
    outcome: str,
    wait: float,
    prepare: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Ask the switch that runs with a state directory, and wait for what comes of it.

    :param outcome: name of the file in which it answers.
    :param wait: seconds, for those who ask before us as well.
    :param prepare: called before the signal is sent, when nobody else is asking.
    :raises NoAnswerError: none runs, it is another user's, or it was silent; or a file by which it
        is asked cannot be read or written.
    """
    ends = time.monotonic() + wait
    try:
        with _alone(state, ends):
            pid = holder(state / NAME)
            if pid is None:
                raise NoAnswerError(f"no switch runs with the state directory {state}")
            before = _read(state / outcome)
            prepare()
            os.kill(pid, number)
            while time.monotonic() < ends:
                answer = _read(state / outcome)
                if answer.get("at") != before.get("at"):
                    return answer
                if holder(state / NAME) != pid:
                    raise NoAnswerError(f"process {pid} has ended meanwhile")
                time.sleep(_LOOK)
            raise NoAnswerError(f"process {pid} has not answered in {wait:g} s: see its log")
    except FileNotFoundError:
        raise NoAnswerError(f"no switch runs with the state directory {state}") from None
    except PermissionError as error:
        whose = error.filename or f"process {pid}"
        raise NoAnswerError(f"{whose} is not for us: run as its user") from None
    except OSError as error:
        where = error.filename2 or error.filename or state
        raise NoAnswerError(f"{where}: {error.strerror}: move it away, or make room") from None


def told(trouble: object, status: int) -> int:
    """Say what is wrong; the exit status."""
    print(f"softswitch: {trouble}", file=sys.stderr)
    return status


def counted(number: int, noun: str, several: str = "") -> str:
    """So many of them, in words: "1 call", "2 calls".

    :param several: the plural; "" for one that ends in s.
    """
    return f"{number} {noun if number == 1 else several or f'{noun}s'}"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NoAnswerError(f"{path} holds no answer of a switch: move it away")
    return found


@contextmanager
def _alone(folder: Path, ends: float) -> Iterator[None]:
    """One after the other, so that each hears of its own.

    :param ends: on the monotonic clock: until when others are waited for.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        while not _locked(descriptor):
            if time.monotonic() >= ends:
                raise NoAnswerError(
                    f"somebody else holds the lock of {folder}, another command or whoever may open"
                    f" it: `fuser {folder}` says who; `chmod o= {folder}` keeps others out"
                )
            time.sleep(_LOOK)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
