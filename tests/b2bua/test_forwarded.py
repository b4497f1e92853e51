"""Calls that are forwarded by what came of the ringing: RFC 5359 2.7 to 2.9, RFC 5806, RFC 7044."""

import attrs
import pytest
from twisted.internet.defer import Deferred
from zope.interface import implementer

from softswitch.plugin.decisions import Diversion, Follow, Route, Target
from softswitch.plugin.interfaces import IRedirectPolicy, IRouter

#: Bob's two phones, to whom he forwards, and where that one forwards to.
FIRST, SECOND, CAROL, DAVE = (f"127.88.0.{number}" for number in range(101, 105))

BY_BOB, BY_CAROL = "sip:bob@example.org", "sip:carol@example.org"
REASONS = {"busy": "user-busy", "no_answer": "no-answer", "unreachable": "unavailable"}


@implementer(IRouter)
@attrs.define
class Routes:
    """Every call goes the same way."""

    answer: Route

    def route(self, invite):
        return self.answer


@implementer(IRedirectPolicy)
@attrs.define
class Followed:
    """Every redirection leads to the same place, or is thought about for a while."""

    answer: object

    def redirected(self, call, contacts):
        return self.answer


def at(*hosts, transport="UDP", **options):
    """A target at each address."""
    params = "" if transport == "UDP" else ";transport=tcp"
    return [Target(f"sip:x@{host}:5060{params}", **options) for host in hosts]


def forwarded(*targets, by=BY_BOB, outcome="busy", **options):
    """A route to which somebody has forwarded the call."""
    return Route(targets, diversions=[Diversion(by, REASONS[outcome])], **options)


@pytest.fixture
def play(make_stage, transport):
    """Makes a stage on which Alice has called by a route; with it her line and the phones."""

    def make(route, *plug_ins):
        stage = make_stage(transport=transport, plug_ins=[Routes(route), *plug_ins])
        hosts = (FIRST, SECOND, CAROL, DAVE)
        names = ("first", "second", "carol", "dave")
        phones = [stage.phone(name, host=host) for name, host in zip(names, hosts, strict=True)]
        return stage, stage.phone("alice").call("bob"), phones

    return make


def diversions(phone):
    """Who has forwarded the call that a phone got, and why; the newest first (RFC 5806)."""
    return phone.line.invite.all("Diversion")


@pytest.mark.parametrize(
    ("status", "rings", "outcome"),
    [
        (486, False, "busy"),
        (486, True, "busy"),
        (600, True, "busy"),
        (480, True, "no_answer"),
        (480, False, "unreachable"),
        (503, False, "unreachable"),
        (404, False, "unreachable"),
    ],
)
def test_forwarded_by_what_came_of_it(play, transport, status, rings, outcome):
    """The caller is told 181, the next target by whom and why it gets the call."""
    further = {
        each: forwarded(*at(host, transport=transport), outcome=each)
        for each, host in zip(REASONS, (SECOND, CAROL, DAVE), strict=True)
    }
    stage, line, phones = play(Route(at(FIRST, transport=transport), forward=further))
    first, others = phones[0], dict(zip(REASONS, phones[1:], strict=True))
    if rings:
        first.ring()
    first.refuse(status)
    chosen = others[outcome]
    assert [phone for phone in others.values() if phone.lines] == [chosen]
    chosen.ring()
    chosen.answer()
    assert line.statuses == [180, 181, 180, 200] if rings else [181, 180, 200]
    (told,) = (response for response in line.responses if response.status == 181)
    assert (told.reason, told.body) == ("Call Is Being Forwarded", b"")
    assert diversions(chosen) == [f"<{BY_BOB}>;reason={REASONS[outcome]};counter=1"]
    assert diversions(first) == []
    history = chosen.line.invite.all("History-Info")
    assert [entry.partition(";")[2] for entry in history] == ["index=1", "index=1.1;mp=1"]
    line.phone.hang_up()
    assert [attempt.status for attempt in stage.records[0].attempts] == [status, 200]


@pytest.mark.parametrize("says", [100, 180])
def test_forwarded_when_nobody_picks_up(play, transport, says):
    """After ``ring_seconds``; who has said 100 alone was there, too."""
    further = {"no_answer": forwarded(*at(CAROL, transport=transport), outcome="no_answer")}
    targets = at(FIRST, transport=transport, ring_seconds=20)
    stage, line, (first, _, carol, _) = play(Route(targets, forward=further))
    if says == 180:
        first.ring()
    stage.run(20)
    assert first.line.methods == ["INVITE", "CANCEL", "ACK"]
    carol.answer()
    assert line.statuses == ([180] if says == 180 else []) + [181, 200]
    carol.hang_up()


def test_forwarded_when_nothing_is_heard(play, transport):
    """Not even a 100: unreachable."""
    further = {"unreachable": forwarded(*at(CAROL, transport=transport), outcome="unreachable")}
    dead = at("192.0.2.1", transport=transport)
    stage, line, (_, _, carol, _) = play(Route(dead, forward=further))
    stage.run(4)
    carol.answer()
    assert line.statuses == [181, 200]
    line.phone.hang_up()
    assert len(stage.records[0].attempts) == 2


def test_forwarded_always(play, transport):
    """RFC 5359 2.7: nobody else is rung, the caller hears 181 once, whoever is rung hears of both
    who have forwarded."""
    by = [Diversion(BY_BOB), Diversion(BY_CAROL)]
    _, line, (first, *_) = play(Route(at(FIRST, transport=transport), diversions=by))
    first.answer()
    assert line.statuses == [181, 200]
    assert diversions(first) == [
        f"<{BY_CAROL}>;reason=unconditional;counter=1",
        f"<{BY_BOB}>;reason=unconditional;counter=1",
    ]
    first.hang_up()


def test_forwarded_again(play, transport):
    """Each forwarding is told to the caller, and adds an entry; the outcome is that of whoever was
    rung last."""
    last = forwarded(*at(DAVE, transport=transport), by=BY_CAROL, outcome="no_answer")
    further = forwarded(*at(CAROL, transport=transport), forward={"no_answer": last, "busy": last})
    targets = at(FIRST, transport=transport)
    _, line, (first, _, carol, dave) = play(Route(targets, forward={"busy": further}))
    first.refuse(486)
    carol.ring()
    carol.refuse(480)
    dave.answer()
    assert line.statuses == [181, 180, 181, 200]
    assert diversions(dave) == [
        f"<{BY_CAROL}>;reason=no-answer;counter=1",
        f"<{BY_BOB}>;reason=user-busy;counter=1",
    ]
    line.phone.hang_up()


def test_all_phones_of_somebody_count(play, transport):
    """They stand for the same party: busy on one is busy, wherever the others rang."""
    further = {
        "busy": forwarded(*at(CAROL, transport=transport)),
        "no_answer": forwarded(*at(DAVE, transport=transport), outcome="no_answer"),
    }
    both = at(FIRST, SECOND, transport=transport, group=1)
    _, line, (first, second, carol, dave) = play(Route(both, forward=further))
    first.refuse(486)
    second.ring()
    assert carol.lines == []
    second.refuse(480)
    carol.answer()
    assert dave.lines == []
    assert line.statuses == [180, 181, 200]
    carol.hang_up()


@pytest.mark.parametrize("status", [600, 603])
def test_a_6xx_does_not_speak_for_somebody_else(play, transport, status):
    """It ends the ringing of all phones; then busy is forwarded, a refusal is not
    (RFC 3261 21.6)."""
    both = at(FIRST, SECOND, transport=transport, group=1)
    further = {"busy": forwarded(*at(CAROL, transport=transport))}
    _, line, (first, second, carol, _) = play(Route(both, forward=further))
    first.refuse(status)
    assert second.line.methods == ["INVITE", "CANCEL", "ACK"]
    if status == 600:
        carol.answer()
        assert line.statuses == [181, 200]
        carol.hang_up()
    else:
        assert (carol.lines, line.statuses) == ([], [603])


@pytest.mark.parametrize("after", [False, True])
def test_what_is_told_when_all_have_failed(play, transport, after):
    """The best of all failures (RFC 3261 16.7), before and after the forwarding."""
    further = {"busy": forwarded(*at(CAROL, transport=transport))}
    _, line, (first, _, carol, _) = play(Route(at(FIRST, transport=transport), forward=further))
    first.refuse(486)
    carol.refuse(484 if after else 500)
    assert line.statuses == [181, 484 if after else 486]


@pytest.mark.parametrize("rings", [False, True])
def test_the_caller_gives_up(play, transport, rings):
    """A CANCEL forwards nothing, whoever is being rung (RFC 3261 9.2)."""
    further = {outcome: forwarded(*at(CAROL, transport=transport)) for outcome in REASONS}
    _, line, (first, _, carol, _) = play(Route(at(FIRST, transport=transport), forward=further))
    if rings:
        first.ring()
    line.phone.cancel()
    assert first.line.methods == ["INVITE", "CANCEL", "ACK"]
    assert line.statuses[-1] == 487
    assert carol.lines == []


def test_the_caller_gives_up_after_the_forwarding(play, transport):
    """It is the second one who is cancelled."""
    further = {"busy": forwarded(*at(CAROL, transport=transport))}
    _, line, (first, _, carol, _) = play(Route(at(FIRST, transport=transport), forward=further))
    first.refuse(486)
    carol.ring()
    line.phone.cancel()
    assert carol.line.methods == ["INVITE", "CANCEL", "ACK"]
    assert line.statuses == [181, 180, 487]


def test_the_late_answer_of_one_who_was_passed_over(play, transport):
    """It is acknowledged and ended; the forwarded call goes on (RFC 3261 13.2.2.4)."""
    further = {"no_answer": forwarded(*at(CAROL, transport=transport), outcome="no_answer")}
    targets = at(FIRST, transport=transport, ring_seconds=5)
    stage, line, (first, _, carol, _) = play(Route(targets, forward=further))
    first.heeds_cancel = False
    first.ring()
    stage.run(5)
    first.answer()
    assert sorted(first.line.methods) == ["ACK", "BYE", "CANCEL", "INVITE"]
    carol.answer()
    assert line.statuses == [180, 181, 200]
    carol.hang_up()


def test_a_followed_redirection_is_a_deflection(play, transport):
    """Whoever is rung hears by whom (RFC 5806 4), the caller of one call; who is tried after that
    hears of nothing, and what came of it forwards as the callee has it."""
    one, other = at(FIRST, SECOND, transport=transport)
    one = attrs.evolve(one, call_to=BY_BOB)
    further = {"busy": forwarded(*at(DAVE, transport=transport))}
    follow = Followed(Follow(at(CAROL, transport=transport)))
    _, line, (first, second, carol, dave) = play(Route([one, other], forward=further), follow)
    first.refuse(302, fields=[("Contact", "<sip:carol@x.example>")])
    assert diversions(carol) == [f"<{BY_BOB}>;reason=deflection;counter=1"]
    assert line.statuses == []
    carol.refuse(486)
    assert diversions(second) == []
    second.refuse(480)
    assert diversions(dave) == [f"<{BY_BOB}>;reason=user-busy;counter=1"]
    dave.answer()
    assert line.statuses == [181, 200]
    dave.hang_up()


def test_a_redirection_is_asked_about_while_the_others_fail(play, transport):
    """Nothing is forwarded before the redirect policy has answered."""
    slow = Deferred()
    both = at(FIRST, SECOND, transport=transport, group=1)
    further = {"busy": forwarded(*at(DAVE, transport=transport))}
    route = Route(both, forward=further)
    stage, line, (first, second, carol, dave) = play(route, Followed(slow))
    first.refuse(302)
    second.refuse(486)
    assert dave.lines == []
    slow.callback(Follow(at(CAROL, transport=transport)))
    stage.run(0)
    carol.answer()
    assert (line.statuses, dave.lines) == ([200], [])
    carol.hang_up()


def test_the_181_of_a_caller_who_wants_it_reliably(make_stage, transport):
    """RFC 3262 3: sent with RSeq, acknowledged by PRACK, before what comes behind it."""
    route = Route(at(FIRST, transport=transport), diversions=[Diversion(BY_BOB)])
    stage = make_stage(transport=transport, plug_ins=[Routes(route)])
    first, alice = stage.phone("first", host=FIRST), stage.phone("alice")
    alice.can("100rel")
    line = alice.call("bob", fields=[("Require", "100rel")])
    first.ring()
    first.answer()
    assert line.statuses == [181, 180, 200]
    assert [response.get("RSeq") is not None for response in line.responses[-3:]] == [
        True,
        True,
        False,
    ]
    alice.hang_up()


def test_a_caller_who_wishes_to_be_unknown_stays_so(make_stage, transport):
    """To whoever the call is forwarded: the history is withheld too (RFC 7044 10.1)."""
    further = {"busy": forwarded(*at(CAROL, transport=transport))}
    route = Route(at(FIRST, transport=transport), forward=further)
    stage = make_stage(transport=transport, plug_ins=[Routes(route)])
    first, carol = stage.phone("first", host=FIRST), stage.phone("carol", host=CAROL)
    alice = stage.phone("alice")
    line = alice.call("bob", fields=[("Privacy", "id;history")])
    first.refuse(486)
    invite = carol.line.invite
    assert invite.from_.uri.host == "anonymous.invalid"
    assert all("anonymous" in entry for entry in invite.all("History-Info"))
    carol.refuse(486)
    assert line.statuses == [181, 486]


@pytest.mark.parametrize("how", ["pai", "none"])
@pytest.mark.parametrize("hides", [False, True])
def test_a_caller_is_told_whom_he_has_reached(make_stage, how, hides):
    """His call was answered elsewhere: the answer says where, if his profile says how, and if that
    one does not wish to stay unknown. Whom he has called he knows."""
    route = forwarded(*at(SECOND, call_to="sip:carol@example.org"))
    whole = attrs.evolve(forwarded(*at(FIRST)), diversions=(), forward={"busy": route})
    stage = make_stage({"dialog": {"connected": how}}, plug_ins=[Routes(whole)])
    first, second = (stage.phone("x", host=host, register=False) for host in (FIRST, SECOND))
    line = stage.phone("alice").call("bob")
    first.ring()
    first.refuse(486)
    second.answer(fields=[("Privacy", "id")] if hides else [])
    told = [response.get("P-Asserted-Identity") for response in line.responses]
    assert line.statuses == [180, 181, 200]
    assert told[:-1] == [None] * (len(told) - 1)
    assert told[-1] == ("<sip:carol@127.88.0.1>" if how == "pai" and not hides else None)
    line.request("BYE")
