"""``sips:``: over TLS on every hop of ours, or not at all (RFC 5630)."""

from functools import partial

import pytest
from zope.interface import implementer

from softswitch.plugin.decisions import Proxy, Route, Target
from softswitch.plugin.interfaces import IRouter
from softswitch.sip.message import Response
from softswitch.testing.stage import CONFIG, Stage

SWITCH = "127.88.0.1"
CARRIER = "127.88.0.101"
TLS = {"transport": "tls", "bind": SWITCH, "certificate": "a.pem", "key": "a.key"}
RULES = [{"match": "0.+", "strip": 1, "trunk": "carrier"}]


def config(**tables):
    return {"listen": [*CONFIG["listen"], TLS], **tables}


def over_a_trunk(**trunk):
    plan = {"use": "dialplan", "rules": RULES}
    trunk = {"addresses": ["sip.carrier.example"], **trunk}
    return config(trunks={"carrier": trunk}, policy=[plan, *CONFIG["policy"]])


def warning(response: Response) -> str:
    return (response.get("Warning") or "").partition(" ")[0]


@implementer(IRouter)
class Sends:
    """Answers every call with this."""

    def __init__(self, decision):
        self.decision = decision

    def route(self, invite):
        return self.decision


def test_a_call_to_a_phone_on_tls():
    """Request-URI and Contacts are ``sips:`` ones on both sides, without a transport, which goes
    without saying (RFC 3261 8.1.1.8, 12.1.1; RFC 5630 3.1.4); what follows stays on TLS."""
    with Stage(config(), transport="TLS") as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        call = alice.call(f"sips:bob@{SWITCH}")
        invite = bob.line.invite
        assert invite.uri == f"sips:bob@{bob.host}:{bob.port}"
        assert str(invite.contacts[0].uri) == f"sips:alice@{SWITCH}:5061"
        bob.answer()
        assert call.statuses == [200]
        assert str(call.responses[-1].contacts[0].uri) == f"sips:bob@{SWITCH}:5061"
        bob.hang_up()
        assert not alice.line.stands


def test_a_phone_that_is_not_on_tls_is_not_rung():
    """480 with Warning 380, where it has no other contact (RFC 5630 5.3); one on TLS is rung."""
    with Stage(config()) as stage:
        alice = stage.phone("alice", transport="TLS")
        plain = stage.phone("bob")
        call = alice.call(f"sips:bob@{SWITCH}")
        assert call.statuses == [480]
        assert warning(call.responses[-1]) == "380"
        safe = stage.phone("bob", transport="TLS")
        call = alice.call(f"sips:bob@{SWITCH}")
        safe.answer()
        assert call.statuses == [200]
        assert not plain.lines
        alice.hang_up()


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER", "MESSAGE"])
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_what_comes_unprotected_is_refused(method, transport):
    """480 with Warning 381: who asks for protection has left it out on the first hop."""
    with Stage(config()) as stage:
        peer = stage.peer("127.88.0.99", transport=transport)
        peer.send(peer.request(method, f"sips:bob@{SWITCH}"))
        response = peer.expect(480)
        assert warning(response) == "381"


def test_without_tls_the_scheme_is_unknown():
    """416 (RFC 5630 5.3, RFC 3261 8.2.2.1)."""
    with Stage() as stage:
        peer = stage.peer("127.88.0.99")
        peer.send(peer.request("INVITE", f"sips:bob@{SWITCH}"))
        peer.expect(416)


def test_over_a_trunk_on_tls():
    """The member is asked for the number in a ``sips:`` URI."""
    with Stage(over_a_trunk(transport="tls"), names={"sip.carrier.example": [CARRIER]}) as stage:
        alice, gateway = stage.phone("alice", transport="TLS"), stage.trunk("carrier")
        call = alice.call(f"sips:0123@{SWITCH}")
        assert gateway.line.invite.uri == "sips:123@sip.carrier.example"
        assert str(gateway.line.invite.contacts[0].uri) == f"sips:alice@{SWITCH}:5061"
        gateway.answer()
        assert call.statuses == [200]
        alice.hang_up()
        assert not gateway.line.stands


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_not_over_a_trunk_without_tls(transport):
    """Nobody knows whether it has TLS; 480, and it is not blamed for it."""
    table = over_a_trunk(transport=transport)
    with Stage(table, names={"sip.carrier.example": [CARRIER]}) as stage:
        alice, gateway = stage.phone("alice", transport="TLS"), stage.trunk("carrier")
        call = alice.call(f"sips:0123@{SWITCH}")
        assert call.statuses == [480]
        assert warning(call.responses[-1]) == "380"
        assert not gateway.lines
        assert alice.call(f"sip:0123@{SWITCH}")
        gateway.refuse(486)


def test_a_policy_s_plain_target_is_asked_over_tls():
    """Where it names no trunk and no flow: whoever is there may have TLS."""
    sends = Sends(Route([Target("sip:x@far.example")]))
    names = {"far.example": [CARRIER]}
    with Stage(config(), plug_ins=[sends], names=names) as stage:
        alice = stage.phone("alice", transport="TLS")
        far = stage.phone("far", host=CARRIER, port=5061, transport="TLS")
        alice.call(f"sips:0@{SWITCH}")
        assert far.line.invite.uri == "sips:x@far.example"
        far.refuse(486)


def test_a_redirection_takes_no_protection_away():
    """Contacts of a 3xx are asked as ``sips:`` ones, too (RFC 5630 5.3: no downgrade)."""
    names = {"far.example": [CARRIER]}
    with Stage(config(), names=names) as stage:
        alice, bob = (stage.phone(name, transport="TLS") for name in ("alice", "bob"))
        stage.phone("carol")
        call = alice.call(f"sips:bob@{SWITCH}")
        bob.refuse(302, fields=[("Contact", f"<sip:carol@{SWITCH}>")])
        assert call.statuses == [480]


def test_a_plain_call_to_a_sips_target_is_protected_from_here():
    """A policy may ask for more than the caller does; a flow that gives less is not used."""
    sends = Sends(Route([Target("sips:x@far.example")]))
    names = {"far.example": [CARRIER]}
    with Stage(config(), plug_ins=[sends], names=names) as stage:
        alice = stage.phone("alice")
        far = stage.phone("far", host=CARRIER, port=5061, transport="TLS")
        call = alice.call("0")
        assert far.line.invite.uri == "sips:x@far.example"
        far.answer()
        assert str(call.responses[-1].contacts[0].uri).startswith("sip:")
        alice.hang_up()


def test_a_sips_contact_is_registered_over_tls_only():
    """400 over UDP; over TLS it is called in that scheme by everybody (RFC 5630 5.1.1)."""
    with Stage(config()) as stage:
        bob = stage.phone("bob", register=False)
        bob.private = f"<sips:bob@{bob.host}:{bob.port}>"
        assert bob.register() == 400
        safe = stage.phone("bob", transport="TLS", register=False)
        safe.private = f"<sips:bob@{safe.host}:{safe.port}>"
        assert safe.register() == 200
        alice = stage.phone("alice")
        alice.call("bob")
        assert safe.line.invite.uri == f"sips:bob@{safe.host}:{safe.port}"
        safe.answer()
        alice.hang_up()
        assert not safe.line.stands


def test_a_message_goes_protected_or_not_at_all():
    """Outside of calls as well."""
    with Stage(config()) as stage:
        alice = stage.phone("alice", transport="TLS")
        plain, safe = stage.phone("bob"), stage.phone("carol", transport="TLS")
        for phone in (plain, safe):
            phone.can()
        found = {}
        for name in ("bob", "carol"):
            message = alice.request("MESSAGE", f"sips:{name}@{SWITCH}", caller=f"{alice.own};tag=a")
            alice.ask(message, partial(found.__setitem__, name))
            stage.run(10)
        assert found["carol"].status == 200
        assert found["bob"].status == 480
        assert warning(found["bob"]) == "380"
        assert not plain.requests
        assert safe.requests[-1].uri == f"sips:carol@{safe.host}:{safe.port}"


@pytest.mark.parametrize("transport", ["UDP", "TLS"])
def test_what_the_proxy_forwards_is_protected_as_well(transport):
    """With ``sips:`` in Record-Route (RFC 3261 16.6 step 4)."""

    @implementer(IRouter)
    class Forwards:
        def route(self, invite):
            [binding] = stage.house.whereabouts.locate("bob", stage.house.domain)
            return Proxy(Target(binding.contact, flow=binding.flow))

    with Stage(config(), plug_ins=[Forwards()]) as stage:
        alice = stage.phone("alice", transport="TLS")
        bob = stage.phone("bob", transport=transport)
        call = alice.call(f"sips:bob@{SWITCH}")
        if transport == "UDP":
            assert call.statuses == [480]
            assert warning(call.responses[-1]) == "380"
            return
        invite = bob.line.invite
        assert invite.uri == f"sips:bob@{bob.host}:{bob.port}"
        assert all(route.uri.scheme == "sips" for route in invite.record_routes)
        assert invite.record_routes
        bob.answer()
        assert call.statuses == [200]
        alice.hang_up()
        assert not bob.line.stands
