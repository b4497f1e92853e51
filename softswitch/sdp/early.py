"""Offers of our own, for a peer that wants one in the INVITE of somebody who made none. Pure.

What such an offer says of addresses is the relay's; so it is written as one on hold (RFC 3264 8.4),
and led to the relay once that has given it ports.
"""

from collections.abc import Sequence

from softswitch.sdp.rewrite import DUAL, address_type
from softswitch.sdp.session import Connection, SessionDescription

#: Codecs of which we know how to offer them: name in upper case -> payload type, ``a=rtpmap``
#: value, ``a=fmtp`` value or "". Dynamic numbers are ours to choose (RFC 3551 3).
OFFERABLE = {
    "PCMU": ("0", "PCMU/8000", ""),
    "PCMA": ("8", "PCMA/8000", ""),
    "GSM": ("3", "GSM/8000", ""),
    "G722": ("9", "G722/8000", ""),
    "G729": ("18", "G729/8000", ""),
    "ILBC": ("97", "iLBC/8000", ""),
    "OPUS": ("107", "opus/48000/2", "useinbandfec=1"),
    "TELEPHONE-EVENT": ("101", "telephone-event/8000", "0-16"),
}

#: A port that is none, for one that is not known yet (discard, RFC 863); 0 would refuse.
_SOME_PORT = 9


def offer_of(names: Sequence[str]) -> bytes:
    """An offer of one audio stream with these codecs, in this order.

    :param names: keys of ``OFFERABLE``, in any case.
    """
    formats = [OFFERABLE[name.upper()] for name in names]
    lines = [
        "v=0",
        "o=- 0 0 IN IP4 0.0.0.0",
        "s=-",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        f"m=audio {_SOME_PORT} RTP/AVP {' '.join(number for number, _, _ in formats)}",
    ]
    for number, name, parameters in formats:
        lines.append(f"a=rtpmap:{number} {name}")
        if parameters:
            lines.append(f"a=fmtp:{number} {parameters}")
    return "".join(f"{line}\r\n" for line in [*lines, "a=sendrecv"]).encode()


def led(sdp: bytes, host: str) -> bytes:
    """A description whose media are awaited at ``host``, a literal without brackets, where it says
    that they are on hold.

    :raises SdpSyntaxError: it cannot be read.
    """
    document = SessionDescription.parse(sdp)
    where = f"c=IN {address_type(host)} {host}"

    def shown(line: str) -> str:
        held = line.startswith("c=") and Connection.parse(line[2:].rstrip("\r ")).is_hold
        return where + ("\r" if line.endswith("\r") else "") if held else line

    media = [map(shown, section.lines) for section in document.media]
    return SessionDescription.of(map(shown, document.lines), media).encode()


def takes_all(answer: bytes, offer: bytes) -> bool:
    """Whether an answer takes all that an offer has: every section, in as wide a direction, with
    every codec. Else the offerer has to be told.

    :raises SdpSyntaxError: either cannot be read.
    """
    one, other = SessionDescription.parse(answer), SessionDescription.parse(offer)
    if len(one.media) != len(other.media):
        return False
    for taken, offered in zip(one.media, other.media, strict=True):
        if offered.refused:
            continue
        if taken.refused or taken.rtp is None or taken.direction != DUAL[offered.direction]:
            return False
        names = taken.codecs
        if any(names.get(number) != name for number, name in offered.codecs.items()):
            return False
    return True
