"""What a message that leaves must not tell: names and addresses of what lies behind us. Pure.

Whoever writes a message of ours puts in its own addresses. But what crosses the switch in other
fields, in the body and in the reason phrase was written by somebody who may name his own host, as
a Warning, a Diversion or a state document does. A veil, held before a peer, puts our own address in
the place of each of them.
"""

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final, TypeVar

from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.names import REASONS

_M = TypeVar("_M", bound=Message)

Network = IPv4Network | IPv6Network

#: Fields that name the two ends of a dialog or transaction, or prove something: our own hand has
#: written them, or nobody may change them.
UNTOUCHED: Final = frozenset(
    (
        *("Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Route", "Record-Route"),
        *("Path", "Service-Route", "Content-Type", "Content-Length", "Content-Encoding"),
        *("Session-ID", "Max-Breadth"),
        *("Authorization", "WWW-Authenticate", "Authentication-Info", "Identity"),
        *("Proxy-Authorization", "Proxy-Authenticate", "Proxy-Authentication-Info"),
    )
)


class Veil:
    """Hides places from one peer.

    :param names: host names and address literals without brackets, in lower case; a name hides
        those below it too.
    :param networks: hide each address in them.
    :param host: stands instead: the name or address by which the peer knows us.
    :param media_host: likewise within a session description.
    :param sessions: whether session descriptions are looked at: not where media do not go through
        us.
    """

    def __init__(
        self,
        names: Iterable[str],
        networks: Iterable[Network],
        host: str,
        media_host: str,
        sessions: bool,
    ) -> None:
        self._names = frozenset(names)
        self._networks = tuple(networks)
        self._own = frozenset((host, media_host))
        self._host = f"[{host}]" if ":" in host else host
        self._media_host = media_host
        self._sessions = sessions
        signs = [re.escape(name) for name in sorted(self._names) if not _ADDRESS.fullmatch(name)]
        self._name = re.compile("|".join(signs) or r"(?!)", re.IGNORECASE).search
        self._hidden = _Memory(self._is_hidden)

    def over(self, message: _M) -> _M:
        """The message as the peer may see it; the same where it tells nothing."""
        asks = isinstance(message, Request)
        redirects = isinstance(message, Response) and 300 <= message.status < 400
        ours = _OURS - {"Contact"} if redirects else _OURS
        tells = self._tells
        fields = message.fields
        told = [
            place
            for place, (name, value) in enumerate(fields)
            if name not in ours
            and (name not in _NAMED or (asks and value[:1] != "<"))
            and tells(value)
        ]
        phrase = (
            isinstance(message, Response)
            and message.reason != REASONS.get(message.status)
            and tells(message.reason)
        )
        body = bool(message.body) and self._looks_into(message)
        if not (told or phrase or body):
            return message
        fields = list(fields)
        for place in told:
            fields[place] = self._field(fields[place])
        content = self._body(message) if body else message.body
        if isinstance(message, Response):
            return type(message)(message.status, self.text(message.reason), fields, content)
        assert isinstance(message, Request)
        return type(message)(message.method, message.uri, fields, content)

    def _tells(self, text: str) -> bool:
        """Whether a text may name something that is hidden: most do not, and are to be done with
        after one look."""
        if self._name(text):
            return True
        hidden = self._hidden
        return any(map(hidden.__getitem__, _ADDRESS.findall(text)))

    def text(self, text: str) -> str:
        """Text with our name or address in the place of what is hidden."""
        return _PLACE.sub(lambda found: self._shown(found[0], self._host), text)

    def _field(self, field: Field) -> Field:
        name, value = field
        if name not in _NAMED:
            return name, self.text(value)
        display, bracket, rest = value.partition("<")
        return (name, self.text(display) + bracket + rest) if bracket else field

    def _looks_into(self, message: Message) -> bool:
        """Whether a body tells something, and is none that a person has written."""
        kind = (message.get("Content-Type") or "").partition(";")[0].strip().lower()
        if kind == "application/sdp" or b"application/sdp" in message.body:
            if not self._sessions:
                return False
        elif kind.startswith(_WRITTEN) or message.get("Content-Encoding") is not None:
            return False
        return self._tells(message.body.decode("latin-1"))

    def _body(self, message: Message) -> bytes:
        kind = (message.get("Content-Type") or "").lower()
        host = self._media_host if "application/sdp" in kind else self._host
        text = message.body.decode("latin-1")
        return _PLACE.sub(lambda found: self._shown(found[0], host), text).encode("latin-1")

    def _shown(self, place: str, host: str) -> str:
        """What stands for a host with or without a port; itself where it is not hidden."""
        if place[0] == "%":
            return place
        bare = place
        if place[0] == "[":
            bare = place[1 : place.index("]")]
        elif place.count(":") < 2:
            bare = place.partition(":")[0]
        return host if self._is_hidden(bare.lower().rstrip(".")) else place

    def _is_hidden(self, host: str) -> bool:
        if host in self._own or len(host) > _LONGEST:
            return False
        if host in self._names:
            return True
        if ":" not in host and not host[-1:].isdigit():
            labels = host.split(".")
            return any(".".join(labels[at:]) in self._names for at in range(1, len(labels)))
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return str(address) in self._names or any(address in each for each in self._networks)


class _Memory(dict[str, bool]):
    """Whether an address is hidden, for those that were asked about last."""

    def __init__(self, is_hidden: Callable[[str], bool]) -> None:
        super().__init__()
        self._is_hidden = is_hidden

    def __missing__(self, address: str) -> bool:
        if len(self) >= _REMEMBERED:
            self.clear()
        hidden = self[address] = self._is_hidden(address.lower())
        return hidden


#: Addresses that a veil remembers.
_REMEMBERED: Final = 1024
#: Fields of words and numbers, in which there is no room for a place.
_PLACELESS: Final = frozenset(
    (
        *("Allow", "Supported", "Require", "Unsupported", "Accept", "Accept-Encoding", "Expires"),
        *("Session-Expires", "Min-SE", "Min-Expires", "RSeq", "RAck", "Event", "MIME-Version"),
        *("Content-Disposition", "Content-Language", "Privacy"),
    )
)
#: What a veil does not look at, but where a response redirects: then Contact is somebody else's.
_OURS: Final = UNTOUCHED - {"From", "To"} | _PLACELESS | {"Contact"}
#: Characters of a host name (RFC 1035 2.3.4).
_LONGEST: Final = 253
#: Fields of which the display name, or where a response sends a caller, is somebody else's.
_NAMED: Final = frozenset(("From", "To"))
#: Media types of what people write to each other.
_WRITTEN: Final = ("text/", "image/", "audio/", "video/")
# An address literal, or what may be one.
_ADDRESS: Final = re.compile(
    r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}"
)
# An escape; an IPv6 address, bare or in brackets; a name or an IPv4 address; the port goes with it.
_PLACE: Final = re.compile(
    r"%[0-9A-Fa-f]{2}"
    r"|\[[0-9A-Fa-f:.]++\](?::[0-9]{1,5}(?![0-9A-Za-z]))?"
    r"|(?<![0-9A-Za-z:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f.]*+"
    r"|[0-9A-Za-z_](?:[0-9A-Za-z_.\-]*[0-9A-Za-z_])?(?::[0-9]{1,5}(?![0-9A-Za-z_.:]))?"
)
