"""A session description that keeps every line as it came, byte for byte (RFC 8866). Pure.

The document is its lines. What the switch needs to know is read from them when asked; what it
does not understand stays where it is. Line ends are kept too: CRLF, or the LF of sloppy senders.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import attrs

from softswitch.errors import SdpSyntaxError

#: More ``m=`` lines than this are refused.
MAX_MEDIA = 64

#: So are more lines in all, and more formats of one section: each is compared with others.
MAX_LINES = 1024
MAX_FORMATS = 64

_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")


class Address(NamedTuple):
    """Where media are to be sent.

    :ivar host: an address literal without brackets, or a name.
    :ivar port: 1 to 65535.
    """

    host: str
    port: int


@attrs.frozen
class Origin:
    """The ``o=`` line (RFC 8866 5.2), its numbers kept as text."""

    username: str
    session_id: str
    version: str
    nettype: str
    addrtype: str
    address: str

    @classmethod
    def parse(cls, value: str) -> "Origin":
        """Read the text after ``o=``; a user name with blanks in it is let through.

        :raises SdpSyntaxError: fewer than six words.
        """
        words = value.strip(" ").rsplit(" ", 5)
        if len(words) != 6 or not all(words[1:]):
            raise SdpSyntaxError("Bad o= line in SDP")
        return cls(*words)

    def __str__(self) -> str:
        return " ".join(attrs.astuple(self))


@attrs.frozen
class Connection:
    """A ``c=`` line (RFC 8866 5.7).

    :ivar address: without the TTL and count that a multicast address bears.
    """

    nettype: str
    addrtype: str
    address: str

    @classmethod
    def parse(cls, value: str) -> "Connection":
        """Read the text after ``c=``.

        :raises SdpSyntaxError: not three words.
        """
        words = _words(value)
        if len(words) != 3:
            raise SdpSyntaxError("Bad c= line in SDP")
        return cls(words[0], words[1], words[2].partition("/")[0])

    @property
    def is_hold(self) -> bool:
        """Whether it names no place at all: 0.0.0.0, ::, or a name under .invalid.

        That is how RFC 2543 put a call on hold; RFC 3264 8.4 still allows it.
        """
        return self.address in ("0.0.0.0", "::") or self.address.lower().endswith(".invalid")


@attrs.frozen
class MediaSection:
    """An ``m=`` line and what follows it (RFC 8866 5.14).

    :ivar lines: its lines without the line feed (a carriage return stays), ``m=`` first.
    :ivar common: the lines of the session level, whose c= and direction hold here unless the
        section has its own.
    :ivar formats: payload types and the like; some senders leave them out when they refuse.
    """

    lines: tuple[str, ...]
    common: tuple[str, ...] = ()
    kind: str = attrs.field(init=False, eq=False)
    port: int = attrs.field(init=False, eq=False)
    port_count: int | None = attrs.field(init=False, eq=False)
    protocol: str = attrs.field(init=False, eq=False)
    formats: tuple[str, ...] = attrs.field(init=False, eq=False)

    def __attrs_post_init__(self) -> None:
        words = _words(self.lines[0].rstrip("\r")[2:])
        if len(words) < 3:
            raise SdpSyntaxError("Bad m= line in SDP")
        if len(words) > 3 + MAX_FORMATS:
            raise SdpSyntaxError(f"More than {MAX_FORMATS} formats in SDP")
        port, slash, count = words[1].partition("/")
        put = object.__setattr__
        put(self, "kind", words[0])
        put(self, "port", number(port))
        put(self, "port_count", number(count) if slash else None)
        put(self, "protocol", words[2])
        put(self, "formats", tuple(words[3:]))

    @property
    def refused(self) -> bool:
        """Whether the port is 0 (RFC 3264 6)."""
        return self.port == 0

    @property
    def connection(self) -> Connection | None:
        """The section's c=, else the session's, else None."""
        for line in (*_typed(self.lines, "c"), *_typed(self.common, "c")):
            return Connection.parse(line)
        return None

    @property
    def direction(self) -> str:
        """One of sendrecv (meant too when none is written), sendonly, recvonly, inactive
        (RFC 8866 6.7)."""
        for lines in (self.lines, self.common):
            for value in _typed(lines, "a"):
                if value in _DIRECTIONS:
                    return value
        return "sendrecv"

    def attributes(self, name: str) -> list[str]:
        """Values of the section's own ``a=name:value`` lines; "" for a bare ``a=name``."""
        return list(_attributes(self.lines, name))

    @property
    def codecs(self) -> dict[str, str]:
        """Format -> what its ``a=rtpmap`` calls it, upper case; "" for one whose number says it."""
        names = dict.fromkeys(self.formats, "")
        for value in self.attributes("rtpmap"):
            number, _, name = value.partition(" ")
            if number in names and not 0 <= payload_type(number) < 96:
                names[number] = name.strip().upper()
        return names

    @property
    def rtp(self) -> Address | None:
        """Where the sender of this SDP wants the media; None when refused or held by c=."""
        connection = self.connection
        if self.refused or connection is None or connection.is_hold:
            return None
        return Address(connection.address, self.port)

    @property
    def rtcp(self) -> Address | None:
        """Where it wants RTCP: ``a=rtcp`` (RFC 3605), else the next port (RFC 3550 11).

        :raises SdpSyntaxError: an ``a=rtcp`` that cannot be read.
        """
        rtp = self.rtp
        if rtp is None:
            return None
        for value in self.attributes("rtcp"):
            words = _words(value)
            if len(words) not in (1, 4):
                raise SdpSyntaxError("Bad a=rtcp line in SDP")
            return Address(words[3] if len(words) == 4 else rtp.host, number(words[0]))
        return Address(rtp.host, min(rtp.port + 1, 65535))


@attrs.frozen
class SessionDescription:
    """The whole document.

    :ivar lines: the session level's lines without the line feed, ``v=`` first.
    """

    lines: tuple[str, ...]
    media: tuple[MediaSection, ...]

    @classmethod
    def parse(cls, data: bytes) -> "SessionDescription":
        """Read a document; ``encode`` gives back the same bytes.

        :raises SdpSyntaxError: no ``v=0`` first, no o= line, an o=, c=, m= or a=rtcp line that
            cannot be read, a section in use that has no c=, or too many sections, lines or
            formats.
        """
        if data.count(b"\nm=") > MAX_MEDIA:
            raise SdpSyntaxError(f"More than {MAX_MEDIA} m= lines in SDP")
        if data.count(b"\n") > MAX_LINES:
            raise SdpSyntaxError(f"More than {MAX_LINES} lines in SDP")
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        if lines[0].rstrip("\r ") != "v=0":
            raise SdpSyntaxError("SDP does not begin with v=0")
        cuts = [at for at, line in enumerate(lines) if line.startswith("m=")] + [len(lines)]
        session = cls.of(lines[: cuts[0]], [lines[at:end] for at, end in pairwise(cuts)])
        session._check()
        return session

    @classmethod
    def of(cls, lines: Iterable[str], media: Iterable[Iterable[str]]) -> "SessionDescription":
        """The document made of a session level's lines and those of each section."""
        common = tuple(lines)
        return cls(common, tuple(MediaSection(tuple(section), common) for section in media))

    def encode(self) -> bytes:
        """The document's bytes."""
        lines = [*self.lines, *(line for section in self.media for line in section.lines)]
        return "\n".join(lines).encode("utf-8", "surrogateescape")

    @property
    def origin(self) -> Origin:
        """Who made it, and which version this is."""
        for value in _typed(self.lines, "o"):
            return Origin.parse(value)
        raise SdpSyntaxError("No o= line in SDP")

    @property
    def connection(self) -> Connection | None:
        """The session level's c=."""
        for value in _typed(self.lines, "c"):
            return Connection.parse(value)
        return None

    def attributes(self, name: str) -> list[str]:
        """Values of the session level's ``a=name:value`` lines."""
        return list(_attributes(self.lines, name))

    def _check(self) -> None:
        _ = self.origin
        for lines in (self.lines, *(section.lines for section in self.media)):
            for value in _typed(lines, "c"):
                Connection.parse(value)
        for section in self.media:
            if not section.refused and section.connection is None:
                raise SdpSyntaxError("No c= line for an m= line in SDP")
            _ = section.rtcp


def number(text: str) -> int:
    """A port: ASCII digits up to 65535.

    :raises SdpSyntaxError: anything else.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) > 65535:
        raise SdpSyntaxError("Bad port in SDP")
    return int(text)


def _words(text: str) -> list[str]:
    """What stands between blanks; ``str.split`` knows more of those than SDP does."""
    return [word for word in text.split(" ") if word]


def _typed(lines: Iterable[str], letter: str) -> Iterator[str]:
    """Values of the lines of one type, in order."""
    return (line[2:].rstrip("\r ") for line in lines if line.startswith(f"{letter}="))


def _attributes(lines: Iterable[str], name: str) -> Iterator[str]:
    """Values of one attribute's lines, in order."""
    for value in _typed(lines, "a"):
        found, _, rest = value.partition(":")
        if found == name:
            yield rest.strip(" ")


def payload_type(text: str) -> int:
    """A format as an RTP payload type, 0 to 127 (RFC 3550 5.1); -1 for what is none."""
    if not (text.isascii() and text.isdigit()) or len(text) > 3:
        return -1
    return int(text) if int(text) < 128 else -1
