"""The guard: the last look at a session description that leaves through a media engine. Pure.

Far ends, engines and our own hands write what leaves, and each makes mistakes. What may not leave:
an answer whose sections are not those of its offer (RFC 3264 6) or whose directions answer nothing
(6.1), an offer with fewer sections than there were (8), places where the media are not
(``places``), lines that are too many, too few, or out of order (RFC 8866 5). What can be mended is
mended, and what cannot is refused; either way it is said what was wrong.

It works on what has been read already. A description with nothing wrong costs two looks at its
text and one at each of its lines.
"""

import re
from collections.abc import Sequence
from typing import Final

import attrs

from softswitch.errors import INCOMPATIBLE_TRANSPORT, NO_SUCH_FORMAT, NO_SUCH_MEDIA, SdpSyntaxError
from softswitch.sdp.muxing import is_muxed
from softswitch.sdp.places import Place, washed
from softswitch.sdp.rewrite import DUAL, directed
from softswitch.sdp.session import MediaSection, SessionDescription


@attrs.frozen
class Guarded:
    """What may leave.

    :ivar mended: what was wrong, in a few words each; empty for nothing.
    :ivar padding: how many sections at its end are there for the peer's sake alone: whoever has
        made the offer knows nothing of them, nor may he hear of them in the answer.
    """

    session: SessionDescription
    mended: tuple[str, ...] = ()
    padding: int = 0


def guarded(
    session: SessionDescription,
    place: Place,
    offer: SessionDescription | None = None,
    before: bytes = b"",
) -> Guarded:
    """What may leave of a description.

    :param offer: the offer that it answers; None where it is one itself.
    :param before: of an offer: of what was said on this leg before, either way, that with the most
        sections; empty for a first one.
    :raises SdpSyntaxError: something is wrong that cannot be mended.
    """
    wrong: list[str] = []
    session = washed(session, place, wrong)
    padding = 0
    if offer is not None:
        session = _agreeing(session, offer, wrong)
    elif sections(before) > len(session.media):
        missing = SessionDescription.parse(before).media[len(session.media) :]
        media = [*(section.lines for section in session.media), *map(_refusal, missing)]
        session, padding = _whole(session.lines, media), len(missing)
        wrong.append("m= lines that were there before")
    return Guarded(_in_form(session, wrong), tuple(dict.fromkeys(wrong)), padding)


def aligned(answer: bytes, offer: bytes, padding: int) -> bytes:
    """An answer with as many sections as the offer that it is for, as whoever made that knows it.

    Sections that it lacks are refused; refused ones that nobody has offered go.

    :param offer: as it was sent.
    :param padding: how many sections it had at its end that ``guarded`` has put there.
    :raises SdpSyntaxError: either cannot be read, or the answer takes what nobody has offered.
    """
    known = SessionDescription.parse(offer).media
    known = known[: len(known) - padding]
    return _counted(SessionDescription.parse(answer), known).encode()


def sections(sdp: bytes) -> int:
    """How many m= lines a description has."""
    return sdp.count(b"\nm=")


# Offer and answer.


def _agreeing(
    session: SessionDescription, offer: SessionDescription, wrong: list[str]
) -> SessionDescription:
    """An answer that agrees with its offer, section by section.

    :raises SdpSyntaxError: it cannot be made to.
    """
    if len(session.media) != len(offer.media):
        session = _counted(session, offer.media)
        wrong.append("the number of m= lines")
    media = [
        _answering(section, offered, wrong)
        for section, offered in zip(session.media, offer.media, strict=True)
    ]
    common: Sequence[str] = session.lines
    times = _times(offer)
    if times and times != _times(session):
        wrong.append("t=")
        others = [line for line in common if line[:1] not in _TIMES]
        common = _ranked([*others, *times], _RANK, [])
    same = all(mine is each.lines for mine, each in zip(media, session.media, strict=True))
    return session if same and common is session.lines else _whole(common, media)


def _answering(section: MediaSection, offered: MediaSection, wrong: list[str]) -> Sequence[str]:
    """The lines of a section that answers the one offered; the same where it does already."""
    if section.refused or offered.refused:
        same = (section.kind, section.protocol) == (offered.kind, offered.protocol)
        if section.refused and same and section.formats:
            return section.lines
        wrong.append("a refused m= line" if section.refused else "an m= line that was refused")
        return _refusal(offered)
    lines: Sequence[str] = section.lines
    if (section.kind, section.protocol) != (offered.kind, offered.protocol):
        lines = _renamed(section, offered)
        wrong.append("the protocol of an m= line")
    if not (_MUX.isdisjoint(lines) or is_muxed(offered)):
        lines = [line for line in lines if line not in _MUX]
        wrong.append("a=rtcp-mux, which was not offered")
    direction, may = section.direction, DUAL[offered.direction]
    if direction in (may, "inactive") or may == "sendrecv":
        return lines
    wrong.append(f"a={direction} in answer to a={offered.direction}")
    narrow = may if direction == "sendrecv" else "inactive"
    return directed(MediaSection(tuple(lines), section.common), narrow)


def _renamed(section: MediaSection, offered: MediaSection) -> Sequence[str]:
    """A section with the offer's protocol, where that means the same on the wire.

    :raises SdpSyntaxError: it does not, or is of another kind.
    """
    if section.kind != offered.kind:
        raise SdpSyntaxError("Answer Of Another Media Type", warning=NO_SUCH_MEDIA)
    # With and without feedback (RFC 4585); some do not mind upper and lower case.
    one, other = (each.protocol.upper().removesuffix("F") for each in (section, offered))
    if one != other:
        raise SdpSyntaxError("Answer Of Another Protocol", warning=INCOMPATIBLE_TRANSPORT)
    words = [section.kind, str(section.port), offered.protocol, *section.formats]
    return [f"m={' '.join(words)}", *section.lines[1:]]


#: Wants RTP and RTCP on one port, which only an offer may have wanted first (RFC 5761 5.1.1).
_MUX: Final = frozenset(("a=rtcp-mux", "a=rtcp-mux\r"))


def _counted(session: SessionDescription, offered: Sequence[MediaSection]) -> SessionDescription:
    """An answer with as many sections as were offered.

    :raises SdpSyntaxError: it takes one that was not.
    """
    count = len(offered)
    if len(session.media) == count:
        return session
    if any(not section.refused for section in session.media[count:]):
        raise SdpSyntaxError("Answer With More m= Lines Than Its Offer", warning=NO_SUCH_MEDIA)
    media: list[Sequence[str]] = [section.lines for section in session.media[:count]]
    media += map(_refusal, offered[len(media) :])
    return _whole(session.lines, media)


def _refusal(section: MediaSection) -> list[str]:
    """The section refused (RFC 3264 6): port 0, some format, and nothing more."""
    return [f"m={section.kind} 0 {section.protocol} {' '.join(section.formats) or '0'}"]


def _times(session: SessionDescription) -> list[str]:
    """When it takes place, which an answer says as its offer does (RFC 3264 6); none where that
    cannot be read."""
    lines = [line.rstrip("\r") for line in session.lines if line[:2] == "t="]
    return lines if all(map(_TIME.fullmatch, lines)) else []


_TIME: Final = re.compile(r"t=[0-9]+ [0-9]+")


# The form.

#: The order of a level's lines (RFC 8866 9); those of one rank stay as they are.
_RANK: Final = {kind: at for at, kind in enumerate("vosiuepcbta")} | {"r": 9, "z": 9}
_MEDIA_RANK: Final = {"m": 0, "i": 1, "c": 2, "b": 3, "a": 4}
#: What the types of a level's lines look like together.
_SESSION: Final = re.compile(r"vosi?u?e*p*c?b*(?:t(?:r+z?)?)+a*")
_SECTION: Final = re.compile(r"mi?c?b*a*")
_DIRECTIONS: Final = frozenset(f"a={direction}" for direction in DUAL)


def _in_form(session: SessionDescription, wrong: list[str]) -> SessionDescription:
    """The description with each line in its place, and none that is missing or too many.

    :raises SdpSyntaxError: a section in use says nothing of what is sent.
    """
    last = session.media[-1].lines if session.media else session.lines
    whole = not last[-1] and _fits(_SESSION, session.lines) and _times(session)
    if whole and all(each.formats and _fits(_SECTION, each.lines) for each in session.media):
        return session
    common = _ranked(session.lines, _RANK, wrong)
    if not any(line[:2] == "s=" for line in common):
        wrong.append("s=")
        common = _ranked([*common, "s=-"], _RANK, [])
    if not _times(session):
        wrong.append("t=")
        others = [line for line in common if line[:1] not in _TIMES]
        common = _ranked([*others, "t=0 0"], _RANK, [])
    media = [_ranked(section.lines, _MEDIA_RANK, wrong) for section in session.media]
    for at, section in enumerate(session.media):
        if not section.formats:
            if not section.refused:
                raise SdpSyntaxError("No Format In m= Line", warning=NO_SUCH_FORMAT)
            wrong.append("an m= line without a format")
            media[at] = _refusal(section)
    return _whole(common, media)


def _fits(form: re.Pattern[str], lines: Sequence[str]) -> bool:
    """Whether the lines of a level are of these types, and say at most one direction."""
    if not form.fullmatch("".join([line[:1] for line in lines])):
        return False
    return len([line for line in lines if line.rstrip("\r ") in _DIRECTIONS]) < 2


def _ranked(lines: Sequence[str], rank: dict[str, int], wrong: list[str]) -> list[str]:
    """The lines of a level in their order: at most one direction and one c=, one v=, o=, s= and i=,
    none that is for the other level (RFC 8866 5, 6.7)."""
    kept, ranks, seen = [], [], set()
    time = ""
    for line in lines:
        if not line:
            continue
        kind = line[0]
        once = kind in _ONCE or (kind == "a" and line.rstrip("\r ") in _DIRECTIONS)
        if (
            kind not in rank
            or (once and kind in seen)
            or (kind in _AFTER and time not in _AFTER[kind])
        ):
            wrong.append("a direction too many" if kind == "a" else f"a {kind}= too many")
            continue
        if kind in _TIMES:
            time = kind
        if once:
            seen.add(kind)
        kept.append(line)
        ranks.append(rank[kind])
    if ranks != sorted(ranks):
        wrong.append("the order of lines")
        return [line for _, line in sorted(zip(ranks, kept, strict=True), key=_by_rank)]
    return kept


_ONCE: Final = frozenset("vosiuc")
#: What a line about time has to follow on.
_AFTER: Final = {"r": ("t", "r"), "z": ("r",)}
_TIMES: Final = frozenset("trz")


def _by_rank(ranked: tuple[int, str]) -> int:
    return ranked[0]


def _whole(common: Sequence[str], media: Sequence[Sequence[str]]) -> SessionDescription:
    """The document made of these lines, all of which end as the first one does."""
    end = "\r" if common[0].endswith("\r") else ""
    levels = [
        [line.removesuffix("\r") + end for line in level if line not in ("", "\r")]
        for level in (common, *media)
    ]
    levels[-1].append("")
    return SessionDescription.of(levels[0], levels[1:])
