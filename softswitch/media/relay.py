"""The built-in relay: a media engine that carries RTP and RTCP between two legs (RFC 3550, 3264).

Each leg of a session has a pair of ports per ``m=`` line, which lasts as long as a leg's
agreement, or an offer that is still open, needs it. Offers work on a fork: what is agreed, and
where packets go, changes with the answer, and a withdrawn offer leaves nothing behind. Leg
names are the asker's: a caller may be offered to several callees of one session, and hears the
one whose answer came last.

What is not carried by UDP (``TCP/MSRP`` and its kin) is refused: its ``m=`` line gets port 0. A
host name, a multicast group, or an address of the other IP version in an SDP gets 488, since a
call without audio would be the alternative.
"""

import errno
import random
from collections.abc import Callable, Collection, Iterable, Iterator

import attrs
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.media.lines import Lines, formats_of, lines_of
from softswitch.media.path import Counters, PacketPath, counters_of
from softswitch.media.ports import PortPool
from softswitch.media.shapes import DATAGRAM
from softswitch.media.streams import Agreement, Fork, RelaySession, Side, Stream
from softswitch.plugin.media import IMediaEngine, MediaAnswer, MediaQuestion, Tell
from softswitch.sdp.muxing import muxed
from softswitch.sdp.rewrite import point_at, renumbering
from softswitch.sdp.session import SessionDescription
from softswitch.wheel import Clock

#: Pairs tried when another process holds ports of the range.
TRIES = 64


@implementer(IMediaEngine)
class RelayEngine:
    """The built-in relay; answers at once.

    :ivar path: the packets' way; with a reactor it serves itself.
    :param ports: first and last port of the range, on each local address.
    :param quarantine: seconds before a port is used again.
    :param seed: of the order in which ports are used, for tests; else nobody can guess it.
    :param reactor: is told of the path; without one, call ``path.serve()`` when it is readable.
    :param path: None for one with sockets.
    :param gathers: whether the reactor has nothing else to do, so that packets may gather a little.
    :param dscp: mark of its packets (RFC 2474), 0 to 63.
    """

    def __init__(
        self,
        clock: Clock,
        ports: tuple[int, int],
        quarantine: float = 10.0,
        seed: int | None = None,
        reactor: IReactorFDSet | None = None,
        path: PacketPath | None = None,
        *,
        gathers: bool = False,
        dscp: int = 0,
    ) -> None:
        self.path = PacketPath(clock.seconds, dscp) if path is None else path
        self._ports = ports
        self._quarantine = quarantine
        self._chance = random.SystemRandom() if seed is None else random.Random(seed)
        self._seconds = clock.seconds
        self._monotonic = clock.monotonic
        self._pools: dict[str, PortPool] = {}
        self._sessions: dict[str, RelaySession] = {}
        self._reactor = reactor
        serve = self.path.serve_and_gather if gathers else self.path.serve
        self._reader = PathReader(self.path.fileno(), serve)
        if reactor is not None:
            reactor.addReader(self._reader)

    def ask(self, question: MediaQuestion, tell: Tell) -> None:
        """Take one step of a negotiation and tell its outcome before returning."""
        step = {"offer": self._offer, "answer": self._answer, "withdraw": self._withdraw}
        try:
            sdp = step[question.kind](question)
        except (MediaError, SdpSyntaxError) as error:
            tell(MediaAnswer(question.token, error=error))
        else:
            renumbers = question.kind == "answer" and self._renumber(question)
            tell(MediaAnswer(question.token, sdp, renumbers=renumbers))

    def release(self, session: str) -> None:
        """Close all of a session's ports."""
        known = self._sessions.pop(session, None)
        if known is not None:
            for side in known.sides.values():
                self._close(side, list(side.streams))

    def drop(self, session: str, leg: str) -> None:
        """Close a leg's ports; an early answer of it gives way to what held before."""
        known = self._sessions.get(session)
        if known is None:
            return
        for pair, fork in list(known.forks.items()):
            if leg in pair:
                del known.forks[pair]
                other = pair[0] if pair[1] == leg else pair[1]
                before = (fork.before or {}).get(other)
                held = known.agreed.get(other)
                if before is not None and held is not None and held.partner == leg:
                    known.fall_back(other, before, self._seconds())
        known.agreed.pop(leg, None)
        self._trim(session, known)

    @property
    def sessions(self) -> Collection[str]:
        """Names of the sessions that there are."""
        return self._sessions.keys()

    def ports_by_leg(self, session: str) -> dict[str, int]:
        """How many ports each leg of a session has open."""
        known = self._sessions.get(session)
        sides = known.sides.items() if known else ()
        return {name: 2 * len(side.streams) for name, side in sides}

    def ports_in_use(self, session: str, leg: str = "") -> int:
        """How many ports the session, or a leg of it, has open."""
        legs = self.ports_by_leg(session)
        return legs.get(leg, 0) if leg else sum(legs.values())

    def stop(self) -> None:
        """Close every port, and leave the reactor."""
        for session in list(self._sessions):
            self.release(session)
        if self._reactor is not None:
            self._reactor.removeReader(self._reader)
        self.path.stop()

    def begin(self, session: str) -> None:
        """Both sides talk from now on: a source may be found that was silent until then."""
        known = self._sessions.get(session)
        if known is not None:
            known.begin(self._seconds())

    def counters(self, session: str) -> list[Counters]:
        """What each port of a session has seen; empty once it is released."""
        return list(self._count(session))

    def _offer(self, question: MediaQuestion) -> bytes:
        document = SessionDescription.parse(question.sdp)
        session = self._sessions.setdefault(question.session, RelaySession())
        offerer, answerer = question.from_leg, question.to_leg
        try:
            near = session.sides.setdefault(offerer, Side(question.near))
            far = session.sides.setdefault(answerer, Side(question.far))
            near.home = question.source
            lines = lines_of(document, near.network.bind, session.own_addresses())
            for index, line in enumerate(lines):
                for side in (near, far):
                    if line is not None and index not in side.streams:
                        side.streams[index] = self._open(side.network.bind)
            session.forks.pop((answerer, offerer), None)
            session.forks[offerer, answerer] = Fork(lines)
        finally:
            self._trim(question.session, session)
        if offerer not in session.agreed:
            for index, line in enumerate(lines):
                if line is not None:
                    near.streams[index].signal(line, self._seconds(), near.home)
                    near.streams[index].hear(far.streams[index])
                    if answerer not in session.agreed:
                        far.streams[index].expect(line, line.formats)
        return _pointed(document, far, lines, lines)

    def _answer(self, question: MediaQuestion) -> bytes:
        offerer, answerer = question.to_leg, question.from_leg
        session = self._sessions.get(question.session)
        fork = session.forks.get((offerer, answerer)) if session else None
        if session is None or fork is None:
            raise MediaError("No offer is open that this could answer", 500)
        document = SessionDescription.parse(question.sdp)
        if len(document.media) != len(fork.lines):
            raise SdpSyntaxError("Answer and offer differ in their number of m= lines")
        near, far = session.sides[answerer], session.sides[offerer]
        near.home = question.source
        said = lines_of(document, near.network.bind, session.own_addresses())
        # What was not offered cannot be agreed to (RFC 5761 5.1.1).
        agreed = [
            line and attrs.evolve(line, muxes=line.muxes and asked is not None and asked.muxes)
            for line, asked in zip(said, fork.lines, strict=True)
        ]
        both = [
            None not in pair and at in near.streams and at in far.streams
            for at, pair in enumerate(zip(fork.lines, said, strict=True))
        ]
        offered, answered = (
            tuple(line if used else None for line, used in zip(lines, both, strict=True))
            for lines in (fork.lines, agreed)
        )
        agreements = {
            offerer: Agreement(answerer, offered),
            answerer: Agreement(offerer, answered),
        }
        repeated = fork.before is not None
        if fork.before is None:
            fork.before = {leg: session.agreed.get(leg) for leg in agreements}
        for leg, agreement in agreements.items():
            if repeated and session.agreed.get(leg) == agreement:
                session.agreed[leg] = agreement
            else:
                session.agree(leg, agreement, self._seconds())
        for leg in agreements:
            session.understand(leg)
        self._trim(question.session, session)
        return _pointed(document, far, answered, offered)

    def _renumber(self, question: MediaQuestion) -> bool:
        """Change the payload numbers of a leg that holds to an older answer; of any other none."""
        changes = renumbering(question.held, question.sdp) if question.held else []
        session = self._sessions[question.session]
        side, lines = session.sides[question.to_leg], session.agreed[question.to_leg].lines
        for index, stream in side.streams.items():
            stream.rtp.renumbered = changes[index] if index < len(changes) else {}
            line = lines[index] if index < len(lines) else None
            if line is not None and index < len(changes):
                held = SessionDescription.parse(question.held).media[index]
                stream.expect(line, {**line.formats, **formats_of(held)})
        return bool(question.held)

    def _withdraw(self, question: MediaQuestion) -> bytes:
        """Forget an offer; one that had an early answer leaves what held before that.

        A caller that was told of its ports by the early answer keeps them: the next callee's
        media have to come from there.
        """
        offerer, answerer = question.from_leg, question.to_leg
        session = self._sessions.get(question.session)
        fork = session.forks.pop((offerer, answerer), None) if session else None
        if session is None or fork is None:
            return b""
        for leg, agreement in (fork.before or {}).items():
            if agreement is not None:
                session.fall_back(leg, agreement, self._seconds())
            elif leg == answerer:
                session.agreed.pop(leg, None)
        self._trim(question.session, session)
        return b""

    def _trim(self, name: str, session: RelaySession) -> None:
        """Close the ports that nothing needs any more, and forget who has none."""
        legs = {leg for pair in session.forks for leg in pair} | session.agreed.keys()
        for leg, side in list(session.sides.items()):
            self._close(side, side.streams.keys() - session.needed(leg))
            if leg not in legs:
                del session.sides[leg]
        if not session.sides:
            del self._sessions[name]

    def _open(self, host: str) -> Stream:
        """A pair of ports; one that another process holds is passed over.

        :raises MediaError: none can be had.
        """
        pool = self._pools.get(host)
        if pool is None:
            pool = PortPool(*self._ports, self._quarantine, self._monotonic, self._chance)
            self._pools[host] = pool
        for _ in range(TRIES):
            port = pool.take()
            rtp = None
            try:
                rtp = self.path.open(host, port, DATAGRAM)
                rtp.pair(rtcp := self.path.open(host, port + 1, DATAGRAM))
                return Stream(rtp, rtcp)
            except OSError as error:
                if rtp is not None:
                    self.path.close(rtp)
                pool.give_back(port)
                if error.errno != errno.EADDRINUSE:
                    raise MediaError(f"No media port on {host}: {error.strerror}") from error
        raise MediaError("Media ports are held by another process")

    def _close(self, side: Side, lines: Iterable[int]) -> None:
        for index in lines:
            stream = side.streams.pop(index)
            self.path.close(stream.rtp)
            self.path.close(stream.rtcp)
            self._pools[side.network.bind].give_back(stream.rtp.port)

    def _count(self, name: str) -> Iterator[Counters]:
        session = self._sessions.get(name)
        now = self._seconds()
        sides = session.sides if session else {}
        for side in sides.values():
            for stream in side.streams.values():
                stream.rtp.credit()
                stream.rtcp.credit()
        for leg, side in sides.items():
            for index, stream in sorted(side.streams.items()):
                for channel in (stream.rtp, stream.rtcp):
                    yield counters_of(channel, leg, index, now)


@implementer(IReadDescriptor)
class PathReader:
    """Shows the packets' way to Twisted's reactor: an epoll within the reactor's own."""

    def __init__(self, descriptor: int, serve: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self.doRead = serve

    def fileno(self) -> int:
        """The epoll's descriptor."""
        return self._descriptor

    def connectionLost(self, reason: Failure) -> None:
        """The reactor is stopping."""

    def logPrefix(self) -> str:
        """Our name in the log."""
        return "media relay"


def _pointed(document: SessionDescription, side: Side, lines: Lines, offer: Lines) -> bytes:
    """The SDP for the leg that ``side`` faces.

    :param offer: who has offered RTP and RTCP on one port: he gets it from us, whatever the other
        side wants, and what he has offered is offered on.
    """
    ports = [
        (side.streams[index].rtp.port, side.streams[index].rtcp.port) if line else None
        for index, line in enumerate(lines)
    ]
    led = point_at(document, side.network.advertise, ports)
    shared = {index for index, line in enumerate(offer) if line is not None and line.muxes}
    return (muxed(led, shared) if shared else led).encode()
