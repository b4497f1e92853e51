"""Two rtpengines, one of which ends or falls silent while calls talk; or the only one does."""

import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from audio import Hall, Listener, is_tone
from engines import FARM, start_rtpengine
from namespaces import Namespace, World
from phones import Phone
from processes import Process

pytestmark = pytest.mark.peer("rtpengine", "baresip", "ip", "nft")

HERE, OTHER, ALICE, BOB, CAROL = (f"127.0.0.{number}" for number in (1, 8, 2, 3, 4))


class Farm:
    """So many rtpengines, each at an address of its own.

    :ivar processes: they.
    """

    name = "farm"
    peers = ("rtpengine",)

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts
        self.processes: list[Process] = []

    def start(
        self, folder: Path, namespace: Namespace, hosts: Sequence[str], end: Callable[..., object]
    ) -> str:
        """All of them."""
        tables = FARM + "check_seconds = 1\n"
        for host in self.hosts:
            process = start_rtpengine(
                folder, [host], host, end=end, prefix=namespace.prefix, name=f"rtpengine-{host}"
            )
            end(process.send_signal, signal.SIGCONT)
            self.processes.append(process)
            tables += f'[[media.rtpengine]]\naddress = "{host}:2223"\n'
        return tables

    def busy(self) -> tuple[Process, Process]:
        """The one that has been given a call, and the other."""
        one, other = self.processes
        has = b"Creating new call" in one.log.read_bytes()
        assert has != (b"Creating new call" in other.log.read_bytes())
        return (one, other) if has else (other, one)


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Ends whatever a test has left running, the last first."""
    with ExitStack() as stack:
        yield stack


def both_hear(hall: Hall, alice: Listener, bob: Listener) -> bool:
    """Whether each hears the other's tone."""
    heard = hall.heard(alice, bob)
    return is_tone(heard[0], bob.name) and is_tone(heard[1], alice.name)


def carol(hall: Hall, running: ExitStack) -> Phone:
    """Somebody who makes another call."""
    phone = hall.namespace.within(
        lambda: Phone("carol", CAROL, (HERE, 5060), password="carol-secret", domain=HERE)
    )
    running.callback(phone.close)
    return phone


def new_call(phone: Phone) -> int:
    """The status that a new call to Alice gets; it is hung up at once."""
    invite, answer = phone.ask(phone.invite(f"sip:alice@{HERE}"))
    if answer.status == 200:
        phone.send(phone.within(invite, answer, "ACK"))
        assert phone.ask_once(phone.within(invite, answer, "BYE")).status == 200
    return answer.status


def test_one_is_killed_under_a_call(tmp_path: Path, networks: World, running: ExitStack):
    """Its process has ended, says the network: both sides get a re-INVITE, and hear each other
    through the other one. New calls go on."""
    farm = Farm(HERE, OTHER)
    hall = Hall(tmp_path, farm, networks.namespace(), [HERE], running)
    alice, bob = hall.phone("alice", ALICE), hall.phone("bob", BOB)
    hall.call(alice, bob)
    assert both_hear(hall, alice, bob)
    broken, other = farm.busy()
    os.kill(broken.pid, signal.SIGKILL)
    for each in (alice, bob):
        each.phone.expect("CALL_REMOTE_SDP")
    assert b"Creating new call" in other.log.read_bytes()
    assert both_hear(hall, alice, bob)
    hall.hang_up(alice, bob)
    assert new_call(carol(hall, running)) == 200
    assert "has ended: 1 calls lost" in hall.switch.tail()
    hall.close(alice, bob)


def test_one_falls_silent_under_a_call(tmp_path: Path, networks: World, running: ExitStack):
    """Nobody knows whether it still carries the audio, so the call is left alone until somebody
    re-negotiates it: that moves it to the other one. New calls go there at once."""
    farm = Farm(HERE, OTHER)
    hall = Hall(tmp_path, farm, networks.namespace(), [HERE], running)
    alice, bob = hall.phone("alice", ALICE), hall.phone("bob", BOB)
    hall.call(alice, bob)
    assert both_hear(hall, alice, bob)
    silent, other = farm.busy()
    os.kill(silent.pid, signal.SIGSTOP)
    phone = carol(hall, running)
    assert new_call(phone) == 200
    alice.phone.expect("CALL_CLOSED")  # what is held then is the call with bob
    for order in ("hold", "resume"):
        alice.phone.order(order)
        bob.phone.expect("CALL_REMOTE_SDP")
    assert both_hear(hall, alice, bob)
    assert other.log.read_bytes().count(b"Creating new call") == 2
    os.kill(silent.pid, signal.SIGCONT)
    hall.switch.until(lambda: "is there again" in hall.switch.tail(), 10)
    silent.until(lambda: b"'delete'" in silent.log.read_bytes(), 10)
    hall.hang_up(alice, bob)
    hall.close(alice, bob)


RECORDED = """
[[policy]]
use = "dialplan"

[[policy.rules]]
match = "99"
user = "bob"
record = true
"""


class Recording(Farm):
    """And a number under which calls are recorded."""

    def start(
        self, folder: Path, namespace: Namespace, hosts: Sequence[str], end: Callable[..., object]
    ) -> str:
        """As above."""
        return super().start(folder, namespace, hosts, end) + RECORDED


def packets_from(address: str, captured: bytes) -> int:
    """How many UDP packets over IPv4 in a capture come from the port of an address."""
    port = int(address.rpartition(":")[2]).to_bytes(2)
    header = b"\x45.{8}\x11.{2}.{8}"  # of 20 bytes: its length, the protocol, two addresses
    return len(re.findall(header + re.escape(port), captured, re.DOTALL))


def test_figures_and_a_recording(tmp_path: Path, networks: World, running: ExitStack):
    """The record says what came from each side, and under which name rtpengine has recorded it:
    its file has packets of both sides."""
    hall = Hall(tmp_path, Recording(HERE), networks.namespace(), [HERE], running)
    alice, bob = hall.phone("alice", ALICE), hall.phone("bob", BOB)
    alice.phone.order("dial", f"sip:99@{HERE}")
    for each in (alice, bob):
        each.phone.expect("CALL_ESTABLISHED")
    assert both_hear(hall, alice, bob)
    hall.hang_up(alice, bob)
    (record,) = hall.switch.records(1)
    sent = {each["leg"]: each for each in record["media"]}
    for leg in ("a", "b1"):
        assert sent[leg]["packets"] > 50
        assert sent[leg]["codec"] == "PCMU"
    name = record["recording"].removeprefix(f"rtpengine {HERE}:2223: ")
    (file,) = (tmp_path / f"rtpengine-{HERE}-recordings" / "pcaps").glob(f"{name}-*.pcap")
    captured = file.read_bytes()
    assert captured[:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4")
    assert len(captured) > sum(each["bytes"] for each in record["media"]) / 2
    for leg in ("a", "b1"):
        assert packets_from(sent[leg]["signalled"], captured) > 50
    hall.close(alice, bob)


def test_the_only_one_is_silent(tmp_path: Path, networks: World, running: ExitStack):
    """New calls get 503, the call that is there stays; when it is back, calls are made again."""
    farm = Farm(HERE)
    hall = Hall(tmp_path, farm, networks.namespace(), [HERE], running)
    alice, bob = hall.phone("alice", ALICE), hall.phone("bob", BOB)
    hall.call(alice, bob)
    (only,) = farm.processes
    os.kill(only.pid, signal.SIGSTOP)
    phone = carol(hall, running)
    assert [new_call(phone) for _ in range(3)] == [503] * 3
    os.kill(only.pid, signal.SIGCONT)
    hall.switch.until(lambda: "is there again" in hall.switch.tail(), 10)
    assert new_call(phone) == 200
    assert both_hear(hall, alice, bob)
    hall.hang_up(alice, bob)
    hall.close(alice, bob)
