"""A media engine that takes its time, to test who asks it. Pure."""

import random

from zope.interface import implementer

from softswitch.plugin.media import IMediaEngine, MediaAnswer, MediaQuestion, Tell
from softswitch.wheel import Clock


@implementer(IMediaEngine)
class SlowEngine:
    """Another engine, whose answers come 0 to 2 seconds late, possibly in another order.

    An answer still comes after its session was released, as it would from another process.

    :param engine: is asked at once.
    :param seed: of the delays.
    """

    def __init__(self, engine: IMediaEngine, clock: Clock, seed: int) -> None:
        self._engine = engine
        self._clock = clock
        self._chance = random.Random(seed)

    def ask(self, question: MediaQuestion, tell: Tell) -> None:
        """Ask, and hold the answer back."""

        def later(answer: MediaAnswer) -> None:
            self._clock.callLater(self._chance.uniform(0.0, 2.0), tell, answer)

        self._engine.ask(question, later)

    def release(self, session: str) -> None:
        """Free the session at once."""
        self._engine.release(session)

    def ports_in_use(self, session: str) -> int:
        """How many ports the session holds."""
        return self._engine.ports_in_use(session)

    def stop(self) -> None:
        """Free everything."""
        self._engine.stop()
