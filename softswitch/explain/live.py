"""A rehearsal in which policies may ask the world: databases, services over HTTP.

The INVITE, the calls and the media stay where they are, in a network that leads nowhere; only what
policies begin by themselves runs in the real reactor, and in real time.
"""

from time import monotonic
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.python.failure import Failure

from softswitch.explain.rehearsal import Turns

#: Seconds that policies may take, all in all.
PATIENCE = 10.0
#: Seconds between two looks.
LOOK = 0.01


def live(turns: Turns) -> None:
    """Take all turns while the reactor runs, which cannot run again in this process."""
    reactor: Any = the_reactor
    until = monotonic() + PATIENCE
    failures: list[Failure] = []

    def look(first: bool = False) -> None:
        try:
            if first:
                next(turns)
            else:
                turns.send(monotonic() < until)
        except StopIteration:
            reactor.stop()
        except Exception:
            failures.append(Failure())
            reactor.stop()
        else:
            reactor.callLater(LOOK, look)

    reactor.callWhenRunning(look, True)
    reactor.run(installSignalHandlers=False)
    if failures:
        failures[0].raiseException()
