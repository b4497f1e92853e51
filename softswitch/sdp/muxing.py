"""RTP and RTCP on one port (RFC 5761), in a session description. Pure functions.

What one side says of it is taken out of what the other is told, and said anew where it holds.
"""

from collections.abc import Container

from softswitch.sdp.session import MediaSection, SessionDescription


def is_muxed(section: MediaSection) -> bool:
    """Whether it offers, or agrees, to have RTCP on the port of RTP (RFC 5761 5.1.1, RFC 8858)."""
    return bool(section.attributes("rtcp-mux") or section.attributes("rtcp-mux-only"))


def muxed(document: SessionDescription, sections: Container[int]) -> SessionDescription:
    """The document with ``a=rtcp-mux`` in some of its sections, which do not have it yet."""
    end = "\r" if document.lines[0].endswith("\r") else ""
    return SessionDescription.of(
        document.lines,
        (
            _muxed(section.lines, end) if index in sections else section.lines
            for index, section in enumerate(document.media)
        ),
    )


def _muxed(lines: tuple[str, ...], end: str) -> list[str]:
    *before, last = lines
    if last == "":
        return [*before, f"a=rtcp-mux{end}", ""]
    # The document's last line may have no end.
    return [*before, last.removesuffix("\r") + end, "a=rtcp-mux" + end * last.endswith("\r")]
