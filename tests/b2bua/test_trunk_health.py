"""Members of a trunk that fail, are left alone, and come back."""

import attrs
import pytest

from softswitch.testing.peer import kind
from softswitch.testing.stage import CONFIG
from softswitch.transport.search import Service

FIRST, SECOND = "127.88.0.101", "127.88.0.102"
OUT_OF_ORDER = "Q.850;cause=38"


def two(**options):
    """A trunk of two gateways."""
    return {"carrier": {"addresses": [f"{FIRST}:5060", f"{SECOND}:5060"], **options}}


@pytest.fixture
def carriers(make_stage):
    """Makes a stage with a trunk of two gateways: stage, both gateways, Alice."""

    def make(switch=None, **options):
        stage = make_stage(
            {"trunks": two(**options), "switch": {"try_seconds": 2, **(switch or {})}}
        )
        first, second = stage.trunk("carrier"), stage.trunk("carrier", 1)
        return stage, first, second, stage.phone("alice")

    return make


def talk(stage, alice, gateway, number="0123"):
    """A call that ends well at a gateway."""
    line = alice.call(number)
    gateway.answer()
    assert line.statuses == [200]
    alice.hang_up()
    stage.run(0)


def fails(stage, alice, number="0123", seconds=0.0):
    """What the caller hears of a call that comes to nothing by itself: status, Reason."""
    line = alice.call(number)
    stage.run(seconds)
    (final,) = [response for response in line.responses if response.status >= 200]
    return final.status, final.get("Reason")


def members(stage):
    """State of each gateway of the trunk, by the last figure of its address."""
    found = stage.house.stats()["trunks"]["carrier"]["members"]
    return {
        address.partition(":")[0][-1]: gateway["state"]
        for address, member in found.items()
        for gateway in member["gateways"].values()
    }


def test_a_503_is_skipped_at_once(carriers):
    """The call goes on to the next member, and the following ones never meet the first, until the
    hold-down is over."""
    stage, first, second, alice = carriers()
    line = alice.call("0123")
    first.refuse(503)
    second.answer()
    assert line.statuses == [200]
    alice.hang_up()
    assert members(stage) == {"1": "out", "2": "up"}
    for _ in range(3):
        talk(stage, alice, second)
    assert len(first.lines) == 1


def test_silence_delays_those_calls_only_that_meet_it(carriers):
    """Whoever is silent for ``try_seconds`` is skipped by all later calls."""
    stage, first, second, alice = carriers(try_seconds=1.5)
    first.silent = True
    line = alice.call("0123")
    stage.run(1.5)
    second.answer()
    assert line.statuses == [200]
    alice.hang_up()
    talk(stage, alice, second)
    invites = [message for _, message, _ in first.received if kind(message) == "INVITE"]
    assert len({invite.call_id for invite in invites}) == 1


def test_a_connection_that_is_refused(make_stage):
    """A member without a listener fails its call at once, and is skipped by the next."""
    stage = make_stage({"trunks": two(transport="tcp")}, transport="TCP")
    second, alice = stage.trunk("carrier", 1), stage.phone("alice")
    for _ in range(2):
        talk(stage, alice, second)
    tried = [[attempt.status for attempt in record.attempts] for record in stage.records]
    assert tried == [[503, 200], [200]]
    figures = stage.house.stats()["trunks"]["carrier"]["members"][f"{FIRST}:5060"]
    (gateway,) = figures["gateways"].values()
    assert (gateway["state"], gateway["failures"]) == ("out", 1)
    assert gateway["why"] == "cannot be reached"


@pytest.mark.parametrize("status", [404, 486, 480, 500, 603])
def test_other_refusals_take_nobody_out(carriers, status):
    """A gateway that refuses is there."""
    stage, first, second, alice = carriers()
    line = alice.call("0123")
    first.refuse(status)
    if status == 500:
        second.refuse(status)
    assert line.statuses == [status]
    assert members(stage) == {"1": "up", "2": "up"}


def test_one_call_tries_a_member_that_was_out(carriers):
    """After the hold-down one call goes to it, and until that has been heard all others leave it
    alone; once it has, all go there again."""
    stage, first, second, alice = carriers(health={"hold_seconds": 10})
    bob = stage.phone("bob")
    alice.call("0123")
    first.refuse(503)
    second.answer()
    alice.hang_up()
    stage.run(10)
    first.tries = False
    line = alice.call("0123")
    assert len(first.lines) == 2
    assert members(stage) == {"1": "tried", "2": "up"}
    talk(stage, bob, second)
    assert len(first.lines) == 2
    first.ring()
    assert members(stage) == {"1": "up", "2": "up"}
    first.answer()
    assert line.statuses == [180, 200]
    alice.hang_up()
    talk(stage, bob, first)


def test_a_hold_down_and_a_clock_that_is_set_back(carriers):
    """It ends when it would have ended."""
    stage, first, second, alice = carriers(health={"hold_seconds": 10})
    stage.clock.set_by = 3600
    alice.call("0123")
    first.refuse(503)
    second.answer()
    alice.hang_up()
    stage.clock.set_by = 0
    stage.run(10)
    first.tries = False
    talk(stage, alice, first)
    assert members(stage) == {"1": "up", "2": "up"}


def test_a_member_that_fails_again_stays_out(carriers):
    """The one call that tries it goes on to the next, and it is held down anew, for as long as at
    first."""
    stage, first, second, alice = carriers(health={"hold_seconds": 10})
    for _ in range(3):
        line = alice.call("0123")
        first.refuse(503)
        second.answer()
        assert line.statuses == [200]
        alice.hang_up()
        talk(stage, alice, second)
        stage.run(10)
    assert len(first.lines) == 3


def test_a_trial_that_is_cancelled(carriers):
    """Nothing is known of the member then; after a while another call tries it."""
    stage, first, second, alice = carriers(health={"hold_seconds": 10})
    alice.call("0123")
    first.refuse(503)
    second.answer()
    alice.hang_up()
    stage.run(10)
    first.silent = True
    alice.call("0123").cancel()
    talk(stage, alice, second)
    stage.run(32)
    first.silent = False
    talk(stage, alice, first)
    assert members(stage) == {"1": "up", "2": "up"}


def test_retry_after_is_kept(carriers):
    """A member is left alone for as long as it asks for, whatever the hold-down is (RFC 3261
    20.33)."""
    stage, first, second, alice = carriers(health={"hold_seconds": 1})
    alice.call("0123")
    first.line.respond(503, fields=[("Retry-After", "60 (overload);duration=3600")])
    second.answer()
    alice.hang_up()
    stage.run(59.9)
    talk(stage, alice, second)
    stage.run(0.1)
    talk(stage, alice, first)


def test_without_a_hold_down_only_retry_after_counts(carriers):
    """With 0 a member is out when it has said so itself."""
    stage, first, second, alice = carriers(health={"hold_seconds": 0})
    for fields, state in (((), "up"), ([("Retry-After", "9")], "out")):
        alice.call("0123")
        first.line.respond(503, fields=fields)
        second.answer()
        alice.hang_up()
        assert members(stage) == {"1": state, "2": "up"}


def test_a_wish_beyond_an_hour_is_a_slip(carriers):
    """A Retry-After counts for an hour at most."""
    stage, first, second, alice = carriers()
    alice.call("0123")
    first.line.respond(503, fields=[("Retry-After", "4294967295")])
    second.answer()
    alice.hang_up()
    stage.run(3600)
    talk(stage, alice, first)


@pytest.mark.parametrize("status", [500, 480])
def test_all_members_are_down(carriers, status):
    """500, or as configured 480, with Q.850 cause 38, never 503: first for the call that finds it
    out, then at once, without a try (issue 4)."""
    stage, first, second, alice = carriers({"no_trunk_status": status})
    line = alice.call("0123")
    for gateway in (first, second):
        gateway.line.respond(503, fields=[("Retry-After", "20")])
    (final,) = [response for response in line.responses if response.status >= 200]
    assert (final.status, final.get("Reason")) == (status, OUT_OF_ORDER)
    assert fails(stage, alice) == (status, OUT_OF_ORDER)
    assert [len(gateway.lines) for gateway in (first, second)] == [1, 1]
    last = stage.records[-1]
    assert (last.status, last.hung_up, last.attempts) == (status, "switch", [])


def test_who_is_doubted_is_tried_when_nobody_else_is_up(carriers):
    """A hold-down is no verdict: members that have only been silent, or said 503 without a
    Retry-After, are tried all the same where there is no other; one moment's overload must not cut
    the trunk off."""
    stage, first, second, alice = carriers(try_seconds=1)
    second.silent = True
    line = alice.call("0123")
    first.refuse(503)
    stage.run(1)
    assert line.statuses == [500]
    second.silent = False
    line = alice.call("0123")
    first.refuse(503)
    second.answer()
    assert line.statuses == [200]
    alice.hang_up()


def test_what_the_far_end_says_of_its_network_stays(carriers):
    """A gateway's own Q.850 cause is told instead of ours."""
    _, first, second, alice = carriers()
    line = alice.call("0123")
    first.line.respond(503, fields=[("Reason", "Q.850;cause=34")])
    second.refuse(503)
    final = line.responses[-1]
    assert (final.status, final.all("Reason")) == (500, ["Q.850;cause=34"])


def test_emergency_calls_are_tried_everywhere(make_stage):
    """A member that is out is tried all the same, after those that are not; when nobody takes the
    call the caller hears no 503 either (issue 4)."""
    rules = [{"match": ".*", "trunk": "carrier"}]
    policies = [{"use": "dialplan", "rules": rules}, *CONFIG["policy"]]
    stage = make_stage({"trunks": two(), "policy": policies})
    first, second, alice = stage.trunk("carrier"), stage.trunk("carrier", 1), stage.phone("alice")
    alice.call("0123")
    first.line.respond(503, fields=[("Retry-After", "60")])
    second.answer()
    alice.hang_up()
    line = alice.call("112")
    second.line.respond(503, fields=[("Retry-After", "60")])
    first.answer()
    assert line.statuses == [200]
    alice.hang_up()
    assert fails(stage, alice) == (500, OUT_OF_ORDER)
    line = alice.call("911")
    first.refuse(503)
    second.refuse(503)
    assert line.statuses == [500]
    assert [len(gateway.lines) for gateway in (first, second)] == [3, 3]


def test_a_member_that_goes_out_meanwhile_waits(make_stage):
    """A call that was routed while a member was up passes it over when it has gone out since, as
    long as there is another."""
    addresses = [f"{host}:5060" for host in (FIRST, SECOND, "127.88.0.103")]
    stage = make_stage({"trunks": {"carrier": {"addresses": addresses}}})
    first, second, third = (stage.trunk("carrier", member) for member in range(3))
    alice, bob = stage.phone("alice"), stage.phone("bob")
    waiting = alice.call("0123")
    line = bob.call("0456")
    first.lines[1].respond(503)
    second.refuse(503)
    third.answer()
    assert line.statuses == [200]
    bob.hang_up()
    first.lines[0].respond(503)
    assert len(second.lines) == 1
    third.answer()
    assert waiting.statuses == [200]
    alice.hang_up()


def test_a_checked_member_goes_out_and_comes_back(carriers):
    """Three checks unanswered take it out, two answered bring it back (hysteresis); an answer of
    whatever status but 408 and 503 is one."""
    stage, first, second, alice = carriers(
        health={"check_seconds": 10, "fail_after": 3, "back_after": 2}, try_seconds=1
    )
    stage.run(8)
    assert {request.method for request in first.requests} == {"OPTIONS"}
    first.silent = True
    seen = []
    for _ in range(4):
        stage.run(10)
        seen.append(members(stage)["1"])
    assert seen == ["up", "up", "out", "out"]
    talk(stage, alice, second)
    first.silent = False
    first.answers["OPTIONS"] = 404
    seen = []
    for _ in range(3):
        stage.run(10)
        seen.append(members(stage)["1"])
    assert seen == ["out", "up", "up"]
    talk(stage, alice, first)


@pytest.mark.parametrize(
    ("dead", "status", "out"), [(None, 503, True), ([404], 404, True), ([404], 503, False)]
)
def test_what_counts_as_dead(carriers, dead, status, out):
    """408 and 503 unless the configuration says otherwise."""
    health = {"check_seconds": 10, "fail_after": 1, **({"dead": dead} if dead else {})}
    stage, first, _, _ = carriers(health=health)
    first.answers["OPTIONS"] = status
    stage.run(12)
    assert members(stage)["1"] == ("out" if out else "up")


def test_a_checked_member_that_fails_a_call(carriers):
    """It comes back by its checks, not by the hold-down: not before its Retry-After is over."""
    stage, first, second, alice = carriers(health={"check_seconds": 10, "hold_seconds": 1})
    stage.run(1)
    alice.call("0123")
    first.line.respond(503, fields=[("Retry-After", "35")])
    second.answer()
    alice.hang_up()
    stage.run(30)
    assert members(stage)["1"] == "out"
    talk(stage, alice, second)
    stage.run(10)
    assert members(stage)["1"] == "up"
    talk(stage, alice, first)


def test_checks_follow_a_name_to_all_its_addresses(make_stage):
    """A member that is a service is as well as any of its servers; the dead one is left alone
    (RFC 3263)."""
    trunk = {
        "addresses": ["carrier.example"],
        "health": {"check_seconds": 10, "fail_after": 1},
        "try_seconds": 1,
    }
    stage = make_stage(
        {"trunks": {"carrier": trunk}},
        services={
            "_sip._udp.carrier.example": [
                Service(2, 0, 5060, "b.carrier.example"),
                Service(1, 0, 5070, "a.carrier.example"),
            ]
        },
        names={"a.carrier.example": [FIRST], "b.carrier.example": [SECOND]},
    )
    first, second = stage.phone("a", host=FIRST, port=5070), stage.phone("b", host=SECOND)
    alice = stage.phone("alice")
    stage.run(2)
    assert [len(each.requests) for each in (first, second)] == [1, 1]
    talk(stage, alice, first)
    first.silent = True
    stage.run(12)
    talk(stage, alice, second)
    (member,) = stage.house.stats()["trunks"]["carrier"]["members"].values()
    assert member["up"]
    states = {place: gateway["state"] for place, gateway in member["gateways"].items()}
    assert states == {f"udp:{FIRST}:5070": "out", f"udp:{SECOND}:5060": "up"}


def test_every_server_of_a_service_is_tried_in_turn(make_stage):
    """The next address gets the INVITE when one cannot take it (RFC 3263 4.3), and the one that
    could not is skipped by the next call."""
    stage = make_stage(
        {"trunks": {"carrier": {"addresses": ["carrier.example"]}}, "switch": {"try_seconds": 1}},
        services={
            "_sip._udp.carrier.example": [
                Service(1, 0, 5060, "a.carrier.example"),
                Service(2, 0, 5060, "b.carrier.example"),
            ]
        },
        names={"a.carrier.example": [FIRST], "b.carrier.example": [SECOND]},
    )
    first, second = stage.phone("a", host=FIRST), stage.phone("b", host=SECOND)
    alice = stage.phone("alice")
    first.silent = True
    line = alice.call("0123")
    stage.run(1)
    second.answer()
    assert line.statuses == [200]
    alice.hang_up()
    assert [attempt.status for attempt in stage.records[0].attempts] == [408, 200]
    talk(stage, alice, second)


def test_a_name_that_leads_nowhere(make_stage):
    """Its member is out for the hold-down: later calls do not wait for the resolver."""
    stage = make_stage(
        {"trunks": {"carrier": {"addresses": ["nowhere.example", f"{SECOND}:5060"]}}}
    )
    second, alice = stage.trunk("carrier", 1), stage.phone("alice")
    talk(stage, alice, second)
    assert [attempt.status for attempt in stage.records[0].attempts] == [503, 200]
    talk(stage, alice, second)
    assert [attempt.status for attempt in stage.records[1].attempts] == [200]


def test_checks_go_on_when_the_configuration_is_read_anew(carriers):
    """What is known of a member stays; its checks go on as the new configuration says."""
    stage, first, _, _ = carriers(health={"check_seconds": 10, "fail_after": 1}, try_seconds=1)
    first.silent = True
    stage.run(12)
    assert members(stage)["1"] == "out"
    stage.house.reload(attrs.evolve(stage.config))
    assert members(stage)["1"] == "out"
    first.silent = False
    stage.run(20)
    assert members(stage)["1"] == "up"


def test_what_a_check_says(make_stage):
    """It goes through the trunk's outbound proxy, and bears our name as the trunk wants it."""
    trunk = {
        "addresses": ["10.9.9.9"],
        "health": {"check_seconds": 10},
        "outbound_proxy": FIRST,
        "from_domain": "sbc.example.org",
        "contact_host": "sbc.example.org:5061",
        "user_agent": "Exchange 7",
    }
    stage = make_stage({"trunks": {"carrier": trunk}})
    proxy = stage.phone("proxy", host=FIRST)
    stage.run(1)
    (request,) = proxy.requests
    assert (request.method, request.uri) == ("OPTIONS", "sip:10.9.9.9")
    assert request.all("Route") == [f"<sip:{FIRST};lr>"]
    assert str(request.from_.uri) == "sip:sbc.example.org"
    assert [str(contact.uri) for contact in request.contacts] == ["sip:sbc.example.org:5061"]
    assert request.all("User-Agent") == ["Exchange 7"]
    assert request.max_forwards == 70


def test_a_house_that_stops_asks_no_more(carriers):
    """No check is sent any more; the stage sees that no timer of one is left."""
    stage, first, _, _ = carriers(health={"check_seconds": 10})
    stage.run(12)
    stage.house.stop()
    asked = len(first.requests)
    stage.run(100)
    assert len(first.requests) == asked > 0
