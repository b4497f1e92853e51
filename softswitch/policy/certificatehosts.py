"""Where certificates of signers may be fetched: addresses are read strictly. Pure.

An Identity field is anybody's; the address in it is what he wants this machine to connect to. So it
is no URL of a general kind that is asked for here, but one of a single form: ``https``, a host that
the operator allows, as it stands in his list, with its port, and a path of plain characters.
Whatever two readers could take for different places is refused: user names, backslashes, escapes in
the host, other digits and dots, other spellings of addresses. What is asked for is composed anew.
"""

import re
from collections.abc import Iterable
from typing import Final

import attrs

#: Characters of an address.
LONGEST: Final = 512
#: Where no port is named.
USUAL_PORT: Final = 443


@attrs.frozen
class Place:
    """Where a certificate is.

    :ivar host: as the operator has written it, without brackets.
    :ivar path: with its query.
    """

    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """Composed anew; the same for every spelling that leads here."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}{self.path}"

    def redirected(self, location: str) -> "Place | None":
        """Where the host sends us on: to itself alone; None for elsewhere."""
        if _PATH.fullmatch(location) and len(location) <= LONGEST:
            return attrs.evolve(self, path=location)
        found = place(location)
        if found is None or (found.host, found.port) != (self.host, self.port):
            return None
        return found


class CertificateHosts:
    """The hosts that may be asked.

    :param hosts: name or address literal, lower case, and port.
    """

    def __init__(self, hosts: Iterable[tuple[str, int]]) -> None:
        self._hosts = frozenset(hosts)

    def place(self, url: str) -> Place | None:
        """Where a certificate may be fetched; None where nobody is to be asked."""
        found = place(url)
        return found if found is not None and (found.host, found.port) in self._hosts else None


def place(url: str) -> Place | None:
    """The place of an address that is of the one form; None for others."""
    if len(url) > LONGEST:
        return None
    match = _URL.fullmatch(url)
    if match is None:
        return None
    host, port = match["host"].lower().strip("[]"), int(match["port"] or USUAL_PORT)
    return Place(host, port, match["path"] or "/") if 0 < port < 65536 else None


_SEGMENTS: Final = (
    r"/(?!/)(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"
    r"(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
)
_PATH: Final = re.compile(_SEGMENTS)
_LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_URL: Final = re.compile(
    rf"[Hh][Tt][Tt][Pp][Ss]://(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])"
    rf"(?::(?P<port>[0-9]{{1,5}}))?(?P<path>{_SEGMENTS})?"
)
