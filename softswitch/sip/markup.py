"""Values in an XML document replaced where they stand. Pure.

Expat reads the document and says where each element lies; what is replaced is replaced in the
bytes as they came. A document that is made anew from a tree loses prefixes, comments, order and
whatever a phone's own reader is used to. There is nothing to be expanded either: a document with
a DOCTYPE, and so with entities of its own, is refused before any of it is read, as is one that is
too large, too deep, or in no encoding that has ASCII in it.
"""

import re
from collections.abc import Callable
from typing import Final
from xml.parsers.expat import ExpatError, ParserCreate
from xml.sax.saxutils import escape, unescape

from softswitch.errors import SipSyntaxError

#: Bytes of a document.
LARGEST: Final = 16 * 1024
#: Elements within each other.
DEEPEST: Final = 32

#: Given an element's name without its namespace and all of its attributes' values by name, the
#: attributes that change; "" among the names stands for the element's text.
Change = Callable[[str, dict[str, str]], dict[str, str]]


def changed(document: bytes, change: Change) -> bytes:
    """The document with what ``change`` says of each element.

    :param change: asked about each element, at its end; the text of an element that holds others is
        not asked about.
    :raises SipSyntaxError: 400, the document cannot be read.
    """
    pieces, kept = [], 0
    for start, end, value in sorted(_Reader(document).replacements(change)):
        pieces += [document[kept:start], value]
        kept = end
    return b"".join(pieces) + document[kept:]


class _Element:
    """An element while it is read.

    :ivar start: where its start tag begins.
    :ivar attributes: name as written -> where the value lies, and the value.
    :ivar inner: where its content begins; 0 for a tag that ends in itself.
    :ivar bare: whether it has held no other element.
    """

    __slots__ = ("attributes", "bare", "inner", "name", "start")

    def __init__(self, name: str, start: int) -> None:
        self.name = name
        self.start = start
        self.attributes: dict[str, tuple[int, int, str]] = {}
        self.inner = 0
        self.bare = True


class _Reader:
    """Where the values of a document lie."""

    def __init__(self, document: bytes) -> None:
        if len(document) > LARGEST:
            raise SipSyntaxError("Document Too Large", 413)
        if b"\0" in document:  # UTF-16, which needs no declaration
            raise SipSyntaxError("Unknown XML encoding", 415)
        self._document = document
        self._open: list[_Element] = []
        #: Element, where its text begins and ends; both 0 for text that is not asked about.
        self._found: list[tuple[_Element, int, int]] = []
        parser = self._parser = ParserCreate(namespace_separator=" ")
        parser.XmlDeclHandler = self._declared
        parser.StartDoctypeDeclHandler = self._refused
        parser.StartElementHandler = self._started
        parser.EndElementHandler = self._ended
        try:
            parser.Parse(document, True)
        except (ExpatError, LookupError, ValueError):
            raise SipSyntaxError("Bad XML") from None

    def replacements(self, change: Change) -> list[tuple[int, int, bytes]]:
        """Ranges and what is to stand there."""
        wanted = []
        for element, start, end in self._found:
            values = {name: value for name, (_, _, value) in element.attributes.items()}
            if end:
                values[""] = _read(self._document[start:end])
            for name, value in change(element.name, dict(values)).items():
                if name in values and values[name] != value:
                    place = element.attributes[name][:2] if name else (start, end)
                    wanted.append((*place, _written(value)))
        return wanted

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii", "iso-8859-1"):
            raise SipSyntaxError("Unknown XML encoding", 415)

    def _refused(self, *declaration: object) -> None:
        raise SipSyntaxError("XML with a DOCTYPE")

    def _started(self, name: str, attributes: dict[str, str]) -> None:
        if self._open:
            self._open[-1].bare = False
        if len(self._open) == DEEPEST:
            raise SipSyntaxError("XML too deep")
        start = self._parser.CurrentByteIndex
        element = _Element(name.rpartition(" ")[2], start)
        self._open.append(element)
        match = _TAG.match(self._document, start)
        assert match is not None
        place = match.end()
        while (match := _ATTRIBUTE.match(self._document, place)) is not None:
            low, high = match.start(2) + 1, match.end(2) - 1
            written = match[1].decode("utf-8", "replace")
            element.attributes[written] = (low, high, _read(self._document[low:high]))
            place = match.end()
        match = _TAG_END.match(self._document, place)
        if match is not None and match[0] == b">":
            element.inner = match.end()

    def _ended(self, name: str) -> None:
        element = self._open.pop()
        if not element.inner or not element.bare:
            self._found.append((element, 0, 0))
        else:
            self._found.append((element, element.inner, self._parser.CurrentByteIndex))


def _read(raw: bytes) -> str:
    """A value as it is meant; what holds more than text comes back as nobody would write it."""
    return unescape(raw.decode("utf-8", "surrogateescape"), _QUOTES)


def _written(value: str) -> bytes:
    escaped = escape(value, {quote: entity for entity, quote in _QUOTES.items()})
    return escaped.encode("utf-8", "surrogateescape")


_QUOTES: Final = {"&quot;": '"', "&apos;": "'"}
_TAG: Final = re.compile(rb"<[^\s/>]++")
_ATTRIBUTE: Final = re.compile(rb"""\s++([^\s=/>]++)\s*+=\s*+("[^"]*+"|'[^']*+')""")
_TAG_END: Final = re.compile(rb"\s*+/?>")
