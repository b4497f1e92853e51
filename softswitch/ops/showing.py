"""The certificates that are in force, and a word in the log before one of them is not."""

from typing import Any, Final

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from softswitch.ops.certificates import expiring
from softswitch.transport.certificates import Certificates

log = Logger()

#: Seconds between two looks at when they expire.
LOOK_SECONDS: Final = 12 * 3600.0


class Showing:
    """What listeners show from now on, and whom we believe.

    :ivar certificates: those in force; connections that stand have been made with older ones.
    """

    def __init__(self, certificates: Certificates, reactor: Any) -> None:
        self.certificates = certificates
        self._looking = LoopingCall(self.look)
        self._looking.clock = reactor

    def now(self) -> Certificates:
        """Those in force."""
        return self.certificates

    def take(self, certificates: Certificates) -> None:
        """From now on these are in force."""
        self.certificates = certificates
        self.look()

    def start(self) -> None:
        """Look now and then; without certificates there is nothing to look at."""
        self._looking.start(LOOK_SECONDS, now=True)

    def stop(self) -> None:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()

    def look(self) -> None:
        """Say which are about to expire."""
        for each in expiring(self.certificates):
            say = log.error if each.over else log.warn
            say("certificate {expiry}: renew it, then `softswitch reload`", expiry=str(each))
