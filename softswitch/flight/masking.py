"""What is never shown of a message: what proves a password, keys, what somebody has dialled. Pure.

A mask is as long as what it hides, so that the message stays one whose lengths are right: a
capture of it opens in Wireshark. What cannot be told apart is hidden with it.

Strangers write what is masked: each expression looks at a byte a few times at most, however often
what it looks for begins and does not go on.
"""

import re
from collections.abc import Callable, Container
from typing import Final

#: What stands for each byte that is hidden.
_STAR: Final = b"*"
_QUOTE: Final = ord('"')

#: Parameters of Authorization that prove nothing (RFC 7616 3.4).
_OPEN: Final = frozenset(
    (b"username", b"realm", b"nonce", b"uri", b"algorithm", b"qop", b"nc", b"opaque", b"userhash")
)

#: Parameters of credentials that are looked at; where there are more, all is hidden.
_MOST: Final = 128

#: A header field with credentials, folded or not, wherever it stands: a message may hold another.
_CREDENTIALS: Final = re.compile(
    rb"^((?:Proxy-)?Authorization|(?:Proxy-)?Authentication-Info)([ \t]*:[ \t]*)"
    rb"([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)",
    re.I | re.M,
)
_PARAMETER: Final = re.compile(rb'(?<![\w-])(([\w-]++)\s*+=\s*)("(?:[^"\\]++|\\.)*+"?|[^,\s]*)')
_SCHEME: Final = re.compile(rb"\s*([^\s,=]+)(\s+)")

#: The password in a URI (RFC 3261 19.1.1), if an "@" follows. Where none does, none follows on
#: whatever else begins within it: so it is passed over at once.
_URI_PASSWORD: Final = re.compile(rb"(sips?:[^:@\s<>;?]+:)([^@\s<>]+)(@?)", re.I)

#: Keys in session descriptions: SDES (RFC 4568), ICE (RFC 8839 5.4), MIKEY (RFC 4567), ``k=``.
_KEYS: Final = (
    (b"inline:", re.compile(rb"(inline:)([^|\s;]+)", re.I)),
    (b"ice-pwd", re.compile(rb"(a=ice-pwd:[ \t]*)([^\r\n]+)", re.I)),
    (b"key-mgmt", re.compile(rb"(a=key-mgmt:[ \t]*)([^\r\n]+)", re.I)),
    (b"\nk=", re.compile(rb"(\nk=)([^\r\n]+)")),
)

#: Digits in the body of an INFO, and in that of KPML (RFC 4730).
_SIGNAL: Final = re.compile(rb"^([ \t]*(?:Signal|d)[ \t]*=[ \t]*)([^\r\n]+)", re.I | re.M)
_KPML: Final = re.compile(rb"(\bdigits[ \t]*=[ \t]*)(\"[^\"]*\"|'[^']*')", re.I)
_DIGITS: Final = re.compile(rb"[0-9A-Da-d*#,\s]+")
_TEXT: Final = re.compile(rb"[^\r\n]")

#: What is not plain to see, perhaps.
_ODD: Final = re.compile(r"[^\n\x20-\x7e]")


def masked(message: bytes, *, hide_messages: bool = True) -> bytes:
    """A message as it may be shown.

    :param hide_messages: whether the body of a MESSAGE is hidden, too.
    """
    if b"uth" in message.lower():
        message = _CREDENTIALS.sub(_without_proof, message)
    if b":" in message and b"@" in message:
        message = _URI_PASSWORD.sub(_without_password, message)
    for sign, keys in _KEYS:
        if sign in message or sign in message.lower():
            message = keys.sub(_second, message)
    # Line breaks may stand before a message (RFC 3261 7.5).
    begun = len(message) - len(message.lstrip(b"\r\n"))
    head, end, body = message[begun:].partition(b"\r\n\r\n")
    if body:
        body = _masked_body(head, body, hide_messages)
    return message[:begun] + head + end + body


def _masked_body(head: bytes, body: bytes, hide_messages: bool) -> bytes:
    if head.startswith(b"INFO "):
        body = _SIGNAL.sub(_second, body)
        if _DIGITS.fullmatch(body):
            body = _TEXT.sub(_STAR, body)
    elif head.startswith(b"MESSAGE ") and hide_messages:
        return _TEXT.sub(_STAR, body)
    if b"digits" in body.lower():
        body = _KPML.sub(_second, body)
    return body


def _second(found: re.Match[bytes]) -> bytes:
    return found[1] + _STAR * len(found[2])


def _without_password(found: re.Match[bytes]) -> bytes:
    return _second(found) + found[3] if found[3] else found[0]


def _without_proof(found: re.Match[bytes]) -> bytes:
    name, colon, value = found.groups()
    if value.count(b"=") > _MOST:
        return name + colon + _STAR * len(value)
    if b"-info" in name.lower():
        return name + colon + _PARAMETER.sub(_INFO, value)
    scheme = _SCHEME.match(value)
    ended = value.replace(b'\\"', b"").count(b'"') % 2 == 0
    if scheme is None or scheme[1].lower() != b"digest" or not ended:
        return name + colon + _STAR * len(value)
    begun = scheme.end()
    return name + colon + value[:begun] + _PARAMETER.sub(_DIGEST, value[begun:])


def _closed(shown: Container[bytes]) -> Callable[[re.Match[bytes]], bytes]:
    """Hides the values of all parameters but these."""

    def hide(found: re.Match[bytes]) -> bytes:
        whole, start, name, value = found.group(0, 1, 2, 3)
        if name.lower() in shown:
            return whole
        if len(value) > 1 and value[0] == value[-1] == _QUOTE:
            return start + b'"' + _STAR * (len(value) - 2) + b'"'
        return start + _STAR * len(value)

    return hide


_DIGEST: Final = _closed(_OPEN)
_INFO: Final = _closed((b"nextnonce", b"qop", b"nc"))


def visible(text: str) -> str:
    """A text in which nothing moves the cursor, turns the direction of writing or is not to be
    seen: such characters are written as Python writes them. Lines end with "\\n"."""
    return _ODD.sub(_seen, text.replace("\r\n", "\n"))


def shown(message: bytes, *, hide_messages: bool = True) -> str:
    """A message as text that can be shown to anybody."""
    return visible(masked(message, hide_messages=hide_messages).decode("utf-8", "backslashreplace"))


def _seen(found: re.Match[str]) -> str:
    character = found[0]
    if character == "\t":
        return "    "
    return character if character.isprintable() else repr(character)[1:-1]
