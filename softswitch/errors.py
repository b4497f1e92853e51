"""Every exception of the switch, by whose fault it is. Pure.

::

    SoftswitchError
    ├── PeerError               what the other side sent
    │   ├── SipSyntaxError        a SIP message, header field or URI
    │   ├── SdpSyntaxError        a session description
    │   └── IdentityError         what is signed about who calls
    ├── StateError              ours: a call that the present state does not allow
    ├── TransportError          the world: no route, no connection, a full buffer
    ├── MediaError              the world: no ports left, an engine that is silent
    ├── PolicyError             a plug-in that raised, was late or answered rubbish
    └── ConfigError             the operator's: says file, key and what would be right
"""

from typing import Final

#: Warn-codes of what is wrong with a session description (RFC 3261 20.43).
INCOMPATIBLE_ADDRESS: Final = 301
INCOMPATIBLE_TRANSPORT: Final = 302
NO_SUCH_MEDIA: Final = 304
NO_SUCH_FORMAT: Final = 305
NOT_UNDERSTOOD: Final = 307
NO_MULTICAST: Final = 330


class SoftswitchError(Exception):
    """The root: anything that this package raises on purpose."""


class PeerError(SoftswitchError):
    """The peer sent something that cannot be used.

    :ivar status: SIP status code that answers it.
    :ivar reason: reason phrase for that answer; names what is wrong, never quotes the peer.
    """

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class SipSyntaxError(PeerError):
    """A SIP message, header field or URI that does not follow RFC 3261 section 25.

    :ivar header: name of the header field at fault, or "" for the start line or the whole.
    """

    def __init__(self, reason: str, status: int = 400, header: str = "") -> None:
        super().__init__(reason, status)
        self.header = header


class SdpSyntaxError(PeerError):
    """A session description that cannot be read (RFC 8866); answered with 488 by default.

    :ivar warning: the warn-code that says what was wrong with it (RFC 3261 20.43).
    """

    def __init__(self, reason: str, status: int = 488, warning: int = NOT_UNDERSTOOD) -> None:
        super().__init__(reason, status)
        self.warning = warning


class IdentityError(PeerError):
    """What was signed about who calls cannot be read or does not hold; the status is that of
    RFC 8224 6.2.2."""


class StateError(SoftswitchError):
    """Our own code asked for something that the present state does not allow."""


class TransportError(SoftswitchError):
    """A message could not be sent: no listener fits, the connection is gone, a buffer is full."""


class MediaError(SoftswitchError):
    """The media engine cannot serve: ports are exhausted or it does not answer.

    :ivar status: SIP status code that tells the peer, 503 unless said otherwise.
    """

    def __init__(self, reason: str, status: int = 503) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class PolicyError(SoftswitchError):
    """A plug-in raised, was late or answered something that is no decision.

    One that raises it itself knows what is wrong: the log has its reason, and no stack.

    :ivar policy: the name under which the configuration uses it.
    :ivar reason: what was wrong.
    """

    def __init__(self, policy: str, reason: str) -> None:
        super().__init__(f"policy {policy!r}: {reason}")
        self.policy = policy
        self.reason = reason


class ConfigError(SoftswitchError):
    """A mistake in the configuration, told in one line.

    :ivar where: file and key path, as ``etc/softswitch.toml: listen[0].port``.
    :ivar mend: what would be right.
    """

    def __init__(self, where: str, mend: str) -> None:
        super().__init__(f"{where}: {mend}")
        self.where = where
        self.mend = mend
