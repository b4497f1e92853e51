"""The values of structured header fields."""

import pytest

from softswitch.errors import SipSyntaxError
from softswitch.sip.fields import (
    CSeq,
    NameAddr,
    Via,
    format_params,
    number,
    parse_params,
    quote,
    seconds,
    split_values,
    unquote,
)
from softswitch.sip.uri import Uri


def test_a_via_is_read_and_written():
    """RFC 3261 20.42, RFC 3581 section 3."""
    text = "SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7;rport"
    via = Via.parse(text)
    assert (via.transport, via.host, via.port) == ("UDP", "erlang.bell-telephone.com", 5060)
    assert (via.branch, via.received, via.rport) == ("z9hG4bK87asdks7", None, None)
    assert via.params == {"branch": "z9hG4bK87asdks7", "rport": None}
    assert str(via) == text


def test_a_via_may_hold_white_space_everywhere():
    """RFC 3261 20.42: "The following Via is legal"; RFC 4475 3.1.1.1."""
    via = Via.parse("SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;maddr=224.2.0.1 ;branch = z9")
    assert (via.transport, via.host, via.port) == ("UDP", "first.example.com", 4000)
    assert via.params == {"ttl": "16", "maddr": "224.2.0.1", "branch": "z9"}


@pytest.mark.parametrize("received", ["2001:db8::9", "[2001:db8::9]"])
def test_a_via_knows_ipv6(received: str):
    """In brackets as sent-by; with or without them as received (RFC 5118 4.5)."""
    via = Via.parse(f"SIP/2.0/TCP [2001:db8::1]:5061;received={received};rport=1234;branch=z")
    assert (via.host, via.received, via.rport) == ("2001:db8::1", "2001:db8::9", 1234)
    assert str(via).startswith("SIP/2.0/TCP [2001:db8::1]:5061;")


def test_a_via_of_another_version_can_be_read():
    """Else nobody could answer it with 505 (RFC 3261 21.5.6)."""
    assert Via.parse("SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw").host == "c.example.com"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0 host",
        "SIP/2.0/UDP host:",
        "SIP/2.0/UDP host:0",
        "SIP/2.0/UDP host:65536",
        "SIP/2.0/UDP host:5060x",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP [1::2::3]",
        "SIP/2.0/UDP 192.0.2.15;;,;,,",
        "SIP/2.0/UDP host;branch=a;branch=b",
        "SIP/2.0/UDP a b",
        "HTTP/1.1/TCP host;branch=a",
    ],
)
def test_what_is_no_via_is_refused(text: str):
    """RFC 3261 25.1."""
    with pytest.raises(SipSyntaxError):
        Via.parse(text)


def test_a_broken_via_is_salvaged_as_far_as_its_sender_goes():
    """A 400 can go there (RFC 4475 3.1.2.1)."""
    assert Via.salvage("SIP/2.0/UDP 192.0.2.15;;,;,,") == Via("UDP", "192.0.2.15")
    assert Via.salvage("SIP/2.0/UDP [1::2::3];x") is None
    assert Via.salvage("SIP/2.0/UDP host:0;x") is None
    assert Via.salvage("rubbish") is None


@pytest.mark.parametrize(
    ("text", "display", "uri", "params"),
    [
        (
            '"Anonymous" <sip:c8oqz84zk7z@privacy.org>;tag=hyh8',
            "Anonymous",
            "sip:c8oqz84zk7z@privacy.org",
            {"tag": "hyh8"},
        ),
        (
            "sip:+12125551212@server.phone2net.com;tag=887s",
            "",
            "sip:+12125551212@server.phone2net.com",
            {"tag": "887s"},
        ),
        ("The Operator <sip:op@cs.org;lr>", "The Operator", "sip:op@cs.org;lr", {}),
        ("caller<sip:caller@example.com>", "caller", "sip:caller@example.com", {}),
        ("<tel:+1-201-555-0123>;q=0.5", "", "tel:+1-201-555-0123", {"q": "0.5"}),
        ("tel:+12015550123;tag=x", "", "tel:+12015550123", {"tag": "x"}),
        ('"" <sip:a@h>', "", "sip:a@h", {}),
        (r'"A \"B\" \\ <,;>" <sip:a@h>', 'A "B" \\ <,;>', "sip:a@h", {}),
        ('"Jürgen 日本"<sip:j@h>', "Jürgen 日本", "sip:j@h", {}),
        ("Jürgen (work) <sip:j@h>", "Jürgen (work)", "sip:j@h", {}),
        ("<sip:a@[::1]:5070>;Tag = t ; X ; y = \"a;,\\\"b\"", "", "sip:a@[::1]:5070",
         {"tag": "t", "x": None, "y": '"a;,\\"b"'}),
        ("sip:a@h ; tag = t", "", "sip:a@h", {"tag": "t"}),
        ("<http://www.example.com>;tag=1", "", "http://www.example.com", {"tag": "1"}),
    ],
)  # fmt: skip
def test_every_form_of_an_address_is_read(
    text: str, display: str, uri: str, params: dict[str, str | None]
):
    """name-addr, addr-spec, parameters of the field, white space (RFC 3261 20.10, 20.20)."""
    address = NameAddr.parse(text)
    assert address == NameAddr(display, Uri.parse(uri), params)
    assert NameAddr.parse(str(address)) == address


def test_without_angle_brackets_parameters_belong_to_the_field():
    """RFC 3261 20.10; the messages cparam01 and cparam02 of RFC 4475."""
    bare = NameAddr.parse("sip:+19725552222@gw1.example.net;unknownparam")
    assert (bare.uri.params, bare.params) == ({}, {"unknownparam": None})
    bracketed = NameAddr.parse("<sip:+19725552222@gw1.example.net;unknownparam>")
    assert (bracketed.uri.params, bracketed.params) == ({"unknownparam": None}, {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "<>",
        "<sip:a@h",
        "sip:a@h>",
        "< sip:a@h >",
        '"A <sip:a@h>',
        '"A" sip:a@h',
        '"A" B <sip:a@h>',
        "Bell, Alexander <sip:a@h>",
        "<sip:a@h> tag=x",
        "<sip:a@h>;",
        "<sip:a@h>;;",
        "<sip:a@h>;tag=",
        "<sip:a@h>;tag=a b",
        '<sip:a@h>;x="y',
        "<sip:a@h>;tag=1;TAG=2",
        "<sip:a@h><sip:b@h>",
        "sip:a@h?Route=%3Csip:h%3E",
        "*",
    ],
)
def test_what_is_no_address_is_refused(text: str):
    """RFC 3261 25.1; RFC 4475 3.1.2.6, 3.1.2.13 to 3.1.2.15."""
    with pytest.raises(SipSyntaxError):
        NameAddr.parse(text)


def test_a_display_name_is_written_so_that_it_can_be_read():
    """Quotes and backslashes escaped; no control character leaves (RFC 3261 25.1)."""
    address = NameAddr('a "b" \\ \r\nVia: x\0', Uri.parse("sip:a@h"))
    assert str(address) == '"a \\"b\\" \\\\   Via: x " <sip:a@h>'
    assert NameAddr.parse(str(address)).display == 'a "b" \\   Via: x '


def test_the_parameters_of_a_contact():
    """RFC 3261 20.10: malformed expires count as 3600, huge ones as the largest; q is 0 to 1."""
    expires = {"60": 60, "0": 0, "280297596632815": 2**32 - 1, "soon": 3600, "-1": 3600}
    for text, value in expires.items():
        assert NameAddr.parse(f"<sip:a@h>;expires={text}").expires == value
    assert NameAddr.parse("<sip:a@h>").expires is None
    for text, q in {"1": 1.0, "1.000": 1.0, "0.33": 0.33, "0": 0.0, "0.": 0.0}.items():
        assert NameAddr.parse(f"<sip:a@h>;q={text}").q == q
    assert NameAddr.parse("<sip:a@h>").q == 1.0
    for text in ("1.1", "-1", "0.1234", "nan", "1e0", "٠"):
        with pytest.raises(SipSyntaxError):
            _ = NameAddr.parse(f"<sip:a@h>;q={text}").q


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4711 INVITE", CSeq(4711, "INVITE")),
        ("0009 \t INVITE", CSeq(9, "INVITE")),
        ("0 x!%*", CSeq(0, "x!%*")),
        ("2147483647 BYE", CSeq(2**31 - 1, "BYE")),
    ],
)
def test_a_cseq_is_read(text: str, expected: CSeq):
    """RFC 3261 20.16; a method may be any token."""
    assert CSeq.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "1", "INVITE", "1INVITE", "-1 INVITE", "+1 INVITE", "1_0 INVITE", "٣ INVITE", "1 a b",
     "1 INVITE,", "2147483648 INVITE", "36893488147419103232 REGISTER", f"{'9' * 5000} INVITE"],
)  # fmt: skip
def test_what_is_no_cseq_is_refused(text: str):
    """Less than 2^31, ASCII digits, one method (RFC 3261 8.1.1.5; RFC 4475 3.1.2.4)."""
    with pytest.raises(SipSyntaxError):
        CSeq.parse(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", []),
        ("a", ["a"]),
        ("a, b ,\tc", ["a", "b", "c"]),
        ("a,,b", ["a", "", "b"]),
        (",", ["", ""]),
        ('"x, y" <sip:a@h>, <sip:b,c@h>;p="1,2"', ['"x, y" <sip:a@h>', '<sip:b,c@h>;p="1,2"']),
        (r'"a\",b", c', [r'"a\",b"', "c"]),
        (r'"a\\", c', [r'"a\\"', "c"]),
        ('"<", c', ['"<"', "c"]),
        ('<">, c', ['<">', "c"]),
        ('a, "b, c', ["a", '"b, c']),
        ("a, <b, c", ["a", "<b, c"]),
        ('a, "b\\', ["a", '"b\\']),
    ],
)
def test_commas_part_values_but_not_within_quotes_and_brackets(text: str, values: list[str]):
    """RFC 3261 7.3.1; what is unfinished reaches to the end."""
    assert split_values(text) == values


def test_parameters_are_written_as_they_were_read():
    """Names come lower-case; values stay, quotes and all (RFC 3261 7.3.1)."""
    text = ';tag=a;lr;x="b;\\"c";methods=[::1]'
    assert format_params(parse_params(text)) == text
    assert parse_params("") == {}
    assert parse_params("; A = b;\tc ") == {"a": "b", "c": None}


def test_quoted_strings_undo_and_redo_their_escapes():
    """RFC 3261 25.1."""
    assert unquote(r'"a\"b\\c\d"') == 'a"b\\cd'
    assert unquote("plain") == "plain"
    assert unquote('"') == '"'
    assert unquote(quote('a"b\\c')) == 'a"b\\c'


@pytest.mark.parametrize("text", ["", " 1", "1 ", "+1", "-1", "1_0", "٣", "²", "0x1", "1.0", "256"])
def test_a_number_is_ascii_digits_within_its_range(text: str):
    """What ``int`` would take beyond that is refused."""
    with pytest.raises(SipSyntaxError):
        number(text, 255)


def test_numbers_of_any_length_are_read_or_refused():
    """Leading zeros do not count; thousands of digits are no work (RFC 4475 3.1.2.4)."""
    assert number("0" * 60000 + "255", 255) == 255
    with pytest.raises(SipSyntaxError):
        number("9" * 60000, 255)
    assert seconds("9" * 60000) == seconds("4294967296") == seconds("10000000000") == 2**32 - 1
    assert seconds("0" * 60000 + "7") == 7
    with pytest.raises(SipSyntaxError):
        seconds("9" * 60000 + "x")
