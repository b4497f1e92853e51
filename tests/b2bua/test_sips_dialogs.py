"""What follows in a call to a ``sips:`` URI stays on TLS, whatever the peer says of itself."""

import pytest

from softswitch.testing.stage import CONFIG, Stage

SWITCH = "127.88.0.1"
CARRIER = "127.88.0.101"
ELSEWHERE = "127.88.0.102"
TLS = {"transport": "tls", "bind": SWITCH, "certificate": "a.pem", "key": "a.key"}
PLAN = {"use": "dialplan", "rules": [{"match": "0.+", "strip": 1, "trunk": "carrier"}]}
CARRIED = {
    "listen": [*CONFIG["listen"], TLS],
    "trunks": {"carrier": {"addresses": ["sip.carrier.example"], "transport": "tls"}},
    "policy": [PLAN, *CONFIG["policy"]],
}
NAMES = {"sip.carrier.example": [CARRIER], "edge.carrier.example": [ELSEWHERE]}


def carried_call(stage, contact):
    """Alice's call over the trunk, answered with that Contact."""
    alice, gateway = stage.phone("alice", transport="TLS"), stage.trunk("carrier")
    gateway.private = contact
    call = alice.call(f"sips:0123@{SWITCH}")
    gateway.answer()
    assert call.statuses == [200]
    return alice, gateway


def sent_in_clear(stage):
    """What left the switch for anybody in the clear."""
    from_us = [each.data for each in stage.network.log if each.source[0] == SWITCH]
    return [
        data for data in from_us if not data.startswith(b"SIP") and b"Via: SIP/2.0/TLS" not in data
    ]


@pytest.mark.parametrize(
    "contact",
    [
        f"<sip:123@{CARRIER}>",
        f"<sip:123@{CARRIER}:5060;transport=udp>",
        f"<sip:123@{CARRIER};transport=tcp>",
        f"<sip:123@{CARRIER}:5061;transport=tls>",
    ],
)
def test_a_callee_with_a_plain_contact_is_still_reached_over_tls(contact):
    """The dialog is secure, for its INVITE went over TLS to a ``sips:`` URI (RFC 3261 12.1.2): ACK
    and BYE go along the connection, and nothing goes in the clear."""
    with Stage(CARRIED, names=NAMES) as stage:
        alice, gateway = carried_call(stage, contact)
        assert gateway.line.stands
        alice.hang_up()
        assert not gateway.line.stands
        assert not sent_in_clear(stage)


def test_a_plain_contact_elsewhere_is_asked_over_tls():
    """At the port that TLS has there, for the one that it names is not of TLS."""
    with Stage(CARRIED, names=NAMES) as stage:
        plain = stage.phone("plain", host=ELSEWHERE, port=5070)
        edge = stage.phone("edge", host=ELSEWHERE, port=5061, transport="TLS")
        alice, gateway = carried_call(stage, "<sip:123@edge.carrier.example:5070>")
        alice.hang_up()
        stage.run(40)
        assert not plain.received
        assert {"ACK", "BYE"} <= {each.method for _, each, _ in edge.received}
        gateway.hang_up()


def test_a_plain_record_route_is_asked_over_tls():
    """A proxy that has written ``sip:`` in there against RFC 3261 16.6 leads to TLS as well."""
    with Stage(CARRIED, names=NAMES) as stage:
        plain = stage.phone("plain", host=ELSEWHERE, port=5060)
        edge = stage.phone("edge", host=ELSEWHERE, port=5061, transport="TLS")
        alice, gateway = stage.phone("alice", transport="TLS"), stage.trunk("carrier")
        call = alice.call(f"sips:0123@{SWITCH}")
        gateway.answer(fields=[("Record-Route", "<sip:edge.carrier.example;lr>")])
        assert call.statuses == [200]
        alice.hang_up()
        stage.run(40)
        assert not plain.received
        assert {"ACK", "BYE"} <= {each.method for _, each, _ in edge.received}
        gateway.hang_up()


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_what_comes_in_the_clear_within_such_a_dialog_is_refused(transport):
    """480 with Warning 381, and nothing has happened; the same over TLS ends the call."""
    with Stage(CARRIED, names=NAMES) as stage:
        alice, gateway = carried_call(stage, f"<sip:123@{CARRIER}>")
        bye = gateway.line.compose("BYE")
        stranger = stage.peer("127.88.0.99", transport=transport)
        via = f"SIP/2.0/{transport} {stranger.place};rport;branch=z9hG4bKclear"
        in_clear = bye.encode().replace(
            f"Via: {bye.get('Via')}".encode(), f"Via: {via}".encode(), 1
        )
        stranger.send(in_clear)
        refused = stranger.expect(480)
        assert (refused.get("Warning") or "").startswith("381")
        assert alice.line.stands
        gateway.hang_up()
        assert not alice.line.stands


def test_an_ack_in_the_clear_confirms_nothing():
    """The 200 comes again until the ACK comes over TLS."""
    with Stage(CARRIED, names=NAMES) as stage:
        alice, gateway = stage.phone("alice", transport="TLS"), stage.trunk("carrier")
        call = alice.call(f"sips:0123@{SWITCH}")
        alice.lost_acks = 2
        gateway.answer()
        ack = alice.line._request("ACK", call.sent.cseq.number, (), b"")
        stranger = stage.peer("127.88.0.99")
        via = f"SIP/2.0/UDP {stranger.place};rport;branch=z9hG4bKclear"
        before = len(alice.times(200))
        stranger.send(
            ack.encode().replace(f"Via: {ack.get('Via')}".encode(), f"Via: {via}".encode(), 1)
        )
        stage.run(5)
        assert len(alice.times(200)) == before + 2
        alice.hang_up()
        assert not gateway.line.stands


def test_a_plain_call_follows_the_contact_as_ever():
    """Without ``sips:`` the callee's Contact says where to go on, over UDP too (12.2.1.1)."""
    with Stage(CARRIED, names=NAMES) as stage:
        alice, gateway = stage.phone("alice"), stage.trunk("carrier")
        elsewhere = stage.phone("plain", host=ELSEWHERE)
        gateway.private = f"<sip:123@{ELSEWHERE}>"
        alice.call("0123")
        gateway.answer()
        alice.hang_up()
        stage.run(40)
        assert {"ACK", "BYE"} <= {each.method for _, each, _ in elsewhere.received}
        gateway.hang_up()
