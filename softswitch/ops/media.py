"""What carries the media, as the configuration has it."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from twisted.logger import Logger

from softswitch.errors import ConfigError
from softswitch.media.farm import RelayFarm
from softswitch.media.process import RelaySettings, relay_of
from softswitch.ops.config import Config
from softswitch.ops.rtpengines import rtpengines
from softswitch.ops.values import PortRange
from softswitch.plugin.media import IMediaEngine, MediaNotice
from softswitch.plugin.record import CallRecord
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
    if media.engine == "rtpengine":
        return rtpengines(media, wheel, reactor, _leaked)
    folder = config.state_directory.absolute()
    recordings = folder / media.recordings if media.recordings else None
    if recordings is not None:
        _try_out(recordings, f"{config.file}: media.recordings")
    settings = [
        RelaySettings(
            ports.low,
            ports.high,
            media.quarantine_seconds,
            media.grace_seconds,
            media.timeout_seconds,
            media.held_timeout_seconds,
            media.dscp,
            str(recordings or ""),
        )
        for ports in shares(media.ports, max(1, media.processes))
    ]
    if not media.processes:
        return relay_of(settings[0], wheel, reactor, _warn)
    if len(bytes(folder / "relay00.sock")) > LONGEST_PATH:
        where = f"{config.file}: switch.state_directory"
        raise ConfigError(where, "too long a path for a unix socket: choose a shorter one")
    return RelayFarm(folder, settings, reactor, wheel, _leaked)


def _try_out(folder: Path, where: str) -> None:
    """See that recordings can be made in a folder; it is made where it is missing.

    :raises ConfigError: they cannot.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return
    except OSError as error:
        mend = f"a folder in which files can be made is needed here: {error.strerror}"
        raise ConfigError(where, mend) from error


def shares(ports: PortRange, number: int) -> list[PortRange]:
    """A range of ports in so many parts, each of which begins with an even port."""
    first = ports.low + ports.low % 2
    pairs = (ports.high + 1 - first) // 2
    edges = [first + 2 * (pairs * part // number) for part in range(number + 1)]
    return [PortRange(low, high - 1) for low, high in pairwise(edges)]


def mended(call_id: str, leg: str, what: Sequence[str]) -> None:
    """Log what was wrong with the session descriptions that a leg was to get, once a leg."""
    log.info(
        "call {call_id}: wrong in session descriptions for leg {leg}: {what}",
        call_id=call_id,
        leg=leg,
        what=", ".join(what),
    )


def noticed(notice: MediaNotice, record: CallRecord) -> None:
    """Log why somebody is not heard: each cause once a call."""
    silence = notice.silence
    call_ids = [each.call_id_b for each in record.attempts if each.leg == silence.leg]
    say = log.info if silence.cause == "held" else log.warn
    say(
        "call {call_id}: nothing is heard of {who}: {cause}: {detail}{ends}",
        call_id=record.id,
        leg=silence.leg,
        who="the caller" if silence.leg == "a" else "the callee",
        call_id_leg=(call_ids or [record.call_id_a])[0],
        cause=silence.cause,
        detail=silence.detail,
        ends="; the call ends" if notice.ends else "",
    )


def _warn(sentence: str) -> None:
    log.warn("the media relay: {sentence}", sentence=sentence)


def _leaked(session: str, leg: str) -> None:
    log.error("call {session} leaked: media ports of {leg}", session=session, leg=leg or "all legs")
