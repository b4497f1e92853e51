"""A phone in a web page and a phone on a desk at the running switch (RFC 7118), in the clear and
within TLS."""

import ssl

import pytest
from phones import Phone, claimed_network, talk
from processes import Switch
from websockets import WebPhone

from softswitch.testing.authority import Authority

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[[listen]]
transport = "{transport}"
bind = "{network}.1"
port = 8080
{certificate}

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


@pytest.fixture(name="transport", params=["ws", "wss"])
def _transport(request):
    return request.param


@pytest.fixture(name="tls")
def _tls(transport, tmp_path):
    """Whom the pages believe; None in the clear."""
    if transport == "ws":
        return None
    authority = Authority(tmp_path)
    authority.issue("switch", "sip.example.org")
    return ssl.create_default_context(cafile=str(authority.certificate))


@pytest.fixture(name="switch")
def _switch(tmp_path, network, transport, tls):
    certificate = f'certificate = "{tmp_path}/switch.pem"\nkey = "{tmp_path}/switch.key"'
    text = CONFIGURATION.format(
        network=network, transport=transport, certificate=certificate if tls else ""
    )
    switch = Switch(text, tmp_path)
    yield switch
    switch.kill()


@pytest.fixture(name="open_page")
def _open_page(switch, network, transport, tls):
    """Opens a page of Alice's at an address, which has registered."""
    opened = []

    def open_page(number):
        here, there = f"{network}.{number}", (f"{network}.1", 8080)
        page = WebPhone("alice", here, there, transport, tls=tls, name="sip.example.org")
        opened.append(page)
        assert page.register().status == 200
        return page

    yield open_page
    for each in opened:
        each.close()


@pytest.fixture(name="desk")
def _desk(switch, network):
    """Bob's phone, which has registered."""
    desk = Phone("bob", f"{network}.3", (f"{network}.1", 5060))
    assert desk.register().status == 200
    yield desk
    desk.close()


def test_calls_both_ways(network, open_page, desk):
    """Each is found where it has registered, and hangs up what it has begun."""
    page = open_page(2)
    talk(page, desk, f"sip:bob@{network}.1")
    talk(desk, page, f"sip:alice@{network}.1")


def test_a_page_that_is_left(switch, network, open_page, desk):
    """It cannot be reached at once: 480; loaded anew, it can."""
    open_page(2).close()
    switch.until(lambda: desk.ask(desk.invite(f"sip:alice@{network}.1"))[1].status == 480, 5)
    talk(desk, open_page(4), f"sip:alice@{network}.1")
    assert switch.stop() == 0
    assert "Traceback" not in switch.log.read_text()
