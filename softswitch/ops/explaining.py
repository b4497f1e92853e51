"""``softswitch explain`` for the API, in a process of its own: it plays a whole switch, which would
hold up the calls of this one."""

import json
import sys
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue

from softswitch.api.operation import Answer
from softswitch.api.problem import ProblemError
from softswitch.api.running import ExplainWish
from softswitch.ops.house import House

#: Processes at one time: each takes a processor for about a second.
MOST: Final = 1

#: Exit statuses with which there is an explanation: an INVITE leaves, or is refused.
_TOLD: Final = (0, 3)


class Explaining:
    """Plays INVITEs for one switch: with its configuration's file, its registrations as the store
    has them, and the members of trunks that are out now."""

    def __init__(self, house: House, reactor: Any) -> None:
        self._house = house
        self._reactor = reactor
        self._running = 0

    def explain(self, wish: ExplainWish) -> "Deferred[Answer]":
        """What would become of it.

        :raises ProblemError: 503 while another is explained.
        """
        if self._running >= MOST:
            wait = {"Retry-After": "2"}
            raise ProblemError(503, "another one is being explained", "", wait)
        self._running += 1
        arguments = ["-m", "softswitch", "explain", "--json", *self._options(wish)]
        told = getProcessOutputAndValue(sys.executable, arguments, None, None, self._reactor)
        explained: Deferred[Answer] = told.addBoth(self._ended).addCallback(_answer)
        return explained

    def _options(self, wish: ExplainWish) -> list[str]:
        """Each in one word, so that none is taken for another option."""
        config = self._house.config
        options = [f"--rundir={config.directory}", f"--from={wish.caller}", f"--to={wish.called}"]
        if config.file:
            options.append(f"--config={config.file}")
        if wish.source:
            options.append(f"--source={wish.source}")
        if wish.as_user:
            options.append(f"--as-user={wish.as_user}")
        if wish.every:
            options.append("--all")
        for trunk in self._house.traffic.figures().values():
            members = trunk["members"].items()
            options += [f"--down={address}" for address, member in members if not member["up"]]
        return options

    def _ended(self, told: Any) -> Any:
        self._running -= 1
        return told


def _answer(told: tuple[bytes, bytes, int]) -> Answer:
    output, errors, status = told
    if status not in _TOLD:
        said = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise ProblemError(409, said.removeprefix("softswitch: ") or "it cannot be explained")
    return Answer(body=json.loads(output))
