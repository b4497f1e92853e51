"""The INVITE that is explained: read as somebody saved it, or composed from a few words. Pure."""

import re
from collections.abc import Sequence

from softswitch.flow import uri_transport
from softswitch.sip import compose
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Request
from softswitch.sip.uri import Uri
from softswitch.trunk.group import escape_user

#: What a phone offers that has nothing special about it.
PLAIN_SDP = (
    "v=0\r\no=- 1 1 IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\n"
    "m=audio 16400 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
)

_LENGTH = re.compile(rb"(?im)^(Content-Length|l)([ \t]*:[ \t]*)[0-9]+[ \t]*(?=\r\n)")


def whole(data: bytes) -> tuple[bytes, str]:
    """A saved INVITE as it would stand on the wire.

    An editor's line ends become CRLF, and Content-Length what it has to be then. A message that has
    CRLF is left as it is, whatever it says.

    :returns: the bytes, and a sentence about what was changed, or "".
    """
    if b"\r\n" in data:
        return data, ""
    head, _, body = data.lstrip(b"\n").partition(b"\n\n")
    head = head.rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n"
    body = body.replace(b"\n", b"\r\n")
    head = _LENGTH.sub(rb"\g<1>\g<2>%d" % len(body), head)
    return head + b"\r\n" + body, "line ends were made CRLF, and Content-Length to fit"


def composed(
    *,
    caller: str,
    called: str,
    domain: str,
    source: str,
    port: int,
    transport: str,
    fields: Sequence[Field] = (),
) -> bytes:
    """An INVITE with a plain offer, as a phone at the source would send it.

    :param caller: a name or number, a URI, or a whole From value.
    :param called: a name or number, or a URI.
    :param domain: where names and numbers are meant.
    :param source: address literal without brackets.
    :param transport: "UDP", "TCP", "TLS", "WS" or "WSS".
    :param fields: further header fields.
    :raises SipSyntaxError: caller or called cannot be read.
    """
    uri = str(Uri.parse(_uri(called, domain)))
    me = NameAddr.parse(caller if "<" in caller else f"<{_uri(caller, domain)}>")
    host = f"[{source}]" if ":" in source else source
    family = "IP6" if ":" in source else "IP4"
    kind = "" if transport == "UDP" else f";transport={uri_transport(transport)}"
    user = f"{me.uri.user}@" if me.uri.user else ""
    first: list[Field] = [
        ("Via", f"SIP/2.0/{transport} {host}:{port};branch={compose.new_branch()};rport"),
        ("Max-Forwards", "70"),
        ("From", f"{NameAddr(me.display, me.uri)};tag={compose.new_tag()}"),
        ("To", f"<{uri}>"),
        ("Call-ID", compose.new_call_id(source)),
        ("CSeq", "1 INVITE"),
        ("Contact", f"<sip:{user}{host}:{port}{kind}>"),
        ("Content-Type", "application/sdp"),
    ]
    sdp = PLAIN_SDP.format(family=family, host=source).encode()
    return Request("INVITE", uri, [*first, *fields], sdp).encode()


def _uri(text: str, domain: str) -> str:
    """A URI; a bare name or number is one of the domain's."""
    if re.match(r"(?i)(sips?|tel):", text):
        return text
    host = f"[{domain}]" if ":" in domain else domain
    return f"sip:{escape_user(text)}@{host}"
