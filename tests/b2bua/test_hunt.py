"""Where a call is tried: addresses of a trunk, phones of a user, redirections."""

import attrs
import pytest
from twisted.internet.defer import Deferred
from zope.interface import implementer

from softswitch.b2bua.trials import Failure
from softswitch.plugin.decisions import Follow, Reject, Route, Target
from softswitch.plugin.interfaces import IRedirectPolicy, IRouter
from softswitch.sip import digest

FIRST, SECOND, THIRD = "127.88.0.101", "127.88.0.102", "127.88.0.103"


@implementer(IRouter)
@attrs.define
class Rings:
    """Every call goes to the same targets."""

    targets: list
    dialog: dict = attrs.Factory(dict)

    def route(self, invite):
        return Route(self.targets, self.dialog)


@implementer(IRedirectPolicy)
@attrs.define
class Redirects:
    """Gives one answer after another about redirections."""

    answers: list

    def redirected(self, call, contacts):
        return self.answers.pop(0)


def gateways(stage):
    """The trunk's three gateways, and Alice."""
    hosts = {"first": FIRST, "second": SECOND, "third": THIRD}
    return [stage.phone(name, host=host) for name, host in hosts.items()], stage.phone("alice")


def attempts(stage):
    """Status of each try of the one call."""
    (record,) = stage.records
    return [attempt.status for attempt in record.attempts]


def uri(host, user="x", transport="UDP"):
    return f"sip:{user}@{host}:5060" + ("" if transport == "UDP" else ";transport=tcp")


def test_a_dead_target_is_passed_over(make_stage):
    """Not even a 100 within ``try_seconds``: the trunk's next address is tried, to the second;
    the dead one's late 200 is acknowledged and ended (RFC 3261 13.2.2.4)."""
    stage = make_stage()
    (first, second, third), alice = gateways(stage)
    first.silent = True
    line = alice.call("0123")
    stage.run(10)
    assert first.times("INVITE") == [0.0, 0.5, 1.5, 3.5, 7.5]
    assert second.times("INVITE") == [4.0]
    second.answer()
    assert line.statuses == [200]
    first.silent, first.tries = False, False
    stage.run(6)
    assert first.line.invite is not None
    first.answer()
    assert first.line.methods == ["INVITE", "ACK", "BYE"]
    alice.hang_up()
    assert attempts(stage) == [408, 200]
    assert third.lines == []


def test_a_late_100_is_answered_with_the_cancel(make_stage):
    """Who was given up is cancelled as soon as it may be (RFC 3261 9.1)."""
    stage = make_stage()
    (first, second, _), alice = gateways(stage)
    first.silent = True
    alice.call("0123")
    stage.run(5)
    first.silent = False
    stage.run(5)
    assert first.line.methods == ["INVITE", "CANCEL", "ACK"]
    second.refuse(486)
    assert alice.line.statuses == [486]


def test_a_100_is_enough(make_stage):
    """Who has said 100 is alive, and may take its time."""
    stage = make_stage()
    (first, second, _), alice = gateways(stage)
    alice.call("0123")
    stage.run(60)
    assert second.lines == []
    first.answer()
    alice.hang_up()


def test_all_are_dead(make_stage):
    """After ``try_seconds`` each the trunk is out of order: 500 (Q.850 cause 38)."""
    stage = make_stage({"switch": {"try_seconds": 2.5}})
    phones, alice = gateways(stage)
    for phone in phones:
        phone.silent = True
    line = alice.call("0123")
    stage.run(7.4)
    assert line.statuses == []
    stage.run(0.1)
    assert line.statuses == [500]
    assert [phone.times("INVITE")[0] for phone in phones] == [0.0, 2.5, 5.0]
    assert attempts(stage) == [408, 408, 408]


@pytest.mark.parametrize("silence", ["refused", "vanishes"])
def test_a_connection_that_is_never_made(make_stage, silence):
    """A refused connection is passed over at once, one that is never made within the time for
    trying (RFC 3261 8.1.3.1)."""
    stage = make_stage(transport="TCP")
    second, alice = stage.phone("second", host=SECOND), stage.phone("alice")
    if silence == "vanishes":
        stage.network.silent.add(FIRST)
    line = alice.call("0123")
    stage.run(4)
    second.answer()
    assert line.statuses == [200]
    at = second.times("INVITE")
    assert at == ([0.0] if silence == "refused" else [4.0])
    alice.hang_up()


@pytest.mark.parametrize("status", [500, 503, 504, 408, 502])
def test_a_gateway_in_trouble_is_passed_over(stage, status):
    """A gateway that says it cannot: the next one is tried (RFC 3261 21.5)."""
    (first, second, _), alice = gateways(stage)
    line = alice.call("0123")
    first.refuse(status)
    second.answer()
    assert line.statuses == [200]
    second.hang_up()
    assert attempts(stage) == [status, 200]


def test_a_busy_number_is_busy_at_every_gateway(stage):
    """What the far end itself refused is not tried over the same trunk again."""
    (first, second, _), alice = gateways(stage)
    line = alice.call("0123")
    first.refuse(486)
    assert line.statuses == [486]
    assert second.lines == []


@pytest.mark.parametrize(("status", "stops"), [(603, True), (600, True), (486, False)])
def test_a_6xx_stops_the_hunt(make_stage, transport, status, stops):
    """A 6xx speaks for the callee wherever he is (RFC 3261 16.7, 21.6); anything else does not."""
    targets = [uri(FIRST, transport=transport), uri(SECOND, transport=transport)]
    stage = make_stage(transport=transport, plug_ins=[Rings(targets)])
    (first, second, _), alice = gateways(stage)
    line = alice.call("bob")
    first.refuse(status)
    assert bool(second.lines) is not stops
    if not stops:
        second.refuse(480)
    assert line.statuses == [status]


def test_the_best_failure_is_told(make_stage):
    """The lowest class, and in it what helps most (RFC 3261 16.7 step 6); 6xx before all."""
    stage = make_stage(plug_ins=[Rings([uri(FIRST), uri(SECOND), uri(THIRD)])])
    (first, second, third), alice = gateways(stage)
    line = alice.call("bob")
    first.refuse(480)
    second.refuse(500)
    third.refuse(415)
    assert line.statuses == [415]


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        ((401, 486), 486),
        ((407, 480), 480),
        ((401, 407), 401),
        ((420, 408), 408),
        ((421, 404), 404),
        ((503, 500, 480), 480),
        ((486, 484), 484),
        ((480, 404), 404),
        ((302, 404), 404),
        ((603, 302), 603),
        ((600, 603), 600),
    ],
)
def test_what_helps_the_caller_is_told(statuses, told):
    """RFC 3261 16.7 step 6, by what he would hear: a challenge, or what was wrong with our own
    request, is none of his business; a 3xx without a contact is as good as nobody there."""
    best = None
    for status in statuses:
        best = Failure(status, "").better(best)
    assert best.status == told


def test_redirections_are_told_as_one():
    """Each contact once, the first refusal's first (RFC 3261 16.7, 21.3.1)."""
    moved = Failure(302, "Moved", contacts=["sip:b@x.example", "sip:c@x.example"])
    again = Failure(302, "Gone", contacts=["sip:c@x.example", "sip:d@x.example"])
    best = again.better(moved)
    assert (best.status, best.reason) == (302, "Moved")
    assert best.contacts == ["sip:b@x.example", "sip:c@x.example", "sip:d@x.example"]
    for_ever = Failure(301, "Moved For Ever", contacts=["sip:e@x.example"])
    assert for_ever.better(best).status == 300
    assert for_ever.better(best).contacts == [*best.contacts, "sip:e@x.example"]
    proxy = Failure(305, "Use Proxy", contacts=["sip:p@x.example"])
    assert proxy.better(moved) == moved


@pytest.mark.parametrize("status", [603, 600])
def test_a_6xx_ends_the_ringing_of_the_others(stage, status):
    """They are cancelled, and the caller is told at once (RFC 3261 16.7 step 5)."""
    bobs, _, line = phones_of_bob(stage)
    for bob in bobs:
        bob.ring()
    bobs[0].refuse(status)
    assert line.statuses == [180, 180, status]
    assert bobs[1].line.methods == ["INVITE", "CANCEL", "ACK"]


@pytest.mark.parametrize(("given", "goes_on"), [("486", [603]), ("[]", [603, 486]), ("603", [486])])
def test_what_stops_the_hunt_is_configured(make_stage, given, goes_on):
    """``stop_on``: any refusal may, and a 6xx need not."""
    stop_on = [int(given)] if given.isdigit() else []
    stage = make_stage(
        {"switch": {"stop_on": stop_on}}, plug_ins=[Rings([uri(FIRST), uri(SECOND), uri(THIRD)])]
    )
    phones, alice = gateways(stage)
    line = alice.call("bob")
    for phone, status in zip(phones, [*goes_on, *stop_on], strict=False):
        phone.refuse(status)
    if stop_on:
        assert line.statuses == stop_on
        assert phones[2].lines == []
    else:
        phones[2].refuse(480)
        assert line.statuses == [603]


def test_groups_and_preference(make_stage, transport):
    """The higher q goes first; those of one group ring at once, each for its own time, and the
    next step waits for all of them."""
    targets = [
        Target(uri(THIRD, transport=transport), q=0.5),
        Target(uri(FIRST, transport=transport), ring_seconds=5, group=1),
        Target(uri(SECOND, transport=transport), ring_seconds=9, group=1),
    ]
    stage = make_stage(transport=transport, plug_ins=[Rings(targets)])
    (first, second, third), alice = gateways(stage)
    line = alice.call("bob")
    first.ring()
    second.ring()
    stage.run(5)
    assert first.line.methods == ["INVITE", "CANCEL", "ACK"]
    assert third.lines == []
    stage.run(4)
    assert second.line.methods == ["INVITE", "CANCEL", "ACK"]
    third.answer()
    assert line.statuses == [180, 180, 200]
    line.phone.hang_up()
    assert attempts(stage) == [480, 480, 200]


@pytest.mark.parametrize("status", [181, 199])
def test_what_is_no_ringing(make_stage, status):
    """A call that is forwarded, or a fork that has ended, has not rung (RFC 3261 21.1.3, RFC 6228);
    but there is somebody, whose time to ring runs."""
    stage = make_stage(plug_ins=[Rings([Target(uri(FIRST), ring_seconds=5)])])
    (first, _, _), alice = gateways(stage)
    line = alice.call("bob")
    first.ring(status)
    stage.run(5)
    assert line.statuses[-1] == 480
    assert stage.records[0].ringing is None


def test_another_number_over_the_same_trunk(make_stage):
    """A refusal makes the other addresses pointless for the number that was refused, not for the
    next one."""
    numbers = [
        Target(uri(host, user), trunk="carrier") for user in "12" for host in (FIRST, SECOND)
    ]
    stage = make_stage(plug_ins=[Rings(numbers)])
    (first, second, _), alice = gateways(stage)
    line = alice.call("bob")
    first.refuse(486)
    assert [line.invite.uri for line in first.lines] == [uri(FIRST, "1"), uri(FIRST, "2")]
    first.answer()
    assert line.statuses == [200]
    assert second.lines == []
    alice.hang_up()


def test_cells_of_a_route_are_the_callers(make_stage, transport):
    """``Route.dialog`` overrides his profile for this call, and nobody else's."""
    target = Target(uri(FIRST, transport=transport))
    strict = make_stage(transport=transport, plug_ins=[Rings([target], {"reinvite": "refuse"})])
    (first, _, _), alice = gateways(strict)
    line = alice.call("bob")
    first.answer()
    line.reinvite(line.described)
    assert line.statuses == [488]
    first.line.reinvite(first.line.described)
    alice.answer()
    assert first.line.statuses == [200]
    alice.hang_up()


def test_cells_of_a_target_are_its_own(make_stage, transport):
    """What crosses to it, and whether it is told who calls (RFC 3325); the next has its own."""
    cells = {"crossing": ["Subject"], "trusted": True}
    one = Target(uri(FIRST, transport=transport), dialog=cells)
    stage = make_stage(
        transport=transport, plug_ins=[Rings([one, uri(SECOND, transport=transport)])]
    )
    (first, second, _), alice = gateways(stage)
    alice.call("bob", fields=[("Subject", "lunch"), ("X-Account", "7")])
    for phone in (first, second):
        phone.refuse(480, fields=[("X-Why", "closed"), ("Subject", "tea")])
    told, plain = first.line.invite, second.line.invite
    assert (told.get("Subject"), told.get("X-Account")) == ("lunch", None)
    assert told.get("P-Asserted-Identity") == f"<sip:alice@{stage.house.domain}>"
    assert (plain.get("Subject"), plain.get("X-Account")) == ("lunch", "7")
    assert plain.get("P-Asserted-Identity") is None


def test_what_crosses_to_the_caller_is_his_own(make_stage, transport):
    """The fields of a refusal are those that his profile lets cross."""
    target = Target(uri(FIRST, transport=transport))
    stage = make_stage(transport=transport, plug_ins=[Rings([target], {"crossing": ["X-Why"]})])
    (first, _, _), alice = gateways(stage)
    line = alice.call("bob")
    first.refuse(480, fields=[("X-Why", "closed"), ("Warning", '399 x "tea"')])
    told = line.responses[-1]
    assert (told.get("X-Why"), told.get("Warning")) == ("closed", None)


def test_a_caller_who_wishes_to_be_unknown(stage):
    """From, Contact and what speaks of him are hidden from phones (RFC 3323 4.1)."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob", fields=[("Privacy", "id"), ("Subject", "lunch"), ("X-Account", "7")])
    invite = bob.line.invite
    assert (invite.from_.uri.user, invite.from_.uri.host) == ("anonymous", "anonymous.invalid")
    assert invite.contacts[0].uri.user == "anonymous"
    assert "alice" not in str(invite)
    assert (invite.get("Subject"), invite.get("X-Account")) == (None, "7")
    bob.answer()
    assert line.statuses == [200]
    bob.hang_up()


def test_privacy_that_cannot_be_had(make_stage, transport):
    """Critical, for the session, where no media is relayed: 500, and nobody is called
    (RFC 3323 5)."""
    stage = make_stage(transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob", fields=[("Privacy", "session;critical")])
    assert line.statuses == [500]
    assert line.responses[-1].reason == "Privacy Cannot Be Provided"
    assert bob.lines == []


def test_each_target_has_its_own_time_to_ring(make_stage):
    """``ring_seconds`` of the target, then the next."""
    targets = [Target(uri(FIRST), ring_seconds=5), Target(uri(SECOND), ring_seconds=7)]
    stage = make_stage(plug_ins=[Rings(targets)])
    (first, second, _), alice = gateways(stage)
    line = alice.call("bob")
    first.ring()
    stage.run(5)
    assert first.line.methods == ["INVITE", "CANCEL", "ACK"]
    assert second.times("INVITE") == [5.0]
    second.ring()
    stage.run(7)
    assert line.statuses == [180, 180, 480]
    assert stage.records[0].ended == 12.0


def phones_of_bob(stage):
    """Two phones of one user, and Alice's call to him."""
    bobs = [stage.phone("bob", host=host) for host in (FIRST, SECOND)]
    alice = stage.phone("alice")
    return bobs, alice, alice.call("bob")


@pytest.mark.parametrize("winner", [0, 1])
def test_phones_of_one_user_ring_at_once(stage, winner):
    """The first that answers gets the call; the other is cancelled and told why (RFC 3326)."""
    bobs, _, line = phones_of_bob(stage)
    for bob in bobs:
        bob.ring()
    bobs[winner].answer()
    assert line.statuses == [180, 180, 200]
    loser = bobs[1 - winner].line
    assert loser.methods == ["INVITE", "CANCEL", "ACK"]
    assert loser.requests[1].get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    bobs[winner].hang_up()
    assert line.over
    written = {attempt.call_id_b: attempt.status for attempt in stage.records[0].attempts}
    assert written == {bobs[winner].line.call_id: 200, loser.call_id: 0}


def test_both_answer(make_stage, transport):
    """A 200 that crosses the CANCEL is acknowledged and ended (RFC 3261 13.2.2.4)."""
    stage = make_stage(transport=transport, delay=0.05)
    bobs, alice, line = phones_of_bob(stage)
    stage.run(1)
    for bob in bobs:
        bob.heeds_cancel = False
        bob.answer()
    stage.run(1)
    assert line.statuses == [200]
    assert bobs[0].line.methods == ["INVITE", "ACK"]
    assert sorted(bobs[1].line.methods) == ["ACK", "BYE", "CANCEL", "INVITE"]
    alice.hang_up()
    stage.run(1)


def test_one_phone_refuses_while_the_other_rings(stage):
    """The caller hears nothing of it until all have refused."""
    bobs, _, line = phones_of_bob(stage)
    bobs[0].refuse(486)
    assert line.statuses == []
    bobs[1].refuse(480)
    assert line.statuses == [486]


def test_the_caller_gives_up_on_all(stage):
    """Every phone is cancelled."""
    bobs, alice, line = phones_of_bob(stage)
    alice.cancel()
    assert line.statuses == [487]
    assert [bob.line.methods for bob in bobs] == [["INVITE", "CANCEL", "ACK"]] * 2


def test_a_redirection_to_our_own_user_is_followed(stage):
    """RFC 3261 8.1.3.4: the contact is rung instead; the caller sees one call."""
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    line = alice.call("bob")
    bob.refuse(302, fields=[("Contact", "<sip:carol@127.88.0.1>;q=0.5")])
    carol.answer()
    assert line.statuses == [200]
    carol.hang_up()
    assert attempts(stage) == [302, 200]


def test_a_redirection_to_elsewhere_is_passed_on(stage):
    """The caller gets the 3xx with its contacts, the preferred one first, to follow himself."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    contacts = "<sip:b@192.0.2.9>;q=0.1, <sip:a@192.0.2.8>;q=0.9"
    bob.private = contacts
    bob.refuse(302)
    assert line.statuses == [302]
    assert line.responses[-1].all("Contact") == ["<sip:a@192.0.2.8>", "<sip:b@192.0.2.9>"]


def test_a_redirection_may_be_refused(make_stage, transport):
    """The redirect policy says so."""
    policies = [{"use": "users"}, {"use": "registration"}, {"use": "located"}]
    policies.append({"use": "follow", "otherwise": "refuse"})
    stage = make_stage({"policy": policies}, transport=transport)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.private = "<sip:a@192.0.2.8>"
    bob.refuse(302)
    assert line.statuses == [480]


def test_a_redirection_in_a_circle_ends(stage):
    """What was tried is not tried again."""
    alice, bob, carol = stage.phone("alice"), stage.phone("bob"), stage.phone("carol")
    line = alice.call("bob")
    bob.private = "<sip:carol@127.88.0.1>"
    bob.refuse(302)
    carol.private = "<sip:bob@127.88.0.1>"
    carol.refuse(302)
    assert line.statuses == [302]
    assert len(bob.lines) == 1


def test_a_redirection_rings_beside_the_others(stage):
    """What one phone of two redirects to takes its place at once (RFC 3261 16.7 step 4)."""
    bobs, _, line = phones_of_bob(stage)
    carol = stage.phone("carol")
    bobs[1].ring()
    bobs[0].refuse(302, fields=[("Contact", "<sip:carol@127.88.0.1>;q=0.5")])
    carol.ring()
    carol.answer()
    assert line.statuses == [180, 180, 200]
    assert bobs[1].line.methods == ["INVITE", "CANCEL", "ACK"]
    carol.hang_up()
    assert sorted(attempts(stage)) == [0, 200, 302]


def test_redirections_of_several_are_passed_on_together(stage):
    """The caller may follow each of them."""
    bobs, _, line = phones_of_bob(stage)
    for bob, user in zip(bobs, "ab", strict=True):
        bob.private = f"<sip:{user}@192.0.2.9>"
        bob.refuse(302)
    assert line.statuses == [302]
    assert line.responses[-1].all("Contact") == ["<sip:a@192.0.2.9>", "<sip:b@192.0.2.9>"]


def test_redirections_in_a_row_are_limited(make_stage, transport):
    """``depth``: the fourth is passed on; each target's own depth counts, so that the next one of
    the route begins anew."""
    targets = [uri(FIRST, "x0", transport), uri(SECOND, transport=transport)]
    policies = [{"use": "follow", "domains": [FIRST, SECOND], "depth": 3}]
    policies = [{"use": "users"}, {"use": "registration"}, *policies]
    stage = make_stage({"policy": policies}, transport=transport, plug_ins=[Rings(targets)])
    (first, second, _), alice = gateways(stage)
    line = alice.call("bob")
    for number in range(1, 5):
        first.private = f"<{uri(FIRST, f'x{number}', transport)}>"
        first.refuse(302)
    assert [line.invite.request_uri.user for line in first.lines] == ["x0", "x1", "x2", "x3"]
    second.private = f"<{uri(SECOND, 'y', transport)}>"
    second.refuse(302)
    second.answer()
    assert [line.invite.request_uri.user for line in second.lines] == ["x", "y"]
    assert line.statuses == [200]
    alice.hang_up()


def test_one_redirection_names_many(make_stage):
    """``count``: what comes behind is not followed; those that are follow each other by q, each
    once."""
    policies = [{"use": "users"}, {"use": "registration"}]
    policies.append({"use": "follow", "domains": [SECOND, THIRD], "count": 2})
    stage = make_stage({"policy": policies}, plug_ins=[Rings([uri(FIRST)])])
    (first, second, third), alice = gateways(stage)
    line = alice.call("bob")
    wanted = [(SECOND, "late", 0.1), (SECOND, "early", 0.9), (THIRD, "mid", 0.5)]
    wanted.append((SECOND, "early", 0.8))
    first.private = ", ".join(f"<{uri(host, user)}>;q={q}" for host, user, q in wanted)
    first.refuse(302)
    second.refuse(480)
    third.refuse(486)
    users = [line.invite.request_uri.user for line in (*second.lines, *third.lines)]
    assert users == ["early", "mid"]
    assert line.statuses == [486]


def test_a_redirect_policy_that_takes_its_time(make_stage, transport):
    """Two redirections are asked about at once; the hunt waits for both answers, and what the
    policy has to say about a refusal crosses."""
    slow, slower = Deferred(), Deferred()
    targets = [Target(uri(host, transport=transport), group=1) for host in (FIRST, SECOND)]
    plug_ins = [Rings(targets), Redirects([slow, slower])]
    stage = make_stage(transport=transport, plug_ins=plug_ins)
    (first, second, third), alice = gateways(stage)
    line = alice.call("bob")
    for phone in (first, second):
        phone.refuse(302)
    slower.callback(Follow([uri(THIRD, transport=transport)]))
    stage.run(0)
    third.refuse(486)
    assert line.statuses == []
    slow.callback(Reject(415, "No Such Thing", {"X-Why": "closed"}))
    stage.run(0)
    assert line.statuses == [415]
    assert (line.responses[-1].reason, line.responses[-1].get("X-Why")) == (
        "No Such Thing",
        "closed",
    )


def test_the_caller_gives_up_while_the_redirect_policy_is_asked(make_stage, transport):
    """Whatever it says then is followed by nobody."""
    slow = Deferred()
    targets = [uri(FIRST, transport=transport), uri(SECOND, transport=transport)]
    stage = make_stage(transport=transport, plug_ins=[Rings(targets), Redirects([slow])])
    (first, second, third), alice = gateways(stage)
    line = alice.call("bob")
    first.refuse(302)
    alice.cancel()
    assert line.statuses == [487]
    slow.callback(Follow([uri(THIRD, transport=transport)]))
    stage.run(1)
    assert second.lines == third.lines == []


@pytest.mark.parametrize("status", [401, 407])
def test_a_trunks_challenge_is_answered(make_stage, transport, status):
    """Once, with a new CSeq and the same Call-ID (RFC 3261 22.2, 22.3), for the BYE too."""
    hosts = {"addresses": [f"{FIRST}:5060"], "transport": transport.lower()}
    trunk = {**hosts, "username": "acme", "password": "secret"}
    stage = make_stage({"trunks": {"carrier": trunk}}, transport=transport)
    carrier, alice = stage.phone("carrier", host=FIRST), stage.phone("alice")
    line = alice.call("0123")
    challenge = ("Authenticate", 'Digest realm="acme.example", nonce="n1", qop="auth"')
    name = "Proxy-" if status == 407 else "WWW-"
    fields = [(name + challenge[0], challenge[1])]
    carrier.line.respond(status, fields=fields)
    assert len(carrier.lines) == 2
    first, again = (each.invite for each in carrier.lines)
    assert (again.call_id, again.from_) == (first.call_id, first.from_)
    assert again.cseq.number == first.cseq.number + 1
    proof = again.get("Proxy-Authorization" if status == 407 else "Authorization")
    ha1 = digest.ha1("acme", "acme.example", "secret")
    assert digest.verify(digest.Credentials.parse(proof), ha1, "INVITE")
    carrier.answer()
    assert line.statuses == [200]
    alice.hang_up()
    assert carrier.lines[-1].methods[-1] == "BYE"


def test_credentials_that_are_wrong_are_not_sent_twice(make_stage):
    """A second challenge means that they are wrong; the caller cannot help it: 403."""
    trunk = {"addresses": [f"{FIRST}:5060"], "username": "acme", "password": "wrong"}
    stage = make_stage({"trunks": {"carrier": trunk}})
    carrier, alice = stage.phone("carrier", host=FIRST), stage.phone("alice")
    line = alice.call("0123")
    fields = [("WWW-Authenticate", 'Digest realm="acme.example", nonce="n1", qop="auth"')]
    carrier.refuse(401, fields=fields)
    carrier.refuse(401, fields=fields)
    assert line.statuses == [403]
    assert len(carrier.lines) == 2


def test_a_target_by_name(make_stage, transport):
    """Names are resolved; one that leads nowhere is our failure, 500."""
    targets = [uri("gone.example", transport=transport), uri("gw.example", transport=transport)]
    stage = make_stage(
        transport=transport, plug_ins=[Rings(targets)], names={"gw.example": [SECOND]}
    )
    (_, second, _), alice = gateways(stage)
    line = alice.call("bob")
    second.answer()
    assert line.statuses == [200]
    second.hang_up()
    assert attempts(stage) == [503, 200]


def test_no_target_leads_anywhere(make_stage):
    """The caller is told 500 at once."""
    stage = make_stage(plug_ins=[Rings([uri("gone.example")])])
    assert stage.phone("alice").call("bob").statuses == [500]
