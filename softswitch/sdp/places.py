"""No line of a description that leaves tells of a place where the media are not. Pure.

Addresses are looked for wherever they stand, since whoever puts his own into an attribute of his
making does not ask first: in c=, in a=rtcp (RFC 3605), in candidates (RFC 8839), in a name of the
session. What is no line at all goes too, for it is read in more than one way (RFC 8866 5).
"""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from itertools import chain
from typing import Final, Literal

import attrs

from softswitch.errors import SdpSyntaxError
from softswitch.sdp.rewrite import address_type
from softswitch.sdp.session import Connection, SessionDescription

#: What an engine may speak by itself instead of having it pass: candidates (RFC 8839), keys that
#: DTLS finds (RFC 5763), keys in the description (RFC 4568).
Terminated = Literal["ice", "dtls", "sdes"]


@attrs.frozen
class Place:
    """Where an engine has the media of a leg.

    :ivar hosts: its addresses, literals without brackets, the usual one first.
    :ivar terminates: what it speaks by itself there.
    :ivar said: the far leg's description that this one was made from: the fingerprints and keys
        in it are the far leg's.
    """

    hosts: tuple[str, ...]
    terminates: frozenset[Terminated] = frozenset()
    said: bytes = b""

    @property
    def nowhere(self) -> str:
        """The address that means none, as its own addresses would say it (RFC 3264 8.4)."""
        return "::" if ":" in self.hosts[0] else "0.0.0.0"


def washed(session: SessionDescription, place: Place, wrong: list[str]) -> SessionDescription:
    """The description without what tells of another place; itself where that is nothing.

    :param wrong: gets a few words for each thing that was wrong.
    :raises SdpSyntaxError: a line is wrong that cannot be done without; or (500) the engine has let
        the far leg's keys through that it should have had its own for.
    """
    own = frozenset((*place.hosts, place.nowhere))
    levels = [list(level) for level in (session.lines, *(each.lines for each in session.media))]
    text = "\n".join(chain.from_iterable(levels))
    whole = "\0" not in text and text.count("\r") == text.count("\r\n")
    there = {_connection(host) for host in own}.issuperset(_CONNECTION.findall(text))
    if whole and there and own.issuperset(_found(text)) and not _ODD.search(text):
        return session
    end = [levels[-1].pop()] if levels[-1][-1] == "" else []
    tub = _Tub(place, own, wrong)
    found = [tub.washed(level) for level in levels]
    found[-1] += end
    return SessionDescription.of(found[0], found[1:])


def _connection(host: str) -> str:
    """The c= line that leads to a host (RFC 8866 5.7)."""
    return f"c=IN {address_type(host)} {host}"


def _found(text: str) -> list[str]:
    """What looks like an address."""
    found: list[str] = _IPV4.findall(text)
    return found + _IPV6.findall(text) if _TWO_COLONS.search(text) else found


_CONNECTION: Final = re.compile(r"\n(c=[^\r\n]*)")
_IPV4: Final = re.compile(r"(?<!\d)(?<!\d\.)\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\.?\d)", re.ASCII)
#: Whatever has two colons and nothing but digits between them; most of it is no address.
_IPV6: Final = re.compile(
    r"(?<![0-9A-Fa-f:.])(?=[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:)[0-9A-Fa-f:.]+", re.ASCII
)
_TWO_COLONS: Final = re.compile(r":[0-9A-Fa-f.]*:", re.ASCII)
#: Colons that an address has at most, and one of whatever stands before it.
_COLONS: Final = 8

#: Attributes of ICE, and others that name further places.
_ICE: Final = "candidate|remote-candidates|end-of-candidates|ice-"
_FURTHER: Final = "alt|altc|source-filter|x-nat|x-candidate[a-z0-9-]*|path"
#: Types of lines that there are; k= is not to be sent any more (RFC 8866 5.12).
_TYPES: Final = "vosiuepcbtrzam"
#: A line that is none, or an attribute that one has to look at. All that it may find follows on a
#: line feed, which is found quickly.
_ODD: Final = re.compile(
    rf"\n(?:(?![{_TYPES}]=|\Z)|a=\s*(?i:{_ICE}|{_FURTHER}|fingerprint|crypto))"
)
_IS_ICE: Final = re.compile(_ICE)
_IS_FURTHER: Final = re.compile(_FURTHER)
_SHOWN: Final = re.compile(r"[A-Za-z0-9-]{1,32}")
#: The attributes that tell keys, and who has them then.
_KEYS: Final[dict[str, Terminated]] = {"fingerprint": "dtls", "crypto": "sdes"}


class _Tub:
    """Takes lines out of a description, or mends them."""

    def __init__(self, place: Place, own: frozenset[str], wrong: list[str]) -> None:
        self._place = place
        self._own = own
        self._wrong = wrong

    def washed(self, lines: Sequence[str]) -> list[str]:
        """The lines of a level, whose first one cannot be done without."""
        kept: list[str] = []
        for at, line in enumerate(lines):
            text = line.removesuffix("\r")
            if (told := self._told(text)) is not None:
                kept.append(told + line[len(text) :])
            elif at == 0:
                raise SdpSyntaxError("An m= line tells an address")
        return kept

    def _told(self, text: str) -> str | None:
        """What is told instead of a line, mostly itself; None for nothing."""
        kind, value = text[:1], text[2:]
        if text[:2] == "c=":
            return self._led(text)
        if text[1:2] != "=" or kind not in _TYPES or "\r" in text or "\0" in text:
            self._wrong.append("k=" if kind == "k" else "a line that is none")
            return None
        if kind == "a" and self._is_not_ours(value):
            self._wrong.append(self._named(value))
            return None
        if not any(map(self._is_foreign, _found(value))):
            return text
        self._wrong.append(f"an address in {kind}=" if kind != "a" else self._named(value))
        return "s=-" if kind == "s" else None

    @staticmethod
    def _named(value: str) -> str:
        """An attribute as it may stand in a log, for its sender has chosen its name."""
        name = value.partition(":")[0].strip()
        return f"a={name if _SHOWN.fullmatch(name) else '?'}"

    def _led(self, text: str) -> str:
        """The c= line for one that leads somewhere else, or nowhere, or to where the media are."""
        found = Connection.parse(text[2:])
        hosts = self._place.hosts
        host = self._place.nowhere if found.is_hold else hosts[0]
        told = _connection(found.address if found.address in hosts else host)
        if told != text:
            self._wrong.append("c=")
        return told

    def _is_not_ours(self, value: str) -> bool:
        """Whether an attribute says what is true only where the engine is not."""
        name, _, rest = value.partition(":")
        name = name.strip().lower()
        key = _KEYS.get(name)
        if key is not None:
            told = {word for word in rest.encode(errors="surrogateescape").split() if b":" in word}
            if key in self._place.terminates and not told.isdisjoint(self._place.said.split()):
                raise SdpSyntaxError(f"The Far Side's a={name} Would Leave", 500)
            return False
        if _IS_ICE.match(name):
            return "ice" not in self._place.terminates or (
                name == "candidate" and not self._own.issuperset(rest.split()[4:5])
            )
        return _IS_FURTHER.fullmatch(name) is not None

    def _is_foreign(self, found: str) -> bool:
        """Whether what looks like an address is one, and not the media's."""
        if found in self._own or ":" not in found:
            return found not in self._own and found != "0.0.0.0"
        if found.count(":") > _COLONS:
            return False  # a hash
        found = found.strip(".")
        parts = found, found.partition(":")[2], found.rpartition(".")[2]
        return any(map(self._is_foreign_ipv6, parts))

    def _is_foreign_ipv6(self, found: str) -> bool:
        try:
            address = ip_address(found)
        except ValueError:
            return False  # a time of day
        return not address.is_unspecified and str(address) not in self._own
