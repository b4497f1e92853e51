"""What becomes of a body that crosses from one leg to the other: the one place that says. Pure.

A session description is found wherever it lies, for the media engine, and is put back in its
place. What names dialogs or addresses of one leg is said in the other's terms: message/sipfrag
(RFC 3420), application/dialog-info+xml (RFC 4235), application/pidf+xml (RFC 3863), and the fields
Refer-To (RFC 3515), Referred-By (RFC 3892), Replaces (RFC 3891) and Join. All else passes as it
came, and so does everything around what is replaced.
"""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, unquote

import attrs

from softswitch.errors import SipSyntaxError
from softswitch.sip.fields import NameAddr, format_params, parse_params
from softswitch.sip.markup import changed
from softswitch.sip.message import Field, Message
from softswitch.sip.multipart import (
    Part,
    flattened,
    is_multipart,
    media_type,
    replaced,
    session_parts,
)
from softswitch.sip.uri import Uri

SDP: Final = "application/sdp"

#: Call-ID, and the tags of the near and the far side as the sender sees them.
DialogName = tuple[str, str, str]


@attrs.frozen
class Located:
    """A session description and where it lies; plain data.

    :ivar content_type: Content-Type value of the whole body.
    :ivar body: the whole body.
    :ivar parts: the parts that describe the session, the one that counts first; none where all of
        the body does.
    """

    content_type: str
    body: bytes
    parts: list[Part] = attrs.Factory(list)

    @property
    def sdp(self) -> bytes:
        """The description, which ends with a line end even where a boundary has taken it."""
        if not self.parts:
            return self.body
        sdp = self.body[self.parts[0].start : self.parts[0].end]
        return sdp if sdp.endswith(b"\n") else sdp + b"\r\n"

    def replaced(self, sdp: bytes) -> tuple[str, bytes]:
        """Content-Type value and body with another description in its place.

        Where there are several, all say the same then: whichever the receiver reads leads to where
        its media is awaited, and none tells addresses that are not for it.
        """
        if not self.parts:
            return self.content_type, sdp
        if sdp == self.sdp:
            return self.content_type, self.body
        bare = sdp.removesuffix(b"\r\n")
        return self.content_type, replaced(
            self.body,
            [
                (part, sdp if self.body.endswith(b"\n", part.start, part.end) else bare)
                for part in self.parts
            ],
        )


def find_sdp(message: Message) -> Located | None:
    """The session description in a message's body; None without one, and where the body cannot be
    read: nobody is asked to rewrite what nobody understands."""
    body = message.body
    if not body:
        return None
    try:
        kind = message.content_type
        if kind is None:
            return None
        content_type = message.get("Content-Type") or ""
        if kind == SDP:
            return Located(content_type, body)
        if not kind.startswith("multipart/"):
            return None
        parts = session_parts(content_type, body)
    except SipSyntaxError:
        return None
    return Located(content_type, body, parts) if parts else None


def _unknown(dialog: DialogName) -> DialogName | None:
    return None


@attrs.frozen
class Translation:
    """One leg's terms in the other's.

    :ivar hosts: names and addresses, lower case, IPv6 without brackets, that stand for the sender
        or, as it sees us, for us.
    :ivar host: name or address by which the receiver knows us.
    :ivar port: goes with it; None for none.
    :ivar dialog: what the receiver, or whoever it tells, calls the same dialog, as the sender
        would; None for one that is none of ours.
    """

    hosts: frozenset[str]
    host: str
    port: int | None = None
    dialog: Callable[[DialogName], DialogName | None] = _unknown

    def uri(self, uri: Uri) -> Uri:
        """A URI at an address that the receiver can know; its own parameters belong to the old."""
        if uri.host.lower() not in self.hosts:
            return uri
        params = {name: value for name, value in uri.params.items() if name not in _OF_AN_ADDRESS}
        return attrs.evolve(uri, host=self.host, port=self.port, params=params)

    def uri_text(self, text: str) -> str:
        """The same for text; what is no such URI comes back unchanged."""
        try:
            uri = Uri.parse(text.strip())
        except SipSyntaxError:
            return text
        if uri.opaque:  # pres:alice@192.0.2.1
            user, at, host = uri.opaque.rpartition("@")
            return f"{uri.scheme}:{user}@{self.host}" if at and host in self.hosts else text
        found = self.uri(uri)
        return text if found is uri else str(found)

    def dialog_field(self, value: str) -> str:
        """A Replaces or Join value, where from-tag is the sender's own; one that nobody knows comes
        back unchanged.

        :raises SipSyntaxError: 400, it is malformed.
        """
        call_id, semicolon, rest = value.partition(";")
        params = parse_params(semicolon + rest)
        near, far = params.get("from-tag") or "", params.get("to-tag") or ""
        found = self.dialog((call_id.strip(" \t"), near, far))
        if found is None:
            return value
        return found[0] + format_params(params | {"from-tag": found[1], "to-tag": found[2]})

    def address(self, value: str) -> str:
        """A name-addr, such as Refer-To or Referred-By, with a Replaces in its URI.

        :raises SipSyntaxError: 400, it is malformed.
        """
        named = NameAddr.parse(value)
        uri = self.uri(named.uri)
        headers = {
            name: self._in_uri(text) if name.lower() in _DIALOG_FIELDS else text
            for name, text in uri.headers.items()
        }
        if headers != uri.headers:
            uri = attrs.evolve(uri, headers=headers)
        return value if uri is named.uri else str(NameAddr(named.display, uri, named.params))

    def field(self, field: Field) -> Field:
        """A header field; one that names neither a dialog nor an address passes unchanged.

        :raises SipSyntaxError: 400, it is malformed.
        """
        name, value = field
        if name in ("Refer-To", "Referred-By"):
            return (name, self.address(value))
        return (name, self.dialog_field(value)) if name.lower() in _DIALOG_FIELDS else field

    def body(self, content_type: str, body: bytes) -> bytes:
        """A body, or what of it belongs to one of the types that say something of a leg.

        :param content_type: the whole Content-Type value; "" for none.
        :raises SipSyntaxError: 400 or the like, it cannot be read.
        """
        if not body:
            return body
        if is_multipart(content_type):
            found = [part for part in flattened(content_type, body) if part.is_plain]
            contents = [(part, body[part.start : part.end]) for part in found]
            told = [(part, self._told(part.content_type, content)) for part, content in contents]
            return replaced(
                body, [new for new, old in zip(told, contents, strict=True) if new != old]
            )
        return self._told(media_type(content_type), body)

    def _told(self, kind: str, body: bytes) -> bytes:
        if kind == "message/sipfrag":
            return self._fragment(body)
        if kind in ("application/dialog-info+xml", "application/pidf+xml"):
            return changed(body, self._marked)
        return body

    def _in_uri(self, escaped: str) -> str:
        value = unquote(escaped, errors="surrogateescape")
        found = self.dialog_field(value)
        if found == value:
            return escaped
        return quote(found, _HEADER_UNRESERVED, errors="surrogateescape")

    def _fragment(self, body: bytes) -> bytes:
        """A piece of a message: its start line, its fields but for those of the way that it came,
        its body."""
        head, empty, rest = body.partition(b"\r\n\r\n")
        text = _FOLD.sub(" ", head.decode("utf-8", "surrogateescape"))
        lines = [line for line in text.split("\r\n") if not _OF_A_HOP.match(line)]
        places = {
            match[1].lower(): place
            for place, line in enumerate(lines)
            if (match := _FRAGMENT_FIELD.match(line)) is not None
        }
        if not places:
            return "\r\n".join(lines).encode("utf-8", "surrogateescape") + empty + rest
        values = {name: lines[place].partition(":")[2].strip() for name, place in places.items()}
        for name, value in self._fragment_fields(values).items():
            if value != values[name]:
                place = places[name]
                lines[place] = f"{lines[place].partition(':')[0]}: {value}"
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + empty + rest

    def _fragment_fields(self, values: dict[str, str]) -> dict[str, str]:
        """Addresses in the receiver's terms, and the dialog's name where all of it is there."""
        found: dict[str, str] = {}
        tags: dict[str, str] = {}
        for name, value in values.items():
            if name in ("call-id", "i"):
                continue
            try:
                found[name] = self.address(value)
            except SipSyntaxError:
                continue  # "*", or several
            tags[_LONG.get(name, name)] = NameAddr.parse(value).tag or ""
        call_id = next((name for name in ("call-id", "i") if name in values), "")
        if call_id and "from" in tags and "to" in tags:
            new = self.dialog((values[call_id], tags["from"], tags["to"]))
            if new is not None:
                found[call_id] = new[0]
                for name in found.keys() & _TAG_OF.keys():
                    tagged = NameAddr.parse(found[name])
                    params = tagged.params | {"tag": new[_TAG_OF[name]]}
                    found[name] = str(attrs.evolve(tagged, params=params))
        return found

    def _marked(self, name: str, values: dict[str, str]) -> dict[str, str]:
        """What changes in an element of a document about dialogs or presence."""
        if name in ("dialog", "replaces"):
            called = (
                values.get(_NAMED[0], ""),
                values.get(_NAMED[1], ""),
                values.get(_NAMED[2], ""),
            )
            found = self.dialog(called)
            return {} if found is None else dict(zip(_NAMED, found, strict=True))
        return {key: self.uri_text(values[key]) for key in _URIS.get(name, ()) if key in values}


#: Fields whose value names a dialog by the tags of its two sides, in lower case.
_DIALOG_FIELDS: Final = frozenset(("replaces", "join"))
#: How a document names a dialog.
_NAMED: Final = ("call-id", "local-tag", "remote-tag")
#: Element -> where its URIs are: attributes, "" for its text.
_URIS: Final = {
    "dialog-info": ("entity",),
    "identity": ("",),
    "target": ("uri",),
    "referred-by": ("",),
    "presence": ("entity",),
    "contact": ("",),
}
#: Parameters of a URI that say how its host is reached.
_OF_AN_ADDRESS: Final = frozenset(("transport", "maddr", "ttl", "received", "rport", "ob"))
#: What may stand in the headers of a URI as it is (RFC 3261 25.1, hnv-unreserved).
_HEADER_UNRESERVED: Final = "[]/?:+$-_.!~*'()"
_FOLD: Final = re.compile(r"\r\n[ \t]++")
_OF_A_HOP: Final = re.compile(r"(?i)(?:via|v|record-route|route|path|service-route)[ \t]*+:")
_FRAGMENT_FIELD: Final = re.compile(
    r"(?i)(call-id|i|from|f|to|t|contact|m|refer-to|r|referred-by|b)[ \t]*+:"
)
_LONG: Final = {"f": "from", "t": "to"}
_TAG_OF: Final = {"from": 1, "f": 1, "to": 2, "t": 2}
