"""A media engine that is a farm of rtpengines, spoken to by its NG protocol. Pure.

A session is a call of one rtpengine, its legs are that call's tags; it stays there until that one
dies, and then goes to another with the next offer, from whichever side that comes. What is asked
about ports is answered from what rtpengine has said; that a leg or a session has kept none is
proved by its answer to "delete".

rtpengine changes a call with the offer already. So what was agreed is kept here, and told once more
when an offer is taken back.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from zope.interface import implementer

from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.media.instances import Instance, Instances
from softswitch.media.ng import LONGEST
from softswitch.media.ngsession import NgSession
from softswitch.plugin.media import IMediaEngine, MediaAnswer, MediaQuestion, Tell
from softswitch.wheel import Clock

#: Bytes of the longest SDP: it shares a datagram with the rest of the question.
LONGEST_SDP: Final = LONGEST - 4096


class Wire(Protocol):
    """The way to one rtpengine."""

    def open(self) -> None:
        """Make it."""

    def close(self) -> None:
        """Take it away."""


@implementer(IMediaEngine)
class RtpengineEngine:
    """Several rtpengines as one media engine.

    :ivar instances: they, and how they are.
    :ivar lost: told the names of sessions whose media are gone with their rtpengine.
    :param wait_seconds: within which a question is answered, whatever becomes of the instances.
    :param leaked: told of a session and a leg ("" for all) that an rtpengine would not let go.
    :param wires: what carries the datagrams, opened at the start and closed in the end.
    """

    def __init__(
        self,
        instances: Instances,
        clock: Clock,
        wait_seconds: float,
        leaked: Callable[[str, str], None],
        wires: Sequence[Wire] = (),
    ) -> None:
        self.instances = instances
        instances.lost = self._lost
        self.lost: Callable[[list[str]], None] = _nobody_cares
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._leaked = leaked
        self._wires = wires
        self._sessions: dict[str, NgSession] = {}
        # Other switches may use the same rtpengines, and this one before a restart.
        self._prefix = secrets.token_hex(4)

    def start(self) -> None:
        """Begin to ask the instances whether they are there."""
        for wire in self._wires:
            wire.open()
        self.instances.start()

    def ask(self, question: MediaQuestion, tell: Tell) -> None:
        """Have the session's rtpengine take the step; it answers later."""
        if len(question.sdp) > LONGEST_SDP:
            tell(MediaAnswer(question.token, error=SdpSyntaxError("SDP Too Long", 513)))
            return
        session = self._sessions.get(question.session)
        if session is None:
            if question.kind == "withdraw":
                tell(MediaAnswer(question.token))
                return
            if question.kind == "answer":
                error = MediaError("No offer is open that this could answer", 500)
                tell(MediaAnswer(question.token, error=error))
                return
            name = f"{self._prefix}-{question.session}"
            session = NgSession(name, question.session, self.instances, self._clock, self._leaked)
            self._sessions[question.session] = session
        session.ask(question, self._clock.seconds() + self._wait_seconds, tell)

    def drop(self, session: str, leg: str) -> None:
        """rtpengine is told; that it has kept nothing is seen when it answers."""
        known = self._sessions.get(session)
        if known is not None and not known.drop(leg):
            self.release(session)

    def release(self, session: str) -> None:
        """As above."""
        known = self._sessions.pop(session, None)
        if known is not None:
            known.close()

    def ports_in_use(self, session: str, leg: str = "") -> int:
        """As far as rtpengine has said so."""
        known = self._sessions.get(session)
        ports = known.ports if known is not None else {}
        return ports.get(leg, 0) if leg else sum(ports.values())

    def stop(self) -> None:
        """End all calls of ours, and ask nothing any more."""
        self._sessions.clear()
        self.instances.stop()
        for wire in self._wires:
            wire.close()

    def instance_of(self, session: str) -> Instance | None:
        """Where a session is; None for nowhere."""
        known = self._sessions.get(session)
        return None if known is None else known.instance

    def _lost(self, sessions: list[str]) -> None:
        """These have gone with an instance, or without it."""
        there = [name for name in sessions if name in self._sessions]
        for name in there:
            self._sessions[name].forget()
        if there:
            self.lost(there)


def _nobody_cares(sessions: list[str]) -> None:
    """Until somebody says that he wants to know."""
