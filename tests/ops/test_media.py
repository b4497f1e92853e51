"""The media engine that a configuration describes."""

import socket
from itertools import pairwise
from pathlib import Path

import attrs
import pytest
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher

from softswitch.errors import ConfigError
from softswitch.media.shapes import RTP
from softswitch.ops.config import Config
from softswitch.ops.media import media_engine, mended, shares
from softswitch.ops.tables import MediaTable
from softswitch.ops.values import PortRange
from softswitch.wheel import Wheel


@pytest.mark.parametrize("number", [1, 2, 3, 7])
@pytest.mark.parametrize("ports", [PortRange(16384, 32767), PortRange(20001, 20100)])
def test_shares_of_a_range(ports, number):
    """They do not overlap, begin with an even port, leave out at most a pair's half at each end,
    and differ by a pair at most."""
    parts = shares(ports, number)
    assert len(parts) == number
    assert all(part.low % 2 == 0 and part.high % 2 == 1 for part in parts)
    assert ports.low <= parts[0].low <= ports.low + 1
    assert ports.high - 1 <= parts[-1].high <= ports.high
    for one, other in pairwise(parts):
        assert other.low == one.high + 1
    sizes = {part.high - part.low for part in parts}
    assert max(sizes) - min(sizes) <= 2


def test_bypass():
    """No engine at all."""
    config = Config(media=MediaTable(engine="bypass"))
    assert media_engine(config, Wheel(Clock()), Clock()) is None


def test_what_was_mended_is_logged():
    """Once a leg: the call, the leg, all that was wrong."""
    events = []
    globalLogPublisher.addObserver(events.append)
    try:
        mended("call7", "b1", ["a=X-nat", "c="])
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [formatEvent(event) for event in events] == [
        "call call7: wrong in session descriptions for leg b1: a=X-nat, c="
    ]
    assert (events[0]["call_id"], events[0]["leg"]) == ("call7", "b1")


def test_a_state_directory_whose_path_is_too_long():
    """A unix socket would not fit; the error says what to do."""
    config = attrs.evolve(Config(), file="my.toml", directory=Path("/" + "x" * 120))
    with pytest.raises(ConfigError, match=r"my.toml: switch.state_directory: too long a path"):
        media_engine(config, Wheel(Clock()), Clock())


def test_packets_bear_the_mark_of_the_configuration(tmp_path, monkeypatch):
    """That of voice unless it says another (RFC 4594): within the switch, or in a process."""
    for media, mark in ((MediaTable(), 46), (MediaTable(dscp=0), 0)):
        config = attrs.evolve(Config(), media=media, directory=tmp_path)
        with monkeypatch.context() as patched:
            patched.setattr("softswitch.ops.media.RelayFarm", lambda folder, settings, *_: settings)
            (settings,) = media_engine(config, Wheel(Clock()), Clock())
        assert settings.dscp == mark
        config = attrs.evolve(config, media=attrs.evolve(media, processes=0))
        reactor = EPollReactor()
        relay = media_engine(config, Wheel(reactor), reactor)
        channel = relay.path.open("127.55.3.1", 0, RTP)
        assert channel.socket.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == mark << 2
        relay.stop()
