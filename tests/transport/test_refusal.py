"""What new requests get under overload, without being read."""

from collections import Counter
from ipaddress import ip_network

import pytest

from softswitch.errors import TransportError
from softswitch.flow import Flow
from softswitch.sip.compose import ack, response
from softswitch.sip.message import Request, Response
from softswitch.sip.parser import MessageSyntaxError, parse
from softswitch.testing.clock import VirtualClock
from softswitch.transport.door import Door
from softswitch.transport.overload import HOLD, Overload
from softswitch.transport.refusal import Refusal

HERE = "127.77.3.1"
FLOW = Flow("udp", "UDP", HERE, 5060, "127.77.3.2", 5060)
INVITE = (
    b"INVITE sip:bob@127.77.3.1 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 127.77.3.2;branch=z9hG4bKfirst\r\n"
    b"Via: SIP/2.0/UDP 127.77.3.9:5070;branch=z9hG4bKother\r\n"
    b'From: "Alice" <sip:alice@127.77.3.2>;tag=a1\r\n'
    b"To: <sip:bob@127.77.3.1>\r\n"
    b"Call-ID: one@127.77.3.2\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Max-Forwards: 70\r\n"
    b"Contact: <sip:alice@127.77.3.2>\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
    b"v=0\r\n"
)


class Wire:
    """Sends, unless it is cut."""

    def __init__(self):
        self.overload = Overload(lambda: 1000.0)
        self.counters = Counter()
        self.door = Door(VirtualClock(), trusted=[ip_network("127.77.3.0/24")])
        self.sent = []
        self.cut = False

    def send(self, data, flow, noted):
        assert not noted
        if self.cut:
            raise TransportError("cut")
        self.sent.append((data, flow))


@pytest.fixture
def refusal():
    return Refusal(Wire(), "a-mark", lambda: 1282321615.782)


def refused(refusal, data, flow=FLOW):
    """The answer, read, and its flow."""
    data, flow = refusal.of(data, flow)
    answer = parse(data, stream=True)
    assert isinstance(answer, Response)
    return answer, flow


@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE"])
@pytest.mark.parametrize(
    ("sent", "via", "source"),
    [
        ("127.77.3.2", "", 5060),
        ("127.77.3.2:5080", "", 5080),
        ("127.77.3.2:5080", "", 5060),
        ("gate.example", "", 5060),
        ("127.77.3.2", ";rport", 1234),
        ("192.0.2.1:5062", ";RPORT;x=y", 1234),
        ("[2001:db8::1]:5062", ";rport", 1234),
    ],
)
def test_the_answer_is_what_reading_would_have_made(refusal, method, sent, via, source):
    """The same fields in the same order, the top Via stamped (RFC 3261 8.2.6, 18.2.1; RFC 3581),
    and to the same place (18.2.2)."""
    top = f"SIP/2.0/UDP {sent};branch=z9hG4bKfirst{via}".encode()
    data = INVITE.replace(b"SIP/2.0/UDP 127.77.3.2;branch=z9hG4bKfirst", top)
    data = data.replace(b"INVITE", method.encode())
    flow = FLOW._replace(remote_port=source)
    answer, back = refused(refusal, data, flow)
    request = parse(data)
    assert isinstance(request, Request)
    request.stamp(flow.remote_host, flow.remote_port)
    wanted = response(request, 503, to_tag=answer.to.tag)
    assert answer.start_line() == wanted.start_line()
    assert answer.vias == wanted.vias
    assert [each for each in answer.fields if each[0] != "Via"] == [
        each for each in wanted.fields if each[0] != "Via"
    ]
    at = source if "rport" in via.lower() else request.top_via.port or 5060
    assert back == flow._replace(remote_port=at)


def test_a_connection_gets_its_answer_back(refusal):
    """Whatever the Via says (RFC 3261 18.2.2)."""
    flow = FLOW._replace(transport="TCP", remote_port=40000, serial=7)
    data = INVITE.replace(b"SIP/2.0/UDP 127.77.3.2;", b"SIP/2.0/TCP 127.77.3.2:5080;")
    assert refused(refusal, data, flow)[1] is flow


def test_the_answer_is_the_same_each_time(refusal):
    """For a retransmission, and another one for another request (RFC 3261 8.2.7)."""
    first = refused(refusal, INVITE)[0].to.tag
    assert refused(refusal, INVITE)[0].to.tag == first
    assert refused(refusal, INVITE.replace(b"one@", b"two@"))[0].to.tag != first


def test_its_ack_is_known(refusal):
    """By the mark in the To tag, which no other tag of ours has."""
    answer, _ = refused(refusal, INVITE)
    request = parse(INVITE)
    assert refusal.answers(ack(request, answer).encode())
    other = response(request, 486, to_tag="another")
    assert not refusal.answers(ack(request, other).encode())
    assert not Refusal(Wire(), "b-mark", lambda: 0.0).answers(ack(request, answer).encode())
    assert not refusal.answers(INVITE)


def test_short_names(refusal):
    """Are known (RFC 3261 7.3.3), and go back as they came."""
    data = INVITE
    for name, short in ((b"Via", b"v"), (b"From", b"f"), (b"To", b"t"), (b"Call-ID", b"I")):
        data = data.replace(name + b":", short + b":")
    answer, _ = refused(refusal, data)
    assert (answer.call_id, answer.from_.tag) == ("one@127.77.3.2", "a1")
    assert answer.to.tag


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"To: <sip:bob@127.77.3.1>", b"To: <sip:bob@127.77.3.1>;tag=t"),
        (b"To: <sip:bob@127.77.3.1>", b"To: <sip:bob@127.77.3.1> ; Tag = t"),
        (b"INVITE", b"BYE"),
        (b"INVITE", b"ACK"),
        (b"INVITE", b"CANCEL"),
        (b"INVITE", b"REFER"),
        (b"INVITE sip:bob", b"INVITE tel:1"),
        (b"INVITE sip:bob", b"INVITE sip:%31%31%32"),
        (b"SIP/2.0\r\n", b"SIP/3.0\r\n"),
        (b"CSeq: 1 INVITE", b"CSeq: 1 BYE"),
        (b"CSeq: 1 INVITE\r\n", b""),
        (b"CSeq: 1 INVITE", b"CSeq: 1 INVITE\r\nCSeq: 1 INVITE"),
        (b"Call-ID: one", b"Call-ID: one\r\ni: one"),
        (b"Call-ID: one", b"Call-ID: one\r\n two"),
        (b"Call-ID: one", b"Call-ID: o\x00ne"),
        (b"Call-ID: one", b"Call-ID: o\nne"),
        (b"Call-ID: one", b"Call-ID: o\rne"),
        (b"Max-Forwards: 70", b"Max-Forwards: 7\n0"),
        (b"Call-ID:", b"Call-ID :"),
        (b"branch=z9hG4bKfirst", b"branch=first"),
        (b"branch=z9hG4bKfirst", b"branch=z9hG4bKfirst;maddr=127.77.3.7"),
        (b"branch=z9hG4bKfirst", b"branch=z9hG4bKfirst;received=127.77.3.7"),
        (b"branch=z9hG4bKfirst", b"branch=z9hG4bKfirst;rport=7"),
        (b"branch=z9hG4bKfirst", b'branch=z9hG4bKfirst;x=",;"'),
        (b"branch=z9hG4bKfirst", b"branch=z9hG4bKfirst, SIP/2.0/UDP 127.77.3.8"),
        (b"127.77.3.2;branch", b"127.77.3.2:99999;branch"),
        (b"127.77.3.2;branch", b"127.77.3.2:0;branch"),
        (b"Content-Length: 5\r\n\r\nv=0\r\n", b""),
        (INVITE, b""),
        (INVITE, b"INVITE sip:bob@127.77.3.1 SIP/2.0\r\n\r\n"),
    ],
)
def test_what_is_left_to_the_parser(refusal, old, new):
    """What belongs to a dialog or transaction, and whatever is unusual, is no case for this."""
    assert refusal.of(INVITE.replace(old, new, 1), FLOW) is None


def test_who_is_spared(refusal):
    """It is asked for method, user part and flow; an admitted request's retransmission is none of
    this one's business (RFC 3261 17.2.1)."""
    asked = []
    refusal.spared = lambda *what: asked.append(what) or True
    assert refusal.of(INVITE.replace(b"sip:bob", b"sip:112;phone=x"), FLOW) is None
    assert refusal.of(INVITE.replace(b"sip:bob@", b"sip:"), FLOW) is None
    assert asked == [("INVITE", "112;phone=x", FLOW), ("INVITE", "", FLOW)]
    refusal.spared = lambda *what: False
    keys = []
    refusal.under_way = lambda key: keys.append(key) or True
    assert refusal.of(INVITE, FLOW) is None
    assert keys == ["z9hG4bKfirst 127.77.3.2 None INVITE"]


@pytest.mark.parametrize(
    ("offer", "source", "told"),
    [
        (b"", "127.77.3.2", b""),
        (b';oc;oc-algo="loss"', "127.77.3.2", b";oc=0"),
        (b';rport;OC;oc-algo="A,loss";x=y', "127.77.3.2", b";oc=0"),
        (b";oc=50;oc-seq=1.1;oc-validity=9", "127.77.3.2", b";oc=0"),
        (b';oc;oc-algo="loss"', "127.0.0.9", b';oc;oc-algo="loss"'),
        (b";ocean;oc-x", "127.77.3.2", b";ocean;oc-x"),
    ],
)
def test_the_load_is_told_to_known_peers_that_offer(refusal, offer, source, told):
    """As in an answer to what was read (RFC 7339 4): once, in the top Via alone."""
    data = INVITE.replace(b"branch=z9hG4bKfirst", b"branch=z9hG4bKfirst" + offer)
    answer, _ = refusal.of(data, FLOW._replace(remote_host=source))
    assert told in answer
    params = parse(answer).top_via.params
    if told == b";oc=0":
        wanted = {
            "oc": "0",
            "oc-algo": '"loss"',
            "oc-validity": "0",
            "oc-seq": "1282321615.782",
        }
        assert {name: params[name] for name in wanted} == wanted
        assert params.get("x") == ("y" if b"x=y" in offer else None)
    assert answer.lower().count(b";oc=") == (told == b";oc=0")


def test_retry_after_where_it_is_wished_for(refusal):
    """Seconds (RFC 3261 20.33)."""
    assert refused(refusal, INVITE)[0].get("Retry-After") is None
    refusal.retry_after = 5
    assert refused(refusal, INVITE)[0].get("Retry-After") == "5"


def test_whatever_is_answered_can_be_read(refusal):
    """A message with a byte changed anywhere gets no answer, or one that parses, as long as the
    request does."""
    for at in range(len(INVITE)):
        for byte in b'\r\n\0 ;,"<>:=@%\xffa':
            data = INVITE[:at] + bytes((byte,)) + INVITE[at + 1 :]
            answer = refusal.of(data, FLOW)
            if answer is None:
                continue
            assert len(answer[0]) < len(data) + 200
            try:
                parse(data)
            except MessageSyntaxError:
                continue
            parse(answer[0])


def test_what_is_taken_from_the_parser():
    """Under overload alone; for a while after it the ACKs that are still under way."""
    now = [1000.0]
    wire = Wire()
    wire.overload = Overload(lambda: now[0])
    refusal = Refusal(wire, "a-mark", lambda: 1282321615.782)
    assert not refusal.takes(INVITE, FLOW)
    wire.overload.woken_late(5.0)
    assert refusal.takes(INVITE, FLOW)
    ((answer, flow),) = wire.sent
    assert (answer, flow) == refusal.of(INVITE, FLOW)
    confirmed = ack(parse(INVITE), parse(answer)).encode()
    assert refusal.takes(confirmed, FLOW)
    now[0] += HOLD
    assert refusal.takes(confirmed, FLOW)
    assert not refusal.takes(INVITE, FLOW)
    assert not refusal.takes(INVITE.replace(b"INVITE", b"BYE"), FLOW)
    assert dict(wire.counters) == {"refused: overload": 1, "ACK of a refusal": 2}


def test_a_refusal_that_cannot_be_sent():
    """Is counted; the request is not served for that."""
    wire = Wire()
    refusal = Refusal(wire, "a-mark", lambda: 1282321615.782)
    wire.overload.woken_late(5.0)
    wire.cut = True
    assert refusal.takes(INVITE, FLOW)
    assert wire.counters["refusal not delivered"] == 1
