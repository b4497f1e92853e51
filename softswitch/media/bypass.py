"""No media engine: the SDP passes unchanged and the phones send to each other. Pure."""

from zope.interface import implementer

from softswitch.plugin.media import IMediaEngine, MediaAnswer, MediaQuestion, Tell


@implementer(IMediaEngine)
class BypassEngine:
    """Answers at once with what it was given, and holds nothing."""

    def ask(self, question: MediaQuestion, tell: Tell) -> None:
        """Give the SDP back as it came."""
        tell(MediaAnswer(question.token, question.sdp, untouched=True))

    def drop(self, session: str, leg: str) -> None:
        """Nothing is held."""

    def release(self, session: str) -> None:
        """Nothing is held."""

    def ports_in_use(self, session: str, leg: str = "") -> int:
        """Always 0."""
        return 0

    def stop(self) -> None:
        """Nothing is held."""
