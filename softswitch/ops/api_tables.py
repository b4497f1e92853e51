"""The table of the configuration that says how the API is reached: ``[api]``. Pure."""

from collections.abc import Iterator
from datetime import date, datetime, time
from ipaddress import ip_address
from typing import Annotated, Any

import attrs

from softswitch.api.gate import ApiSettings
from softswitch.api.tokens import HASH, Role, Token
from softswitch.ops.values import Address, FieldText, HostPort, Port
from softswitch.settings import shown

#: The hash of a token, as ``softswitch token`` writes it.
TokenHash = Annotated[str, "TokenHash"]

#: A day or a moment.
Moment = Annotated[float, "Moment"]


@attrs.frozen
class TokenTable:
    """``[[api.tokens]]``: somebody who may call the API.

    :ivar name: whose it is, for the audit.
    :ivar role: what it allows.
    :ivar hash: that ``softswitch token`` has written; never the token itself.
    :ivar expires: when it is good no more; None for never.
    """

    name: FieldText
    role: Role
    hash: TokenHash = attrs.field(repr=False)
    expires: Moment | None = None


@attrs.frozen
class ApiTable:
    """``[api]``: the HTTP API; commands on this machine use a socket in the state directory.

    :ivar unix: whether there is that socket.
    :ivar bind: address at which it is served over TCP.
    :ivar port: of it; None to serve none.
    :ivar trust_loopback: whether who calls from this machine needs no token.
    :ivar certificate: PEM file of what is shown over TLS; "" for no TLS.
    :ivar key: that belongs to it, without a password.
    :ivar chain: more of the chain; "" for none.
    :ivar audit: file of what was done, JSON lines, seen from the state directory.
    :ivar tokens: who may call.
    """

    unix: bool = True
    bind: Address = "127.0.0.1"
    port: Port | None = None
    trust_loopback: bool = False
    certificate: str = ""
    key: str = ""
    chain: str = ""
    audit: str = "audit.jsonl"
    tokens: tuple[TokenTable, ...] = ()

    def settings(self) -> ApiSettings:
        """Who may call."""
        tokens = (Token(each.name, each.role, each.hash, each.expires) for each in self.tokens)
        return ApiSettings(tuple(tokens), self.trust_loopback)

    @property
    def where(self) -> str:
        """What it is called by, for people."""
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://{HostPort(self.bind, self.port)}/"

    @property
    def is_for_this_machine(self) -> bool:
        """Whether nobody else can reach it."""
        return ip_address(self.bind).is_loopback


def contradictions(api: ApiTable) -> Iterator[tuple[str, str]]:
    """Key path, and what would be right."""
    if bool(api.certificate) != bool(api.key):
        yield "api", "certificate and key go together"
    if api.chain and not api.certificate:
        yield "api.chain", "it belongs to a certificate, which is wanted, too"
    if api.trust_loopback and not api.is_for_this_machine:
        yield (
            "api.trust_loopback",
            'it goes with bind = "127.0.0.1": who is on this machine cannot else be told from '
            "whoever comes through a proxy on it",
        )
    first: dict[str, int] = {}
    for index, token in enumerate(api.tokens):
        for value, key in ((token.name, "name"), (token.hash, "hash")):
            if first.setdefault(value, index) != index:
                yield f"api.tokens[{index}].{key}", f"it is that of api.tokens[{first[value]}]"


def warnings(api: ApiTable, now: float) -> Iterator[str]:
    """What is allowed but unwise, a sentence each.

    :param now: Unix seconds.
    """
    if api.port is None:
        return
    if not api.is_for_this_machine:
        crypt = "" if api.certificate else ", and they cross the network in the clear"
        yield f"api.bind: {api.where} can be reached from elsewhere: tokens are asked for{crypt}"
    if not api.tokens and not api.trust_loopback:
        yield "api.tokens: without one nobody can use the port; `softswitch token` makes one"
    for index, token in enumerate(api.tokens):
        if token.expires is not None and token.expires <= now:
            yield f"api.tokens[{index}]: the token of {token.name} has expired"


def read_token_hash(value: object) -> TokenHash:
    """``"sha256:"`` and 64 hexadecimal digits."""
    if not isinstance(value, str) or not HASH.fullmatch(value):
        raise ValueError("a hash that `softswitch token NAME` writes is wanted")
    return value


def read_moment(value: Any) -> Moment:
    """A date or a date and time of TOML, which is this machine's where it names no zone; a date is
    good to its end."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, date):
        return datetime.combine(value, time.max).timestamp()
    raise ValueError(f"a date such as 2027-12-31, without quotes, is wanted, not {shown(value)}")


#: type of a field -> what reads it.
HOOKS = {TokenHash: read_token_hash, Moment: read_moment}
