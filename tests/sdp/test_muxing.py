"""What a session description says of RTP and RTCP on one port (RFC 5761)."""

import pytest

from softswitch.sdp.muxing import is_muxed, muxed
from softswitch.sdp.session import SessionDescription

HEAD = "v=0\r\no=- 1 1 IN IP4 h\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n"


@pytest.mark.parametrize(
    ("lines", "said"),
    [("", False), ("a=rtcp-mux\r\n", True), ("a=rtcp-mux-only\r\n", True), ("a=rtcp:1\r\n", False)],
)
def test_who_has_said_so(lines, said):
    """By either attribute (RFC 8858)."""
    (section,) = SessionDescription.parse((HEAD + lines).encode()).media
    assert is_muxed(section) is said


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("last", [True, False])
def test_it_is_said_at_the_end_of_a_section(end, last):
    """With the document's line ends, with or without one at its own end."""
    text = (HEAD + "a=ptime:20\r\nm=video 4002 RTP/AVP 99\r\n").replace("\r\n", end)
    document = SessionDescription.parse((text if last else text.removesuffix(end)).encode())
    there = muxed(document, {0}).encode().decode()
    assert f"a=ptime:20{end}a=rtcp-mux{end}m=video 4002 RTP/AVP 99" in there
    assert muxed(document, {1}).encode().decode().rstrip("\r\n").endswith(f"99{end}a=rtcp-mux")
    assert muxed(document, ()) == document
