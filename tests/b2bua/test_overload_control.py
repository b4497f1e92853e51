"""Neighbours that tell each other how much they can bear (RFC 7339), from both ends."""

import pytest

from softswitch.testing.stage import CONFIG
from softswitch.transport.overload import RECENT

FIRST, SECOND = "127.88.0.101", "127.88.0.102"
CONTROL = ("oc", "oc-algo", "oc-validity", "oc-seq")


def control(message):
    """The parameters of its top Via by which neighbours speak of the load."""
    params = message.top_via.params
    return {name: params[name] for name in CONTROL if name in params}


@pytest.fixture
def carriers(make_stage):
    """Makes a stage whose trunk has two members: stage, both gateways, Alice."""

    def make(asked=True, transport="udp"):
        rules = [
            {"match": "0.+", "strip": 1, "trunk": "carrier"},
            {"match": "112", "trunk": "carrier"},
        ]
        carrier = {
            "addresses": [f"{FIRST}:5060", f"{SECOND}:5060"],
            "overload_control": asked,
            "transport": transport,
        }
        stage = make_stage(
            {
                "trunks": {"carrier": carrier},
                "policy": [{"use": "dialplan", "rules": rules}, *CONFIG["policy"]],
                "fraud": {"per_minute": 0},
            }
        )
        members = [stage.trunk("carrier", index) for index in (0, 1)]
        return stage, *members, stage.phone("alice")

    return make


def says(gateway, number, percent=100, milliseconds="2000"):
    """What a gateway has been sent last is answered with this from now on."""
    gateway.line.invite.tell(
        {
            "oc": str(percent),
            "oc-algo": '"loss"',
            "oc-validity": milliseconds,
            "oc-seq": f"1282321615.{number}",
        }
    )


# As the one who is asked.


class Load:
    """A switch with too much to do."""

    def __init__(self, stage):
        self.stage = stage
        self.overload = stage.house.transport.overload

    def press(self):
        """Have it so for the next 20 ms."""
        self.overload.stands(float("-inf"), 0.02)


def offers(peer, *, tag="", method="OPTIONS"):
    """A request whose Via offers to heed what it hears."""
    to = f"<sip:127.88.0.1>;tag={tag}" if tag else ""
    request = peer.request(method, "sip:127.88.0.1", to=to)
    via = request.get("Via")
    return request.replaced("Via", [f'{via};oc;oc-algo="loss,A"'])


def test_who_offers_is_told(make_stage):
    """A trunk whose Via has ``oc`` hears in each answer which share of new requests is refused, by
    the algorithm that all know, for how long that holds, and a number that grows (RFC 7339 4); and
    when it is over, that it is over (4.3). The parsed and the unparsed answer say the same."""
    stage = make_stage({"trunks": {"carrier": {"addresses": [FIRST]}}})
    peer = stage.peer(FIRST)
    load = Load(stage)
    told = []
    for second in range(4):
        for turn in range(4):
            if second and turn % 2:
                load.press()
            peer.send(offers(peer))
            told.append(control(peer.expect(503 if second and turn % 2 else 200)))
            stage.run(0.25)
    assert told[0] == {
        "oc": "0",
        "oc-algo": '"loss"',
        "oc-validity": "0",
        "oc-seq": told[0]["oc-seq"],
    }
    assert told[-1]["oc"] != "0"
    assert 25 <= int(told[-1]["oc"]) <= 50
    assert told[-1]["oc-validity"] == "2000"
    numbers = [float(each["oc-seq"]) for each in told]
    assert numbers == sorted(numbers)
    stage.run(RECENT + 1)
    peer.send(offers(peer))
    over = control(peer.unread.pop())
    assert (over["oc"], over["oc-validity"]) == ("0", "0")
    assert float(over["oc-seq"]) > numbers[-1]


def test_requests_within_dialogs_are_told_as_well(make_stage):
    """Each answer carries it (RFC 7339 5.1)."""
    stage = make_stage({"trunks": {"carrier": {"addresses": [FIRST]}}})
    peer = stage.peer(FIRST)
    peer.send(offers(peer, tag="unknown", method="BYE"))
    assert control(peer.expect(481))["oc"] == "0"


def test_strangers_are_told_nothing(make_stage):
    """Of the load they hear by the refusal alone; what they wrote goes back as it came."""
    stage = make_stage()
    stranger = stage.peer("127.88.0.99")
    for _ in range(2):
        stranger.send(offers(stranger))
        answer = stranger.unread.pop()
        assert control(answer) == {"oc": None, "oc-algo": '"loss,A"'}
        Load(stage).press()
    assert answer.status == 503


def test_who_does_not_offer_is_not_told(make_stage):
    """No parameter that it does not know."""
    stage = make_stage({"trunks": {"carrier": {"addresses": [FIRST]}}})
    peer = stage.peer(FIRST)
    for _ in range(2):
        peer.send(peer.request("OPTIONS", "sip:127.88.0.1"))
        assert control(peer.unread.pop()) == {}
        Load(stage).press()


# As the one who asks.


@pytest.mark.parametrize("asked", [True, False])
def test_we_offer_where_it_is_wished_for(carriers, asked):
    """Without a value, and the algorithm that everybody has to know (RFC 7339 4.1, 4.2); a trunk
    without ``overload_control`` sees nothing of it."""
    _, first, _, alice = carriers(asked)
    first.answers(180, 200)
    alice.call("0123")
    alice.hang_up()
    wanted = {"oc": None, "oc-algo": '"loss"'} if asked else {}
    for method in ("INVITE", "ACK", "BYE"):
        (request,) = [
            message for _, message, _ in first.received if message.start_line().startswith(method)
        ]
        assert control(request) == wanted


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_what_a_member_says_is_done(carriers, transport):
    """It wants no new calls for two seconds: these go to the other member, what stands goes on, and
    emergency calls go out; then it is asked again (RFC 7339 5.5, 5.10). The member is not out for
    it."""
    stage, first, second, alice = carriers(transport=transport)
    line = alice.call("0123")
    says(first, 1)
    first.answer()
    alice.call("0124")
    assert first.line.methods.count("INVITE") == 1
    second.answer()
    alice.hang_up()
    line.reinvite(line.described)
    first.answer()
    assert line.statuses[-1] == 200
    emergency = alice.call("112")
    first.answer()
    assert emergency.statuses == [200]
    alice.hang_up()
    line.request("BYE")
    states = stage.house.stats()["trunks"]["carrier"]["members"]
    assert states[f"{FIRST}:5060"]["up"]
    stage.run(2)
    alice.call("0125")
    first.answer()
    assert alice.line.statuses == [200]
    alice.hang_up()


def test_where_nobody_else_is(carriers):
    """The caller hears 503 without Retry-After (RFC 7339 5.10.2), and the record why."""
    stage, first, second, alice = carriers()
    for number, gateway in enumerate((first, second)):
        alice.call("0123")
        says(gateway, number)
        gateway.answer()
        alice.hang_up()
    refused = alice.call("0123")
    assert refused.statuses == [503]
    assert refused.responses[-1].get("Retry-After") is None
    record = stage.records[-1]
    assert [each.limit for each in record.attempts] == ["trunk carrier: overload_control"] * 2


def test_a_share_of_the_calls(carriers):
    """40 % of them are kept back, by lots (RFC 7339 6.3)."""
    stage, first, second, alice = carriers()
    first.answers(200)
    second.answers(200)
    alice.call("0123")
    alice.hang_up()
    throttle = stage.house.traffic.throttles[FIRST]
    word = {"oc": "40", "oc-algo": '"loss"', "oc-validity": "5000", "oc-seq": "9.1"}
    for _ in range(200):
        stage.run(5)
        throttle.heed(word)
        alice.call("0123")
        alice.hang_up()
    went = [
        len({line.invite.call_id for line in each.lines if line.invite}) for each in (first, second)
    ]
    assert sum(went) == 201
    assert 60 <= went[1] <= 100


def test_messages_are_kept_back_as_well(carriers):
    """Those that begin nothing within a call; the other member has them (RFC 7339 5.10)."""
    stage, first, second, alice = carriers()
    alice.call("0123")
    says(first, 1)
    first.answer()
    request = alice.request("MESSAGE", alice.uri("0123"), caller=f"{alice.own};tag=a")
    alice.ask(request, lambda response: None)
    stage.settle()
    came = [
        [message.start_line()[:7] for _, message, _ in each.received] for each in (first, second)
    ]
    assert "MESSAGE" not in came[0]
    assert "MESSAGE" in came[1]
    alice.hang_up()
