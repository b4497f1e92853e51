"""One leg's media as its signalling knows them: what was sent, what came, whose o= it is. Pure.

The switch owns the ``o=`` line on each leg. What the far leg calls its session is none of this
peer's business, and a transfer or a second callee must not look like another session.
"""

import secrets

import attrs

from softswitch.errors import StateError
from softswitch.sdp.rewrite import (
    address_type,
    narrowed,
    opened,
    same_but_origin,
    set_origin,
)
from softswitch.sdp.session import Origin, SessionDescription


@attrs.define
class MediaState:
    """What the two sides of a leg have told each other.

    :ivar local: the SDP that we sent last; empty before the first.
    :ivar remote: the SDP that the peer sent last; empty before the first.
    """

    local: bytes = b""
    remote: bytes = b""


@attrs.define
class MediaEndpoint:
    """One leg's media; plain data.

    A negotiation works on a fork of the state that is swapped in when it succeeds. What is not
    forked is ``version`` and ``sent``: a refused offer has been seen by the peer, and the next
    one must be told from it (RFC 3264 8).

    :ivar session_id: ours in ``o=``, the same for the leg's whole life; 0 before the first SDP.
    :ivar version: the one last sent in ``o=``; 0 before the first.
    :ivar sent: the SDP last sent, refused or not.
    :ivar state: what is agreed.
    :ivar pending: what is being negotiated; None while nothing is.
    """

    session_id: int = 0
    version: int = 0
    sent: bytes = b""
    state: MediaState = attrs.Factory(MediaState)
    pending: MediaState | None = None

    def outgoing(self, sdp: bytes, address: str, *, answers: bool = False) -> bytes:
        """Put our own ``o=`` on an SDP that is about to be sent, and remember it.

        The version stays when the SDP is the one last sent, else it goes up by one.

        :param address: our media address on this leg, a literal without brackets.
        :param answers: whether it answers what the peer sent last, and may only do what that
            allows (RFC 3264 6.1).
        :raises SdpSyntaxError: ``sdp`` cannot be read.
        """
        session = SessionDescription.parse(sdp)
        if answers:
            session = narrowed(session, SessionDescription.parse(self._current().remote))
        if not self.session_id:
            self.session_id = secrets.randbelow(2**31 - 1) + 1
        origin = Origin(
            "-", str(self.session_id), str(self.version), "IN", address_type(address), address
        )
        session = set_origin(session, origin)
        if session.encode() != self.sent:
            self.version += 1
            session = set_origin(session, attrs.evolve(origin, version=str(self.version)))
        self.sent = session.encode()
        self._current().local = self.sent
        return self.sent

    def passed(self, sdp: bytes) -> None:
        """Remember an SDP that is sent as the far peer wrote it, with that one's ``o=``."""
        self.sent = self._current().local = sdp

    def repeated(self, address: str) -> bytes:
        """What was agreed to, to be sent once more only to keep the session alive: the same bytes,
        unless an offer of ours was refused since, from which this one has to be told."""
        agreed = self.state.local or self.sent
        ours = self.session_id != 0
        return self.outgoing(agreed, address) if ours and agreed != self.sent else agreed

    def offered_anew(self) -> bytes:
        """What the peer said last, to be offered to somebody to whom it did not talk before: a hold
        was not meant for that one. Empty before the peer has said anything."""
        remote, local = self.state.remote, self.state.local
        if not (remote and local):
            return remote
        parse = SessionDescription.parse
        return opened(parse(remote), parse(local)).encode()

    def incoming(self, sdp: bytes) -> bool:
        """Remember what the peer sent.

        :returns: whether it differs from what the peer sent before in more than its ``o=``.
        :raises SdpSyntaxError: ``sdp`` cannot be read.
        """
        session = SessionDescription.parse(sdp)
        state = self._current()
        before = state.remote
        state.remote = sdp
        return not (before and same_but_origin(session, SessionDescription.parse(before)))

    def fork(self) -> None:
        """Begin a negotiation: what is sent and received from here on is on trial.

        :raises StateError: one is under way.
        """
        if self.pending is not None:
            raise StateError("this leg's media are being negotiated")
        self.pending = attrs.evolve(self.state)

    def commit(self) -> None:
        """The negotiation succeeded: its state is the one that holds.

        :raises StateError: none is under way.
        """
        if self.pending is None:
            raise StateError("no negotiation of this leg's media is under way")
        self.state, self.pending = self.pending, None

    def roll_back(self) -> None:
        """The negotiation failed: what was agreed before still holds. Harmless without one."""
        self.pending = None

    def _current(self) -> MediaState:
        return self.state if self.pending is None else self.pending
