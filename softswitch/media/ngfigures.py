"""What an rtpengine has counted of a call, from its answer to "query". Pure.

It tells neither loss nor jitter of a leg that sends no RTCP, and nothing of where packets came from
that it has dropped.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from softswitch.media.bencode import Read
from softswitch.media.latch import SocketAddress
from softswitch.media.silence import Sighting, named
from softswitch.plugin.record import MediaStream

#: What comes of an answer with other keys, or other values, than it has.
_UNKNOWN: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError)

#: What rtpengine says, once bytes are text.
Values = Mapping[str, Any]


def streams(values: Mapping[str, Read]) -> list[MediaStream]:
    """One for each leg and ``m=`` line, those of legs that have left among them; none of an answer
    that is not as we know them."""
    try:
        return [_stream(leg, line, media) for leg, line, media in _medias(values)]
    except _UNKNOWN:
        return []


def sightings(values: Mapping[str, Read]) -> dict[tuple[str, int], Sighting]:
    """What has come from each leg on each line so far: (leg, line) -> that."""
    try:
        return {(leg, line): _sighting(media) for leg, line, media in _medias(values)}
    except _UNKNOWN:
        return {}


def _medias(values: Mapping[str, Read]) -> Iterator[tuple[str, int, Values]]:
    tags = _text(values.get("tags"))
    for leg, tag in sorted(tags.items()) if isinstance(tags, dict) else ():
        for media in tag.get("medias", ()):
            if len(media.get("streams", ())) > 0:
                yield leg, media["index"] - 1, media


def _stream(leg: str, line: int, media: Values) -> MediaStream:
    rtp, *more = media["streams"]
    rtcp = more[0] if more else {}
    stats = rtp["stats"]
    learnt = "confirmed" in rtp.get("flags", ())
    return MediaStream(
        leg,
        line,
        kind=media.get("type", ""),
        codec=media.get("codec", "").partition("/")[0].upper(),
        packets=stats["packets"],
        bytes=stats["bytes"],
        last=float(rtp["last packet"]) if stats["packets"] else None,
        signalled=_named(rtp.get("advertised endpoint")),
        latched=_named(rtp.get("endpoint")) if learnt else "",
        malformed=stats["errors"],
        rtcp=rtcp.get("stats", {}).get("packets", 0),
    )


def _sighting(media: Values) -> Sighting:
    rtp, *more = media["streams"]
    return Sighting(
        packets=rtp["stats"]["packets"],
        malformed=rtp["stats"]["errors"],
        rtcp=more[0]["stats"]["packets"] if more else 0,
        source=_address(rtp.get("endpoint")),
        port=rtp.get("local port", 0),
    )


def _address(endpoint: Values | None) -> SocketAddress | None:
    if not endpoint or not endpoint.get("port"):
        return None
    return endpoint["address"], endpoint["port"]


def _named(endpoint: Values | None) -> str:
    address = _address(endpoint)
    return "" if address is None else named(address)


def _text(value: Any) -> Any:
    """What was read, with text for bytes."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, dict):
        return {key: _text(each) for key, each in value.items()}
    return [_text(each) for each in value] if isinstance(value, list) else value
