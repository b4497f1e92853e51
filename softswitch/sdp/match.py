"""An answer to one offer out of another one (RFC 3264 6): two who have both offered. Pure.

When a call is picked up, both sides have invited the switch. What each is answered is what the
other has offered, as far as both know it.
"""

from softswitch.errors import NO_SUCH_FORMAT, SdpSyntaxError
from softswitch.sdp.session import MediaSection, SessionDescription


def match(offer: bytes, other: bytes) -> bytes:
    """An answer to ``offer``: the place and the formats of ``other``, section by section.

    A section that the other has not, or that shares no format, is refused. A format is shared
    where both give it the same number and meaning, so that none has to be renumbered on its way.

    :raises SdpSyntaxError: either cannot be read, or (488) they have nothing in common.
    """
    wanted, had = SessionDescription.parse(offer), SessionDescription.parse(other)
    left = list(had.media)
    media = []
    for section in wanted.media:
        found = next((each for each in left if _alike(section, each)), None)
        if found is None:
            media.append(_refusal(section))
        else:
            left.remove(found)
            media.append(_answer(section, found))
    if all(lines[0].split()[1] == "0" for lines in media):
        raise SdpSyntaxError("No Codec In Common", warning=NO_SUCH_FORMAT)
    return SessionDescription.of(had.lines, [*media[:-1], [*media[-1], ""]]).encode()


def _alike(one: MediaSection, other: MediaSection) -> bool:
    return (
        (one.kind, one.protocol) == (other.kind, other.protocol)
        and not one.refused
        and not other.refused
        and bool(_shared(one, other))
    )


def _shared(one: MediaSection, other: MediaSection) -> list[str]:
    """Formats that both have, in the order of the first."""
    names, others = one.codecs, other.codecs
    return [
        number for number in one.formats if number in others and names[number] == others[number]
    ]


def _answer(wanted: MediaSection, had: MediaSection) -> list[str]:
    """The section of the one that has it, with the formats that both know."""
    shared = _shared(wanted, had)
    end = "\r" if had.lines[0].endswith("\r") else ""
    head = f"m={had.kind} {had.port} {had.protocol} {' '.join(shared)}{end}"
    kept = [line for line in had.lines[1:] if line and _of_format(line) in (None, *shared)]
    return [head, *kept]


def _of_format(line: str) -> str | None:
    """The format that an attribute line speaks of; None for one that speaks of none."""
    for name in ("a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"):
        if line.startswith(name):
            number = line[len(name) :].split(" ", 1)[0].strip()
            return None if number == "*" else number
    return None


def _refusal(section: MediaSection) -> list[str]:
    end = "\r" if section.lines[0].endswith("\r") else ""
    return [f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}{end}"]
