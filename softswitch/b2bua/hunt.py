"""Where a call is tried next, and what the caller is told when all has failed. Pure.

Steps follow one another; the targets of a step ring at once. Each target, each address of a
trunk, is tried with a leg of its own, so that the late 2xx of one that was given up is ended by
that leg and by nobody else. The hunt only chooses; the call acts.
"""

import attrs

from softswitch.plugin.decisions import Target, steps

#: Failures that mean the target was never reached: its trunk's next address may do better.
UNREACHED = frozenset((408, 500, 502, 503, 504))


@attrs.define
class Failure:
    """How one leg failed.

    :ivar status: as the far end, or our own time-out, said it.
    :ivar reason: phrase.
    :ivar reached: whether the far end itself refused: False for silence, no flow or a status
        that only a broken server sends.
    :ivar contacts: of a 3xx that is passed on.
    """

    status: int
    reason: str
    reached: bool = True
    contacts: list[str] = attrs.Factory(list)


@attrs.define
class Hunt:
    """What is still to be tried, and how what was tried has failed; plain data.

    :ivar steps: what is to come, the next step first.
    :ivar tried: URIs that have been tried, in order.
    :ivar best: the failure that the caller is told when nothing is left.
    :ivar stopped: whether nothing more is tried, whatever is left.
    """

    steps: list[list[Target]] = attrs.Factory(list)
    tried: list[str] = attrs.Factory(list)
    best: Failure | None = None
    stopped: bool = False

    def add(self, targets: tuple[Target, ...]) -> None:
        """Try these before what is left."""
        self.steps[:0] = steps(targets)

    def next(self) -> list[Target]:
        """The targets that ring now; none when the hunt is over."""
        if self.stopped or not self.steps:
            return []
        targets = self.steps.pop(0)
        self.tried += [target.uri for target in targets]
        return targets

    def failed(self, target: Target, failure: Failure) -> None:
        """Take note of a failure: a 6xx stops the hunt (RFC 3261 16.7), an answer of the far
        end makes the other addresses of its trunk pointless."""
        if self.best is None or _rank(failure) < _rank(self.best):
            self.best = failure
        if failure.status >= 600:
            self.stopped = True
        elif target.trunk is not None and failure.reached:
            self.steps = [
                step for step in self.steps if any(other.trunk != target.trunk for other in step)
            ]


def _rank(failure: Failure) -> tuple[int, int]:
    """The order of preference of RFC 3261 16.7 step 6; the lowest is told."""
    status = failure.status
    if status >= 600:
        return (0, 0)
    helpful = status in (401, 407, 415, 420, 484)
    return (status // 100, 0 if helpful else 2 if status in (408, 480) else 1)
