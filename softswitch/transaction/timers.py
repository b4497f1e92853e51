"""The timers of RFC 3261 table 4, and RFC 6026's L and M, in seconds. Pure.

Timer C is not here: how long a target may ring is the hunt's to say.
"""

from typing import Final

import attrs


@attrs.frozen
class Timers:
    """How long everything waits; the defaults are the RFC's.

    :ivar t1: estimate of the round trip; nearly all else scales with it.
    :ivar t2: longest interval between retransmissions but those of an INVITE.
    :ivar t4: longest time that a message stays in the network.
    :ivar trying: silence of the user after which an INVITE is answered with 100 (17.2.1).
    :ivar patience: timers B, F, H, L and M, and the wait for an answer after a CANCEL: 64*T1.
    """

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    trying: float = 0.2
    patience: float = attrs.field(
        init=False, default=attrs.Factory(lambda timers: 64 * timers.t1, takes_self=True)
    )

    def d(self, reliable: bool) -> float:
        """Timer D: how long a refused INVITE's final response may come again.

        At least 32 s whatever T1 is, since the peer's T1 is not known (17.1.1.2).
        """
        return 0.0 if reliable else max(32.0, 64 * self.t1)

    def i(self, reliable: bool) -> float:
        """Timer I: how long a refused INVITE's ACK may come again."""
        return 0.0 if reliable else self.t4

    def j(self, reliable: bool) -> float:
        """Timer J: how long an answered request other than INVITE may come again."""
        return 0.0 if reliable else 64 * self.t1

    def k(self, reliable: bool) -> float:
        """Timer K: how long the final response of such a request may come again."""
        return 0.0 if reliable else self.t4


#: The RFC's own values.
RFC_3261: Final = Timers()
