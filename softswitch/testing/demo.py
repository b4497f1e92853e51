"""The first call, shown: ``python -m softswitch.testing.demo``, or ``scripts/start --demo``.

A switch on the package's own configuration and two phones, each a process of its own, on
addresses of 127.0.0.0/8 where nobody else is. The phones register, call each other through the
switch and say what they heard. Exit status 0 means that all of it was as it should be.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from queue import Empty, Queue
from random import randrange
from threading import Thread
from typing import Any

from softswitch.errors import SoftswitchError
from softswitch.ops.config import load
from softswitch.ops.pipe import reader_gone
from softswitch.testing.ladder import Address, Carried, ladder
from softswitch.testing.tones import CLEAR

#: Seconds for which each must hear the other without a break, and for which they talk.
HEARD = 3.0
TALK = 3.6
#: Seconds for one step, and for all of them.
PATIENCE = 10.0
LIMIT = 27.0

_STOPPED = re.compile(r"stopped, (\d+) leaks")


class DemoError(SoftswitchError):
    """What went wrong, as a sentence for the terminal."""


class Demo:
    """Two calls through a switch, told on the standard output.

    :param folder: for the configuration, the state and the logs.
    :param running: ends the processes.
    """

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self._folder = folder
        self._running = running
        self._deadline = time.monotonic() + LIMIT
        self._records = 0
        self._names: dict[Address | str, str] = {}

    def run(self) -> None:
        """All of it.

        :raises DemoError: it is not as it should be.
        """
        network = free_network()
        say("A switch and two phones, each a process of its own:\n")
        self._switch = Switch(self._folder, f"{network}.1", self._left)
        self._running.callback(self._switch.kill)
        say(f"  switch  {network}.1:5060  process {self._switch.pid}")
        alice = self._phone("alice", f"{network}.2", 440, 1000)
        bob = self._phone("bob", f"{network}.3", 1000, 440)
        self._names = {alice.host: "alice", f"{network}.1": "switch", bob.host: "bob"}
        for phone in (alice, bob):
            phone.expect("registered", status=200)
        self._show("\nBoth register, and prove their passwords:", alice, bob)
        self._talk(alice, bob)
        self._talk(bob, alice)
        for phone in (alice, bob):
            phone.order("quit")
            phone.expect("unregistered", status=200)
            phone.ended()
        leaks = self._switch.stop()
        say(f"The switch has stopped: exit status 0, {leaks} leaks.")
        if leaks:
            raise DemoError(f"the switch leaked:\n{self._switch.tail()}")

    def _phone(self, name: str, host: str, speaks: int, hears: int) -> "Phone":
        password = self._switch.password(name)
        phone = Phone(self._folder, name, password, host, self._switch.host, speaks, hears)
        phone.left = self._left
        self._running.callback(phone.kill)
        say(f"  {name:6}  {host}:5060  process {phone.pid}, speaks {speaks} Hz")
        return phone

    def _talk(self, caller: "Phone", callee: "Phone") -> None:
        """One call from its INVITE to its record."""
        caller.order(f"call {callee.name} {TALK}")
        caller.expect("ringing")
        for phone in (caller, callee):
            phone.expect("answered")
        heard = {phone: phone.expect("ended") for phone in (caller, callee)}
        self._show(f"{caller.name} calls {callee.name}:", caller, callee)
        for phone, what in heard.items():
            say(
                f"  {phone.name:6} heard {what['frequency']} Hz for {what['seconds']:.1f} s, "
                f"{what['above']:.0f} dB above the {phone.speaks} Hz of its own"
            )
        self._records += 1
        say(f"  record {in_words(self._switch.record(self._records))}\n")
        for phone, what in heard.items():
            if fault := fault_of(what, phone.hears):
                raise DemoError(f"{phone.name} {fault}")

    def _show(self, title: str, *phones: "Phone") -> None:
        """The messages since the last time."""
        carried = sorted(message for phone in phones for message in phone.taken())
        start = carried[0].at
        say(f"{title}\n")
        say(ladder([each._replace(at=each.at - start) for each in carried], self._names))

    def _left(self) -> float:
        """Seconds for the next step."""
        return max(0.0, min(PATIENCE, self._deadline - time.monotonic()))


class Child:
    """A process of ours; what it prints for people goes to a file.

    :ivar left: seconds for which the next step may last.
    """

    left: Callable[[], float]

    def __init__(self, folder: Path, name: str, command: list[str], **pipes: Any) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": log, **pipes}
            self.process = subprocess.Popen(command, cwd=folder, stderr=log, **pipes)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.process.pid

    def tail(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-8:])

    def until(self, hoped: Callable[[], bool], what: str) -> None:
        """Wait until what is hoped for has come.

        :param what: that, for the sentence when it has not: "... has not WHAT".
        :raises DemoError: it has not, or the process has ended.
        """
        last = time.monotonic() + self.left()
        while not hoped():
            try:
                status = self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                if time.monotonic() < last:
                    continue
                raise DemoError(f"the {self.name} has not {what} in time:\n{self.tail()}") from None
            raise DemoError(f"the {self.name} ended, status {status}:\n{self.tail()}")

    def ended(self) -> None:
        """Wait for the end.

        :raises DemoError: it does not come, or not with status 0.
        """
        try:
            status = self.process.wait(self.left())
        except subprocess.TimeoutExpired:
            raise DemoError(f"{self.name} does not end:\n{self.tail()}") from None
        if status != 0:
            raise DemoError(f"{self.name} ended with status {status}:\n{self.tail()}")

    def kill(self) -> None:
        """See that it has ended."""
        self.process.kill()
        self.process.wait()


class Switch(Child):
    """The switch, on the package's configuration but for its address.

    :raises DemoError: it does not start.
    """

    def __init__(self, folder: Path, host: str, left: Callable[[], float]) -> None:
        self.host = host
        self.left = left
        file = folder / "softswitch.toml"
        text = (files("softswitch.ops") / "softswitch.toml").read_text("utf-8")
        file.write_text(text.replace('bind = "127.0.0.1"', f'bind = "{host}"'), "utf-8")
        config = load(file, folder)
        self._users = config.users
        self._calls = config.state_directory / config.records.path
        twistd = str(Path(sys.executable).with_name("twistd"))
        command = [twistd, "-n", "--pidfile=", "softswitch", "--config", str(file)]
        super().__init__(folder, "switch", command)
        self.until(lambda: "softswitch ready" in self._log.read_text("utf-8"), "started")

    def password(self, name: str) -> str:
        """Of a user of the configuration."""
        return self._users[name].password or ""

    def record(self, number: int) -> dict[str, Any]:
        """The record of a call, once it has been written; the first is 1."""

        def lines() -> list[str]:
            return self._calls.read_text("utf-8").splitlines() if self._calls.exists() else []

        self.until(lambda: len(lines()) >= number, "written a record")
        record: dict[str, Any] = json.loads(lines()[number - 1])
        return record

    def stop(self) -> int:
        """Ask it to stop, and wait.

        :returns: how many leaks it counted.
        :raises DemoError: it did not stop with status 0.
        """
        self.process.terminate()
        self.ended()
        found = _STOPPED.search(self._log.read_text("utf-8"))
        if found is None:
            raise DemoError(f"the switch did not stop in order:\n{self.tail()}")
        return int(found[1])


class Phone(Child):
    """A ``softphone``."""

    def __init__(
        self,
        folder: Path,
        name: str,
        password: str,
        host: str,
        switch: str,
        speaks: int,
        hears: int,
    ) -> None:
        self.host = host
        self.speaks = speaks
        self.hears = hears
        command = [sys.executable, "-m", "softswitch.testing.softphone", "--name", name]
        command += ["--password", password, "--address", host, "--switch", switch]
        command += ["--speaks", str(speaks), "--hears", str(hears)]
        super().__init__(folder, name, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._told: Queue[bytes] = Queue()
        self._carried: list[Carried] = []
        Thread(target=self._listen, daemon=True).start()

    def order(self, order: str) -> None:
        """Tell it what to do."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, as whoever expects an event will hear
            os.write(self.process.stdin.fileno(), f"{order}\n".encode())

    def expect(self, event: str, **details: object) -> dict[str, Any]:
        """The next event, which is to be this one.

        :raises DemoError: it is another, or none comes.
        """
        try:
            line = self._told.get(timeout=self.left())
        except Empty:
            raise DemoError(f"{self.name}'s phone did not tell {event!r} in time") from None
        if not line:
            raise DemoError(f"{self.name}'s phone ended before {event!r}:\n{self.tail()}")
        told: dict[str, Any] = json.loads(line)
        for at, source, to, text in told.pop("carried"):
            data = text.encode("latin-1")
            self._carried.append(Carried(at, "UDP", tuple(source), tuple(to), data))
        wanted = {"event": event, **details}
        if {**told, **wanted} != told:
            said, right = (" ".join(map(str, each.values())) for each in (told, wanted))
            raise DemoError(f"{self.name}'s phone told {said!r}, not {right!r}")
        return told

    def taken(self) -> list[Carried]:
        """The messages that it sent and got since the last time."""
        carried, self._carried = self._carried, []
        return carried

    def _listen(self) -> None:
        """A thread of its own reads what it tells; an empty line is its end."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._told.put(line)
        self._told.put(b"")


def fault_of(heard: Mapping[str, Any], frequency: int) -> str:
    """What was wrong with what a phone heard; "" for nothing.

    :param heard: the phone's "ended" event.
    :param frequency: what it was to hear, Hz.
    """
    if heard["packets"] == 0:
        return "heard nothing: no packet came"
    if heard["frequency"] != frequency or heard["above"] < CLEAR:
        return f"did not hear {frequency} Hz clearly, {CLEAR:.0f} dB above its own tone"
    if heard["seconds"] < HEARD:
        return f"heard {frequency} Hz for {heard['seconds']:.1f} s only, and not for {HEARD:.0f} s"
    return ""


def in_words(record: Mapping[str, Any]) -> str:
    """A call record in two lines."""

    def after(name: str, start: str) -> str:
        if record[name] is None or record[start] is None:
            return "never"
        between = datetime.fromisoformat(record[name]) - datetime.fromisoformat(record[start])
        return f"{between.total_seconds():.2f} s"

    legs = ", ".join(attempt["call_id_b"] for attempt in record["attempts"])
    return (
        f"rang after {after('ringing', 'invited')}, answered after {after('answered', 'invited')}, "
        f"lasted {after('ended', 'answered')}, the {record['hung_up']} hung up, "
        f"status {record['status']}\n"
        f"         leg A {record['call_id_a']}, leg B {legs}"
    )


def free_network() -> str:
    """Three bytes of an address; .1, .2 and .3 have port 5060 free.

    :raises DemoError: none was found.
    """
    for _ in range(100):
        network = f"127.{randrange(200, 250)}.{randrange(1, 255)}"
        with ExitStack() as held:
            try:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    for host in (1, 2, 3):
                        probe = held.enter_context(socket.socket(type=kind))
                        probe.bind((f"{network}.{host}", 5060))
            except OSError:
                continue
            return network
    raise DemoError("no address of 127.200.0.0 to 127.249.255.255 lets us have port 5060")


def say(text: str) -> None:
    """Print at once, so that one can watch."""
    print(text, flush=True)


def main(arguments: Sequence[str] = ()) -> int:
    """Show it.

    :param arguments: there are none but ``--help``.
    :returns: the exit status.
    """
    ArgumentParser("scripts/start --demo", description="Two phones talk.").parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="softswitch-demo-") as folder, ExitStack() as running:
        try:
            Demo(Path(folder), running).run()
        except DemoError as fault:
            print(f"\nThe demo failed: {fault}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:
            return reader_gone()
    say("Both heard each other, in both calls.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
