"""Real processes for the system tests and the benchmark: the switch, and SIPp at both ends.

Everything stays on 127.0.0.0/8, each test on addresses of its own. Nobody sleeps: one waits for a
process, with a deadline, and while it lives one looks whether what was hoped for has come.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows import FLOWS

SCENARIOS = Path(__file__).parent / "sipp"
TRANSPORTS = {"udp": "u1", "tcp": "t1"}


class Process:
    """A program that runs until it ends or is stopped; its output goes to a file.

    :ivar log: all that it printed.
    """

    def __init__(
        self, command: list[str], folder: Path, name: str, environment: Mapping[str, str] = {}
    ) -> None:
        self.name = name
        self.folder = folder
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def wait(self, seconds: float) -> int:
        """The exit status, once it has ended.

        :raises TimeoutError: it has not; it is killed.
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"{self.name} has not ended in {seconds} s: {self.tail()}") from None

    def until(self, hoped: Callable[[], bool], seconds: float) -> None:
        """Wait until what is hoped for has come, while the process lives.

        :raises TimeoutError: it has not come.
        :raises RuntimeError: the process has ended first.
        """
        for _ in range(max(1, round(seconds / 0.02))):
            if hoped():
                return
            try:
                status = self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            raise RuntimeError(f"{self.name} ended with {status}: {self.tail()}")
        raise TimeoutError(f"{self.name}: waited {seconds} s in vain: {self.tail()}")

    def pause(self, seconds: float) -> None:
        """Let time pass.

        :raises RuntimeError: the process has ended meanwhile.
        """
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise RuntimeError(f"{self.name} ended with {status}: {self.tail()}")

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def stop(self, seconds: float = 10) -> int:
        """SIGTERM, and the exit status."""
        self._process.terminate()
        return self.wait(seconds)

    def kill(self) -> None:
        """SIGKILL, where it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def tail(self) -> str:
        """The last 2,000 characters that it printed."""
        return self.log.read_text("utf-8", "replace")[-2000:]

    def cpu_seconds(self) -> float:
        """CPU time used so far, in user mode and in the kernel, its living children's included."""
        total = 0
        pids = [self.pid]
        while pids:
            pid = pids.pop()
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
            for task in Path(f"/proc/{pid}/task").iterdir():
                pids += map(int, (task / "children").read_text().split())
        return total / os.sysconf("SC_CLK_TCK")


class Switch(Process):
    """A running switch with a configuration and a state directory of its own.

    :param configuration: TOML; ``@state@`` in it stands for the state directory.
    :param cores: on which it may run, as ``taskset`` takes them; "" for all.
    :param environment: variables besides our own.
    :param prefix: of the command: where it is to run.
    """

    def __init__(
        self,
        configuration: str,
        folder: Path,
        cores: str = "",
        environment: Mapping[str, str] = {},
        prefix: Sequence[str] = (),
    ) -> None:
        self.state = folder / "state"
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / "softswitch.toml"
        file.write_text(configuration.replace("@state@", str(self.state)))
        twistd = str(Path(sys.executable).with_name("twistd"))
        pinned = ["taskset", "-c", cores] if cores else []
        super().__init__(
            [*prefix, *pinned, twistd, "-n", "--pidfile=", "softswitch", "--config", str(file)],
            folder,
            "switch",
            environment,
        )
        try:
            self.until(lambda: b"softswitch ready" in self.log.read_bytes(), 15)
        except (RuntimeError, TimeoutError):
            self.kill()
            raise

    def stats(self) -> dict[str, Any]:
        """What it counts: ``scopes_open``, ``leaks``, ``calls`` ..., written down on SIGUSR1."""
        file = self.state / "stats.json"
        file.unlink(missing_ok=True)
        self.send_signal(signal.SIGUSR1)
        self.until(file.exists, 5)
        stats: dict[str, Any] = json.loads(file.read_bytes())
        return stats

    def records(self, count: int, seconds: float = 5) -> list[dict[str, Any]]:
        """The call records, once there are so many."""
        file = self.state / "calls.jsonl"

        def lines() -> list[bytes]:
            return file.read_bytes().splitlines() if file.exists() else []

        self.until(lambda: len(lines()) >= count, seconds)
        return [json.loads(line) for line in lines()]


class Sipp(Process):
    """SIPp, playing a scenario of ``sipp/``, or one of ``flows``.

    :param scenario: name of the file, without its ending, or ``FLOW.SIDE``.
    :param here: address to send from and, for a callee, to listen at.
    :param there: ``host:port`` to call; "" for a callee.
    :param words: what stands for ``@word@`` in the scenario.
    :param extra: further arguments.
    """

    def __init__(
        self,
        scenario: str,
        folder: Path,
        here: str,
        there: str = "",
        *,
        port: int = 5060,
        transport: str = "udp",
        calls: int = 1,
        words: Mapping[str, object] = {},
        extra: tuple[str, ...] = (),
    ) -> None:
        name = f"{scenario}-{here}"
        self._files = folder / name
        file = self._files.with_suffix(self._files.suffix + ".xml")
        flow, dot, side = scenario.partition(".")
        if dot:
            text = FLOWS[flow].sides[side].xml()
        else:
            text = (SCENARIOS / f"{scenario}.xml").read_text("utf-8")
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        file.write_text(text, "utf-8")
        command = ["sipp", *([there] if there else []), "-sf", str(file), "-nostdin"]
        command += ["-i", here, "-p", str(port), "-bind_local", "-t", TRANSPORTS[transport]]
        command += ["-m", str(calls), "-trace_err", "-error_file", f"{self._files}.err"]
        command += ["-trace_stat", "-stf", f"{self._files}.csv", *extra]
        super().__init__(command, folder, name, {"TERM": "dumb"})
        if not there:
            self.until(lambda: is_bound(here, port, transport), 5)

    def tail(self) -> str:
        """What went wrong: its error file or, without one, what it printed."""
        file = Path(f"{self._files}.err")
        return file.read_text("utf-8", "replace")[-4000:] if file.exists() else super().tail()

    def counts(self) -> dict[str, int]:
        """Its counters at the end, as SIPp names them: ``FailedCall``, ``Retransmissions``."""
        names, *_, last = Path(f"{self._files}.csv").read_text().splitlines()
        return {
            name.removesuffix("(C)"): int(value)
            for name, value in zip(names.split(";"), last.split(";"), strict=False)
            if name.endswith("(C)") and value.isdigit()
        }


def is_bound(host: str, port: int, transport: str) -> bool:
    """Whether somebody has a socket at this IPv4 address and port; for TCP, a listening one."""
    address = f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
    rows = Path(f"/proc/net/{transport}").read_text().splitlines()[1:]
    states = {"udp": "07", "tcp": "0A"}
    return any(row.split()[1] == address and row.split()[3] == states[transport] for row in rows)
