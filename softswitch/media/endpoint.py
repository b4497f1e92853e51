"""One leg's media as its signalling knows them: what was sent, what came, whose o= it is. Pure.

The switch owns the ``o=`` line on each leg. What the far leg calls its session is none of this
peer's business, and a transfer or a second callee must not look like another session.
"""

import secrets
from contextlib import suppress

import attrs

from softswitch.errors import SdpSyntaxError, StateError
from softswitch.sdp.guard import aligned, guarded, sections
from softswitch.sdp.places import Place
from softswitch.sdp.rewrite import address_type, opened, set_origin
from softswitch.sdp.session import Origin, SessionDescription

#: Things that are noted of what was wrong on one leg; a peer may think up more.
MOST_NOTED = 16


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
    :ivar padding: how many sections at the end of the offer last sent are there for the peer alone.
    :ivar mended: what the guard has found wrong with what was to be sent, each once.
    """

    session_id: int = 0
    version: int = 0
    sent: bytes = b""
    state: MediaState = attrs.Factory(MediaState)
    pending: MediaState | None = None
    padding: int = 0
    mended: list[str] = attrs.Factory(list)

    def outgoing(
        self, sdp: bytes, address: str, place: Place | None = None, *, answers: bool = False
    ) -> bytes:
        """Put our own ``o=`` on an SDP that is about to be sent, have the guard look at it, and
        remember it.

        The version stays when the SDP is the one last sent, else it goes up by one.

        :param address: our media address on this leg, a literal without brackets.
        :param place: where the media are; None for there.
        :param answers: whether it answers what the peer sent last, and has to agree with that
            (RFC 3264 6).
        :raises SdpSyntaxError: ``sdp`` cannot be read, or must not be sent.
        """
        session = self._signed(SessionDescription.parse(sdp), address)
        state = self._current()
        offer = SessionDescription.parse(state.remote) if answers else None
        before = b"" if answers else max(state.local, state.remote, key=sections)
        try:
            found = guarded(session, place or Place((address,)), offer, before)
        except SdpSyntaxError as error:
            self._note(f"refused: {error.reason}")
            raise
        self.padding = found.padding
        for text in found.mended:
            self._note(text)
        return self._remembered(found.session, address)

    def _signed(self, session: SessionDescription, address: str) -> SessionDescription:
        """With our own ``o=``, of the version last sent."""
        if not self.session_id:
            self.session_id, self.version = _numbers(self.sent)
        return set_origin(session, self._origin(address))

    def _origin(self, address: str) -> Origin:
        """Our own, of the version last sent."""
        numbers = str(self.session_id), str(self.version)
        return Origin("-", *numbers, "IN", address_type(address), address)

    def _remembered(self, session: SessionDescription, address: str) -> bytes:
        """What is sent, of the next version unless it was sent before."""
        sdp = session.encode()
        if sdp != self.sent:
            before = f"o={self._origin(address)}".encode()
            self.version += 1
            sdp = sdp.replace(before, f"o={self._origin(address)}".encode(), 1)
        self.sent = self._current().local = sdp
        return sdp

    def _note(self, text: str) -> None:
        """Note what was wrong with what was to be sent."""
        if text not in self.mended and len(self.mended) < MOST_NOTED:
            self.mended.append(text)

    def answered(self, sdp: bytes) -> bytes:
        """What the peer has answered, as whoever made the offer is to hear of it: with as many
        sections as that has.

        :raises SdpSyntaxError: it cannot be read, or takes what was not offered.
        """
        offer = self._current().local
        if not self.session_id or not (self.padding or sections(sdp) != sections(offer)):
            return sdp  # what has passed as the far peer wrote it is nobody's business either
        if not self.padding:
            self._note("its answer: the number of m= lines")
        return aligned(sdp, offer, self.padding)

    def passed(self, sdp: bytes) -> None:
        """Remember an SDP that is sent as the far peer wrote it, with that one's ``o=``."""
        self.sent = self._current().local = sdp

    def repeated(self, address: str) -> bytes:
        """What was agreed to, to be sent once more only to keep the session alive: the same bytes,
        unless an offer of ours was refused since, from which this one has to be told."""
        agreed = self.state.local or self.sent
        ours = self.session_id != 0
        if not ours or agreed == self.sent:
            return agreed
        return self._remembered(self._signed(SessionDescription.parse(agreed), address), address)

    def offered_anew(self) -> bytes:
        """What the peer said last, to be offered to somebody to whom it did not talk before: a hold
        was not meant for that one. Empty before the peer has said anything."""
        remote, local = self.state.remote, self.state.local
        if not (remote and local):
            return remote
        parse = SessionDescription.parse
        return opened(parse(remote), parse(local)).encode()

    def incoming(self, sdp: bytes) -> None:
        """Remember what the peer sent, which the media engine has read by then."""
        self._current().remote = sdp

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


def _numbers(sent: bytes) -> tuple[int, int]:
    """Session id and version to go on with: of what was sent as the far peer wrote it, or new ones
    where nothing was, or nothing that could be read."""
    if sent:
        with suppress(SdpSyntaxError):
            origin = SessionDescription.parse(sent).origin
            numbers = origin.session_id, origin.version
            if all(each.isascii() and each.isdigit() and len(each) < 20 for each in numbers):
                return int(numbers[0]), int(numbers[1])
    return secrets.randbelow(2**31 - 1) + 1, 0
