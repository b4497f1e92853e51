"""A phone in a web page and a phone on a desk at the running switch (RFC 7118)."""

import pytest
from phones import Phone, claimed_network, talk
from processes import Switch
from websockets import WebPhone

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[[listen]]
transport = "ws"
bind = "{network}.1"
port = 8080

[users.alice]
password = "secret"

[users.bob]
password = "secret"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "located"

[media]
engine = "bypass"
"""


@pytest.fixture(name="network")
def _network():
    with claimed_network() as network:
        yield network


@pytest.fixture(name="switch")
def _switch(tmp_path, network):
    switch = Switch(CONFIGURATION.format(network=network), tmp_path)
    yield switch
    switch.kill()


@pytest.fixture(name="page")
def _page(switch, network):
    """Alice's, which has registered."""
    page = WebPhone("alice", f"{network}.2", (f"{network}.1", 8080))
    assert page.register().status == 200
    yield page
    page.close()


@pytest.fixture(name="desk")
def _desk(switch, network):
    """Bob's phone, which has registered."""
    desk = Phone("bob", f"{network}.3", (f"{network}.1", 5060))
    assert desk.register().status == 200
    yield desk
    desk.close()


def test_calls_both_ways(network, page, desk):
    """Each is found where it has registered, and hangs up what it has begun."""
    talk(page, desk, f"sip:bob@{network}.1")
    talk(desk, page, f"sip:alice@{network}.1")


def test_a_page_that_is_left(switch, network, page, desk):
    """It cannot be reached at once: 480; loaded anew, it can."""
    page.close()
    switch.until(lambda: desk.ask(desk.invite(f"sip:alice@{network}.1"))[1].status == 480, 5)
    again = WebPhone("alice", f"{network}.4", (f"{network}.1", 8080))
    assert again.register().status == 200
    talk(desk, again, f"sip:alice@{network}.1")
    again.close()
    assert switch.stop() == 0
    assert "Traceback" not in switch.log.read_text()
