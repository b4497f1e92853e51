"""The parser against the 49 messages of RFC 4475; what is expected stands in expected.toml."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from softswitch.errors import SipSyntaxError
from softswitch.sip.message import Message, Request
from softswitch.sip.parser import Framer, MessageSyntaxError, parse

HERE = Path(__file__).parent
EXPECTED: dict[str, dict[str, Any]] = tomllib.loads((HERE / "expected.toml").read_text("utf-8"))
MESSAGES = {path.stem: path.read_bytes() for path in (HERE / "messages").glob("*.dat")}
VIEWS = [
    "top_via",
    "vias",
    "from_",
    "to",
    "call_id",
    "cseq",
    "contacts",
    "routes",
    "record_routes",
    "max_forwards",
    "expires",
    "content_type",
    "require",
    "proxy_require",
    "supported",
    "allow",
]
ACCEPTED = [name for name, row in EXPECTED.items() if row["parser"] == "accepted"]


def read(name: str) -> Message:
    """A message with all its values read, those too that are parsed only when asked for."""
    message = parse(MESSAGES[name])
    for view in VIEWS:
        getattr(message, view)
    return message


def test_every_message_has_its_expectation():
    """None of the 49 is left out and none is extra; each is told by one section of RFC 4475."""
    assert MESSAGES.keys() == EXPECTED.keys()
    sections = [tuple(map(int, row["section"].split("."))) for row in EXPECTED.values()]
    assert sections == sorted(set(sections))
    assert len(sections) == 13 + 19 + 1 + 15 + 1  # 3.1.1, 3.1.2, 3.2, 3.3, 3.4
    for row in EXPECTED.values():
        assert row["title"]
        assert row["reason"]
        assert ("header" in row) == (row["parser"] != "accepted")


@pytest.mark.parametrize("name", EXPECTED)
def test_a_torture_message_is_accepted_or_refused(name: str):
    """As the table says, by the section that it names; a refusal bears the status that answers
    the request and names the header field at fault."""
    row = EXPECTED[name]
    outcomes = [row["parser"], *row.get("parser_also", ())]
    try:
        message = read(name)
    except SipSyntaxError as error:
        refused = error
    else:
        assert "accepted" in outcomes
        assert isinstance(message, Request) == (row["stranger"] != "ignored")
        return
    assert refused.status in outcomes or "refused" in outcomes
    assert refused.header in row["header"]
    assert refused.header in refused.reason


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_accepted_message_survives_being_written_and_read_again(name: str):
    """The composed form says the same, field by field and octet by octet of the body."""
    message = read(name)
    again = parse(message.encode())
    assert again.start_line() == message.start_line()
    assert again.fields == message.fields
    assert again.body == message.body


@pytest.mark.parametrize("name", EXPECTED)
def test_a_torture_message_cut_short_is_accepted_or_refused(name: str):
    """Wherever it ends, nothing but a syntax error comes of it (7.5, 18.3)."""
    data = MESSAGES[name]
    for end in range(len(data)):
        try:
            message = parse(data[:end])
            for view in VIEWS:
                getattr(message, view)
        except SipSyntaxError:
            pass


def test_wsinv_is_read_through_its_white_space():
    """3.1.1.1: folding, compact forms, escaped quotes and leading zeros change no value."""
    message = read("wsinv")
    assert isinstance(message, Request)
    assert message.request_uri.params == {"unknownparam": None}
    assert (message.max_forwards, message.cseq.number, message.cseq.method) == (68, 9, "INVITE")
    assert (message.to.uri.user, message.to.tag) == ("vivekg", "1918181833n")
    assert (message.from_.display, message.from_.tag) == ('J Rosenberg \\"', "98asjd8")
    assert [(via.transport, via.host, via.branch) for via in message.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert message.get("Subject") == ""
    assert message.get("newfangledheader") == "newfangled value continued newfangled value"
    assert message.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert message.routes[0].uri.params["lr"] is None
    (contact,) = message.contacts
    assert (contact.display, contact.q) == ('Quoted string ""', 0.33)
    assert contact.params["newparam"] == "newvalue"
    assert "secondparam" in contact.params


def test_intmeth_keeps_every_legal_sign():
    """3.1.1.2: a method, a user part, a password, a Call-ID and a branch of all that is legal."""
    message = read("intmeth")
    assert isinstance(message, Request)
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.request_uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.request_uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.request_uri.host == "example.com"
    assert message.to.display == "BEL:\a NUL:\0 DEL:\x7f"
    assert message.from_.tag == "_token~1'+`*%!-."
    assert message.from_.uri.user == "mundane"
    assert message.top_via.branch == "z9hG4bK-.!%66*_+`'~"
    assert message.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert message.max_forwards == 255


def test_escapes_mean_their_sign_in_uris_alone():
    """3.1.1.3 to 3.1.1.5: unescaped in the parts of a URI, never in a token or a quoted string."""
    escaped = read("esc01")
    assert isinstance(escaped, Request)
    assert escaped.request_uri.unquoted_user == "sips:user@example.com"
    assert escaped.request_uri.host == "example.net"
    assert escaped.to.uri.same_as(parse(MESSAGES["lwsdisp"]).to.uri)
    nulls = [contact.uri for contact in read("escnull").contacts]
    assert [uri.unquoted_user for uri in nulls] == ["\0", "\0\0"]
    assert not nulls[0].same_as(nulls[1])
    plain = read("esc02")
    assert isinstance(plain, Request)
    assert plain.method == plain.cseq.method == "RE%47IST%45R"
    assert plain.to.display == "%Z%45"
    assert [contact.uri.user for contact in plain.contacts] == ["alias1", "alias3"]
    assert plain.top_via.branch == "z9hG4bK209%fzsnel234"


def test_a_display_name_needs_no_space_behind_it():
    """3.1.1.6: ``caller<sip:...>``."""
    assert read("lwsdisp").from_.display == "caller"


def test_long_values_are_kept_whole():
    """3.1.1.7: 34 Via values under every spelling of their name."""
    message = read("longreq")
    assert len(message.vias) == 34
    assert message.top_via.host == "sip33.example.com"
    assert (message.vias[-1].branch or "").endswith("longbranchvalue")
    assert (message.contacts[0].uri.user or "").count("amazinglylongcallername") == 5
    assert len(message.call_id) == len("longreq.one" + 20 * "really" + "longcallid")


def test_octets_behind_a_message_end_a_datagram_and_begin_the_next_of_a_stream():
    """3.1.1.8 and RFC 3261 18.3."""
    message = read("dblreq")
    assert isinstance(message, Request)
    assert (message.method, message.body) == ("REGISTER", b"")
    frames = [frame for frame in Framer().feed(MESSAGES["dblreq"]) if isinstance(frame, bytes)]
    assert [frame.split()[0] for frame in frames] == [b"REGISTER", b"INVITE"]


def test_a_semicolon_before_the_at_sign_is_the_users():
    """3.1.1.9: no URI parameter."""
    message = read("semiuri")
    assert isinstance(message, Request)
    assert message.request_uri.unquoted_user == "user;par=u@example.net"
    assert (message.request_uri.host, message.request_uri.params) == ("example.com", {})


def test_unknown_transports_are_read():
    """3.1.1.10: any token."""
    transports = [via.transport for via in read("transports").vias]
    assert transports == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_a_binary_body_is_kept_to_the_octet():
    """3.1.1.11: NUL, CR and LF within a multipart body."""
    message = read("mpart01")
    assert message.content_type == "multipart/mixed"
    assert message.body == MESSAGES["mpart01"].partition(b"\r\n\r\n")[2]
    assert len(message.body) == 553


def test_a_reason_phrase_is_of_any_signs_or_none():
    """3.1.1.12 and 3.1.1.13."""
    assert read("unreason").start_line().startswith("SIP/2.0 200 = 2**3 * 5**2 но сто девяносто")
    assert read("noreason").start_line() == "SIP/2.0 100 "


def test_schemes_that_nobody_knows_are_no_syntax_error():
    """3.3.2 to 3.3.4: in the Request-URI, in To, From and Contact."""
    schemes = []
    for name in "unkscm", "novelsc":
        message = read(name)
        assert isinstance(message, Request)
        schemes.append(message.request_uri.scheme)
    message = read("unksm2")
    schemes += [message.to.uri.scheme, message.from_.uri.scheme, message.contacts[0].uri.scheme]
    assert schemes == ["nobodyknowsthisscheme", "soap.beep", "isbn", "http", "name"]


def test_a_parameter_belongs_to_the_field_without_brackets_and_to_the_uri_within():
    """3.3.12, 3.3.13 and 3.4.1 (RFC 3261 section 20)."""
    (outside,) = read("cparam01").contacts
    assert (outside.uri.params, outside.params) == ({}, {"unknownparam": None})
    (inside,) = read("cparam02").contacts
    assert (inside.uri.params, inside.params) == ({"unknownparam": None}, {})
    assert read("inv2543").to.params == {"user": "phone"}


def test_the_headers_of_a_contact_are_kept():
    """3.3.14: an escaped Route in a Contact's URI."""
    (contact,) = read("regescrt").contacts
    assert contact.uri.headers == {"Route": "%3Csip:sip.example.com%3E"}


def test_an_old_request_without_branch_tag_and_length_is_whole():
    """3.4.1: the body goes to the end of the datagram; what is missing is None."""
    message = read("inv2543")
    assert message.top_via.branch is None
    assert message.from_.tag is None
    assert message.max_forwards is None
    assert message.body.endswith(b"m=audio 49217 RTP/AVP 0\r\n")


@pytest.mark.parametrize("name", [n for n, row in EXPECTED.items() if row["stranger"] == 400])
def test_a_refused_request_can_be_answered(name: str):
    """What is left of it is enough to compose the 400 (RFC 3261 8.2.6.2); only where RFC 4475
    lets it go unanswered may nothing be left. A value that is read when asked for leaves all."""
    try:
        request: Message | None = parse(MESSAGES[name])
    except MessageSyntaxError as error:
        request = error.request
    assert request is not None or "dropped" in EXPECTED[name].get("stranger_also", ())
