"""A switch between two trunks that SIPp plays, the one that calls and the one that is called. Each
stage has addresses of its own."""

import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from processes import Sipp, Switch

NETWORKS = iter(range(1, 200))

CONFIGURATION = """
[switch]
state_directory = "@state@"
try_seconds = 1
ring_seconds = {ring_seconds}
drain_seconds = 1

[[listen]]
transport = "{transport}"
bind = "{network}.1"

[trunks.caller]
addresses = ["{network}.2"]
transport = "{transport}"

[trunks.callee]
addresses = {callees}
transport = "{transport}"

[[policy]]
use = "trunks"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = ".*"
trunk = "callee"

[media]
engine = "bypass"
"""


class Stage:
    """A switch between two trunks on a network of its own: ``.1`` is the switch, ``.2`` calls, and
    ``.3`` is called.

    :param callees: last numbers of the callee's addresses.
    """

    def __init__(
        self,
        folder: Path,
        transport: str,
        *,
        ring_seconds: float = 20,
        callees: tuple[int, ...] = (3,),
    ) -> None:
        self._exit = ExitStack()
        self.network = self._claimed_network()
        self.transport = transport
        self.folder = folder / self.network
        self.folder.mkdir()
        configuration = CONFIGURATION.format(
            network=self.network,
            transport=transport,
            ring_seconds=ring_seconds,
            callees=[f"{self.network}.{host}" for host in callees],
        )
        self.switch = Switch(configuration, self.folder)
        self._exit.callback(self.switch.kill)

    def callee(self, scenario: str, *extra: str, **words: object) -> Sipp:
        """Start the callee; it listens when this returns."""
        return self._sipp(scenario, ".3", "", extra, words)

    def caller(self, scenario: str, *extra: str, **words: object) -> Sipp:
        """Start the caller."""
        return self._sipp(scenario, ".2", f"{self.network}.1:5060", extra, words)

    def silent_callee(self, host: int) -> None:
        """Somebody who takes what comes and says nothing."""
        kind = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}[self.transport]
        silent = self._exit.enter_context(socket.socket(type=kind))
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        silent.bind((f"{self.network}.{host}", 5060))
        if self.transport == "tcp":
            silent.listen()

    def record(self) -> dict[str, Any]:
        """The record of the one call that there was."""
        (record,) = self.switch.records(1)
        return record

    def close(self) -> None:
        """The switch stops in order, having leaked nothing."""
        assert self.switch.stats()["leaks"] == 0
        assert self.switch.stop() == 0

    def clear(self) -> None:
        """End whatever still runs."""
        self._exit.close()

    def _claimed_network(self) -> str:
        """A network that no other stage was on in this run, nor is on in another that runs at the
        same time, since one holds a port there."""
        for number in NETWORKS:
            claim = socket.socket()
            try:
                claim.bind((f"127.66.{number}.254", 5060))
            except OSError:
                claim.close()
                continue
            self._exit.enter_context(claim)
            return f"127.66.{number}"
        raise RuntimeError("no network is free")

    def _sipp(
        self, scenario: str, host: str, there: str, extra: tuple[str, ...], words: dict[str, object]
    ) -> Sipp:
        sipp = Sipp(
            scenario,
            self.folder,
            self.network + host,
            there,
            transport=self.transport,
            words=words,
            extra=("-timeout", "60", "-timeout_error", *extra),
        )
        self._exit.callback(sipp.kill)
        return sipp


def played(*peers: Sipp, seconds: float = 15) -> None:
    """Each has come to the end of its scenario, and nothing came that was not in it."""
    for peer in peers:
        assert peer.wait(seconds) == 0, peer.tail()
