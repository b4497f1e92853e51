"""What is wrong with a session description, for tests: whoever wrote it is not asked. Pure.

It reads octets for itself, with nothing of ``softswitch.sdp``, and so makes no mistake twice.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from ipaddress import ip_address
from itertools import zip_longest

import attrs

#: The lines of a session, and of a section, by their types (RFC 8866 9).
_SESSION = re.compile(r"vosi?u?e*p*c?b*(?:t(?:r+z?)?)+a*")
_SECTION = re.compile(r"mi?c?b*a*")
_MEDIA = re.compile(r"([^ ]+) (0|[1-9][0-9]{0,4}) ([^ ]+)((?: [^ ]+)+)")
_ORIGIN = re.compile(r"- [0-9]+ [0-9]+ IN (IP[46]) ([^ ]+)")
_CONNECTION = re.compile(r"IN (IP[46]) ([^ ]+)")
_TIME = re.compile(r"t=[0-9]+ [0-9]+")
_RTCP = re.compile(r"([0-9]+)(?: IN IP[46] ([^ ]+))?")
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
#: Offered -> what may be answered (RFC 3264 6.1).
_ANSWERS = {
    "sendrecv": _DIRECTIONS,
    "sendonly": ("recvonly", "inactive"),
    "recvonly": ("sendonly", "inactive"),
    "inactive": ("inactive",),
}
_OF_ICE = ("candidate", "remote-candidates", "end-of-candidates", "ice-")
_FURTHER = ("alt", "altc", "source-filter", "x-nat", "x-candidate", "path")
_NOWHERE = ("0.0.0.0", "::")


@attrs.frozen
class Levels:
    """A description in pieces.

    :ivar session: the lines of the session, without their ends.
    :ivar media: those of each section.
    """

    session: list[str]
    media: list[list[str]]

    def direction(self, at: int) -> str:
        """That of a section."""
        for level in (self.media[at], self.session):
            for line in level:
                if line[2:].rstrip(" ") in _DIRECTIONS and line[:2] == "a=":
                    return line[2:].rstrip(" ")
        return "sendrecv"


def levels(sdp: bytes) -> Levels:
    """What a description consists of; lines may end with CRLF or with LF."""
    lines = sdp.decode("latin-1").removesuffix("\n").removesuffix("\r").split("\n")
    found = Levels([], [])
    for line in lines:
        if line.startswith("m="):
            found.media.append([])
        (found.media[-1] if found.media else found.session).append(line.removesuffix("\r"))
    return found


def faults(
    sdp: bytes,
    host: str,
    ports: Sequence[int],
    *,
    offer: bytes = b"",
    before: int = 0,
) -> list[str]:
    """All that is wrong with a description that a relay has written.

    :param host: where its ports are.
    :param ports: its RTP port of each m= line; 0 for none. RTCP is at the next one.
    :param offer: the offer that it answers.
    :param before: of an offer: how many m= lines there were on that leg before.
    """
    found = levels(sdp)
    wrong = list(_form(sdp, found))
    if wrong:
        return wrong
    wrong += _places(found, host, ports)
    if offer:
        wrong += _agreement(found, levels(offer))
    elif len(found.media) < before:
        wrong.append("an offer with fewer m= lines than there were")
    return wrong


def _form(sdp: bytes, found: Levels) -> Iterator[str]:
    """What is wrong with its lines."""
    if not sdp.endswith(b"\n"):
        yield "its last line has no end"
    for line in (*found.session, *(line for level in found.media for line in level)):
        if "\r" in line or "\0" in line or line[1:2] != "=":
            yield f"a line that is none: {line!r}"
    if not _SESSION.fullmatch("".join(line[:1] for line in found.session)):
        yield f"lines of the session: {[line[:1] for line in found.session]}"
    for level in found.media:
        if not _SECTION.fullmatch("".join(line[:1] for line in level)):
            yield f"lines of a section: {[line[:1] for line in level]}"
        if not _MEDIA.fullmatch(level[0][2:]):
            yield f"an m= line: {level[0]!r}"
    for line in found.session:
        if line[:2] == "t=" and not _TIME.fullmatch(line):
            yield f"a time that is none: {line!r}"
    for level in (found.session, *found.media):
        if sum(line[2:].rstrip(" ") in _DIRECTIONS for line in level if line[:2] == "a=") > 1:
            yield "two directions"


def _places(found: Levels, host: str, ports: Sequence[int]) -> Iterator[str]:
    """What is wrong with where it leads."""
    own = (host, *_NOWHERE)
    family = "IP6" if ":" in host else "IP4"
    origin = _ORIGIN.fullmatch(found.session[1][2:])
    if origin is None or origin.groups() != (family, host):
        yield f"o=: {found.session[1]!r}"
    common = any(line.startswith("c=") for line in found.session)
    for level in (found.session, *found.media):
        for line in level:
            yield from _line(line, family, own)
    for at, level in enumerate(found.media):
        port = int(level[0].split(" ")[1])
        if port == 0:
            continue
        if not common and not any(line.startswith("c=") for line in level):
            yield "a section without c="
        if at >= len(ports) or port != ports[at]:
            yield f"port {port} of m= line {at}: the relay's is {ports[at : at + 1]}"
        for line in level:
            if line.lower().startswith("a=rtcp:"):
                rtcp = _RTCP.fullmatch(line[7:].strip(" "))
                if rtcp is None or int(rtcp[1]) != port + 1:
                    yield f"RTCP is not there: {line!r}"


def _line(line: str, family: str, own: Collection[str]) -> Iterator[str]:
    """What is wrong with one line, as far as places go."""
    if line.startswith("c="):
        connection = _CONNECTION.fullmatch(line[2:])
        if connection is None or connection[1] != family or connection[2] not in own:
            yield f"media are not there: {line!r}"
    name = line[2:].partition(":")[0].strip().lower()
    if line.startswith("a=") and (name.startswith(_OF_ICE) or name in _FURTHER):
        yield f"nothing for a relay: {line!r}"
    for word in re.findall(r"[0-9]+(?:\.[0-9]+){3,}", line):
        if word not in own and word.count(".") == 3 and max(map(int, word.split("."))) < 256:
            yield f"somebody's address: {line!r}"
    value = line[2:].partition(":")[2] if line.startswith("a=") else line[2:]
    for word in re.split(r"[^0-9A-Fa-f:]+", value):
        if word.count(":") > 1 and _is_address(word) and str(ip_address(word)) not in own:
            yield f"somebody's address: {line!r}"


def _is_address(word: str) -> bool:
    try:
        ip_address(word)
    except ValueError:
        return False
    return True


def _agreement(found: Levels, offer: Levels) -> Iterator[str]:
    """What is wrong with an answer (RFC 3264 6)."""
    if len(found.media) != len(offer.media):
        yield f"{len(found.media)} m= lines answer {len(offer.media)}"
    times = [[line for line in each.session if line[:2] == "t="] for each in (found, offer)]
    if times[0] != times[1] and times[1] and all(map(_TIME.fullmatch, times[1])):
        yield f"another time than was offered: {times}"
    for at, (level, offered) in enumerate(zip_longest(found.media, offer.media)):
        if level is None or offered is None:
            break
        kind, port, protocol, *_ = level[0][2:].split()
        wanted_kind, wanted_port, wanted_protocol, *_ = offered[0][2:].split()
        if (kind, protocol) != (wanted_kind, wanted_protocol):
            yield f"{level[0]!r} answers {offered[0]!r}"
        if port == "0":
            continue
        if int(wanted_port.partition("/")[0]) == 0:
            yield f"{level[0]!r} takes what was refused"
        if found.direction(at) not in _ANSWERS[offer.direction(at)]:
            yield f"{found.direction(at)} answers {offer.direction(at)}"
        if "a=rtcp-mux" in level and not any(line.startswith("a=rtcp-mux") for line in offered):
            yield "one port for both, which nobody has offered"
