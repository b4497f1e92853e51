"""How many messages have come and gone, by transport and by how they begin. Pure.

Counted where every one passes, before anybody has read it: its first three letters tell the method.
"""

from collections.abc import Iterator
from typing import Final

from softswitch.sip.names import METHODS

#: How a message begins -> what it is: a method, or "response".
KINDS: Final = {**{name[:3].encode(): name for name in METHODS}, b"SIP": "response"}

#: What has no other kind: unknown methods, and what is no SIP at all.
OTHER: Final = b""

#: By transport and kind, how many.
Tally = dict[str, dict[bytes, int]]


def new_tally() -> Tally:
    """None of any kind yet."""
    return {
        transport: dict.fromkeys((*KINDS, OTHER), 0)
        for transport in ("UDP", "TCP", "TLS", "WS", "WSS")
    }


def counts(tally: Tally) -> Iterator[tuple[str, str, int]]:
    """What has been counted: transport, kind ("other" for ``OTHER``) and how many; no zeros."""
    for transport, found in tally.items():
        for kind, number in found.items():
            if number:
                yield transport, KINDS.get(kind, "other"), number
