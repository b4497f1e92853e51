"""baresip phones on TLS at the running switch: registered, in calls with audio, with certificates
of their own, over IPv6."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from baresip import Baresip
from processes import Switch

from softswitch.testing.authority import Authority
from softswitch.testing.demo import free_network
from softswitch.testing.tones import dominant

pytestmark = pytest.mark.peer("baresip")

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{host}"

[[listen]]
transport = "tls"
bind = "{host}"
certificate = "{folder}/switch.pem"
key = "{folder}/switch.key"

[[listen]]
transport = "tls"
bind = "{host}"
port = 5071
certificate = "{folder}/switch.pem"
key = "{folder}/switch.key"
client_certificates = "required"
client_ca = "{folder}/authority.pem"

[[listen]]
transport = "tls"
bind = "::1"
port = {free}
certificate = "{folder}/switch.pem"
key = "{folder}/switch.key"

[users]
alice.password = "alice-secret"
bob.password = "bob-secret"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "located"
"""

TONES = {"alice": 440, "bob": 1000}


class Stage:
    """A switch, an authority that everybody believes, and phones."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.folder = folder
        self.running = running
        self.network = free_network()
        self.host = f"{self.network}.1"
        self.authority = Authority(folder)
        self.authority.issue("switch", "sip.example.org", self.host, "::1")
        with socket.socket(socket.AF_INET6) as free:
            free.bind(("::1", 0))
            self.port = free.getsockname()[1]
        text = CONFIGURATION.format(host=self.host, folder=folder, free=self.port)
        self.switch = Switch(text, folder)
        running.callback(self.switch.kill)
        self.phones: list[Baresip] = []

    def phone(
        self, name: str, transport: str, *, at: str = "", host: str = "", shows: str = ""
    ) -> Baresip:
        """A phone that registers.

        :param at: where the switch is, as it stands in a URI.
        :param shows: for which name it has a certificate; "" for none.
        """
        own = f"{self.network}.{2 + len(self.phones)}"
        more = ""
        if transport == "tls":
            more = f"sip_cafile {self.authority.certificate}\n"
        if shows:
            issued = self.authority.issue(name, shows)
            both = self.folder / f"{name}-both.pem"
            both.write_bytes(issued.key.read_bytes() + issued.certificate.read_bytes())
            more += f"sip_certificate {both}\n"
        phone = Baresip(
            self.folder,
            name,
            f"{name}-secret",
            host or own,
            at or self.host,
            TONES[name],
            transport,
            control=own,
            more=more,
        )
        self.running.callback(phone.kill)
        self.phones.append(phone)
        return phone

    def registered(self, count: int) -> None:
        """So many phones are registered."""
        self.switch.until(lambda: self.switch.stats()["registrations"] == count, 10)

    def talk(self, caller: Baresip, callee: Baresip, uri: str, leaver: Baresip) -> None:
        """A call with 3 s of audio, which one of them ends."""
        caller.order("dial", uri)
        for phone in (caller, callee):
            phone.expect("CALL_ESTABLISHED")
        self.switch.pause(3.8)
        leaver.order("hangup")
        for phone in (caller, callee):
            phone.expect("CALL_CLOSED")

    def close(self) -> None:
        """All end in order, they have heard each other, and nothing has leaked."""
        for phone in self.phones:
            phone.quit()
        stats = self.switch.stats()
        assert (stats["calls"], stats["registrations"], stats["leaks"]) == (0, 0, 0)
        assert self.switch.stop() == 0
        alice, bob = self.phones
        assert dominant(alice.recording()) == TONES["bob"]
        assert dominant(bob.recording()) == TONES["alice"]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as running:
        yield Stage(tmp_path, running)


@pytest.mark.parametrize("way", ["to TLS", "from TLS"])
def test_phones_on_tls_and_udp_talk(stage: Stage, way: str):
    """The one on TLS believes our certificate, registers, and is called, hung up on and calls along
    its connection; each hears the other's tone."""
    alice = stage.phone("alice", "tls")
    bob = stage.phone("bob", "udp")
    stage.registered(2)
    if way == "to TLS":
        stage.talk(bob, alice, f"sip:alice@{stage.host}", bob)
    else:
        stage.talk(alice, bob, f"sip:bob@{stage.host}", bob)
    stage.close()


def test_phones_with_certificates_talk(stage: Stage):
    """Mutual TLS on both sides; one without a certificate does not come so far."""
    at = f"{stage.host}:5071"
    alice = stage.phone("alice", "tls", at=at, shows="alice.example")
    bob = stage.phone("bob", "tls", at=at, shows="bob.example")
    stage.registered(2)
    stage.talk(alice, bob, f"sip:bob@{at}", alice)
    stage.close()


def test_a_phone_without_a_certificate_is_not_let_in(stage: Stage):
    """Where one is required."""
    stage.phone("alice", "tls", at=f"{stage.host}:5071")
    said = "TLS: handshake failed"
    stage.switch.until(lambda: said in stage.switch.stats()["counters"], 10)
    assert stage.switch.stats()["registrations"] == 0
    assert stage.switch.stop() == 0


def test_phones_on_ipv6_and_ipv4_talk(stage: Stage):
    """TLS at [::1], and UDP at an IPv4 address: the relay speaks both."""
    alice = stage.phone("alice", "tls", at=f"[::1]:{stage.port}", host="::1")
    bob = stage.phone("bob", "udp")
    stage.registered(2)
    stage.talk(bob, alice, f"sip:alice@{stage.host}", alice)
    stage.close()
