"""Calls from and to phones and trunks on TLS, on the loop network: which connection, which address
each side is told, whose a request is. The handshakes are in tests/system/test_tls_sockets.py."""

import pytest

from softswitch.errors import ConfigError
from softswitch.testing.stage import CONFIG, Stage

SWITCH = "127.88.0.1"
CARRIER = "127.88.0.101"
LISTEN = [
    *CONFIG["listen"],
    {
        "transport": "tls",
        "bind": SWITCH,
        "certificate": "a.pem",
        "key": "a.key",
        "client_certificates": "wanted",
        "client_ca": "ca.pem",
    },
]
RULES = [{"match": "0.+", "strip": 1, "trunk": "carrier"}]


def config(trunk=None, **tables):
    plan = [{"use": "dialplan", "rules": RULES}] if trunk else []
    trunks = {"carrier": trunk} if trunk else {}
    return {"listen": LISTEN, "trunks": trunks, "policy": [*plan, *CONFIG["policy"]], **tables}


def via(message):
    return str(message.top_via).partition(";")[0]


def connections(stage):
    """The peers to which a connection stands."""
    return {flow.remote_host for flow in _flows(stage)}


def _flows(stage):
    return [each.flow for each in stage.house.transport.connections]


@pytest.mark.parametrize(("caller", "callee"), [("TLS", "UDP"), ("UDP", "TLS"), ("TLS", "TLS")])
def test_a_call_between_transports(caller, callee):
    """Each side is told the address and the transport that face it (RFC 3261 8.1.1.8, 18.1.1), and
    a phone on TLS is called and hung up on along the connection on which it registered (RFC 5626
    5.3): to its Contact no other is opened."""
    with Stage(config()) as stage:
        alice = stage.phone("alice", transport=caller)
        bob = stage.phone("bob", transport=callee)
        before = _flows(stage)
        call = alice.call("bob")
        invite = bob.line.invite
        port, kind = (5061, ";transport=tls") if callee == "TLS" else (5060, "")
        assert via(invite) == f"SIP/2.0/{callee} {SWITCH}:{port}"
        assert str(invite.contacts[0].uri) == f"sip:alice@{SWITCH}:{port}{kind}"
        bob.answer()
        assert call.statuses == [200]
        port, kind = (5061, ";transport=tls") if caller == "TLS" else (5060, "")
        assert str(call.responses[-1].contacts[0].uri) == f"sip:bob@{SWITCH}:{port}{kind}"
        bob.hang_up()
        assert not alice.line.stands
        assert _flows(stage) == before


def test_a_caller_without_a_registration_is_answered_on_its_connection():
    """It has no certificate, as a rule, by which another connection to it could be made."""
    with Stage(config()) as stage:
        alice = stage.phone("alice", transport="TLS", register=False)
        bob = stage.phone("bob")
        alice.private = "<sip:alice@10.9.9.9:5061;transport=tls>"
        alice.call("bob")
        bob.answer()
        bob.hang_up()
        assert not alice.line.stands
        assert connections(stage) == {alice.host}


def test_a_trunk_on_tls_is_called_and_hung_up_on():
    """By the name that its certificate must bear; what follows goes along the same connection,
    though its Contact is an address, which no certificate names."""
    carrier = {"addresses": ["sip.carrier.example"], "transport": "tls"}
    names = {"sip.carrier.example": [CARRIER]}
    with Stage(config(carrier), names=names) as stage:
        alice = stage.phone("alice")
        gateway = stage.trunk("carrier")
        call = alice.call("0123")
        invite = gateway.line.invite
        assert invite.uri == "sip:123@sip.carrier.example;transport=tls"
        assert via(invite) == f"SIP/2.0/TLS {SWITCH}:5061"
        assert str(invite.contacts[0].uri) == f"sip:alice@{SWITCH}:5061;transport=tls"
        [connection] = stage.house.transport.connections
        assert connection.wanted == "sip.carrier.example"
        assert (connection.flow.remote_host, connection.flow.remote_port) == (CARRIER, 5061)
        gateway.answer()
        assert call.statuses == [200]
        alice.hang_up()
        assert not gateway.line.stands
        assert list(stage.house.transport.connections) == [connection]


def test_a_record_route_by_address_is_followed_along_the_connection():
    """The same for a carrier's proxy, which stays in the dialog by its address (RFC 5923)."""
    carrier = {"addresses": ["sip.carrier.example"], "transport": "tls"}
    names = {"sip.carrier.example": [CARRIER]}
    with Stage(config(carrier), names=names) as stage:
        alice = stage.phone("alice")
        gateway = stage.trunk("carrier")
        alice.call("0123")
        gateway.answer(fields=[("Record-Route", f"<sip:{CARRIER};transport=tls;lr>")])
        alice.hang_up()
        assert not gateway.line.stands
        assert len(stage.house.transport.connections) == 1


MUTUAL = {
    "addresses": ["sip.carrier.example"],
    "transport": "tls",
    "inbound_certificates": ["sip.carrier.example"],
}


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (["sip.carrier.example"], 200),
        (["sip.carrier.example", "x.example"], 200),
        (["other.example"], 401),
        (["*.carrier.example"], 401),
        ([], 401),
    ],
)
def test_a_certificate_makes_a_request_the_trunk_s(shown, status):
    """Whoever shows one with its name is the trunk, from whatever address; others are strangers, as
    everybody is at the trunk's address (RFC 5922 7)."""
    with Stage(config(MUTUAL), names={"sip.carrier.example": [CARRIER]}) as stage:
        bob = stage.phone("bob")
        caller = stage.phone("gw", host="127.88.0.150", transport="TLS")
        stage.network.certificates[caller.host] = frozenset(shown)
        call = caller.call(f"sip:bob@{SWITCH}")
        if status == 200:
            bob.answer()
            bob.hang_up()
            assert stage.records[-1].identity == "carrier"
        assert call.statuses == [status]


def test_the_address_alone_is_not_the_trunk():
    """Where a certificate is asked for: neither over UDP nor on TLS without one."""
    trunk = {**MUTUAL, "addresses": [CARRIER]}
    with Stage(config(trunk)) as stage:
        for transport in ("UDP", "TLS"):
            caller = stage.phone("gw", host=CARRIER, port=5099, transport=transport)
            assert caller.call(f"sip:bob@{SWITCH}").statuses == [401]
            stage.run(40)


def test_what_lies_behind_such_a_trunk_is_hidden_as_ever():
    """Its address is no less its own (the trunk's ``topology``)."""
    trunk = {"addresses": [CARRIER], "inbound_certificates": ["sip.carrier.example"]}
    with Stage(config(trunk)) as stage:
        bob = stage.phone("bob")
        caller = stage.phone("gw", host="127.88.0.150", transport="TLS")
        stage.network.certificates[caller.host] = frozenset(["sip.carrier.example"])
        caller.call(f"sip:bob@{SWITCH}", fields=[("Subject", f"from {CARRIER}")])
        assert bob.line.invite.get("Subject") == f"from {SWITCH}"
        bob.answer()
        bob.hang_up()


def test_networks_and_certificate_both():
    """Where both are given, both must hold; the narrowest network of others does not go before."""
    trunk = {**MUTUAL, "networks": ["127.88.0.0/28"]}
    other = {"addresses": ["10.1.1.1"], "networks": ["127.88.0.12/32"]}
    tables = config(trunk)
    tables["trunks"]["other"] = other
    with Stage(tables) as stage:
        bob = stage.phone("bob", host="127.88.0.20")
        found = []
        for host in ("127.88.0.12", "127.88.0.13", "127.88.0.99"):
            stage.network.certificates[host] = frozenset(["sip.carrier.example"])
            caller = stage.phone("gw", host=host, transport="TLS")
            call = caller.call(f"sip:bob@{SWITCH}")
            if call.statuses == [401]:
                found.append("nobody")
                continue
            bob.answer()
            bob.hang_up()
            found.append(stage.records[-1].identity)
        assert found == ["carrier", "carrier", "nobody"]


def test_a_wildcard_where_the_trunk_allows_it():
    """In its certificate as a client, too."""
    trunk = {**MUTUAL, "tls": {"wildcard": True}}
    with Stage(config(trunk)) as stage:
        bob = stage.phone("bob")
        caller = stage.phone("gw", transport="TLS")
        stage.network.certificates[caller.host] = frozenset(["*.carrier.example"])
        caller.call(f"sip:bob@{SWITCH}")
        bob.answer()
        bob.hang_up()
        assert stage.records[-1].identity == "carrier"


def test_we_register_over_tls():
    """The registrar must have the name; our Contact says TLS."""
    trunk = {
        "addresses": ["sip.carrier.example"],
        "transport": "tls",
        "username": "me",
        "password": "secret",
        "register": {},
    }
    with Stage(config(trunk), names={"sip.carrier.example": [CARRIER]}) as stage:
        registrar = stage.peer(CARRIER, 5061, transport="TLS")
        stage.settle()
        register = registrar.expect("REGISTER")
        assert register.contacts[0].uri.params["transport"] == "tls"
        assert register.contacts[0].uri.port == 5061
        [connection] = stage.house.transport.connections
        assert connection.wanted == "sip.carrier.example"
        stage.network.silent.add(CARRIER)


def test_a_reload_leaves_a_listener_alone_but_for_its_certificates():
    """They are read anew; where it listens takes a restart."""
    with Stage(config()) as stage:
        renewed = [*LISTEN[:-1], {**LISTEN[-1], "certificate": "b.pem", "key": "b.key"}]
        stage.reload({**config(), "listen": renewed})
        with pytest.raises(ConfigError, match="listen: a change here takes a restart"):
            stage.reload({**config(), "listen": [*LISTEN[:-1], {**LISTEN[-1], "port": 5071}]})
