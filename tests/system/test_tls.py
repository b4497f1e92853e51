"""TLS in a running switch: calls between phones on TLS and UDP, trunks that are known by their
certificates, certificates that are renewed. The peers are sockets that the tests hold."""

import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from phones import Phone, claimed_network, pick_up, talk
from processes import Switch

from softswitch.testing.authority import Authority

CONFIGURATION = """
[switch]
domains = ["sip.example.org"]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[[listen]]
transport = "tls"
bind = "{network}.1"
certificate = "{folder}/switch.pem"
key = "{folder}/switch.key"

[[listen]]
transport = "tls"
bind = "::1"
port = {free}
certificate = "{folder}/switch.pem"
key = "{folder}/switch.key"

[[listen]]
transport = "tls"
bind = "{network}.1"
port = 5071
certificate = "{folder}/switch.pem"
key = "{folder}/switch.key"
client_certificates = "required"
client_ca = "{folder}/authority.pem"

[users]
100.password = "secret"
200.password = "secret"
300.password = "secret"

[trunks.carrier]
addresses = ["{network}.50:5081"]
transport = "tls"
inbound_certificates = ["carrier.example"]

[trunks.carrier.tls]
ca = "{folder}/authority.pem"
names = ["carrier.example"]
certificate = "{folder}/switch.pem"
key = "{folder}/switch.key"

[[policy]]
use = "dialplan"
rules = [{{ match = "0.+", strip = 1, trunk = "carrier" }}]

[[policy]]
use = "trunks"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "located"

[media]
engine = "bypass"
"""

NAME = "sip.example.org"


class Place:
    """A running switch, and an authority that everybody believes."""

    def __init__(self, folder: Path, network: str) -> None:
        self.folder = folder
        self.network = network
        self.authority = Authority(folder)
        self.authority.issue("switch", NAME)
        self.authority.issue("carrier", "carrier.example")
        with socket.socket(socket.AF_INET6) as free:
            free.bind(("::1", 0))
            self.port = free.getsockname()[1]
        text = CONFIGURATION.format(network=network, folder=folder, free=self.port)
        self.switch = Switch(text, folder)

    def context(self, shows: str = "") -> ssl.SSLContext:
        """Of a client that believes the authority."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        if shows:
            context.load_cert_chain(self.folder / f"{shows}.pem", self.folder / f"{shows}.key")
        return context

    def phone(self, user: str, transport: str = "tls", *, port: int = 0, shows: str = "") -> Phone:
        """A phone whose address ends as its number begins, or on ::1."""
        six = port == self.port
        here = "::1" if six else f"{self.network}.{user[0]}0"
        if transport == "udp":
            return Phone(user, here, (f"{self.network}.1", 5060), domain=NAME)
        switch = ("::1" if six else f"{self.network}.1", port or 5061)
        context = self.context(shows)
        return Phone(user, here, switch, "tls", domain=NAME, context=context, named=NAME)


@pytest.fixture(name="place", scope="module")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        network = stack.enter_context(claimed_network())
        place = Place(tmp_path_factory.mktemp("place"), network)
        stack.callback(place.switch.kill)
        yield place
        assert place.switch.stats()["leaks"] == 0
        assert place.switch.stop() == 0
        assert "Traceback" not in place.switch.log.read_text()


@pytest.mark.parametrize("six", [False, True])
def test_calls_between_tls_and_udp(place, six):
    """Both ways, IPv4 and IPv6: the phone on TLS is called along the connection on which it
    registered, and hung up on along it."""
    alice = place.phone("100", port=place.port if six else 0)
    bob = place.phone("200", "udp")
    assert alice.register().status == 200
    assert bob.register().status == 200
    talk(alice, bob, f"sip:200@{NAME}")
    talk(bob, alice, f"sip:100@{NAME}")
    invite = bob.call(f"sip:100@{NAME}")
    offered = alice.request_received("INVITE")
    assert str(offered.top_via).startswith("SIP/2.0/TLS ")
    assert offered.contacts[0].uri.params["transport"] == "tls"
    alice.answer(offered, 200, alice.sdp)
    answered = bob.response_received(200)
    bob.send(bob.within(invite, answered, "ACK"))
    alice.request_received("ACK")
    alice.register(0)
    alice.close()
    bob.send(bob.within(invite, answered, "BYE"))
    bob.response_received(200)
    bob.register(0)
    bob.close()


def test_a_trunk_is_known_by_its_certificate(place):
    """A caller from nowhere in particular who shows it calls without a password; one who shows
    another that is as good, and the same on another listener, is a stranger."""
    bob = place.phone("200", "udp")
    assert bob.register().status == 200
    carrier = place.phone("700", port=5071, shows="carrier")
    invite = carrier.send(carrier.invite(f"sip:200@{NAME}"))
    offered = bob.request_received("INVITE")
    bob.answer(offered, 180)
    carrier.response_received(180)
    pick_up(carrier, bob, invite, offered)
    place.authority.issue("other", "other.example")
    for port, shows in ((5071, "other"), (5061, "carrier")):
        stranger = place.phone("700", port=port, shows=shows)
        assert stranger.ask_once(stranger.invite(f"sip:200@{NAME}")).status == 401
        stranger.close()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        place.phone("700", port=5071).register()
    carrier.close()
    bob.register(0)
    bob.close()


class Carrier:
    """The trunk's gateway, where we connect to it."""

    def __init__(self, place: Place, shows: str) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(place.folder / f"{shows}.pem", place.folder / f"{shows}.key")
        self.context.load_verify_locations(place.authority.certificate)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.server = socket.create_server((f"{place.network}.50", 5081))
        self.server.settimeout(10)

    def accept(self) -> ssl.SSLSocket:
        plain, _ = self.server.accept()
        plain.settimeout(10)
        return self.context.wrap_socket(plain, server_side=True)


def test_a_call_over_a_trunk(place):
    """Its certificate is for a name that the trunk allows; ours is shown to it."""
    alice = place.phone("100")
    assert alice.register().status == 200
    carrier = Carrier(place, "carrier")
    with carrier.server:
        alice.call(f"sip:0123@{NAME}")
        with carrier.accept() as line:
            invite = line.recv(65536)
            assert invite.startswith(b"INVITE sip:123@")
            assert line.getpeercert()["subjectAltName"] == (("DNS", NAME),)
            head = invite.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
            names = (b"Via", b"From", b"To", b"Call-ID", b"CSeq")
            kept = [each for each in head if each.partition(b":")[0] in names]
            kept = [each + b";tag=c" if each.startswith(b"To:") else each for each in kept]
            busy = b"\r\n".join([b"SIP/2.0 486 Busy Here", *kept, b"Content-Length: 0", b"", b""])
            line.sendall(busy)
            alice.response_received(486)
            assert line.recv(65536).startswith(b"ACK ")
    alice.register(0)
    alice.close()


def test_a_gateway_that_is_somebody_else(place):
    """It gets nothing; the caller hears that there is no way, the log says why."""
    place.authority.issue("impostor", "other.example")
    alice = place.phone("300")
    assert alice.register().status == 200
    carrier = Carrier(place, "impostor")
    with carrier.server:
        alice.call(f"sip:0124@{NAME}")
        with pytest.raises((ssl.SSLError, ConnectionError)), carrier.accept() as line:
            assert line.recv(65536) != b"", "closed"
        response = alice.receive()
        while response.status == 100:
            response = alice.receive()
        assert response.status in (500, 503)
    said = "its certificate is for other.example, not for carrier.example"
    place.switch.until(lambda: said in place.switch.log.read_text(), 5)
    alice.register(0)
    alice.close()


def test_certificates_are_renewed_by_a_reload(place):
    """SIGHUP reads them anew; one that is broken is refused, and the old one stays; of one that is
    about to expire the log speaks. Connections that stand go on."""
    alice = place.phone("100")
    assert alice.register().status == 200
    kept = place.folder / "switch.pem"
    before = shown(place)
    good = kept.read_bytes()
    kept.write_text("nonsense")
    reload(place, "not reloaded: ")
    assert "listen[1].certificate" in place.switch.log.read_text()
    assert shown(place) == before
    kept.write_bytes(good)
    place.authority.issue("switch", NAME, good_for=timedelta(days=3))
    reload(place, "reloaded ")
    assert shown(place) != before
    place.switch.until(lambda: f"{kept} expires on" in place.switch.log.read_text(), 5)
    assert alice.register().status == 200
    alice.register(0)
    alice.close()


def shown(place: Place) -> str:
    """The serial number of what the switch shows."""
    plain = socket.create_connection((f"{place.network}.1", 5061), 10)
    with place.context().wrap_socket(plain, server_hostname=NAME) as there:
        return there.getpeercert()["serialNumber"]


def reload(place: Place, said: str) -> None:
    """Have the switch read everything anew, and wait for what it says of that."""
    place.switch.send_signal(signal.SIGHUP)
    place.switch.until(lambda: said in place.switch.log.read_text(), 10)
