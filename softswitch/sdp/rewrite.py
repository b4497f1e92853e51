"""What the switch changes in a session description. Pure functions: a new document comes back."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from softswitch.sdp.session import (
    Address,
    Connection,
    MediaSection,
    Origin,
    SessionDescription,
    payload_type,
)

#: Attributes that say where else media could go or come from, or promise what only the far end
#: could keep. A relay takes them out of offer and answer alike: ICE (RFC 8839), RTP and RTCP on
#: one port (RFC 5761), several sections on one port (RFC 9143), alternative addresses (RFC 6947)
#: and source filters (RFC 4570).
NOT_THROUGH_A_RELAY = frozenset(
    {
        "candidate",
        "remote-candidates",
        "end-of-candidates",
        "ice-ufrag",
        "ice-pwd",
        "ice-options",
        "ice-lite",
        "ice-mismatch",
        "ice-pacing",
        "rtcp-mux",
        "rtcp-mux-only",
        "bundle-only",
        "altc",
        "source-filter",
    }
)


def fits(held: bytes, answer: bytes, renumbered: bool = False) -> bool:
    """Whether a peer that holds to one answer can go on when another one has come to hold: the
    same sections are in use, in the same direction, and all that it may send is taken.

    :param renumbered: whether a payload number that means something else there is changed on the
        way.
    :raises SdpSyntaxError: either cannot be read.
    """
    if held == answer:
        return True
    one, other = SessionDescription.parse(held), SessionDescription.parse(answer)
    return len(one.media) == len(other.media) and all(
        (a.refused, a.rtp is None) == (b.refused, b.rtp is None)
        and (a.refused or (a.direction == b.direction and _taken(a, b, renumbered)))
        for a, b in zip(one.media, other.media, strict=True)
    )


def _taken(held: MediaSection, real: MediaSection, renumbered: bool) -> bool:
    names, others = held.codecs, real.codecs
    known = set(others.values())
    return all(
        name == others.get(number) or (renumbered and bool(name) and name in known)
        for number, name in names.items()
    )


def renumbering(held: bytes, answer: bytes) -> list[dict[int, int]]:
    """For each section, which payload numbers of a peer that holds to one answer have another
    number in the one that has come to hold (RFC 3551 3): dynamic ones, by their names.

    :raises SdpSyntaxError: either cannot be read.
    """
    one, other = SessionDescription.parse(held), SessionDescription.parse(answer)
    return [
        {
            payload_type(number): payload_type(new)
            for number, name in a.codecs.items()
            for new, same in b.codecs.items()
            if name and name == same and number != new and _are_payload_types(number, new)
        }
        for a, b in zip(one.media, other.media, strict=False)
    ]


def opened(own: SessionDescription, told: SessionDescription) -> SessionDescription:
    """What a peer that was put on hold would offer somebody new: where it has only followed what it
    was ``told`` (RFC 3264 8.4), its sections go both ways again."""
    media = []
    for section, other in zip_longest(own.media, told.media):
        if section is None:
            break
        held = other is not None and (other.direction in _HOLDING or other.rtp is None)
        media.append(directed(section, "sendrecv") if held else section.lines)
    return SessionDescription.of(own.lines, media)


def fully_open(own: SessionDescription) -> SessionDescription:
    """What a peer would offer when asked for a new offer: its sections go both ways."""
    media = [directed(section, "sendrecv") for section in own.media]
    return SessionDescription.of(own.lines, media)


#: Directions of an offer that puts its receiver on hold.
_HOLDING = frozenset(("sendonly", "inactive"))

#: Direction of an offer -> the widest that its answer may have.
DUAL = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}


def directed(section: MediaSection, direction: str) -> Sequence[str]:
    """The lines of a section with another direction; unchanged where it has that already."""
    if section.direction == direction:
        return section.lines
    end = _cut(section.lines[0])[1]
    kept = [line for line in section.lines if _cut(line)[0] not in _DIRECTION_LINES]
    at = len(kept) - 1 if kept[-1] == "" else len(kept)
    return [*kept[:at], f"a={direction}{end}", *kept[at:]]


_DIRECTION_LINES = frozenset(f"a={direction}" for direction in DUAL)


def address_type(host: str) -> str:
    """IP6 for a literal with a colon, else IP4."""
    return "IP6" if ":" in host else "IP4"


def point_at(
    session: SessionDescription, host: str, ports: Sequence[tuple[int, int] | None]
) -> SessionDescription:
    """The document with all media led to a relay.

    Every c= shows ``host``, except one that means hold, which is kept; every m= line and
    ``a=rtcp`` its ports; what cannot work through a relay is taken out.

    :param host: the relay's address, a literal without brackets.
    :param ports: RTP and RTCP port of each m= line; None makes it refused (port 0).
    """

    media = []
    for section, pair in zip(session.media, ports, strict=True):
        rtp, rtcp = pair or (0, None)
        rest = _led(section.lines[1:], host, rtcp)
        media.append([_media_line(section, rtp), *rest])
    return SessionDescription.of(_led(session.lines, host, None), media)


def set_origin(session: SessionDescription, origin: Origin) -> SessionDescription:
    """The document with another o= line."""
    lines = [
        f"o={origin}{_cut(line)[1]}" if line.startswith("o=") else line for line in session.lines
    ]
    return SessionDescription.of(lines, (section.lines for section in session.media))


def media_addresses(session: SessionDescription) -> list[tuple[Address, Address] | None]:
    """Where each section's sender wants RTP and RTCP; None where refused or held by c=."""
    return [
        (section.rtp, section.rtcp) if section.rtp and section.rtcp else None
        for section in session.media
    ]


def _led(lines: Iterable[str], host: str, rtcp: int | None) -> Iterator[str]:
    """The lines of a level, led to ``host``; without an RTCP port its ``a=rtcp`` goes."""
    for line in lines:
        text, end = _cut(line)
        name, _, value = text[2:].partition(":")
        if text.startswith("c=") and not Connection.parse(text[2:]).is_hold:
            yield f"c=IN {address_type(host)} {host}{end}"
        elif not text.startswith("a="):
            yield line
        elif name == "rtcp":
            where = f" IN {address_type(host)} {host}" if " " in value.strip(" ") else ""
            if rtcp is not None:
                yield f"a=rtcp:{rtcp}{where}{end}"
        elif name not in NOT_THROUGH_A_RELAY and not (name == "group" and "BUNDLE" in value):
            yield line


def _media_line(section: MediaSection, port: int) -> str:
    """The m= line with another port, and without a count of ports: a relay opens one pair."""
    if section.port == port and section.port_count is None:
        return section.lines[0]
    words = [section.kind, str(port), section.protocol, *section.formats]
    return f"m={' '.join(words)}{_cut(section.lines[0])[1]}"


def _cut(line: str) -> tuple[str, str]:
    """A line's text and its carriage return, if it has one."""
    return (line[:-1], "\r") if line.endswith("\r") else (line, "")


def _are_payload_types(*formats: str) -> bool:
    return all(payload_type(each) >= 0 for each in formats)
