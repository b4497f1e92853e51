"""The registrar by the steps of RFC 3261 10.3, and the flows of RFC 3665 section 2."""

import re

import pytest

from softswitch.flow import Flow
from softswitch.plugin.decisions import Accept
from softswitch.registrar.asked import MAX_URI, MAX_VALUES
from softswitch.registrar.bindings import Bindings
from softswitch.registrar.registrar import Registrar
from softswitch.sip.parser import parse
from softswitch.testing.clock import VirtualClock
from softswitch.transport.domains import Domains
from softswitch.transport.listener import Listener

EPOCH = 1_289_690_940.0  # Sat, 13 Nov 2010 23:29:00 GMT, the example of 20.17
AOR = "bob@biloxi.example.com"
FLOW = Flow("lan", "TLS", "127.44.0.1", 5060, "127.44.0.9", 5060)
POLICY = Accept(max_expires=3600, min_expires=60, max_contacts=10)
BOB = "<sips:bob@client.biloxi.example.com>"


class House:
    """A registrar that serves biloxi.example.com at 127.44.0.1."""

    def __init__(self):
        self.clock = VirtualClock()
        self.bindings = Bindings(self.clock, None, self.now)
        listener = Listener(name="lan", transport="UDP", bind_host="127.44.0.1", port=5060)
        domains = Domains(["biloxi.example.com"], [listener])
        self.registrar = Registrar(self.bindings, domains, self.now)
        self.cseq = 0

    def now(self):
        return EPOCH + self.clock.seconds()

    def register(
        self,
        *lines,
        to="Bob <sips:bob@biloxi.example.com>",
        call_id="1j9FpLxk3uxtm8tn@biloxi.example.com",
        cseq=None,
        accept=POLICY,
        flow=FLOW,
    ):
        """The response to a REGISTER with these further header lines."""
        self.cseq = self.cseq + 1 if cseq is None else cseq
        text = "\r\n".join(
            (
                "REGISTER sips:ss2.biloxi.example.com SIP/2.0",
                "Via: SIP/2.0/UDP 127.44.0.9:5060;branch=z9hG4bKnashds7",
                "Max-Forwards: 70",
                "From: Bob <sips:bob@biloxi.example.com>;tag=a73kszlfl",
                f"To: {to}",
                f"Call-ID: {call_id}",
                f"CSeq: {self.cseq} REGISTER",
                *lines,
                "Content-Length: 0\r\n\r\n",
            )
        )
        request = parse(text.encode("utf-8", "surrogateescape"))
        response = self.registrar.process(request, flow, accept)
        response.encode()
        return response

    def kept(self):
        return [binding.contact for binding in self.bindings.contacts(AOR)]


@pytest.fixture(name="house")
def _house():
    return House()


def refused(response, header=None):
    """The status of a refusal, which names the header field at fault and changes nothing."""
    assert response.get("Contact") is None
    if header is not None:
        assert header in response.reason
    return response.status


def test_new_registration(house):
    """RFC 3665 2.1: the contact comes back in the 200 with the seconds that it was granted, and
    the other fields of the answer are the request's (8.2.6)."""
    response = house.register(f"Contact: {BOB}", "Expires: 1800")
    to, tag = response.get("To").split(";tag=")
    assert re.fullmatch("[0-9a-f]{16}", tag)
    assert (response.status, response.reason) == (200, "OK")
    assert response.fields == [
        ("Via", "SIP/2.0/UDP 127.44.0.9:5060;branch=z9hG4bKnashds7"),
        ("From", "Bob <sips:bob@biloxi.example.com>;tag=a73kszlfl"),
        ("To", f"{to};tag={tag}"),
        ("Call-ID", "1j9FpLxk3uxtm8tn@biloxi.example.com"),
        ("CSeq", "1 REGISTER"),
        ("Contact", f"{BOB};expires=1800"),
        ("Date", "Sat, 13 Nov 2010 23:29:00 GMT"),
    ]
    (binding,) = house.bindings.lookup(AOR)
    assert binding.flow == FLOW
    assert binding.expires_at == EPOCH + 1800


def test_update_of_the_contact_list(house):
    """RFC 3665 2.2: a second contact is added; the 200 lists both, each with what is left."""
    house.register(f"Contact: {BOB}")
    house.clock.run(100)
    response = house.register("Contact: mailto:bob@biloxi.example.com", "Expires: 60")
    assert refused(response, "Contact") == 400  # this switch rings SIP alone
    response = house.register("Contact: <sip:bob@127.44.0.7>", "Expires: 60")
    assert response.all("Contact") == [f"{BOB};expires=3500", "<sip:bob@127.44.0.7>;expires=60"]


def test_request_for_the_current_contact_list(house):
    """RFC 3665 2.3, 10.2.3: without Contact the bindings are told and stay as they are."""
    house.register(f"Contact: {BOB}")
    house.clock.run(0.5)
    response = house.register("Expires: 0", call_id="other", cseq=1)
    assert response.all("Contact") == [f"{BOB};expires=3600"]
    assert house.register(to="<sip:alice@biloxi.example.com>").all("Contact") == []


def test_cancellation_of_registration(house):
    """RFC 3665 2.4: ``*`` with Expires 0 removes all; the 200 has no Contact."""
    house.register(f"Contact: {BOB}, <sip:bob@127.44.0.7>")
    response = house.register("Contact: *", "Expires: 0")
    assert response.status == 200
    assert response.all("Contact") == []
    assert response.get("Date") is not None
    assert house.clock.idle


def test_removal_of_one_contact(house):
    """10.2.2: an expiry of 0, by parameter or field, removes that contact and no other."""
    house.register("Contact: <sip:bob@a>, <sip:bob@b>", "Contact: <sip:bob@c>")
    house.register("Contact: <sip:bob@a>;expires=0")
    assert house.kept() == ["sip:bob@b", "sip:bob@c"]
    house.register("m: <sip:bob@b>", "Expires: 0")
    assert house.register("Contact: <sip:unknown@d>;expires=0").status == 200
    assert house.kept() == ["sip:bob@c"]


@pytest.mark.parametrize(
    "lines",
    [
        ("Contact: *",),
        ("Contact: *", "Expires: 1"),
        ("Contact: *;expires=0", "Expires: 0"),
        ("Contact: *, <sip:bob@a>", "Expires: 0"),
        ("Contact: <sip:bob@a>", "Contact: *", "Expires: 0"),
        ("Contact: *", "Contact: *", "Expires: 0"),
    ],
)
def test_a_star_that_is_not_alone_or_not_zero(house, lines):
    """10.3 step 6: ``*`` with other contacts or another expiry is 400, and nothing is removed."""
    house.register("Contact: <sip:bob@b>")
    assert refused(house.register(*lines), "Contact") == 400
    assert house.kept() == ["sip:bob@b"]


def test_a_star_out_of_order(house):
    """10.3 step 6: the Call-ID agrees and the CSeq is not higher: the request fails."""
    house.register("Contact: <sip:bob@b>", cseq=5)
    assert refused(house.register("Contact: *", "Expires: 0", cseq=5)) == 500
    assert house.register("Contact: *", "Expires: 0", cseq=1, call_id="new").status == 200


@pytest.mark.parametrize(
    ("contact", "lines", "granted"),
    [
        ("<sip:bob@a>;expires=100", ["Expires: 200"], 100),
        ("<sip:bob@a>", ["Expires: 200"], 200),
        ("<sip:bob@a>", [], 3600),
        ("<sip:bob@a>;expires=100000", [], 7200),
        ("<sip:bob@a>", ["Expires: 99999999999999999999"], 7200),
        ("<sip:bob@a>;expires=4294967296", [], 7200),
        ("<sip:bob@a>;expires=soon", ["Expires: 200"], 3600),
        ("<sip:bob@a>;expires", [], 3600),
        ("<sip:bob@a>;expires=-1", [], 3600),
        ("<sip:bob@a>;expires=" + "9" * 5000, [], 7200),
    ],
)
def test_the_interval_asked_for(house, contact, lines, granted):
    """10.3 step 7: the parameter counts before the field, the field before the default; 10.2:
    a malformed parameter is as good as 3600; policy may shorten."""
    accept = Accept(max_expires=7200, min_expires=60)
    response = house.register(f"Contact: {contact}", *lines, accept=accept)
    assert response.all("Contact") == [f"<sip:bob@a>;expires={granted}"]


def test_interval_too_brief(house):
    """10.3 step 7: 423 with Min-Expires, for the whole request, and only below an hour."""
    house.register("Contact: <sip:bob@b>")
    accept = Accept(min_expires=300)
    response = house.register(
        "Contact: <sip:bob@b>;expires=0, <sip:bob@a>;expires=299", accept=accept
    )
    assert refused(response) == 423
    assert response.reason == "Interval Too Brief"
    assert response.get("Min-Expires") == "300"
    assert house.kept() == ["sip:bob@b"]
    assert house.register("Contact: <sip:bob@a>;expires=300", accept=accept).status == 200
    strict = Accept(min_expires=7200, max_expires=9000)
    assert house.register("Contact: <sip:bob@a>;expires=3599", accept=strict).status == 423
    response = house.register("Contact: <sip:bob@a>;expires=3600", accept=strict)
    assert "<sip:bob@a>;expires=3600" in response.all("Contact")
    response = house.register("Contact: <sip:bob@c>", accept=strict)
    assert "<sip:bob@c>;expires=7200" in response.all("Contact")


def test_several_contacts_with_q(house):
    """10.2.1.2: q orders the contacts, and comes back."""
    response = house.register(
        "Contact: <sip:bob@a>;q=0.1, <sip:bob@b>;expires=100;q=0.75", "Contact: <sip:bob@c>;q=1.0"
    )
    assert response.all("Contact") == [
        "<sip:bob@a>;expires=3600;q=0.1",
        "<sip:bob@b>;expires=100;q=0.75",
        "<sip:bob@c>;expires=3600",
    ]
    found = [binding.contact for binding in house.bindings.lookup(AOR)]
    assert found == ["sip:bob@c", "sip:bob@b", "sip:bob@a"]


@pytest.mark.parametrize("q", ["2", "1.001", "-1", "nan", "0.1234", "", "\u0661", "1e-1"])
def test_a_q_that_is_none(house, q):
    """25.1 qvalue: 0 to 1 with at most three digits; else 400."""
    assert refused(house.register(f"Contact: <sip:bob@a>;q={q}"), "Contact") == 400
    assert house.kept() == []


@pytest.mark.parametrize(
    "contact",
    [
        "tel:+15551234",
        "<mailto:bob@example.com>",
        "<name:John_Smith>",
        "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
        "<sip:bob@a",
        "bob",
        "<sip:>",
        "<sip:bob@a>, ,<sip:bob@b>",
        "<sip:bob@b>;q=0.1;q=0.2",
        "<sip:bob@" + "a" * MAX_URI + ">",
    ],
)
def test_a_contact_that_cannot_be_called(house, contact):
    """What is no SIP URI is refused with 400 that names Contact, even beside good ones."""
    lines = ("Contact: <sip:bob@good>", f"Contact: {contact}")
    assert refused(house.register(*lines), "Contact") == 400
    assert house.kept() == []


def test_headers_and_parameters_of_a_contact_stay_with_it(house):
    """RFC 4475 3.3.12 to 3.3.14: what stands in the brackets is the binding; unknown header
    parameters are not."""
    response = house.register(
        "Contact: <sip:bob@a;unknownparam>",
        "Contact: sip:bob@b;unknownparam",
        "Contact: <sip:bob@c?Route=%3Csip:sip.example.com%3E>",
    )
    assert response.all("Contact") == [
        "<sip:bob@a;unknownparam>;expires=3600",
        "<sip:bob@b>;expires=3600",
        "<sip:bob@c?Route=%3Csip:sip.example.com%3E>;expires=3600",
    ]


def test_the_instance_comes_back(house):
    """A phone finds itself among the contacts by its ``+sip.instance`` (RFC 5626 4.2.1), and
    replaces its binding by it after a reboot."""
    instance = '+sip.instance="<urn:uuid:f81d4fae>"'
    house.register(f"Contact: <sip:bob@a>;{instance}")
    response = house.register(f"Contact: <sip:bob@b>;{instance}", call_id="reboot")
    assert response.all("Contact") == [f"<sip:bob@b>;expires=3600;{instance}"]


def test_a_reboot_is_known_by_user_agent_and_source(house):
    """A phone without an instance that comes from a new port replaces its binding."""
    house.register("Contact: <sip:bob@127.44.0.9:5060>", "User-Agent: Phone/1")
    moved = FLOW._replace(remote_port=6000)
    house.register(
        "Contact: <sip:bob@127.44.0.9:6000>", "User-Agent: Phone/1", call_id="reboot", flow=moved
    )
    assert house.kept() == ["sip:bob@127.44.0.9:6000"]
    assert house.bindings.lookup(AOR)[0].flow == moved


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("<sip:b%6fb@biloxi.example.com;user=phone>", 200),
        ("<sip:bob@127.44.0.1>", 200),
        ("sip:bob@BILOXI.example.com.:5060", 200),
        ("<sip:bob@chicago.example.com>", 404),
        ("<sip:bob@127.44.0.2>", 404),
        ("<sip:bob@biloxi.example.com:5080>", 404),
        ("<sip:biloxi.example.com>", 404),
        ("isbn:2983792873", 400),
        ("<tel:+15551234>", 400),
    ],
)
def test_the_address_of_record(house, to, status):
    """10.3 step 5: of our domain, whatever it is called by, else 404; a SIP URI, else 400."""
    assert house.register("Contact: <sip:bob@a>", to=to).status == status
    assert house.kept() == (["sip:bob@a"] if status == 200 else [])


def test_out_of_order(house):
    """10.3 step 7: not newer than the binding: 500, and no contact of the request is taken."""
    house.register("Contact: <sip:bob@b>", cseq=5)
    for cseq in (4, 5):
        response = house.register("Contact: <sip:bob@a>, <sip:bob@b>", cseq=cseq)
        assert refused(response, "CSeq") == 500
    assert house.kept() == ["sip:bob@b"]
    assert house.register("Contact: <sip:bob@b>", cseq=1, call_id="reboot").status == 200
    assert house.register("Contact: <sip:bob@b>", cseq=2, call_id="reboot").status == 200


def test_contacts_beyond_the_limit(house):
    """The oldest contact goes; one request cannot bring more than are allowed."""
    accept = Accept(max_contacts=2)
    for contact in "abc":
        house.register(f"Contact: <sip:bob@{contact}>", accept=accept)
    assert house.kept() == ["sip:bob@b", "sip:bob@c"]
    three = "Contact: <sip:bob@d>, <sip:bob@e>, <sip:bob@f>"
    assert refused(house.register(three, accept=accept), "contacts") == 403
    assert house.kept() == ["sip:bob@b", "sip:bob@c"]


def test_a_bad_expires_field(house):
    """20.19: Expires is a number; else 400."""
    response = house.register("Contact: <sip:bob@a>", "Expires: tomorrow")
    assert refused(response, "Expires") == 400


def test_record_route_is_ignored(house):
    """10.3: a registrar ignores Record-Route and returns none."""
    response = house.register("Record-Route: <sip:proxy.example.com;lr>", f"Contact: {BOB}")
    assert response.status == 200
    assert response.get("Record-Route") is None


def test_octets_of_no_encoding(house):
    """A name that is not UTF-8 is no name that somebody else could read otherwise: what stands for
    its octets is the same for all, and not what an escaped name means."""
    name = b"\xff\xfe".decode("utf-8", "surrogateescape")
    to = f"<sip:{name}@biloxi.example.com>"
    response = house.register(f"Contact: <sip:{name}@a>", f"User-Agent: {name}", to=to)
    assert response.all("Contact") == ["<sip:\ufffd\ufffd@a>;expires=3600"]
    escaped = house.register(to="<sip:%ff%FE@biloxi.example.com>")
    assert escaped.all("Contact") == []


def test_an_address_that_hides_another(house):
    """An escaped "@" in a user part makes no other user."""
    house.register("Contact: <sip:mallory@a>", to="<sip:bob%40biloxi.example.com@127.44.0.1>")
    assert house.kept() == []


def test_a_flood_of_contacts_is_refused_unread(house):
    """More contacts than any phone has: 403, without comparing them."""
    contacts = ", ".join(f"<sip:bob@host{n}>;expires=0" for n in range(MAX_VALUES))
    assert house.register(f"Contact: {contacts}").status == 200
    flood = ", ".join(["<sip:bob@b>;expires=0"] * (MAX_VALUES + 1))
    assert refused(house.register(f"Contact: {flood}"), "contacts") == 403


def test_expiry_is_seen_by_the_phone(house):
    """What has expired is gone from the next answer."""
    house.register("Contact: <sip:bob@a>;expires=60, <sip:bob@b>;expires=61")
    house.clock.run(60)
    assert house.register().all("Contact") == ["<sip:bob@b>;expires=1"]
    house.clock.run(1)
    assert house.register().all("Contact") == []
    assert house.clock.idle


#: A phone in a page, by one of its WebSockets.
PAGE = '<sip:k2@page.invalid;transport=ws>;reg-id={};+sip.instance="<urn:uuid:f81d4fae>"'


def test_the_flow_of_a_phone_is_heeded(house):
    """Who asks for outbound is told that he has it, and finds his flow among the contacts; each of
    a phone's flows is a binding (RFC 5626 6)."""
    supported = "Supported: path,gruu,outbound"
    first = house.register(f"Contact: {PAGE.format(1)}", supported)
    assert first.all("Require") == ["outbound"]
    second = house.register(f"Contact: {PAGE.format(2)}", supported)
    assert second.all("Contact") == [
        f'<sip:k2@page.invalid;transport=ws>;expires=3600;+sip.instance="<urn:uuid:f81d4fae>"'
        f";reg-id={number}"
        for number in (1, 2)
    ]
    gone = house.register(f"Contact: {PAGE.format(1)};expires=0", supported)
    assert [each.params["reg-id"] for each in gone.contacts] == ["2"]


@pytest.mark.parametrize(
    ("contact", "lines"),
    [
        (PAGE.format(1), []),
        (PAGE.format(1), ["Supported: path"]),
        (PAGE.format(1), ["Supported: path", "Via: SIP/2.0/WS page.invalid;branch=z9hG4bK2"]),
        ("<sip:k2@page.invalid;transport=ws>;reg-id=1", ["Supported: outbound"]),
    ],
)
def test_a_flow_that_does_not_count(house, contact, lines):
    """Without the option, or without an instance (RFC 5626 6): a contact like any other, and no
    word of outbound."""
    response = house.register(f"Contact: {contact}", *lines)
    assert response.status == 200
    assert response.all("Require") == []
    assert "reg-id" not in response.all("Contact")[0]


def test_a_flow_that_ends_at_somebody_between(house):
    """439, for nothing can be sent along it from here; nothing is registered (RFC 5626 6)."""
    between = "Via: SIP/2.0/WS page.invalid;branch=z9hG4bK2"
    response = house.register(f"Contact: {PAGE.format(1)}", "Supported: outbound", between)
    assert (response.status, response.reason) == (439, "First Hop Lacks Outbound Support")
    assert len(house.bindings) == 0
    without = PAGE.format(1).replace(";reg-id=1", "")
    assert house.register(f"Contact: {without}", "Supported: outbound", between).status == 200


@pytest.mark.parametrize("number", ["0", "-1", "x", "1_0", "2147483648"])
def test_a_flow_without_a_number(house, number):
    """Is told (RFC 5626 4.2)."""
    response = house.register(f"Contact: {PAGE.format(number)}", "Supported: outbound")
    assert (response.status, response.reason) == (400, "Bad reg-id in Contact")


def test_two_flows_in_one_request(house):
    """Could not both be the one on which it came (RFC 5626 6)."""
    contacts = f"Contact: {PAGE.format(1)}, {PAGE.format(2)}"
    assert house.register(contacts, "Supported: outbound").status == 400
    assert len(house.bindings) == 0
