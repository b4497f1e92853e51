"""What carries the media, as the configuration has it."""

from itertools import pairwise
from typing import Any

from twisted.logger import Logger

from softswitch.errors import ConfigError
from softswitch.media.farm import RelayFarm
from softswitch.media.process import RelaySettings
from softswitch.media.relay import RelayEngine
from softswitch.ops.config import Config
from softswitch.ops.values import PortRange
from softswitch.plugin.media import IMediaEngine
from softswitch.wheel import Wheel

log = Logger()

#: Bytes of the longest path that a unix socket can have.
LONGEST_PATH = 107


def media_engine(config: Config, wheel: Wheel, reactor: Any) -> IMediaEngine | None:
    """The engine that ``[media]`` describes; None for bypass.

    :raises ConfigError: it cannot be had.
    """
    media = config.media
    if media.engine == "bypass":
        return None
    if not media.processes:
        ports = media.ports.low, media.ports.high
        return RelayEngine(wheel, ports, media.quarantine_seconds, reactor=reactor)
    folder = config.state_directory.absolute()
    if len(bytes(folder / "relay00.sock")) > LONGEST_PATH:
        where = f"{config.file}: switch.state_directory"
        raise ConfigError(where, "too long a path for a unix socket: choose a shorter one")
    settings = [
        RelaySettings(ports.low, ports.high, media.quarantine_seconds, media.grace_seconds)
        for ports in shares(media.ports, media.processes)
    ]
    return RelayFarm(folder, settings, reactor, wheel, _leaked)


def shares(ports: PortRange, number: int) -> list[PortRange]:
    """A range of ports in so many parts, each of which begins with an even port."""
    first = ports.low + ports.low % 2
    pairs = (ports.high + 1 - first) // 2
    edges = [first + 2 * (pairs * part // number) for part in range(number + 1)]
    return [PortRange(low, high - 1) for low, high in pairwise(edges)]


def _leaked(session: str, leg: str) -> None:
    log.error("call {session} leaked: media ports of {leg}", session=session, leg=leg or "all legs")
