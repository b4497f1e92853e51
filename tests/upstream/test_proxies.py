"""Registering through a trunk's outbound proxy, and what else of its shape a registrar sees."""

import pytest

from softswitch.sip import compose, digest

FIRST, PROXY = "127.88.0.101", "127.88.0.110"


@pytest.fixture
def through(play):
    """A stage whose trunk has an outbound proxy, and the registrar behind that."""

    def make(**more):
        trunk = {"outbound_proxy": f"{PROXY}:5060", **more}
        return play(PROXY, trunk=trunk, names={"ims.example": []})

    return make


@pytest.mark.parametrize("named", [True, False])
def test_a_register_goes_through_the_outbound_proxy(through, named):
    """It is sent there, with a Route unless the trunk wants none; the Request-URI stays that of the
    address of record (RFC 3261 8.1.2, 10.2)."""
    stage, registrar = through(from_domain="ims.example", outbound_route=named)
    stage.run(0)
    request = registrar.last
    assert request.uri == "sip:ims.example"
    assert str(request.to) == "<sip:acme@ims.example>"
    assert request.get("Route") == (f"<sip:{PROXY}:5060;lr>" if named else None)


def test_without_a_domain_the_member_is_the_registrar(through):
    """A proxy is none."""
    stage, registrar = through()
    stage.run(0)
    assert registrar.last.uri == f"sip:{FIRST}"


def test_a_challenge_keeps_the_route(through):
    """The REGISTER with credentials goes the same way."""
    stage, registrar = through()
    registrar.password = "secret"
    stage.run(0)
    assert len(registrar.asked) == 2
    assert registrar.last.get("Authorization")
    assert registrar.last.get("Route") == f"<sip:{PROXY}:5060;lr>"


@pytest.mark.parametrize("service_route", ["", "<sip:orig@core.example;lr>"])
def test_calls_go_along_the_same_flow(through, service_route):
    """To each member through the proxy that has accepted us, with the Service-Route in the place of
    the proxy's own; a challenge on the way is answered."""
    stage, registrar = through()
    registrar.fields = [("Service-Route", service_route)] if service_route else []
    alice = stage.phone("alice")
    line = alice.call("0123")
    peer = registrar.peer
    challenge = ("Proxy-Authenticate", str(digest.Challenge("any.example", "n")))
    invite = peer.expect("INVITE")
    assert invite.uri == f"sip:123@{FIRST}"
    assert invite.values("Route") == [service_route or f"<sip:{PROXY}:5060;lr>"]
    peer.send(compose.response(invite, 407, to_tag="x", fields=[challenge]))
    peer.expect("ACK")
    again = peer.expect("INVITE")
    assert again.get("Proxy-Authorization")
    peer.send(compose.response(again, 486, to_tag="x"))
    assert line.statuses == [486]


def test_a_name_with_a_service_route_elsewhere(play):
    """A challenge is answered where we have registered, though neither its address nor its route is
    in the configuration."""
    name = "sip.carrier.example"
    trunk = {"addresses": [name]}
    stage, registrar = play(names={name: [FIRST]}, trunk=trunk, registrars=[name])
    registrar.fields = [("Service-Route", "<sip:core.example;lr>")]
    line = stage.phone("alice").call("0123")
    peer = registrar.peer
    challenge = ("WWW-Authenticate", str(digest.Challenge("any.example", "n")))
    peer.send(compose.response(peer.expect("INVITE"), 401, to_tag="x", fields=[challenge]))
    peer.expect("ACK")
    again = peer.expect("INVITE")
    assert again.get("Authorization")
    peer.send(compose.response(again, 486, to_tag="x"))
    assert line.statuses == [486]


def test_the_trunks_shape(play):
    """Its User-Agent, and the host that it wants in our Contacts."""
    shape = {"user_agent": "PBX 1", "contact_host": "me.example:5080", "contact_user": "main"}
    stage, registrar = play(trunk=shape)
    stage.run(0)
    assert registrar.last.all("User-Agent") == ["PBX 1"]
    contact = registrar.contact
    assert (contact.host, contact.port, len(contact.user)) == ("me.example", 5080, 32)
    assert stage.house.stats()["registered_at"][0]["state"] == "registered"
