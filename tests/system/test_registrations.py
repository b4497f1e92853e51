"""Registrations in a running switch: digest, connections, domains, IPv6, and a restart between.

The phones are sockets that the tests hold. All tests but that of the restart share one switch.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from phones import Phone, claimed_network, talk
from processes import Switch

from softswitch.sip.digest import parse_challenges
from softswitch.sip.message import Request, Response

DOMAIN = "example.test"

CONFIGURATION = """
[switch]
domains = ["example.test"]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[[listen]]
transport = "tcp"
bind = "{network}.1"

[[listen]]
transport = "udp"
bind = "{network}.1"
port = 5070
algorithms = ["SHA-512-256", "SHA-256", "MD5"]

[[listen]]
transport = "udp"
bind = "::1"
port = {free}

[users]
100.password = "secret"
200.password = "secret"
300.password = "secret"
400.password = "secret"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "located"

[media]
engine = "bypass"
"""


class Place(NamedTuple):
    """A running switch, its network and its port on ``::1``."""

    switch: Switch
    network: str
    port: int

    def phone(self, user: str, port: int = 5060, transport: str = "udp", **more: Any) -> Phone:
        """A phone whose address ends as its number begins."""
        here = f"{self.network}.{user[0]}0"
        return Phone(user, here, (f"{self.network}.1", port), transport, **more)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        network = stack.enter_context(claimed_network())
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as free:
            free.bind(("::1", 0))
            port = free.getsockname()[1]
        text = CONFIGURATION.format(network=network, free=port)
        switch = Switch(text, tmp_path_factory.mktemp("place"))
        stack.callback(switch.kill)
        yield Place(switch, network, port)
        assert switch.stats()["leaks"] == 0
        assert switch.stop() == 0
        assert "leaked" not in switch.log.read_text()


def called(caller: Phone, uri: str) -> Response:
    """What a caller is told in the end."""
    return caller.ask(caller.invite(uri))[1]


def test_bindings_outlive_a_restart(tmp_path: Path):
    """A phone that registered before the switch was started anew is called without having
    registered again; so is one after the second restart (what the first has kept stays kept)."""
    with ExitStack() as stack:
        network = stack.enter_context(claimed_network())
        text = CONFIGURATION.format(network=network, free=0)
        switch = Switch(text, tmp_path)
        phone, caller = (
            Phone(user, f"{network}.{host}", (f"{network}.1", 5060))
            for user, host in (("200", 20), ("100", 10))
        )
        assert phone.register().status == 200
        for _ in range(2):
            assert switch.stop() == 0
            switch = Switch(text, tmp_path)
            stack.callback(switch.kill)
            assert switch.stats()["registrations"] == 1
            talk(caller, phone, f"sip:200@{network}.1")
        assert phone.register(0).status == 200
        assert switch.stop() == 0


class BehindNat(Phone):
    """A phone that says to be at an address of its own network."""

    contact = "sip:200@10.0.0.2:5060"


def test_a_phone_behind_nat_is_kept_open(tmp_path: Path):
    """It is sent OPTIONS along its flow within the interval, again and again, also by a switch that
    was started anew and knows it from its store."""
    with ExitStack() as stack:
        network = stack.enter_context(claimed_network())
        text = CONFIGURATION.format(network=network, free=0)
        text += "[registration]\nkeep_alive_seconds = 5\n"
        switch = Switch(text, tmp_path)
        stack.callback(switch.kill)
        phone = BehindNat("200", f"{network}.20", (f"{network}.1", 5060))
        stack.callback(phone.close)
        assert phone.register().status == 200
        for _ in range(2):
            for _ in range(2):
                asked = phone.receive(10)
                assert isinstance(asked, Request), asked
                assert (asked.method, asked.uri) == ("OPTIONS", BehindNat.contact)
                phone.answer(asked, 200)
            assert switch.stop() == 0
            switch = Switch(text, tmp_path)
            stack.callback(switch.kill)
        assert switch.stop() == 0


def test_a_phone_is_reached_on_its_connection(place: Place):
    """The call comes over the connection on which the phone registered, though nobody listens at
    its Contact; once that is closed, the caller is told 480 at once."""
    phone = place.phone("400", transport="tcp")
    assert phone.register().status == 200
    caller = place.phone("100")
    uri = f"sip:400@{caller.domain}"
    talk(caller, phone, uri)
    phone.close()
    assert called(caller, uri).status == 480


def test_a_connection_that_closes_while_it_rings(place: Place):
    """The caller is not left waiting for a phone that is gone."""
    phone = place.phone("400", transport="tcp")
    assert phone.register().status == 200
    caller = place.phone("100")
    caller.call(f"sip:400@{caller.domain}")
    phone.answer(phone.request_received("INVITE"), 180)
    caller.response_received(180)
    phone.close()
    message = caller.receive()
    assert isinstance(message, Response)
    assert message.status >= 400


@pytest.mark.parametrize(
    ("user", "domain", "status"),
    [
        ("300", "", 480),
        ("300", DOMAIN, 480),
        ("nobody", "", 404),
        ("nobody", DOMAIN, 404),
        ("300", "elsewhere.test", 404),
    ],
)
def test_who_cannot_be_called(place: Place, user: str, domain: str, status: int):
    """480 for a user of ours who is not registered, 404 for whom nobody knows and for other
    domains (RFC 3261 16.5, 21.4.5, 21.4.18)."""
    caller = place.phone("100")
    assert called(caller, f"sip:{user}@{domain or caller.domain}").status == status


def test_address_and_name_are_one_domain(place: Place):
    """Registered under the name, called at the address, and the other way round; both see one
    list of contacts."""
    named = place.phone("200", domain=DOMAIN)
    caller = place.phone("100")
    assert named.register().status == 200
    talk(caller, named, f"sip:200@{caller.domain}")
    assert named.register(0).contacts == []
    numbered = place.phone("200")
    assert numbered.register().status == 200
    talk(caller, numbered, f"sip:200@{DOMAIN}")
    talk(caller, numbered, f"sip:200@{caller.domain}:5060")
    seen = named.register(0).contacts
    assert numbered.contact in [str(contact.uri) for contact in seen]
    assert numbered.register(0).status == 200


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "OPTIONS"])
def test_a_stranger_is_challenged(place: Place, method: str):
    """401 with MD5 alone by default, each time with the same To tag (RFC 3261 8.2.7)."""
    stranger = place.phone("100")
    request = stranger.request(method, f"sip:200@{stranger.domain}")
    response = stranger.ask_once(request)
    assert response.status == 401
    (challenge,) = parse_challenges(response.all("WWW-Authenticate"))
    assert (challenge.algorithm, challenge.stale) == ("MD5", False)
    assert stranger.ask_once(request).to.tag == response.to.tag


@pytest.mark.parametrize("user", ["200", "nobody"])
def test_a_wrong_password(place: Place, user: str):
    """It is asked for again, an unknown name all the same, and nothing is registered."""
    phone = place.phone("200", password="guessed")
    phone.user = user
    response = phone.register()
    assert response.status == 401
    (challenge,) = parse_challenges(response.all("WWW-Authenticate"))
    assert not challenge.stale
    caller = place.phone("100")
    assert called(caller, f"sip:200@{caller.domain}").status == 480


@pytest.mark.parametrize("algorithm", ["SHA-512-256", "SHA-256", "MD5"])
def test_a_listener_with_algorithms_of_its_own(place: Place, algorithm: str):
    """One challenge each in the configured order, and each can be answered (RFC 8760 2.3)."""
    phone = place.phone("200", 5070, algorithms=(algorithm,))
    response = phone.ask_once(phone.request("REGISTER", f"sip:{phone.domain}"))
    offered = [each.algorithm for each in parse_challenges(response.all("WWW-Authenticate"))]
    assert offered == ["SHA-512-256", "SHA-256", "MD5"]
    assert phone.register().status == 200
    assert phone.register(0).status == 200


def test_ipv6(place: Place):
    """A phone on ``::1`` registers and is called, from ``::1`` and from IPv4."""
    here = ("::1", place.port)
    phone = Phone("200", "::1", here)
    assert phone.register().status == 200
    talk(Phone("100", "::1", here), phone, f"sip:200@[::1]:{place.port}")
    talk(place.phone("100"), phone, f"sip:200@{DOMAIN}")
    assert phone.register(0).status == 200
