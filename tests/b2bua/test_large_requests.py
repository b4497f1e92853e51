"""What is too large for a datagram goes over TCP where it may (RFC 3261 18.1.1)."""

import pytest
from zope.interface import implementer

from softswitch.plugin.decisions import Proxy, Route, Target
from softswitch.plugin.interfaces import IRouter
from softswitch.sip.parser import parse
from softswitch.testing.stage import CONFIG, Stage

SWITCH = "127.88.0.1"
CARRIER = "127.88.0.101"
PLAN = {"use": "dialplan", "rules": [{"match": "0.+", "strip": 1, "trunk": "carrier"}]}
LARGE = [("X-Large", "x" * 1200)]


def carried(**trunk):
    trunk = {"addresses": [CARRIER], **trunk}
    return {"trunks": {"carrier": trunk}, "policy": [PLAN, *CONFIG["policy"]]}


def over_tcp(stage):
    """The carrier as it is found over TCP, at the same address."""
    phone = stage.phone("carrier", host=CARRIER, transport="TCP")
    phone.private = f"<sip:123@{CARRIER}>"
    return phone


def sent(stage, method, *, to=CARRIER):
    """What went to the carrier: second, transport of the wire, transport of the Via."""
    found = []
    for each in stage.network.log:
        if each.to[0] == to and each.data.startswith(method.encode()):
            found.append((each.at, each.transport, parse(each.data).top_via.transport))
    return found


def connections(stage):
    """How often somebody has tried to connect to the carrier."""
    return len([peer for peer in stage.opened if peer == (CARRIER, 5060)])


class Watched(Stage):
    """Notes to where connections are opened."""

    def __init__(self, *args, **kwargs):
        self.opened = []
        super().__init__(*args, **kwargs)
        opens = self.network.open

        def noted(host, to, *rest):
            self.opened.append(to)
            return opens(host, to, *rest)

        self.network.open = noted


def test_a_large_invite_goes_over_tcp():
    """Its Via says so; what follows and is small goes over UDP, as the Contact has it."""
    with Stage(carried()) as stage:
        alice, datagrams, gateway = stage.phone("alice"), stage.trunk("carrier"), over_tcp(stage)
        call = alice.call("0123", fields=LARGE)
        assert sent(stage, "INVITE") == [(0, "TCP", "TCP")]
        gateway.answer()
        assert call.statuses == [200]
        assert sent(stage, "ACK") == [(0, "UDP", "UDP")]
        alice.hang_up()
        assert sent(stage, "BYE") == [(0, "UDP", "UDP")]
        assert [each.method for _, each, _ in datagrams.received] == ["ACK", "BYE"]
        gateway.line.over = True
        stage.run(40)


def test_a_small_one_stays_a_datagram():
    """Nobody even connects."""
    with Watched(carried()) as stage:
        alice, gateway = stage.phone("alice"), stage.trunk("carrier")
        over_tcp(stage)
        alice.call("0123", fields=[("X-Large", "x" * 300)])
        gateway.refuse(486)
        assert sent(stage, "INVITE") == [(0, "UDP", "UDP")]
        assert not connections(stage)


def test_its_cancel_and_ack_go_the_same_way():
    """RFC 3261 9.1, 17.1.1.3: to where the INVITE went, with its Via."""
    with Stage(carried()) as stage:
        alice, gateway = stage.phone("alice"), over_tcp(stage)
        call = alice.call("0123", fields=LARGE)
        gateway.ring()
        alice.cancel()
        assert call.statuses == [180, 487]
        assert sent(stage, "CANCEL") == sent(stage, "ACK") == [(0, "TCP", "TCP")]


def test_where_tcp_is_refused_it_goes_over_udp_at_once():
    """And is repeated there; for ten minutes nobody connects again, and then somebody does."""
    with Watched(carried()) as stage:
        alice, gateway = stage.phone("alice"), stage.trunk("carrier")
        gateway.silent = True
        call = alice.call("0123", fields=LARGE)
        stage.run(1)
        assert sent(stage, "INVITE") == [(at, "UDP", "UDP") for at in (0, 0.5)]
        gateway.silent = False
        stage.run(1)
        gateway.answer()
        assert call.statuses == [200]
        alice.hang_up()
        assert connections(stage) == 1
        alice.call("0123", fields=LARGE)
        gateway.refuse(486)
        assert connections(stage) == 1
        stage.run(600)
        alice.call("0123", fields=LARGE)
        gateway.refuse(486)
        assert connections(stage) == 2


def test_where_tcp_is_silent_it_goes_over_udp_after_two_seconds():
    """With the same branch, for it is the same request; the next one goes there at once."""
    with Watched(carried()) as stage:
        alice, gateway = stage.phone("alice"), stage.trunk("carrier")
        stage.network.filtered.add((CARRIER, 5060))
        call = alice.call("0123", fields=LARGE)
        stage.run(2)
        assert sent(stage, "INVITE") == [(2, "UDP", "UDP")]
        gateway.answer()
        assert call.statuses == [200]
        alice.hang_up()
        alice.call("0123", fields=LARGE)
        gateway.refuse(486)
        assert connections(stage) == 1
        assert sent(stage, "INVITE")[1:] == [(2, "UDP", "UDP")]


def test_what_waits_for_the_same_connection_falls_back_together():
    """Two calls, one attempt."""
    with Watched(carried()) as stage:
        alice, bob, gateway = stage.phone("alice"), stage.phone("bob"), stage.trunk("carrier")
        stage.network.filtered.add((CARRIER, 5060))
        alice.call("0123", fields=LARGE)
        stage.run(1)
        bob.call("0124", fields=LARGE)
        stage.run(1)
        assert sent(stage, "INVITE") == [(2, "UDP", "UDP")] * 2
        assert connections(stage) == 1
        for line in gateway.lines:
            line.respond(486)


def test_who_is_silent_on_both_is_passed_over():
    """The next member is tried when it has been silent for as long as any."""
    other = "127.88.0.102"
    table = carried(addresses=[CARRIER, other])
    with Stage(table) as stage:
        alice, gateway = stage.phone("alice"), stage.trunk("carrier", 1)
        stage.network.silent.add(CARRIER)
        call = alice.call("0123", fields=LARGE)
        stage.run(4)
        assert [at for at, *_ in sent(stage, "INVITE")] == [2, 2.5, 3.5]
        gateway.refuse(486)
        assert call.statuses == [486]
        stage.run(40)


def test_a_connection_that_breaks_after_an_answer_is_a_failure():
    """The request has arrived, so that it is not sent once more (RFC 3261 8.1.3.1)."""
    with Stage(carried()) as stage:
        alice, gateway = stage.phone("alice"), over_tcp(stage)
        stage.trunk("carrier")
        call = alice.call("0123", fields=LARGE)
        gateway.ring()
        gateway.vanish()
        for peer in list(gateway.endpoint.peers):
            gateway.endpoint.stream(peer).close()
        stage.run(1)
        assert call.statuses[-1] >= 480
        assert sent(stage, "INVITE") == [(0, "TCP", "TCP")]


def test_a_trunk_may_want_datagrams_only():
    """In both directions of calls: requests within its own calls as well."""
    with Watched(carried(large_over_tcp=False)) as stage:
        alice, gateway = stage.phone("alice"), stage.trunk("carrier")
        alice.can()
        over_tcp(stage)
        alice.call("0123", fields=LARGE)
        gateway.refuse(486)
        call = gateway.call("alice")
        alice.answer()
        assert call.statuses == [200]
        alice.line.reinvite(alice.sdp(version=2), LARGE)
        gateway.answer()
        alice.hang_up()
        assert {wire for _, wire, _ in sent(stage, "INVITE")} == {"UDP"}
        assert not connections(stage)


@pytest.mark.parametrize("uri", [f"sip:x@{CARRIER};transport=udp"])
def test_where_the_transport_is_said_it_holds(uri):
    """Whoever says UDP gets it."""

    @implementer(IRouter)
    class Sends:
        def route(self, invite):
            return Route([Target(uri)])

    with Watched(plug_ins=[Sends()]) as stage:
        alice, far = stage.phone("alice"), stage.phone("far", host=CARRIER)
        alice.call("0", fields=LARGE)
        far.refuse(486)
        assert sent(stage, "INVITE") == [(0, "UDP", "UDP")]
        assert not connections(stage)


def test_a_registered_phone_is_called_on_its_flow():
    """Whatever the size: nothing else gets through its NAT."""
    with Watched() as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob", host=CARRIER)
        stage.phone("other", host=CARRIER, transport="TCP")
        alice.call("bob", fields=LARGE)
        bob.refuse(486)
        assert sent(stage, "INVITE") == [(0, "UDP", "UDP")]
        assert not connections(stage)


def test_without_a_listener_for_tcp():
    """There is nothing but UDP."""
    with Watched({**carried(), "listen": CONFIG["listen"][:1]}) as stage:
        alice, gateway = stage.phone("alice"), stage.trunk("carrier")
        alice.call("0123", fields=LARGE)
        gateway.refuse(486)
        assert sent(stage, "INVITE") == [(0, "UDP", "UDP")]


def test_a_large_ack_takes_the_connection_that_stands():
    """An answer may be as large as an offer, and stands in the ACK of a late one."""
    with Stage(carried()) as stage:
        alice, gateway = stage.phone("alice"), over_tcp(stage)
        stage.trunk("carrier")
        call = alice.dial("0123")
        filling = [b"a=x-filling:%03d\r\n" % number for number in range(80)]
        call.description = alice.sdp() + b"".join(filling)
        call.reinvite(b"", LARGE)
        gateway.answer()
        assert call.statuses == [200]
        assert sent(stage, "ACK") == [(0, "TCP", "TCP")]
        alice.hang_up()
        stage.run(40)


def test_what_is_forwarded_goes_over_tcp_too():
    """The proxy's copies are requests like any other (RFC 3261 16.6 step 10)."""

    @implementer(IRouter)
    class Forwards:
        def route(self, invite):
            return Proxy(Target(f"sip:x@{CARRIER}"))

    with Stage(plug_ins=[Forwards()]) as stage:
        alice, far = stage.phone("alice"), over_tcp(stage)
        call = alice.call("0", fields=LARGE)
        far.refuse(486)
        assert call.statuses == [486]
        assert sent(stage, "INVITE") == [(0, "TCP", "TCP")]
