"""What a relay knows of one session: each leg's ports, what holds for it, what is being offered."""

from collections.abc import Mapping

import attrs

from softswitch.media.channel import Channel
from softswitch.media.lines import Line, Lines
from softswitch.media.reception import Format
from softswitch.plugin.media import MediaNetwork


@attrs.frozen
class Agreement:
    """What holds for a leg.

    :ivar partner: the leg with which it was agreed.
    """

    partner: str
    lines: Lines


@attrs.define
class Fork:
    """An offer and what follows from it.

    :ivar lines: the offerer's.
    :ivar before: what held for both legs before the first answer; None until it came.
    """

    lines: Lines
    before: dict[str, Agreement | None] | None = None


@attrs.frozen
class Stream:
    """A pair of ports that faces one leg."""

    rtp: Channel
    rtcp: Channel

    def signal(self, line: Line, now: float, home: str) -> None:
        """Take over what the leg said last; ``home`` is where its signalling comes from."""
        self.expect(line, line.formats)
        self.rtp.signal(line.rtp, now, home)
        self.rtcp.signal(line.rtcp, now, home)

    def expect(self, line: Line, formats: Mapping[int, Format]) -> None:
        """Know what the leg's packets will look like.

        :param formats: what their payload types mean.
        """
        self.rtp.expect(line.shapes[0], line.muxes)
        self.rtcp.expect(line.shapes[1])
        if line.muxes:
            formats = {kind: form for kind, form in formats.items() if not 64 <= kind < 96}
        self.rtp.reception.understand(formats, readable=line.shapes[0].readable)

    def join(self, other: "Stream") -> None:
        """Carry packets both ways."""
        self.rtp.join(other.rtp)
        self.rtcp.join(other.rtcp)

    def hear(self, other: "Stream") -> None:
        """Carry packets that come from ``other``'s leg before it has answered (RFC 3264 5.1)."""
        for one, early in ((self.rtp, other.rtp), (self.rtcp, other.rtcp)):
            if early.twin is None:
                early.lead(one)


@attrs.define
class Side:
    """One leg's ports, by ``m=`` line.

    :ivar home: the host from which the leg's signalling comes; "" before it was heard.
    """

    network: MediaNetwork
    home: str = ""
    streams: dict[int, Stream] = attrs.Factory(dict)


@attrs.define
class RelaySession:
    """One call's media.

    :ivar sides: by leg.
    :ivar agreed: by leg.
    :ivar forks: by (offerer, answerer); the last offer each way, answered or not.
    """

    sides: dict[str, Side] = attrs.Factory(dict)
    agreed: dict[str, Agreement] = attrs.Factory(dict)
    forks: dict[tuple[str, str], Fork] = attrs.Factory(dict)

    def agree(self, leg: str, agreement: Agreement, now: float) -> None:
        """Let an agreement hold for a leg, and its packets flow to and from its partner."""
        self.agreed[leg] = agreement
        side, partner = self.sides[leg], self.sides[agreement.partner]
        for index, stream in side.streams.items():
            line = agreement.lines[index] if index < len(agreement.lines) else None
            if line is not None:
                stream.signal(line, now, side.home)
                if index in partner.streams:
                    stream.join(partner.streams[index])

    def understand(self, leg: str) -> None:
        """Know what the leg's payload types mean: it uses those of its partner's SDP, or of its own
        where it does as it pleases (RFC 3264 5.1)."""
        agreement = self.agreed[leg]
        partner = self.agreed.get(agreement.partner)
        for index, line in enumerate(agreement.lines):
            if line is not None and index in self.sides[leg].streams:
                told = partner.lines[index] if partner and index < len(partner.lines) else None
                formats = {**line.formats, **(told.formats if told else {})}
                self.sides[leg].streams[index].expect(line, formats)

    def fall_back(self, leg: str, agreement: Agreement, now: float) -> None:
        """Let an older agreement hold again, unless its partner has gone."""
        if agreement.partner in self.sides:
            self.agree(leg, agreement, now)
            self.understand(leg)

    def begin(self, now: float) -> None:
        """Both sides talk from now on."""
        for side in self.sides.values():
            for stream in side.streams.values():
                stream.rtp.latch.begin(now)

    def own_addresses(self) -> set[tuple[str, int]]:
        """Where its own ports are, and are said to be."""
        return {
            (host, channel.port)
            for side in self.sides.values()
            for stream in side.streams.values()
            for channel in (stream.rtp, stream.rtcp)
            for host in (side.network.bind, side.network.advertise)
        }

    def needed(self, leg: str) -> set[int]:
        """The ``m=`` lines for which a leg needs ports: agreed, or in an open offer."""
        open_ = [f.lines for pair, f in self.forks.items() if leg in pair and f.before is None]
        agreed = [self.agreed[leg].lines] if leg in self.agreed else []
        return {at for lines in (*open_, *agreed) for at, line in enumerate(lines) if line}
