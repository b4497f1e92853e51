# ruff: noqa: N805 -- the methods of an Interface have no self
"""Media engines: the place where a relay, a farm or nothing at all carries the audio. Pure.

An engine is asked and answers with an event: it calls ``tell`` with a :class:`MediaAnswer` now,
later or never. The token says which question is answered; who asked ignores an answer whose
token is no longer current. One *session* is what one call's media go by; its *legs* have names
of the asker's choosing ("a", "b1", "b2"). A leg may be offered to several others, keeps its ports
meanwhile, and hears the one whose answer came last.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs
from zope.interface import Attribute, Interface

from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.plugin.record import MediaStream, Silence
from softswitch.sdp.places import Terminated


@attrs.frozen
class MediaProfile:
    """What a peer wants its media to be, where that is more than what it says in its SDP.

    :ivar profile: "rtp", "srtp" (keys in the SDP, RFC 4568), or "webrtc" (ICE, DTLS-SRTP, RTP and
        RTCP on one port). It is offered that, and may offer nothing less.
    :ivar transcode: codecs that it is offered besides those of the other side, as rtpengine names
        them: "PCMA", "opus/48000/2".
    :ivar dtmf: how keys reach it: as they come ("pass"), or as events (RFC 4733) whatever the other
        side sends ("events"), or as tones ("tones").
    :ivar interface: rtpengine's name for its interface that faces it; "" for the default one.
    """

    profile: Literal["rtp", "srtp", "webrtc"] = "rtp"
    transcode: tuple[str, ...] = ()
    dtmf: Literal["pass", "events", "tones"] = "pass"
    interface: str = ""


@attrs.frozen
class MediaNetwork:
    """How the switch's media look from one leg.

    :ivar bind: our local address that faces the leg, a literal without brackets.
    :ivar advertise: the address that the leg's SDP shows, a literal without brackets. An engine
        whose ports are on another machine shows that one's address instead.
    :ivar wants: what the leg's peer wants; None for plain RTP.
    """

    bind: str
    advertise: str
    wants: MediaProfile | None = None


@attrs.frozen
class MediaQuestion:
    """One step of an offer/answer exchange (RFC 3264) that crosses the switch.

    :ivar token: number of the question, given back in the answer.
    :ivar session: the call's media; freed as a whole by ``release``.
    :ivar kind: "offer" starts a negotiation on a fork of the media state; "answer" commits it,
        and may come again for the same offer (a 183, then its 200); "withdraw" says that the
        offer was refused or given up, and throws the fork away.
    :ivar sdp: what ``from_leg`` sent; empty for "withdraw".
    :ivar from_leg: the leg whose SDP this is; for "withdraw" the leg that had offered.
    :ivar to_leg: the leg that the answer's SDP is meant for.
    :ivar near: our side that faces ``from_leg``.
    :ivar far: our side that faces ``to_leg``; its ``advertise`` stands in the SDP given back.
    :ivar source: the address from which ``from_leg``'s signalling came.
    :ivar held: of an answer: what ``to_leg`` has been told before and goes on holding to; empty
        where it will be told what comes of this question.
    """

    token: int
    session: str
    kind: Literal["offer", "answer", "withdraw"]
    sdp: bytes
    from_leg: str
    to_leg: str
    near: MediaNetwork
    far: MediaNetwork
    source: str
    held: bytes = b""


@attrs.frozen
class MediaAnswer:
    """What became of a question.

    :ivar token: the question's.
    :ivar sdp: the SDP for ``to_leg``; its ``o=`` is not yet the switch's own.
    :ivar error: why there is none: the engine's fault or the SDP's, each with a status.
    :ivar renumbers: whether payload numbers that ``to_leg`` uses, by what it holds to, are changed
        on the way into those that ``from_leg`` has asked for.
    :ivar hosts: the engine's own addresses that the SDP may show, the usual one first; empty for
        ``far.advertise`` alone. Whatever else it shows is taken out before it leaves.
    :ivar terminates: what the engine speaks by itself with ``to_leg``: "ice", "dtls", "sdes".
        Candidates leave only where it does, keys of ``from_leg`` only where it does not.
    :ivar untouched: whether the SDP is what ``from_leg`` sent, for the media go past the engine;
        it leaves as it is.
    """

    token: int
    sdp: bytes = b""
    error: MediaError | SdpSyntaxError | None = None
    renumbers: bool = False
    hosts: tuple[str, ...] = ()
    terminates: frozenset[Terminated] = frozenset()
    untouched: bool = False


Tell = Callable[[MediaAnswer], None]


class IMediaEngine(Interface):
    """Carries media between the legs of a session."""

    def ask(question: MediaQuestion, tell: Tell) -> None:
        """Rewrite an SDP and prepare, commit or throw away what it needs.

        Never raises for what a peer sent or for want of ports: the answer says so. ``tell`` may
        be called before ``ask`` returns.
        """

    def drop(session: str, leg: str) -> None:
        """A leg has left the session: free what it holds, and forget its open offers and those made
        to it. An early answer of it gives way to what held before; harmless when unknown."""

    def release(session: str) -> None:
        """Free all that the session holds, at once; harmless when repeated or unknown."""

    def ports_in_use(session: str, leg: str = "") -> int:
        """How many ports the session holds, or one leg of it; 0 proves that nothing was left."""

    def stop() -> None:
        """Free everything; nothing is asked afterwards."""


@attrs.frozen
class MediaNotice:
    """Something that an engine has seen of a call that talks.

    :ivar session: which.
    :ivar silence: whose audio is missing, and why.
    :ivar ends: whether the call should end for it: nothing has come from the leg for as long as
        the operator wants to wait.
    """

    session: str
    silence: Silence
    ends: bool = False


@attrs.frozen
class MediaReport:
    """What became of a session's packets.

    :ivar streams: one for each leg and ``m=`` line, those too that left before the end.
    :ivar recording: name of the file in which it was recorded; "" for none.
    """

    streams: tuple[MediaStream, ...] = ()
    recording: str = ""


class IMediaWitness(Interface):
    """A media engine that knows what became of the packets; an ``IMediaEngine`` may be one too."""

    noticed = Attribute(
        "told of each ``MediaNotice``, each leg and cause once: a callable, assigned at the start"
    )

    def answered(session: str, record: bool) -> None:
        """Both sides talk from now on: see whether each is heard, and be quick about it (5 s).

        Said when a call is answered, and again when somebody else has taken a side's place. Nobody
        expects packets of anybody before.

        :param record: whether what they say is to be recorded.
        """

    def snapshot(session: str, tell: Callable[[MediaReport], None]) -> None:
        """Tell what has become of the packets of a session until now: once, now, later or, when
        that cannot be known any more, never. It goes on as it was."""

    def conclude(session: str, tell: Callable[[MediaReport], None]) -> None:
        """As ``release``, for a session that was ``answered``; and tell what has become of its
        packets: once, now, later or, when that cannot be known any more, never."""

    def load() -> Mapping[str, Any]:
        """For an operator, at once: ports in use and the like, as numbers, text and lists."""
