"""Messages that cannot be read or used, and peers that do what they should not: each is answered,
and nothing of it is left."""

import attrs
import pytest
from twisted.internet.defer import Deferred
from zope.interface import implementer

from softswitch.dialog import late as late_module
from softswitch.plugin.decisions import Accept, Allow
from softswitch.plugin.interfaces import IAdmissionPolicy, IRegistrationPolicy
from softswitch.plugin.views import Identity
from softswitch.sip import compose
from softswitch.sip.message import Response

FIRST = "127.88.0.101"


@implementer(IAdmissionPolicy, IRegistrationPolicy)
@attrs.define
class Later:
    """Takes its time over whoever calls himself carol."""

    asked: list = attrs.Factory(list)

    def admit(self, request):
        return self._ask(request) if request.method == "INVITE" else None

    def register(self, request):
        return self._ask(request)

    def _ask(self, request):
        if request.from_.uri.user != "carol":
            return None
        self.asked.append(Deferred())
        return self.asked[-1]


def respond(line, status, body=b"", **replaced):
    """Answer an INVITE with header fields of one's own: ``Content_Type="x"`` and the like."""
    answer = compose.response(
        line.invite,
        status,
        to_tag=line.tag,
        fields=[("Contact", line.phone.contact), ("Content-Type", "application/sdp")],
        body=body,
    )
    for name, value in replaced.items():
        answer = answer.replaced(name.replace("_", "-"), [value])
    line.open = False
    line.phone.respond(line.invite, answer, line._source)
    line.phone.settle()


def describe(phone, value):
    """From now on this is the Content-Type of what the phone sends; None for the right one."""
    vars(phone).pop("request", None)
    if value is not None:
        plain = phone.request
        phone.request = lambda *args, **options: (
            made.replaced("Content-Type", [value])
            if (made := plain(*args, **options)).body
            else made
        )


def phones(stage):
    return stage.phone("alice"), stage.phone("bob")


# What cannot be read.


@pytest.mark.parametrize("value", ["garbage", "<sip:x"])
def test_a_record_route_of_the_caller_that_cannot_be_read(stage, value):
    """400 that names it (RFC 3261 8.2, 21.4.1): no request of ours could follow it later."""
    alice, bob = phones(stage)
    line = alice.call("bob", fields=[("Record-Route", value)])
    assert line.statuses == [400]
    assert "Record-Route" in line.responses[-1].reason
    assert bob.lines == []
    assert [record.status for record in stage.records] == [400]


def test_a_record_route_of_the_callee_that_cannot_be_read(stage):
    """What his 200 made is acknowledged and ended where it was heard (RFC 3261 13.2.2.4), and
    the caller refused."""
    alice, bob = phones(stage)
    line = alice.call("bob")
    respond(bob.line, 200, bob.sdp(), Record_Route="<sip:x")
    assert bob.line.methods == ["INVITE", "ACK", "BYE"]
    assert line.statuses == [502]
    assert len(stage.records) == 1


def test_a_200_with_two_contacts(stage):
    """The same: it does not say which (RFC 3261 12.1.1, 13.2.2.4)."""
    alice, bob = phones(stage)
    line = alice.call("bob")
    respond(bob.line, 200, bob.sdp(), Contact="<sip:bob@127.88.0.9>, <sip:x@127.88.0.9>")
    assert bob.line.methods == ["INVITE", "ACK", "BYE"]
    assert line.statuses == [502]
    assert len(stage.records) == 1


def test_a_content_type_of_an_invite_that_cannot_be_read(stage):
    """400 that names it (RFC 3261 8.2.3, 21.4.1), before anybody is asked who it is."""
    alice, bob = phones(stage)
    describe(alice, "sdp")
    line = alice.call("bob")
    assert line.statuses == [400]
    assert "Content-Type" in line.responses[-1].reason
    assert bob.lines == []
    assert stage.records == []


def test_what_cannot_be_read_after_a_late_admission(make_stage, transport):
    """The transaction that was made meanwhile is answered, and the refusal recorded."""
    later = Later()
    stage = make_stage(plug_ins=[later], transport=transport)
    bob, carol = stage.phone("bob"), stage.phone("carol", register=False)
    line = carol.call("bob", fields=[("Record-Route", "garbage")])
    assert line.statuses == []
    (asked,) = later.asked
    asked.callback(Allow(Identity("peer", "carol")))
    stage.run(0)
    assert line.statuses == [400]
    assert "Record-Route" in line.responses[-1].reason
    assert bob.lines == []
    assert [record.status for record in stage.records] == [400]


@pytest.mark.parametrize("plug_ins", [[], [Later()]])
def test_a_content_type_of_a_stranger(make_stage, plug_ins):
    """400 without a transaction, whoever would be asked about him (RFC 3261 8.2.7)."""
    stage = make_stage(plug_ins=plug_ins)
    stranger = stage.peer("127.88.0.200", name="carol")
    invite = stranger.request("INVITE", f"sip:bob@{stage.address[0]}", body=stranger.sdp())
    stranger.send(invite.replaced("Content-Type", ["sdp"]))
    assert "Content-Type" in stranger.expect(400).reason
    assert not list(stage.house.transactions)


def test_a_content_type_of_a_reinvite_that_cannot_be_read(stage):
    """400, and the call is none the worse (RFC 3261 14.2)."""
    alice, bob = phones(stage)
    line = alice.call("bob")
    bob.answer()
    describe(alice, "sdp")
    line.reinvite(alice.sdp("sendonly", version=2))
    assert line.statuses == [400]
    assert "Content-Type" in line.responses[-1].reason
    assert bob.line.methods == ["INVITE", "ACK"]
    describe(alice, None)
    bob.line.reinvite(bob.sdp("sendonly", version=2))
    line.respond(200, sdp=alice.sdp("recvonly", version=2))
    assert bob.line.statuses == [200]
    alice.hang_up()


def test_a_content_type_of_an_answer_that_cannot_be_read(stage):
    """The 200 is acknowledged all the same (RFC 3261 13.2.2.4), and the call can be ended."""
    alice, bob = phones(stage)
    line = alice.call("bob")
    respond(bob.line, 200, bob.sdp(), Content_Type="sdp")
    assert bob.line.methods == ["INVITE", "ACK"]
    assert line.statuses == [200]
    alice.hang_up()
    assert bob.line.over


def test_an_offer_that_is_wanted_and_does_not_come(stage):
    """An INVITE without an offer, and a 200 whose body is none that we know: it is acknowledged
    at once, since no answer is owed to it (RFC 3261 13.2.1, 13.2.2.4)."""
    alice, bob = phones(stage)
    line = alice.call("bob", sdp=b"")
    respond(bob.line, 200, bob.sdp(), Content_Type="multipart/mixed;boundary=x")
    assert bob.line.methods == ["INVITE", "ACK"]
    assert line.statuses == [200]
    alice.hang_up()
    assert bob.line.over


def test_a_redirection_to_nowhere(stage):
    """A 3xx whose contacts cannot be read redirects nobody: 480 (RFC 3261 8.1.3.4)."""
    alice, bob = phones(stage)
    line = alice.call("bob")
    respond(bob.line, 302, Contact="garbage<")
    assert line.statuses == [480]
    assert line.responses[-1].contacts == []


def test_a_redirection_without_contacts(stage):
    """The same where there are none."""
    alice, bob = phones(stage)
    line = alice.call("bob")
    answer = compose.response(bob.line.invite, 302, to_tag=bob.line.tag)
    bob.respond(bob.line.invite, answer, bob.line._source)
    stage.run(5)
    assert line.statuses == [480]


# What is made up, or too much.


def made_up(branch, call_id="made@up", **fields):
    """A 200 to an INVITE that nobody has sent."""
    return Response(
        200,
        "OK",
        [
            ("Via", f"SIP/2.0/UDP 127.88.0.1:5060;branch={branch}"),
            ("From", "<sip:a@b>;tag=1"),
            ("To", "<sip:c@d>;tag=2"),
            ("Call-ID", call_id),
            ("CSeq", "1 INVITE"),
            *[(name.replace("_", "-"), value) for name, value in fields.items()],
        ],
    )


def test_a_strangers_200(make_stage):
    """Without a branch that we made it is nobody's: nothing is sent to whom it names, and no
    state is made for it (RFC 3261 17.1.3, 18.1.2)."""
    stage = make_stage()
    stranger, victim = stage.peer("127.88.0.200"), stage.peer("127.88.0.201")
    for fields in ({}, {"Record_Route": "garbage"}, {"Record_Route": "<sip:127.88.0.201;lr>"}):
        for branch in ("z9hG4bKabc", "z9hG4bK" + 28 * "0", "old"):
            stranger.send(made_up(branch, Contact="<sip:v@127.88.0.201>", **fields))
    assert not stage.house.auditor.open
    stage.run(60)
    assert stranger.received == victim.received == []
    assert stage.house.transactions.counters["stray response"] == 9


def test_a_200_after_the_transaction_has_ended(make_stage):
    """To an INVITE of ours it is acknowledged and ended, however late (RFC 3261 13.2.2.4)."""
    stage = make_stage()
    gateway, alice = stage.peer(FIRST), stage.phone("alice")
    alice.call("0123")
    stage.run(100)
    assert not list(stage.house.transactions)
    invite = gateway.expect("INVITE")
    gateway.unread.clear()
    contact = ("Contact", gateway.contact)
    gateway.send(compose.response(invite, 200, to_tag="late", fields=[contact]))
    ack, bye = gateway.expect("ACK"), gateway.expect("BYE")
    assert ack.call_id == bye.call_id == invite.call_id
    assert (ack.cseq.number, bye.cseq.number) == (1, 2)
    assert ack.to.tag == bye.to.tag == "late"
    gateway.send(compose.response(bye, 200))
    stage.run(5)
    assert gateway.unread == []


@pytest.fixture
def late(make_stage):
    """A stage on which a call has come to nothing: stage, the gateway, and what makes a late 200
    to its INVITE, with a Contact and a Record-Route of a victim's; the victim."""
    stage = make_stage()
    gateway, alice = stage.peer(FIRST), stage.phone("alice")
    victim = stage.peer("127.88.0.201")
    alice.call("0123")
    stage.run(100)
    invite = gateway.expect("INVITE")
    gateway.unread.clear()

    def answer(tag="late", contact="sip:v@127.88.0.201", routes=()):
        fields = [("Contact", f"<{contact}>"), *[("Record-Route", f"<{each}>") for each in routes]]
        return compose.response(invite, 200, to_tag=tag, fields=fields)

    return stage, gateway, answer, victim


def test_a_late_200_from_elsewhere(late):
    """Whoever has been called once can send it again, from anywhere and with any Contact: it counts
    from where the INVITE went alone. Nothing is sent, and nobody is known for it."""
    stage, gateway, answer, victim = late
    stranger = stage.peer("127.88.0.200")
    for contact in ("sip:v@127.88.0.201", "sip:v@127.88.0.201;transport=tcp"):
        stranger.send(answer(contact=contact))
    assert not stage.house.auditor.open
    stage.run(60)
    assert stranger.received == victim.received == gateway.unread == []
    assert not stage.house.transport.door.knows(victim.host, 5060)


@pytest.mark.parametrize(("seconds", "methods"), [(3490, ["ACK", "BYE"]), (3510, [])])
def test_a_late_200_after_an_hour(late, seconds, methods):
    """No INVITE is open for so long: then it is nobody's, from wherever it comes."""
    stage, gateway, answer, _ = late
    stage.run(seconds)
    gateway.send(answer())
    assert [request.method for request in gateway.unread] == methods
    for request in list(gateway.unread):
        if request.method == "BYE":
            gateway.send(compose.response(request, 200))
    stage.run(5)
    gateway.unread.clear()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("routes", [(), ("sip:127.88.0.201;lr",), ("sip:127.88.0.201",)])
def test_a_late_fork_is_ended_through_its_hop(late, transport, routes):
    """A proxy has forked, and another phone answers: ACK and BYE go to the proxy that we have sent
    the INVITE to, with the route that the 200 says, and nowhere else (RFC 3261 13.2.2.4)."""
    stage, gateway, answer, victim = late
    contact = f"sip:v@127.88.0.201;transport={transport}"
    gateway.send(answer(contact=contact, routes=routes))
    ack, bye = gateway.expect("ACK"), gateway.expect("BYE")
    assert {contact if not routes or ";lr" in routes[0] else routes[0]} == {ack.uri, bye.uri}
    assert len(ack.all("Route")) == len(bye.all("Route")) == len(routes)
    stage.run(60)
    assert victim.received == []
    assert not stage.house.transport.door.knows(victim.host, 5060)
    gateway.unread.clear()


def test_copies_of_a_late_200(late, monkeypatch):
    """Each is acknowledged, and has no BYE of its own while one is under way; no more than so many
    are under way at a time."""
    stage, gateway, answer, _ = late
    monkeypatch.setattr(late_module, "MOST", 2)
    for tag in ("1", "1", "2", "1", "3", "4"):
        gateway.send(answer(tag))
    sent = [(request.method, request.to.tag) for request in gateway.unread]
    ones, twos = [("ACK", "1"), ("BYE", "1")], [("ACK", "2"), ("BYE", "2")]
    assert sent == [*ones, ("ACK", "1"), *twos, ("ACK", "1")]
    stage.run(40)
    assert not stage.house.auditor.open
    gateway.unread.clear()
    gateway.send(answer("3"))
    assert gateway.expect("ACK").to.tag == "3"
    gateway.send(compose.response(gateway.expect("BYE"), 200))


def test_a_response_of_ours_with_more_fields_than_we_would_read(make_stage):
    """A proxy's many Via fields are copied into our 180 (RFC 3261 8.2.6.2), besides those that
    cross; the CANCEL after it is answered with the tag that the 180 bore (9.2)."""
    stage = make_stage()
    bob = stage.phone("bob")
    gateway = stage.peer(FIRST)
    gateway.endpoint.close()
    received = []
    endpoint = stage.network.attach(FIRST, 5060, "UDP", lambda data, _: received.append(data))
    invite = gateway.request("INVITE", f"sip:bob@{stage.address[0]}", body=gateway.sdp())
    vias = [("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")] * 118
    invite.fields[1:1] = vias
    endpoint.send(invite.encode(), stage.address)
    stage.run(0)
    bob.ring(fields=[(f"X-Field-{number}", "1") for number in range(20)])
    endpoint.send(compose.cancel(invite).encode(), stage.address)
    stage.run(0)
    statuses = [data[8:11] for data in received]
    assert statuses == [b"180", b"200", b"487"]
    tags = {data.partition(b"To: ")[2].partition(b"\r\n")[0] for data in received}
    assert len(tags) == 1
    assert bob.line.methods == ["INVITE", "CANCEL", "ACK"]


# What peers should not do.


def test_a_caller_without_a_tag(make_stage):
    """As RFC 2543 had it: the dialog has an empty remote tag (RFC 3261 12.1.1); the call can be
    re-negotiated and ended."""
    stage = make_stage()
    bob, gateway = stage.phone("bob"), stage.peer(FIRST)
    uri = f"sip:bob@{stage.address[0]}"
    invite = gateway.request("INVITE", uri, caller=f"<sip:1@{FIRST}>", body=gateway.sdp())
    gateway.send(invite)
    bob.answer()
    accepted = gateway.expect(200)
    gateway.send(
        gateway.request(
            "ACK", uri, caller=invite.get("From"), to=accepted.get("To"), call_id=invite.call_id
        )
    )
    bob.line.reinvite(bob.sdp("sendonly", version=2))
    again = gateway.expect("INVITE")
    described = [("Contact", gateway.contact), ("Content-Type", "application/sdp")]
    answer = compose.response(again, 200, to_tag="mine", fields=described, body=gateway.sdp())
    gateway.send(answer)
    assert bob.line.statuses == [200]
    gateway.expect("ACK")
    bob.hang_up()
    gateway.send(compose.response(gateway.expect("BYE"), 200))
    stage.run(5)
    assert gateway.unread == []


def test_a_bye_before_the_ack(make_stage, transport):
    """Whoever hangs up while his ACK is missing is gone: no BYE follows 64*T1 later (15)."""
    stage = make_stage(transport=transport)
    alice, bob = phones(stage)
    alice.lost_acks = 100
    line = alice.call("bob")
    bob.answer()
    assert line.statuses == [200]
    alice.hang_up()
    assert line.final == 200
    stage.run(60)
    assert line.methods == []
    assert bob.line.methods == ["INVITE", "ACK", "BYE"]


def test_a_phone_whose_connection_closes_while_its_registration_is_decided(make_stage):
    """Its binding leads nowhere: 480, at once (RFC 3261 10.3, 21.4.18)."""
    later = Later()
    stage = make_stage(plug_ins=[later], transport="TCP")
    alice, carol = stage.phone("alice"), stage.phone("carol", register=False)
    assert carol.register() == 0
    carol.move(5071)
    later.asked[0].callback(Accept())
    assert len(stage.house.bindings) == 2
    assert alice.call("carol").statuses == [480]


def test_a_cancel_over_another_connection(make_stage):
    """The caller's connection breaks, and a 180 finds no way back; his CANCEL comes all the same,
    and cancels the call (RFC 3261 9.2, 18.2.2)."""
    stage = make_stage(transport="TCP")
    alice, bob = phones(stage)
    line = alice.call("bob")
    bob.ring()
    alice.move(5070)
    bob.ring(183)
    stage.run(1)
    line.cancel()
    assert line.final == 200
    assert bob.line.methods == ["INVITE", "CANCEL", "ACK"]
    assert [record.status for record in stage.records] == [487]
