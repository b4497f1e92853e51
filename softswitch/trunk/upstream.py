"""How a trunk wants us to register at it: the settings, and what comes of them. Pure."""

import hmac
from typing import Literal

import attrs

from softswitch.flow import Flow
from softswitch.sip.fields import NameAddr
from softswitch.sip.uri import Uri

#: URI parameter of our Contact that holds the token where the user part is the operator's.
LINE = "line"


@attrs.frozen
class Upstream:
    """``[trunks.NAME.register]``, with what it leaves out filled in.

    :ivar registrars: ``host`` or ``host:port``, IPv6 in brackets; asked in this order.
    :ivar aor: the address of record that is registered, a SIP URI; its host is the Request-URI
        (RFC 3261 10.2).
    :ivar which: "first" registers at the first registrar that accepts, "all" at each of them.
    :ivar contact_user: user part of our Contact; "" for a token that nobody can guess.
    :ivar expires: seconds that we ask for.
    :ivar retry_seconds: base of the time between attempts (RFC 5626 4.5): after the first failure
        one to two times this, doubled by each further one.
    :ivar retry_max_seconds: the longest time between attempts.
    :ivar route: None where the registrars are asked themselves; else they stand for the trunk's
        outbound proxy, and these are Route field values of each REGISTER.
    """

    registrars: tuple[str, ...]
    aor: str
    which: Literal["first", "all"] = "first"
    contact_user: str = ""
    expires: int = 3600
    retry_seconds: float = 30.0
    retry_max_seconds: float = 1800.0
    route: tuple[str, ...] | None = None

    @property
    def groups(self) -> list[tuple[str, ...]]:
        """A registration each: the registrars at which it is tried, in order."""
        if self.which == "first":
            return [self.registrars]
        return [(registrar,) for registrar in self.registrars]

    @property
    def domain(self) -> str:
        """The Request-URI."""
        aor = Uri.parse(self.aor)
        return str(Uri("sip", host=aor.host, port=aor.port))

    def contact(self, token: str, host: str, port: int, transport: str) -> str:
        """Our Contact, a URI.

        :param host: ours as the registrar sees it, without brackets.
        """
        params: dict[str, str | None] = {}
        if transport != "UDP":
            params["transport"] = transport.lower()
        if self.contact_user:
            params[LINE] = token
        user = self.contact_user or token
        return str(Uri("sip", user=user, host=host, port=port, params=params))


@attrs.frozen
class Accepted:
    """Where we are registered now.

    :ivar registrar: as in the configuration.
    :ivar flow: on which it has accepted us.
    :ivar route: Route field values for the calls to it: its Service-Route (RFC 3608).
    """

    registrar: str
    flow: Flow
    route: tuple[str, ...] = ()


def new_token(secret: bytes, trunk: str, upstream: Upstream, registrars: tuple[str, ...]) -> str:
    """What our Contact is known by: the same as long as the secret, the trunk's name and the
    address of record are, and, where we register at all of them, the registrar; nobody else can
    compute it."""
    where = registrars[0] if upstream.which == "all" else ""
    text = f"{trunk}\n{upstream.aor}\n{where}"
    return hmac.digest(secret, text.encode("utf-8", "surrogateescape"), "sha256")[:16].hex()


def token_in(uri: Uri) -> str:
    """The token in a URI that may be a Contact of ours; any user part where it is none."""
    return uri.params.get(LINE) or uri.user or ""


def named(aor: str) -> str:
    """An address of record as From and To have it."""
    return str(NameAddr("", Uri.parse(aor)))
