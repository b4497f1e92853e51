"""The media engines with which the tests of audio are run: each test once with each.

An engine says what it takes to have it, and what the configuration says of it. Whoever adds another
puts it into ``ENGINES``.
"""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from namespaces import Namespace
from processes import Process


class Engine(Protocol):
    """What a test needs to know of a media engine.

    :ivar name: is in the test's.
    :ivar peers: programs that it needs, as the mark ``peer`` has them.
    """

    name: str
    peers: Sequence[str]

    def start(
        self, folder: Path, namespace: Namespace, hosts: Sequence[str], end: Callable[..., object]
    ) -> str:
        """Start what it takes besides the switch.

        :param folder: of the test: the switch's state directory is ``state`` in it.
        :param namespace: in which the switch runs.
        :param hosts: the switch's own addresses, without brackets: audio is to be there.
        :param end: called with what is to be called in the end, and its arguments, last things
            first; the switch has ended by then, in order or not.
        :returns: tables of the configuration, ``[media]`` first.
        """


class BuiltInRelay:
    """The relay in a process of its own."""

    name = "relay"
    peers = ()

    def start(
        self, folder: Path, namespace: Namespace, hosts: Sequence[str], end: Callable[..., object]
    ) -> str:
        """The switch starts it; one that outlives it is killed."""
        end(kill_relays, folder)
        return '[media]\nports = "20000-20999"\nprocesses = 1\n'


def relays(folder: Path) -> list[int]:
    """The process numbers of the relays whose sockets are under a folder, the first one first."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"softswitch.media.process" in command and bytes(folder) in command:
            found[command.partition(b"relay")[2]] = int(process.name)
    return [found[key] for key in sorted(found)]


def kill_relays(folder: Path) -> None:
    """Leave none of them."""
    for relay in relays(folder):
        os.kill(relay, signal.SIGKILL)


class Rtpengine:
    """Debian's rtpengine in userspace, all by itself."""

    name = "rtpengine"
    peers = ("rtpengine",)

    def start(
        self, folder: Path, namespace: Namespace, hosts: Sequence[str], end: Callable[..., object]
    ) -> str:
        """It has the switch's addresses, and ports of its own."""
        start_rtpengine(folder, hosts, "127.0.0.1", prefix=namespace.prefix, end=end)
        return FARM + '[[media.rtpengine]]\naddress = "127.0.0.1:2223"\n'


FARM = '[media]\nengine = "rtpengine"\n'


def start_rtpengine(
    folder: Path,
    hosts: Sequence[str],
    control: str,
    *,
    end: Callable[..., object],
    prefix: Sequence[str] = (),
    name: str = "rtpengine",
) -> Process:
    """One rtpengine.

    :param hosts: its addresses for media, without brackets.
    :param control: address at which it listens for NG, at port 2223.
    :param prefix: words before its command.
    """
    recordings = folder / f"{name}-recordings"
    recordings.mkdir()
    command = [
        *prefix,
        *("rtpengine", "--config-file=none", "--table=-1", "--foreground", "--log-stderr"),
        *("--log-level=6", "--num-threads=1", "--port-min=21000", "--port-max=21999"),
        *(f"--interface={host}" for host in hosts),
        f"--listen-ng={control}:2223",
        *("--recording-method=pcap", f"--recording-dir={recordings}"),
        f"--pidfile={folder / name}.pid",
    ]
    process = Process(command, folder, name)
    end(process.kill)
    process.until(lambda: b"Startup complete" in process.log.read_bytes(), 10)
    return process


ENGINES: Sequence[Engine] = (BuiltInRelay(), Rtpengine())
