"""One question at a time to the media engine, with a deadline of our own. Pure."""

from collections.abc import Callable
from typing import Literal

from softswitch.b2bua.leg import Leg
from softswitch.b2bua.steps import BridgeData
from softswitch.errors import MediaError
from softswitch.plugin.media import IMediaEngine, MediaAnswer, MediaQuestion
from softswitch.wheel import Clock, Timer

_SILENT = MediaError("Media Engine Silent")


class Inquiry:
    """Asks the engine on a bridge's behalf; the bridge's data hold the token.

    :param data: of the bridge.
    :param tell: told of each answer that is still wanted, now or later: the engine's, or after
        ``deadline`` seconds that it is silent.
    :param name: what the bridge calls a leg.
    """

    __slots__ = ("_clock", "_data", "_deadline", "_engine", "_name", "_tell", "_timer")

    def __init__(
        self,
        data: BridgeData,
        engine: IMediaEngine,
        clock: Clock,
        deadline: float,
        tell: Callable[[MediaAnswer], None],
        name: Callable[[Leg], str],
    ) -> None:
        self._data = data
        self._engine = engine
        self._clock = clock
        self._deadline = deadline
        self._tell = tell
        self._name = name
        self._timer: Timer | None = None

    @property
    def open(self) -> bool:
        """Whether an answer is awaited."""
        return self._timer is not None

    def ask(
        self,
        kind: Literal["offer", "answer"],
        sdp: bytes,
        source: Leg,
        target: Leg,
        held: bytes = b"",
    ) -> None:
        """Have ``source``'s description rewritten for ``target``, which goes on holding to what it
        was told before, if it was told something."""
        data = self._data
        data.questions += 1
        data.token = token = data.questions
        self._engine.ask(self._question(token, kind, sdp, source, target, held), self._told)
        if data.token == token:
            self._timer = self._clock.callLater(
                self._deadline, self._told, MediaAnswer(token, error=_SILENT)
            )

    def withdraw(self, source: Leg, target: Leg) -> None:
        """The offer of ``source`` came to nothing."""
        self._engine.ask(self._question(0, "withdraw", b"", source, target), _heedless)

    def forget(self) -> None:
        """The answer is not wanted any more."""
        self._data.token = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _told(self, answer: MediaAnswer) -> None:
        if answer.token == self._data.token:
            self.forget()
            self._tell(answer)

    def _question(
        self,
        token: int,
        kind: Literal["offer", "answer", "withdraw"],
        sdp: bytes,
        source: Leg,
        target: Leg,
        held: bytes = b"",
    ) -> MediaQuestion:
        near, far = source.data, target.data
        return MediaQuestion(
            token,
            self._data.session,
            kind,
            sdp,
            self._name(source),
            self._name(target),
            near.network,
            far.network,
            near.source,
            held,
        )


def _heedless(answer: MediaAnswer) -> None:
    """Nobody waits for what becomes of a withdrawal."""
