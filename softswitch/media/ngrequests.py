"""What rtpengine is asked of a negotiation, so that each side gets what it wants. Pure.

Legs are tags to it, and both are named each time; so an offer to another callee is a branch of the
call, and the caller keeps its ports. Ports stay whatever a side says later ("port latching"), for
an offer may be taken back; and once a side's source is learnt, nobody else's packets are taken
("strict source").
"""

from contextlib import suppress
from typing import Final

from softswitch.errors import SdpSyntaxError
from softswitch.media.bencode import Value
from softswitch.plugin.media import MediaAnswer, MediaProfile, MediaQuestion
from softswitch.sdp.codecs import STATIC
from softswitch.sdp.places import Terminated
from softswitch.sdp.session import MediaSection, SessionDescription

#: Of whoever says nothing else.
_PLAIN: Final = MediaProfile()

#: By ``MediaProfile.profile``: how a peer is offered its media. Suites that do not encrypt, or that
#: nobody knows, only make messages long. Phones want keys padded as base64 is (RFC 4648 3.2).
_OFFERED: Final[dict[str, dict[str, Value]]] = {
    "rtp": {"ICE": "remove", "rtcp-mux": ["demux"]},
    "srtp": {
        "transport-protocol": "RTP/SAVP",
        "ICE": "remove",
        "DTLS": "off",
        "rtcp-mux": ["demux"],
        "SDES": [
            "pad",
            *("no-NULL_HMAC_SHA1_80", "no-NULL_HMAC_SHA1_32"),
            *("no-F8_128_HMAC_SHA1_80", "no-F8_128_HMAC_SHA1_32"),
            *("no-AES_192_CM_HMAC_SHA1_80", "no-AES_192_CM_HMAC_SHA1_32"),
        ],
    },
    "webrtc": {
        "transport-protocol": "UDP/TLS/RTP/SAVPF",
        "ICE": "force",
        "SDES": ["off"],
        "rtcp-mux": ["require"],
    },
}

#: By the same: how a peer that has offered is answered.
_ANSWERED: Final[dict[str, dict[str, Value]]] = {
    "rtp": {"ICE": "remove", "SDES": ["pad"]},
    "srtp": {"ICE": "remove", "SDES": ["pad"]},
    "webrtc": {"ICE": "force", "rtcp-mux": ["require"]},
}

#: What goes through a media engine: RTP in all its forms, and T.38.
_BY_UDP: Final = ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP")
_CARRIED: Final = frozenset((*_BY_UDP, "UDP/TLS/RTP/SAVPF", "UDPTL", "UDP", "UDP/TLS/UDPTL"))

#: Forms of RTP that nobody on the way can read.
_ENCRYPTED: Final = ("SAVP", "SAVPF")

#: What rtpengine always speaks by itself, and what it does where it has keys of its own.
_TERMINATED: Final[frozenset[Terminated]] = frozenset(("ice", "dtls"))
_TERMINATED_ALL: Final[frozenset[Terminated]] = frozenset(("ice", "dtls", "sdes"))

#: The port of an address that is not known yet (discard, RFC 863).
_SOME_PORT: Final = 9

_FLAGS: Final = ("port latching", "strict source")
_REPLACED: Final = ("origin", "session-connection", "zero address")


def offer(question: MediaQuestion, call: str, spoken: bytes = b"") -> dict[str, Value]:
    """The question as rtpengine understands it.

    :param call: its name for the session.
    :param spoken: what ``to_leg`` has said last; empty before it has said anything.
    :raises SdpSyntaxError: the SDP cannot be read, or offers less than its sender is to offer.
    """
    near, far = question.near.wants or _PLAIN, question.far.wants or _PLAIN
    document = SessionDescription.parse(question.sdp)
    _check_encrypted(document, near)
    message = _message("offer", call, question.from_leg, question.to_leg, document)
    message |= _OFFERED[far.profile]
    if far.profile == "rtp" and any(map(_is_encrypted, document.media)):
        message["transport-protocol"] = "RTP/AVP"
    message["address family"] = "IP6" if ":" in question.far.advertise else "IP4"
    message["supports"] = ["load limit"]
    flags = list(_FLAGS)
    if far.profile == "webrtc":
        flags.append("generate mid")
    if _is_to_come(document):
        flags.append("original sendrecv")
    message["flags"] = flags
    if near.interface or far.interface:
        message["direction"] = [near.interface or "default", far.interface or "default"]
    codec = _codecs(near, far, spoken)
    if codec:
        message["codec"] = codec
    return message


def answer(question: MediaQuestion, call: str, offered: bytes) -> dict[str, Value]:
    """The same of an answer.

    :param offered: the offer as the answerer has seen it.
    :raises SdpSyntaxError: the SDP cannot be read, or is no answer to that.
    """
    document = SessionDescription.parse(question.sdp)
    _check_answers(document, SessionDescription.parse(offered), question.near.wants or _PLAIN)
    message = _message("answer", call, question.to_leg, question.from_leg, document)
    message |= _ANSWERED[(question.far.wants or _PLAIN).profile]
    message["flags"] = list(_FLAGS)
    return message


def answered(question: MediaQuestion, shown: bytes) -> MediaAnswer:
    """What rtpengine has made of a question, and where its media are: the addresses that it shows,
    which may be another machine's."""
    hosts: dict[str, None] = {}
    with suppress(SdpSyntaxError):
        for section in SessionDescription.parse(shown).media:
            if section.connection is not None and not section.connection.is_hold:
                hosts[section.connection.address] = None
            for candidate in section.attributes("candidate"):
                hosts |= dict.fromkeys(candidate.split()[4:5])
    # Keys in the SDP of both sides may be the same: then rtpengine passes packets as they are.
    own = _TERMINATED if b"\na=crypto:" in question.sdp else _TERMINATED_ALL
    return MediaAnswer(
        question.token, shown, hosts=(*hosts, question.far.advertise), terminates=own
    )


def _message(
    command: str, call: str, offerer: str, answerer: str, document: SessionDescription
) -> dict[str, Value]:
    return {
        "command": command,
        "call-id": call,
        "from-tag": offerer,
        "to-tag": answerer,
        "sdp": carried(document).encode(),
        "replace": list(_REPLACED),
    }


def carried(document: SessionDescription) -> SessionDescription:
    """The document with what does not go by UDP refused: it would lead around the engine."""
    if all(section.protocol.upper() in _CARRIED for section in document.media):
        return document
    media = [
        section.lines if section.protocol.upper() in _CARRIED else _refused(section)
        for section in document.media
    ]
    return SessionDescription.of(document.lines, media)


def _refused(section: MediaSection) -> list[str]:
    """A section with port 0 (RFC 3264 6)."""
    words = [section.kind, "0", section.protocol, *section.formats]
    end = "\r" if section.lines[0].endswith("\r") else ""
    return [f"m={' '.join(words)}{end}", *section.lines[1:]]


def _is_to_come(document: SessionDescription) -> bool:
    """Whether an offer's addresses are to follow, so that nothing is held by their absence: one
    that we have made, or one whose candidates trickle."""
    used = [section for section in document.media if not section.refused]
    return bool(used) and all(each.rtp is None and each.port == _SOME_PORT for each in used)


def _codecs(near: MediaProfile, far: MediaProfile, spoken: bytes) -> dict[str, Value]:
    """What is done about codecs. Keys that one side sends as events and the other as tones are
    heard, and made, by rtpengine."""
    events = "telephone-event"
    transcode = list(far.transcode)
    if near.transcode and spoken:
        # It was led to a codec that it does not know itself: in a new offer that one comes alone.
        transcode += _first_codec(SessionDescription.parse(spoken))
    codec: dict[str, Value] = {}
    if far.dtmf == "tones":
        codec["consume"] = [events]
    elif far.dtmf == "events" or near.dtmf == "tones":
        transcode.append(events)
    if near.dtmf == "events" and far.dtmf != "tones":
        codec["accept"] = [events]
    if transcode:
        codec["transcode"] = list(dict.fromkeys(transcode))
    return codec


def _first_codec(document: SessionDescription) -> list[str]:
    """The codec that a side likes best for its audio, as rtpengine names it; none for none."""
    for section in document.media:
        if section.kind == "audio" and section.formats and not section.refused:
            number = section.formats[0]
            named = (value.split() for value in section.attributes("rtpmap"))
            found = [words[1] for words in named if len(words) == 2 and words[0] == number]
            return found or [STATIC[number]] if number in STATIC or found else []
    return []


def _is_encrypted(section: MediaSection) -> bool:
    return section.protocol.upper().endswith(_ENCRYPTED) and not section.refused


def _check_encrypted(document: SessionDescription, wants: MediaProfile) -> None:
    """
    :raises SdpSyntaxError: the sender is to encrypt, and does not.
    """
    if wants.profile == "rtp":
        return
    for section in document.media:
        if "RTP/" in section.protocol.upper() and not (section.refused or _is_encrypted(section)):
            raise SdpSyntaxError("Encrypted Media Wanted")


def _check_answers(
    document: SessionDescription, offered: SessionDescription, wants: MediaProfile
) -> None:
    """
    :raises SdpSyntaxError: there are more or fewer sections than in the offer, or one is not
        encrypted that is to be.
    """
    if len(document.media) != len(offered.media):
        raise SdpSyntaxError("Answer and offer differ in their number of m= lines")
    _check_encrypted(document, wants)
