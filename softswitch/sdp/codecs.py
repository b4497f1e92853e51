"""Which codecs a peer may use: a list of names, against a session description. Pure functions.

What is not listed is taken out of an offer, and the rest put into the list's order (RFC 3264 5.1);
out of an answer it is taken, too. A name speaks of audio, ``"PCMA"``, unless it says of what else:
``"video/H264"``. Media of which the list says nothing are left alone.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import attrs

from softswitch.errors import NO_SUCH_FORMAT, SdpSyntaxError
from softswitch.sdp.session import MediaSection, SessionDescription

#: Payload types that need no ``a=rtpmap`` (RFC 3551 6): number -> name and clock rate.
STATIC = {
    "0": "PCMU/8000",
    "3": "GSM/8000",
    "4": "G723/8000",
    "5": "DVI4/8000",
    "6": "DVI4/16000",
    "7": "LPC/8000",
    "8": "PCMA/8000",
    "9": "G722/8000",
    "10": "L16/44100/2",
    "11": "L16/44100",
    "12": "QCELP/8000",
    "13": "CN/8000",
    "14": "MPA/90000",
    "15": "G728/8000",
    "16": "DVI4/11025",
    "17": "DVI4/22050",
    "18": "G729/8000",
    "26": "JPEG/90000",
    "31": "H261/90000",
    "32": "MPV/90000",
    "34": "H263/90000",
}

#: Keys and the like (RFC 4733), which stay beside whatever voice codec is left.
EVENTS = "TELEPHONE-EVENT"

_NAME = re.compile(r"-?(?:[a-z]+/)?[A-Za-z0-9._-]+")
_OF_FORMAT = ("rtpmap", "fmtp", "rtcp-fb")


@attrs.frozen
class Codecs:
    """What a list of names says.

    :ivar order: kind of media -> name in upper case -> its place.
    :ivar events: whether telephone-event stays though it is not listed.
    """

    order: dict[str, dict[str, int]]
    events: bool

    @classmethod
    def read(cls, names: Sequence[str]) -> "Codecs":
        """What these say; "-telephone-event" is the one that may be struck out.

        :raises ValueError: says which is no name.
        """
        order: dict[str, dict[str, int]] = {}
        events = True
        for name in names:
            if name.lower() == f"-{EVENTS}".lower():
                events = False
            elif not _NAME.fullmatch(name) or name.startswith("-"):
                raise ValueError(
                    f'the name of a codec is wanted, such as "PCMA" or "video/H264", not {name!r}'
                )
            else:
                kind, _, bare = name.rpartition("/")
                listed = order.setdefault(kind or "audio", {})
                listed.setdefault(bare.upper(), len(listed))
        return cls(order, events)


_read = lru_cache(Codecs.read)


def allowed(sdp: bytes, names: tuple[str, ...], *, offers: bool) -> bytes:
    """A description without what a list of codecs leaves out; unchanged where that is nothing.

    :param names: as in ``Codecs.read``.
    :param offers: whether it is an offer, whose order is the list's.
    :raises SdpSyntaxError: it cannot be read, or (488) nothing of it is left.
    """
    codecs = _read(names)
    session = SessionDescription.parse(sdp)
    media = [_section(section, codecs, offers) for section in session.media]
    if all(lines is section.lines for lines, section in zip(media, session.media, strict=True)):
        return sdp
    if all(lines[0].split()[1].partition("/")[0] == "0" for lines in media):
        raise SdpSyntaxError("No Codec Is Left", warning=NO_SUCH_FORMAT)
    return SessionDescription.of(session.lines, media).encode()


def _section(section: MediaSection, codecs: Codecs, offers: bool) -> Sequence[str]:
    """The lines of a section, the same object where nothing changes."""
    order = codecs.order.get(section.kind)
    if order is None or section.refused or "RTP/" not in section.protocol:
        return section.lines
    names = {number: name or STATIC.get(number, "") for number, name in section.codecs.items()}
    kept = [number for number in section.formats if _bare(names[number]) in order]
    if offers:
        kept.sort(key=lambda number: order[_bare(names[number])])
    if codecs.events and EVENTS not in order:
        rates = {_rate(names[number]) for number in kept if _bare(names[number]) != "CN"}
        kept += [
            number
            for number in section.formats
            if _bare(names[number]) == EVENTS and _rate(names[number]) in rates
        ]
    voice = [number for number in kept if _bare(names[number]) not in (EVENTS, "CN")]
    if tuple(kept) == section.formats and voice:
        return section.lines
    return _with(section, kept) if voice else _refused(section)


def _with(section: MediaSection, formats: list[str]) -> list[str]:
    """The section with these formats alone."""
    words = section.lines[0].rstrip("\r").split(" ")
    end = "\r" if section.lines[0].endswith("\r") else ""
    head = f"{' '.join(words[:3])} {' '.join(formats)}{end}"
    return [head, *(line for line in section.lines[1:] if _speaks_of(line, formats))]


def _speaks_of(line: str, formats: list[str]) -> bool:
    """Whether an attribute's line speaks of one of these formats, or of none in particular."""
    name, colon, value = line[2:].partition(":")
    if not line.startswith("a=") or not colon or name not in _OF_FORMAT:
        return True
    return value.split(" ", 1)[0].strip() in ("*", *formats)


def _refused(section: MediaSection) -> list[str]:
    """The section as one that is not wanted (RFC 3264 6): port 0, and nothing more."""
    end = "\r" if section.lines[0].endswith("\r") else ""
    head = f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}{end}"
    return [head, *([""] if section.lines[-1] == "" else [])]


def _bare(name: str) -> str:
    """A codec's name without its clock rate, upper case."""
    return name.partition("/")[0].upper()


def _rate(name: str) -> str:
    """Its clock rate."""
    return name.split("/")[1] if "/" in name else ""
