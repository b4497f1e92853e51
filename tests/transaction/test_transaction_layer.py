"""Which message belongs to which transaction: RFC 3261 17.1.3, 17.2.3, 9.2, 8.2.2.2, 8.2.7."""

import pytest

from softswitch.flow import Flow
from softswitch.sip import compose
from softswitch.sip.message import Request
from softswitch.sip.parser import parse

TAGGED = "To: <sip:bob@127.0.0.2>;tag=b"


def end(world, transaction):
    """Answer it if it is not answered yet, and let all its timers pass."""
    if transaction.state in ("Trying", "Proceeding"):
        world.respond(transaction, 486)
    if transaction.state == "Completed":
        world.receive(world.asked("ACK", to=TAGGED))
    world.run(64)


# Requests to server transactions (17.2.3).


@pytest.mark.parametrize(
    "other",
    [
        {"branch": "z9hG4bKq"},
        {"via": "127.0.0.3:5070"},
        {"via": "127.0.0.2:5071"},
        {"via": "127.0.0.2"},
    ],
)
def test_branch_and_sent_by_tell_transactions_apart(udp, other):
    """Another branch, or the same from another sent-by, is another transaction (17.2.3)."""
    udp.receive(udp.asked("OPTIONS", to=TAGGED))
    udp.receive(udp.asked("OPTIONS", to=TAGGED, **other))
    udp.receive(udp.asked("OPTIONS", to=TAGGED, **other))
    assert udp.take() == [(0, "OPTIONS received"), (0, "OPTIONS received")]
    for transaction in udp.core.received:
        udp.respond(transaction, 200)
    udp.run(32)


def test_the_method_tells_transactions_apart(udp):
    """A client that reuses a branch for another method begins another transaction (17.2.3)."""
    udp.receive(udp.asked("INFO", to=TAGGED))
    udp.receive(udp.asked("BYE", to=TAGGED))
    assert udp.take() == [(0, "INFO received"), (0, "BYE received")]
    for transaction in udp.core.received:
        udp.respond(transaction, 200)
    udp.run(32)


@pytest.mark.parametrize("branch", ["", "1234"])
def test_a_request_without_the_cookie(udp, branch):
    """RFC 2543: matched by Request-URI, tags, Call-ID, CSeq and top Via (17.2.3)."""
    udp.receive(udp.asked("INVITE", branch=branch))
    udp.receive(udp.asked("INVITE", branch=branch))
    assert udp.take() == [(0, "INVITE received")]
    for other in (
        {"number": "2"},
        {"call_id": "Call-ID: d@127.0.0.1"},
        {"uri": "sip:carol@127.0.0.1", "number": "3"},
        {"via": "127.0.0.2:5072", "number": "4"},
        {"to": TAGGED},
    ):
        udp.receive(udp.asked("INVITE", branch=branch, **other))
        assert udp.take() == [(0, "INVITE received")]
    for transaction in udp.core.received:
        udp.respond(transaction, 200)
    udp.run(32)


@pytest.mark.parametrize("branch", ["", "1234"])
def test_the_ack_of_an_invite_without_the_cookie(udp, branch):
    """RFC 2543: the ACK's To tag is that of our response; another's goes up (17.2.3)."""
    udp.receive(udp.asked("INVITE", branch=branch))
    invite = udp.core.received[0]
    udp.respond(invite, 486)
    udp.take()
    udp.receive(udp.asked("ACK", branch=branch, to=TAGGED.replace("=b", "=x")))
    assert udp.take() == [(0, "ACK received")]
    udp.receive(udp.asked("ACK", branch=branch, to=TAGGED))
    udp.receive(udp.asked("ACK", branch=branch, to=TAGGED))
    assert udp.take() == []
    assert invite.state == "Confirmed"
    udp.run(5)


def test_the_ack_of_a_reinvite_without_the_cookie(udp):
    """RFC 2543: the INVITE's own To tag is that of the ACK (17.2.3)."""
    udp.receive(udp.asked("INVITE", branch="", to=TAGGED))
    invite = udp.core.received[0]
    udp.respond(invite, 488)
    udp.receive(udp.asked("ACK", branch="", to=TAGGED))
    assert invite.state == "Confirmed"
    udp.run(5)


def test_a_cancel_without_the_cookie(udp):
    """RFC 2543: everything but the method of the CSeq is the INVITE's (9.2)."""
    udp.receive(udp.asked("INVITE", branch=""))
    udp.core.received[0].adopt(None, udp.core)
    udp.receive(udp.asked("CANCEL", branch=""))
    assert udp.log[-1] == (0, "cancelled")
    udp.respond(udp.core.received[0], 487)
    udp.receive(udp.asked("ACK", branch="", to=TAGGED))
    udp.run(32)


def test_an_ack_that_matches_nothing(world):
    """It is a 2xx's: the core knows the dialog (13.3.1.4)."""
    world.receive(world.asked("ACK", to=TAGGED))
    assert world.take() == [(0, "ACK received")]


def test_an_ack_with_the_branch_of_another_method(udp):
    """An ACK belongs to an INVITE or to the core (17.2.3)."""
    udp.receive(udp.asked("BYE"))
    udp.receive(udp.asked("ACK", to=TAGGED))
    assert udp.take() == [(0, "BYE received"), (0, "ACK received")]
    end(udp, udp.core.received[0])


# CANCEL (9.2).


def test_cancel_is_answered_and_told(world):
    """200 by the layer, then the user hears of it, with the CANCEL in hand; the CANCEL again is
    answered with the same bytes and not told (9.2)."""
    invite = world.asked_in("INVITE")
    heard = []
    world.core.on["cancelled"] = heard.append
    world.take()
    cancel = world.asked("CANCEL", line='Reason: SIP;cause=200;text="elsewhere"')
    world.receive(cancel)
    world.receive(cancel)
    ok = world.answered(200, "CANCEL", tag="t1")
    assert world.take() == [(0, ok), (0, "cancelled"), (0, ok)]
    [(transaction, request)] = heard
    assert transaction is invite
    assert request.get("Reason") == 'SIP;cause=200;text="elsewhere"'
    end(world, invite)


def test_cancel_again_after_timer_j(world):
    """The CANCEL's own transaction ends by timer J (17.2.2); what then comes again is answered
    anew."""
    invite = world.asked_in("INVITE")
    world.receive(world.asked("CANCEL"))
    world.run(33)
    assert list(world.layer) == [invite]
    end(world, invite)


def test_the_to_tag_of_the_answer_to_cancel(world):
    """It is that of the responses to the INVITE, where one has gone out (9.2)."""
    invite = world.asked_in("INVITE")
    world.respond(invite, 180)
    world.take()
    world.receive(world.asked("CANCEL"))
    assert world.log[0] == (0, world.answered(200, "CANCEL"))
    end(world, invite)


def test_487_from_within_cancelled(world):
    """The user may respond while it is told; the 200 has gone out before."""
    invite = world.asked_in("INVITE")
    world.core.on["cancelled"] = lambda told: world.respond(told[0], 487)
    world.respond(invite, 180)
    world.take()
    world.receive(world.asked("CANCEL"))
    assert world.take() == [
        (0, world.answered(200, "CANCEL")),
        (0, "cancelled"),
        (0, world.answered(487, "INVITE")),
    ]
    end(world, invite)


@pytest.mark.parametrize("status", [200, 486])
def test_cancel_after_a_final_response(world, status):
    """200 for the CANCEL, no effect on the INVITE (9.2)."""
    invite = world.asked_in("INVITE")
    world.respond(invite, status)
    world.take()
    world.receive(world.asked("CANCEL"))
    assert world.take() == [(0, world.answered(200, "CANCEL"))]
    end(world, invite)


def test_cancel_in_confirmed(udp):
    """Still 200: the transaction is there (9.2)."""
    invite = udp.asked_in("INVITE")
    udp.respond(invite, 486)
    udp.receive(udp.asked("ACK", to=TAGGED))
    udp.take()
    udp.receive(udp.asked("CANCEL"))
    assert udp.take() == [(0, udp.answered(200, "CANCEL"))]
    udp.run(32)


def test_cancel_before_anybody_serves_the_invite(world):
    """Admission may still be pondering: the layer answers the INVITE with 487 by itself, and
    whoever comes later can say no more; both answers have one To tag (9.2)."""
    world.receive(world.asked("INVITE"))
    world.take()
    world.receive(world.asked("CANCEL"))
    sent = [entry[1].split(b"\r\n") for entry in world.take()]
    assert [lines[0] for lines in sent] == [
        b"SIP/2.0 200 OK",
        b"SIP/2.0 487 Request Terminated",
    ]
    ok, terminated = ([each for each in lines if each.startswith(b"To: ")] for lines in sent)
    assert ok == terminated
    invite = world.core.received[0]
    assert invite.answered
    invite.adopt(world.scope, world.core)
    world.respond(invite, 200)
    assert world.take() == []
    assert world.ignored() == [("Completed", "2xx")]
    end(world, invite)


def test_cancel_of_another_method(world):
    """200, and no effect (9.2)."""
    bye = world.asked_in("BYE")
    world.take()
    world.receive(world.asked("CANCEL"))
    assert world.take() == [(0, world.answered(200, "CANCEL", tag="t1"))]
    world.respond(bye, 200)
    world.run(32)


def test_cancel_that_matches_nothing(world):
    """481 without state, with the same To tag each time (9.2, 8.2.7)."""
    world.receive(world.asked("CANCEL"))
    world.receive(world.asked("CANCEL"))
    (_, first), (_, second) = world.take()
    assert first == second
    assert first.startswith(b"SIP/2.0 481 Call/Transaction Does Not Exist\r\n")
    assert parse(first).to.tag is not None
    assert list(world.layer) == []


# Merged requests (8.2.2.2).


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_a_merged_request(world, method):
    """The same request by another path (other branch or sent-by, no To tag): 482, without state
    and without asking anybody; also while the first one is only kept for retransmissions."""
    first = world.asked_in(method)
    world.receive(world.asked(method, branch="z9hG4bKq"))
    world.receive(world.asked(method, branch="z9hG4bKq"))
    world.receive(world.asked("ACK", branch="z9hG4bKq", to=TAGGED))
    _, (_, loop), (_, again), ack = world.take()
    assert loop == again
    assert loop.startswith(b"SIP/2.0 482 Loop Detected\r\n")
    assert ack == (0, "ACK received")
    world.respond(first, 200)
    world.take()
    world.receive(world.asked(method, via="127.0.0.3:5070"))
    assert world.take()[0][1].startswith(b"SIP/2.0 482 ")
    world.run(32)
    world.receive(world.asked(method, branch="z9hG4bKq"))
    assert world.take() == [(32, f"{method} received")]
    world.respond(world.core.received[-1], 200)
    world.run(32)


@pytest.mark.parametrize(
    "other", [{"number": "2"}, {"call_id": "Call-ID: d@127.0.0.1"}, {"to": TAGGED}]
)
def test_what_is_not_merged(udp, other):
    """Another CSeq (a retry with credentials), another Call-ID, or a To tag: a new request."""
    udp.receive(udp.asked("OPTIONS"))
    udp.receive(udp.asked("OPTIONS", branch="z9hG4bKq", **other))
    assert udp.take() == [(0, "OPTIONS received")] * 2
    for transaction in udp.core.received:
        udp.respond(transaction, 200)
    udp.run(32)


# Before any state is made (8.2.7).


def test_a_request_that_is_not_let_in(world):
    """A challenge is sent without state, the same each time; its ACK goes up and is ignored
    there (8.2.7)."""
    request = parse(world.asked("INVITE"))
    world.core.screened = compose.response(request, 401, to_tag="same")
    world.receive(world.asked("INVITE"))
    world.receive(world.asked("INVITE"))
    world.receive(world.asked("ACK", to=TAGGED))
    challenge = world.answered(401, "INVITE", tag="same")
    assert world.take() == [(0, challenge), (0, challenge), (0, "ACK received")]
    assert list(world.layer) == []


def test_screening_is_for_new_requests_only(world):
    """What matches a transaction was let in; ACK and CANCEL are never challenged (22.1)."""
    invite = world.asked_in("INVITE")
    world.core.screened = compose.response(invite.request, 401, to_tag="same")
    world.take()
    world.receive(world.asked("INVITE"))
    world.receive(world.asked("CANCEL"))
    world.receive(world.asked("ACK", branch="z9hG4bKq"))
    assert world.take() == [
        (0, world.answered(200, "CANCEL", tag="t1")),
        (0, "cancelled"),
        (0, "ACK received"),
    ]
    end(world, invite)


# What leaves.


def test_the_ack_of_a_2xx(world):
    """A Via with a new branch is put on it; there is no transaction (13.2.2.4, 17.1)."""
    fields = [("To", "<sip:b@y>;tag=b"), ("CSeq", "1 ACK")]
    world.layer.send_ack(Request("ACK", "sip:b@y", fields), world.flow)
    [(_, ack)] = world.take()
    via = f"Via: SIP/2.0/{world.transport} 127.0.0.1:5060;rport;branch=z9hG4bK1"
    assert ack.decode().split("\r\n")[:4] == [
        "ACK sip:b@y SIP/2.0",
        via,
        "To: <sip:b@y>;tag=b",
        "CSeq: 1 ACK",
    ]
    assert list(world.layer) == []


def test_what_has_no_transaction_and_cannot_be_sent_is_counted(world):
    """The 2xx, or the request, will come again."""
    world.core.broken = "reset"
    world.layer.send_ack(Request("ACK", "sip:b@y", []), world.flow)
    world.receive(world.asked("CANCEL"))
    assert world.layer.counters == {
        "ACK not delivered": 1,
        "CANCEL answered with 481": 1,
        "stateless response not delivered": 1,
    }


def test_the_via_of_an_ipv6_flow(udp):
    """An IPv6 sent-by stands in brackets (25.1)."""
    flow = Flow("l", "UDP", "::1", 5060, "::2", 5060)
    udp.layer.send_ack(Request("ACK", "sip:b@y", []), flow)
    assert b"Via: SIP/2.0/UDP [::1]:5060;rport;branch=z9hG4bK1\r\n" in udp.take()[0][1]


# What comes.


def test_a_response_with_two_vias(world):
    """It was misrouted, and is discarded (8.1.3.3)."""
    world.send("OPTIONS")
    world.take()
    answer = world.answer(200, "OPTIONS")
    world.receive(answer.replace(b"From", b"Via: SIP/2.0/UDP 127.0.0.9;branch=z9hG4bKz\r\nFrom"))
    assert world.take() == []
    assert world.layer.counters == {"response with several Via": 1}
    world.receive(answer)
    world.run(5)


def test_a_stray_response(world):
    """What nobody waits for goes to the core (18.1.2)."""
    world.receive(world.answer(200, "INVITE"))
    world.receive(world.answer(100, "INVITE"))
    assert world.take() == [(0, "stray 200"), (0, "stray 100")]


def test_a_broken_flow_fails_its_own_only(tcp):
    """A hundred requests on two flows: those of the broken one hear of it (17.1.4)."""
    for _ in range(50):
        tcp.send("OPTIONS")
    broken, tcp.flow = tcp.flow, tcp.other_flow
    for _ in range(50):
        tcp.send("OPTIONS")
    tcp.take()
    tcp.layer.flow_failed(broken, "reset")
    tcp.run()
    assert tcp.take() == [(0, "transport failed: reset")] * 50
    tcp.run(32)
    assert tcp.take() == [(32, "timed out")] * 50
