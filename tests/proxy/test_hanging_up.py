"""When a forwarded call is over: once the other side knows of the BYE (RFC 3261 15.1). What goes on
at a trunk is counted and paid for until then."""

import attrs
import pytest
from zope.interface import implementer

from softswitch.plugin.decisions import Proxy
from softswitch.plugin.interfaces import IRouter
from softswitch.proxy.ledger import UNHEARD_SECONDS
from softswitch.sip import compose
from softswitch.testing.stage import Stage

CARRIER, OTHER = "127.88.0.201", "127.88.0.202"


@implementer(IRouter)
@attrs.define
class OverTrunk:
    """Forwards all over the trunk."""

    house: object = None

    def route(self, request):
        return Proxy(self.house.trunk("carrier").targets(request.uri.user, request))


class Case:
    """A call of alice's that has gone out over a trunk, at her expense."""

    def __init__(self, transport="UDP"):
        policy = OverTrunk()
        addresses = [f"{CARRIER}:5060"]
        carrier = {"addresses": addresses, "networks": [CARRIER, OTHER], "transport": "udp"}
        if transport == "TCP":
            carrier["transport"] = "tcp"
        config = {"trunks": {"carrier": carrier}, "numbering": {"country": "DE"}}
        self.stage = stage = Stage(config, plug_ins=[policy])
        policy.house = stage.house.premises
        self.gateway = stage.phone("gateway", host=CARRIER, register=False, transport=transport)
        self.alice = stage.phone("alice")
        self.line = self.alice.call("+493012345678")
        self.gateway.answer()
        assert self.line.statuses == [200]

    @property
    def stands(self):
        """Whether the call is counted, paid for, and has no record yet."""
        house = self.stage.house
        out = house.stats()["trunks"]["carrier"]["calls_out"]
        (one,) = {out, len(house.proxy.ledger), len(house.tolls._runs), 1 - len(self.stage.records)}
        return bool(one)

    def from_elsewhere(self, line, method, contact="", uri=""):
        """Send a request of a line's dialog from an address of alice's."""
        peer = self.stage.peer(self.alice.host, port=5999)
        request = line.compose(method)
        via = f"SIP/2.0/UDP {peer.place};rport;branch={compose.new_branch()}"
        request = request.replaced("Via", [via])
        if contact:
            request = request.replaced("Contact", [contact])
        request.uri = uri or request.uri
        peer.send(request)
        peer.endpoint.close()
        return peer.unread[-1].status


@pytest.fixture
def case():
    """The call; nothing may be left of it."""
    made = []

    def make(**how):
        made.append(Case(**how))
        return made[-1]

    yield make
    for each in made:
        print(each.stage.ladder())
        each.stage.close()
        assert not len(each.stage.house.proxy.ledger)
        assert not each.stage.house.tolls._runs


@pytest.mark.parametrize("status", [200, 481])
def test_a_bye_that_is_answered(case, status):
    """With the answer, not before: 200, or 481 of somebody who knows of no call."""
    call = case()
    call.gateway.line.answers["BYE"] = 0
    call.alice.hang_up()
    assert call.stands
    call.gateway.line.respond(status, to=call.gateway.line.got("BYE"))
    assert not call.stands
    (record,) = call.stage.records
    assert (record.status, record.hung_up) == (200, "caller")


def test_a_bye_that_nobody_answers(case):
    """64*T1 later the gateway counts as gone (12.2.1.2)."""
    call = case()
    call.gateway.silent = True
    call.alice.hang_up()
    call.stage.run(31.9)
    assert call.stands
    call.stage.run(0.2)
    assert not call.stands
    assert call.line.final == 408


@pytest.mark.parametrize("status", [401, 407, 420, 483, 500, 503])
def test_a_bye_that_ends_nothing(case, status):
    """A challenge, or a fault on the way: the call goes on at the gateway, and is paid for until
    another BYE comes through, or nothing is heard any more."""
    call = case()
    call.gateway.line.answers["BYE"] = status
    call.alice.hang_up()
    assert call.line.final in (status, 500)
    assert call.stands
    call.stage.run(40)
    assert call.stands
    if status == 401:
        call.gateway.line.answers["BYE"] = 200
        call.alice.hang_up()
    else:
        call.stage.run(UNHEARD_SECONDS)
        assert call.stage.records[0].reason == "Nothing Heard"
    assert not call.stands


@pytest.mark.parametrize("uri", ["sip:x@127.88.0.11:5999", f"sip:+4930999@{CARRIER}"])
def test_a_bye_to_elsewhere(case, uri):
    """One that is led to the caller himself, or to another number, ends nothing: 481."""
    call = case()
    heard = len(call.gateway.received)
    right, call.line.target = call.line.target, uri
    call.alice.hang_up()
    assert (call.line.final, call.stands) == (481, True)
    assert len(call.gateway.received) == heard
    call.line.target = right
    call.alice.hang_up()
    assert not call.stands


@pytest.mark.parametrize("status", [200, 481])
def test_a_bye_to_where_the_gateway_was_before(case, status):
    """It has moved by a re-INVITE: 481 from there says nothing, 2xx does."""
    call = case()
    before = call.line.target
    call.gateway.private = f"<sip:moved@{CARRIER}:5060>"
    call.gateway.line.reinvite(call.gateway.sdp(version=2))
    call.alice.answer()
    call.gateway.line.answers["BYE"] = status
    call.line.target = before
    call.alice.hang_up()
    assert call.line.final == status
    assert call.stands is (status == 481)
    call.gateway.hang_up()
    assert not call.stands


def test_a_bye_in_the_gateways_name(case):
    """The caller, who knows both tags, sends himself a BYE as if it came from the gateway, and
    answers it: it has not come from where the gateway is, and ends nothing."""
    call = case()
    assert call.from_elsewhere(call.gateway.line, "BYE") == 200
    assert call.stands
    call.gateway.hang_up()
    assert not call.stands
    assert call.stage.records[0].hung_up == "callee"


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_refresh_in_the_gateways_name(case, method):
    """Likewise he cannot have the gateway's remote target, or its flow, be his own."""
    call = case()
    call.alice.can()
    call.alice.line.answers["INVITE"] = 200
    right, thief = call.line.target, f"sip:thief@{call.alice.host}:5999"
    call.from_elsewhere(call.gateway.line, method, contact=f"<{thief}>")
    call.stage.run(1)
    call.line.target = thief
    call.alice.hang_up()
    assert (call.line.final, call.stands) == (481, True)
    call.line.target = right
    call.alice.hang_up()
    assert call.gateway.line.over
    assert not call.stands
    call.stage.run(40)


def test_a_bye_from_another_host_of_the_trunk(case):
    """A carrier has several: it is the trunk that has hung up."""
    call = case()
    other = call.stage.peer(OTHER)
    bye = call.gateway.line.compose("BYE")
    via = f"SIP/2.0/UDP {other.place};rport;branch={compose.new_branch()}"
    other.send(bye.replaced("Via", [via]))
    assert other.expect(200)
    assert not call.stands


def test_a_gateway_that_hangs_up_on_a_phone_that_is_gone(case):
    """Its own side is over; that the phone does not hear of it costs nobody anything."""
    call = case()
    call.alice.vanish()
    call.gateway.hang_up()
    assert call.stands
    call.stage.run(33)
    assert not call.stands


def test_a_bye_that_does_not_reach_the_gateway(case):
    """Where there is no connection to it any more, the call goes on there for all that we know."""
    call = case(transport="TCP")
    call.gateway.endpoint.close()
    call.stage.run(1)
    call.alice.hang_up()
    assert call.line.final == 500
    assert call.stands
    call.stage.run(UNHEARD_SECONDS)
    assert not call.stands


def test_a_page_that_is_closed(proxying):
    """Between phones nothing is at stake: where one cannot be reached any more, the other's BYE
    ends the call."""
    stage = proxying("bob")
    alice, bob = stage.phone("alice"), stage.phone("bob", transport="WS")
    alice.call("bob")
    bob.answer()
    bob.endpoint.close()
    stage.run(1)
    alice.hang_up()
    assert alice.line.final >= 500
    assert [record.hung_up for record in stage.records] == ["caller"]
