"""What a relay's ports have counted, as a call's record shows it. Pure."""

from collections.abc import Iterable, Mapping

from softswitch.media.path import Counters
from softswitch.media.quality import mos
from softswitch.media.silence import codec_names, named
from softswitch.plugin.record import MediaStream
from softswitch.sdp.session import MediaSection, SessionDescription

#: A leg -> what it has said last.
Said = Mapping[str, SessionDescription]


def streams(
    counters: Iterable[Counters], said: Said, partners: Mapping[str, str]
) -> list[MediaStream]:
    """One for each pair of ports that a leg has had on a line.

    :param counters: of first and second ports; of a line that has had several, in their order.
    :param partners: a leg -> whom it talks to.
    """
    every = list(counters)
    second = {(each.leg, each.line, each.port - 1): each for each in every if each.rtcp}
    latest = {(each.leg, each.line): each for each in every if not each.rtcp}
    found = []
    for rtp in every:
        if not rtp.rtcp:
            partner = partners.get(rtp.leg, "")
            found.append(
                _stream(
                    rtp,
                    second.get((rtp.leg, rtp.line, rtp.port)),
                    _section(said, rtp.leg, rtp.line),
                    _section(said, partner, rtp.line),
                    latest.get((partner, rtp.line)),
                )
            )
    return found


def _stream(
    rtp: Counters,
    rtcp: Counters | None,
    own: MediaSection | None,
    theirs: MediaSection | None,
    partner: Counters | None,
) -> MediaStream:
    """
    :param partner: what is known of the other leg's port, on which this one's packets go out.
    """
    codec = _codec(rtp, own, theirs)
    lost = max(0, rtp.lost) if rtp.ssrcs else None
    kind = own.kind if own is not None else ""
    return MediaStream(
        rtp.leg,
        rtp.line,
        kind,
        codec,
        rtp.packets,
        rtp.bytes,
        lost,
        round(rtp.jitter, 6) if rtp.ssrcs else None,
        rtp.first_at,
        rtp.last_at,
        named(rtp.signalled) if rtp.signalled else "",
        named(rtp.learnt) if rtp.learnt else "",
        rtp.foreign,
        rtp.malformed,
        rtp.unsent,
        rtcp.packets if rtcp is not None else 0,
        rtp.events,
        _heard_lost(rtp),
        round(rtp.reported.jitter, 6) if rtp.reported else None,
        round(rtp.reported.round_trip, 6) if rtp.reported and rtp.reported.round_trip else None,
        _mos(codec, rtp, partner) if kind == "audio" and rtp.ssrcs else None,
    )


def _mos(codec: str, rtp: Counters, partner: Counters | None) -> float:
    """How the other leg has heard it: what got lost on the way to us, and from us to there."""
    lost = max(0, rtp.lost)
    kept = rtp.packets / (rtp.packets + lost) if rtp.packets else 1.0
    jitter, round_trip = rtp.jitter, 0.0
    for each in (rtp, partner):
        if each is not None and each.reported is not None:
            round_trip += each.reported.round_trip or 0.0
    if partner is not None and partner.reported is not None:
        kept *= 1.0 - (_heard_lost(partner) or 0.0)
        jitter = max(jitter, partner.reported.jitter)
    return mos(codec, 1.0 - kept, jitter, round_trip)


def _heard_lost(rtp: Counters) -> float | None:
    """The share of what a leg was sent that it has missed, by its own reports."""
    if rtp.reported is None or not rtp.sent:
        return None
    return round(min(1.0, max(0, rtp.reported.lost) / rtp.sent), 4)


def _codec(rtp: Counters, own: MediaSection | None, theirs: MediaSection | None) -> str:
    """The name of the last payload type that has come and is known; "" for none."""
    names = {} if own is None else codec_names(own)
    if theirs is not None:
        names |= codec_names(theirs)
    known = [names[each] for each in rtp.payload_types if each in names]
    voices = [name for name in known if name not in ("CN", "TELEPHONE-EVENT")]
    return (voices or known or [""])[-1]


def _section(said: Said, leg: str, line: int) -> MediaSection | None:
    document = said.get(leg)
    return document.media[line] if document and line < len(document.media) else None
