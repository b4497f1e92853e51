"""What is understood of an rtpengine's answer to "query"."""

import pytest

from softswitch.media.ngfigures import sightings, streams

ENDPOINT = {"family": b"IPv4", "address": b"10.0.0.9", "port": 4000}
RTP = {
    "local port": 30000,
    "endpoint": ENDPOINT,
    "advertised endpoint": ENDPOINT | {"port": 4002},
    "last packet": 1700000000,
    "flags": [b"RTP", b"confirmed"],
    "stats": {"packets": 50, "bytes": 8600, "errors": 3},
}
RTCP = RTP | {"stats": {"packets": 2, "bytes": 200, "errors": 0}}
MEDIA = {"index": 1, "type": b"audio", "codec": b"PCMU/8000", "streams": [RTP, RTCP]}
VALUES = {"result": b"ok", "tags": {"b1": {"medias": [MEDIA]}, "a": {"medias": []}}}


def test_a_leg_that_has_sent():
    """Counted, named, and where it is."""
    (stream,) = streams(VALUES)
    assert (stream.leg, stream.line, stream.kind, stream.codec) == ("b1", 0, "audio", "PCMU")
    assert (stream.packets, stream.bytes, stream.malformed, stream.rtcp) == (50, 8600, 3, 2)
    assert (stream.signalled, stream.latched) == ("10.0.0.9:4002", "10.0.0.9:4000")
    assert (stream.lost, stream.jitter, stream.mos) == (None, None, None)
    assert sightings(VALUES)["b1", 0].packets == 50


def test_a_leg_that_has_sent_nothing():
    """No last packet, no source."""
    silent = RTP | {"stats": {"packets": 0, "bytes": 0, "errors": 0}, "flags": []}
    (stream,) = streams({"tags": {"a": {"medias": [MEDIA | {"streams": [silent]}]}}})
    assert (stream.packets, stream.last, stream.latched, stream.rtcp) == (0, None, "", 0)


@pytest.mark.parametrize(
    "values",
    [
        *({}, {"tags": 5}, {"tags": {"a": 5}}, {"tags": {"a": {"medias": [5]}}}),
        {"tags": {"a": {"medias": [{"streams": [5]}]}}},
        {"tags": {"a": {"medias": [{"index": b"x", "streams": [RTP]}]}}},
        {"tags": {"a": {"medias": [{"index": 1, "streams": [RTP | {"stats": {}}]}]}}},
    ],
)
def test_what_is_not_as_we_know_it(values):
    """Another version may say other things: then nothing is known, and nothing breaks."""
    assert (streams(values), sightings(values)) == ([], {})
