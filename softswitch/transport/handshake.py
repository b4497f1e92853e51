"""What the opening handshake of a WebSocket has to say (RFC 6455 4.2, RFC 7118 4). Pure.

That it is one at all, and its keys, are the library's matter; what it is for is looked at here.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

import attrs

#: The sub-protocol (RFC 7118 4.1).
SUB_PROTOCOL = "sip"

_PORTS = {"http": 80, "https": 443}


@attrs.frozen
class WebSocketSettings:
    """How a listener serves WebSockets.

    :ivar path: for which it is asked.
    :ivar origins: of the pages that may connect, as ``canonical_origin`` writes them; empty for
        all of them.
    :ivar ping_seconds: of silence after which a phone is pinged; 0 for never.
    :ivar pong_seconds: within which it must have answered that.
    :ivar handshake_seconds: within which a WebSocket must have been opened.
    :ivar webrtc: whether a phone on it is taken for one in a page, whose media are WebRTC.
    """

    path: str = "/"
    origins: tuple[str, ...] = ()
    ping_seconds: float = 25.0
    pong_seconds: float = 10.0
    handshake_seconds: float = 5.0
    webrtc: bool = False


def canonical_origin(text: str) -> str:
    """One spelling for each origin of a page (RFC 6454 6): ``https://phone.example.org:443``.

    :raises ValueError: it is none.
    """
    if text == "null":
        return text
    origin = urlsplit(text)
    if not origin.scheme or not origin.hostname or origin.path or origin.query or origin.fragment:
        raise ValueError("no origin")
    port = origin.port or _PORTS.get(origin.scheme)
    host = f"[{origin.hostname}]" if ":" in origin.hostname else origin.hostname
    return f"{origin.scheme}://{host}" if port is None else f"{origin.scheme}://{host}:{port}"


def refusal(
    settings: WebSocketSettings, path: str, protocols: Sequence[str], origin: str
) -> tuple[int, str] | None:
    """With what an opening handshake is refused; None where it is not.

    :param protocols: that the phone offers.
    :param origin: of the page that connects; "" from a phone that is no browser, which is not
        asked for one (RFC 6455 10.2).
    :returns: HTTP status and reason phrase.
    """
    if path != settings.path:
        return 404, "Not Found"
    if SUB_PROTOCOL not in protocols:
        return 400, "Sub-protocol sip wanted"
    if origin and settings.origins and not _is_among(origin, settings.origins):
        return 403, "Origin not allowed"
    return None


def _is_among(origin: str, allowed: Sequence[str]) -> bool:
    try:
        return canonical_origin(origin) in allowed
    except ValueError:
        return False
