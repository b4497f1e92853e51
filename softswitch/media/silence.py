"""Why one side of a call is not heard, by what a relay has counted and both sides have said. Pure.

One leg is looked at, a few seconds after the answer: what has come from it since, and whether that
is something that the other side can hear. What is no fault is none here either: a leg that is on
hold is "held", and one that may be silent and says by RTCP that it is there is left alone.
"""

from typing import Final

import attrs

from softswitch.media.latch import SocketAddress
from softswitch.plugin.record import SilenceCause
from softswitch.sdp.codecs import EVENTS, STATIC
from softswitch.sdp.session import MediaSection, SessionDescription, payload_type

#: What is no voice (RFC 3389, RFC 4733, RFC 2198).
_NO_VOICE: Final = frozenset(("CN", EVENTS, "RED"))


@attrs.frozen
class Terms:
    """What a leg may send on an audio line, by what both sides have said last.

    :ivar index: of the ``m=`` line.
    :ivar held: whether it is not expected to send, or not to be heard: one of the sides has not
        said sendrecv, or has named no place (RFC 3264 8.4).
    :ivar codecs: payload type that it may send -> upper-case name of the codec.
    :ivar quiet: whether it may send nothing while nobody speaks (RFC 3389, RFC 4856 annexb).
    """

    index: int
    held: bool
    codecs: dict[int, str]
    quiet: bool

    @property
    def voices(self) -> dict[int, str]:
        """Those codecs in which a voice can be heard."""
        return {kind: name for kind, name in self.codecs.items() if name not in _NO_VOICE}


@attrs.frozen
class Sighting:
    """What has come from a leg on its audio line, of late.

    :ivar packets: taken from it.
    :ivar unsent: of them, those that could not be sent on.
    :ivar foreign: dropped: from another source than the leg's.
    :ivar malformed: dropped: no RTP.
    :ivar rtcp: RTCP packets taken from it.
    :ivar kinds: payload types of the packets taken.
    :ivar before: whether it had sent packets before that.
    :ivar source: where its packets are expected from: what was learnt, else what it has said.
    :ivar stranger: where the last foreign packet came from; None where nobody has looked.
    :ivar port: ours, to which it is to send.
    :ivar stray: a port of ours to which it sends instead; 0 for none.
    """

    packets: int = 0
    unsent: int = 0
    foreign: int = 0
    malformed: int = 0
    rtcp: int = 0
    kinds: frozenset[int] = frozenset()
    before: bool = False
    source: SocketAddress | None = None
    stranger: SocketAddress | None = None
    port: int = 0
    stray: int = 0


def why_silent(seen: Sighting, terms: Terms) -> tuple[SilenceCause, str] | None:
    """The cause, and what has been seen; None where the leg is heard, or need not be."""
    if seen.packets:
        return _inaudible(seen, terms)
    if terms.held:
        return "held", "it is on hold, or holds the other side"
    if seen.foreign:
        return _foreign(seen)
    if seen.stray:
        return "wrong port", f"it sends to port {seen.stray}, and was told {seen.port}"
    if seen.malformed:
        return "not RTP", f"none of its {seen.malformed} packets is RTP"
    if terms.quiet and seen.rtcp:
        return None
    if seen.before:
        return "time-out", "it has sent before, and sends no more"
    heard = ", though its RTCP comes" if seen.rtcp else ""
    return "nothing sent", f"nothing has come to port {seen.port}{heard}"


def _inaudible(seen: Sighting, terms: Terms) -> tuple[SilenceCause, str] | None:
    """Why packets that have come are not heard."""
    unknown = seen.kinds - terms.codecs.keys()
    if seen.kinds and unknown == seen.kinds and terms.codecs:
        sent = ", ".join(_named(kind) for kind in sorted(unknown))
        wanted = ", ".join(sorted(terms.voices.values()))
        return "codec not in the answer", f"it sends {sent}, and {wanted} was agreed"
    if seen.unsent < seen.packets:
        return None
    if terms.held:
        return "held", "the other side is on hold"
    return "not delivered", "what it sends cannot be sent to where the other side wants it"


def _foreign(seen: Sighting) -> tuple[SilenceCause, str]:
    if seen.source is None or seen.stranger is None:
        return "wrong source", "its packets come from somewhere else"
    here, there = named(seen.source), named(seen.stranger)
    told = f"its packets come from {there}, and are awaited from {here}"
    return ("wrong port" if seen.source[0] == seen.stranger[0] else "wrong source"), told


def _named(kind: int) -> str:
    """A payload type, with its name where the number says it."""
    name = STATIC.get(str(kind), "").partition("/")[0]
    return f"{name} ({kind})" if name else f"payload type {kind}"


def named(address: SocketAddress) -> str:
    """An address as text, as "192.0.2.1:5004" and "[2001:db8::1]:5004"."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def terms(own: SessionDescription, theirs: SessionDescription) -> Terms | None:
    """What a leg may send on the first audio line that is in use; None without one.

    :param own: what the leg has said last.
    :param theirs: what the other leg has.
    """
    for index, (mine, other) in enumerate(zip(own.media, theirs.media, strict=False)):
        if (
            "RTP/" in mine.protocol.upper()
            and mine.kind == "audio"
            and not (mine.refused or other.refused)
        ):
            return _terms(index, mine, other)
    return None


def _terms(index: int, mine: MediaSection, other: MediaSection) -> Terms:
    held = not (mine.direction == other.direction == "sendrecv" and mine.rtp and other.rtp)
    names = codec_names(mine)
    common = set(names.values())
    codecs = {kind: name for kind, name in codec_names(other).items() if name in common}
    quiet = "CN" in common or ("G729" in common and not _without_annex_b(mine))
    return Terms(index, held, codecs, quiet)


def codec_names(section: MediaSection) -> dict[int, str]:
    """RTP payload type -> upper-case name, without clock rate; the number where there is none."""
    return {
        payload_type(number): (name or STATIC.get(number, number)).partition("/")[0].upper()
        for number, name in section.codecs.items()
        if payload_type(number) >= 0
    }


def _without_annex_b(section: MediaSection) -> bool:
    """Whether a G.729 of its never falls silent (RFC 4856 2.1.9)."""
    return any(
        "annexb=no" in value.replace(" ", "").lower() for value in section.attributes("fmtp")
    )
