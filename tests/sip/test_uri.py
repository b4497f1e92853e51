"""URIs: what they say, how they are written, when two are the same."""

import pytest

from softswitch.errors import SipSyntaxError
from softswitch.sip.uri import Uri

# RFC 3261 19.1.3, and what the other sections use.
ROUND_TRIPS = [
    "sip:alice@atlanta.com",
    "sip:alice:secretword@atlanta.com;transport=tcp",
    "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
    "sip:+1-212-555-1212:1234@gateway.com;user=phone",
    "sips:1212@gateway.com",
    "sip:alice@192.0.2.4",
    "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
    "sip:alice;day=tuesday@atlanta.com",
    "sip:alice@[2001:db8::1]:5061;transport=tls",
    "sip:[::1]",
    "sip:alice:@atlanta.com",
    "sip:%00@host5.example.com",
    "sip:*21#@pbx.example.com",
    "sip:jürgen@example.com",
    "tel:+1-201-555-0123",
    "tel:7042;phone-context=example.com",
    "tel:*21*1234#;phone-context=+1",
    "isbn:2983792873",
    "soap.beep://192.0.2.103:3002",
]


@pytest.mark.parametrize("text", ROUND_TRIPS)
def test_a_uri_is_written_as_it_was_read(text: str):
    """Components are kept as written, escapes and all (RFC 3261 19.1.2)."""
    assert str(Uri.parse(text)) == text


def test_every_component_of_a_sip_uri_is_read():
    """sip:user:password@host:port;uri-parameters?headers (RFC 3261 19.1.1)."""
    uri = Uri.parse("SIP:a%20b:pw@[2001:DB8::5]:5070;Transport=TCP;lr?Subject=hi&to=x%40y")
    assert uri == Uri(
        "sip",
        "a%20b",
        "pw",
        "2001:DB8::5",
        5070,
        {"transport": "TCP", "lr": None},
        {"Subject": "hi", "to": "x%40y"},
    )
    assert uri.unquoted_user == "a b"
    assert uri.address == ("2001:DB8::5", 5070)


def test_the_user_part_may_look_like_parameters_and_headers():
    """Semicolon, question mark and slash are legal before the @ (RFC 4475 3.1.1.9, 3.1.1.2)."""
    uri = Uri.parse("sip:user;par=u%40example.net@example.com")
    assert (uri.user, uri.host, uri.params) == ("user;par=u%40example.net", "example.com", {})
    assert uri.unquoted_user == "user;par=u@example.net"
    uri = Uri.parse("sip:a?b/c@example.com")
    assert (uri.user, uri.headers) == ("a?b/c", {})


def test_an_absent_component_is_none_and_not_empty():
    """The rules of 19.1.4 tell them apart."""
    uri = Uri.parse("sip:example.com")
    assert (uri.user, uri.password, uri.port, uri.unquoted_user) == (None, None, None, "")
    assert Uri.parse("sip:a:@example.com").password == ""


def test_escapes_of_a_user_that_are_not_utf8_survive():
    """What an escape hides may be any octet."""
    assert Uri.parse("sip:%C3%BC%FF@h").unquoted_user == "ü\udcff"


def test_a_repeated_header_keeps_all_its_values():
    """A URI may name a field twice, as two lines of a message would (RFC 3261 19.1.1, 7.3.1)."""
    uri = Uri.parse("sip:a@h?Route=%3Csip:x%3E&Route=%3Csip:y%3E")
    assert uri.headers == {"Route": "%3Csip:x%3E%2C%3Csip:y%3E"}


def test_a_tel_uri_has_a_number_and_parameters():
    """RFC 3966 section 3: no host; the number is the user."""
    uri = Uri.parse("tel:863-1234;phone-context=+1-914-555;ext=12")
    assert (uri.scheme, uri.user, uri.host) == ("tel", "863-1234", "")
    assert uri.params == {"phone-context": "+1-914-555", "ext": "12"}


def test_an_unknown_scheme_is_kept_whole():
    """So that 416 can answer it (RFC 3261 8.2.2.1)."""
    uri = Uri.parse("nobodyKnowsThisScheme:totallyopaquecontent")
    assert (uri.scheme, uri.opaque) == ("nobodyknowsthisscheme", "totallyopaquecontent")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "sip:",
        "sip:@example.com",
        "sip:a@",
        "sip:a@b@c",
        "sip:a@example.com:",
        "sip:a@example.com:0",
        "sip:a@example.com:65536",
        "sip:a@example.com:5_0",
        "sip:a@example.com:٥٠٦٠",
        "sip:a@example.com:99999999999999999999",
        "sip:a@[::1",
        "sip:a@[::1::2]",
        "sip:a@[fe80::1%25eth0]",
        "sip:a@::1",
        "sip:a@example.com;",
        "sip:a@example.com;;lr",
        "sip:a@example.com;=x",
        "sip:a@example.com;lr;LR",
        "sip:a@example.com; lr",
        "sip:a@example.com?",
        "sip:a@example.com?subject",
        "sip:a@example.com?=x",
        "sip:a b@example.com",
        " sip:a@example.com",
        "sip:a@example.com\n",
        "sip:a%4@example.com",
        "sip:a%zz@example.com",
        "<sip:a@example.com>",
        'sip:"a"@example.com',
        "sip:a\0@example.com",
        "tel:",
        "tel:+",
        "tel:+1@example.com",
        "tel:1 2",
        "1x:y",
        "x y:z",
        "x:",
        "http://a b",
    ],
)
def test_what_is_no_uri_is_refused(text: str):
    """RFC 3261 25.1, RFC 3966 section 3; digits are those of ASCII."""
    with pytest.raises(SipSyntaxError):
        Uri.parse(text)


def same(left: str, right: str) -> bool:
    one, other = Uri.parse(left), Uri.parse(right)
    assert one.same_as(other) == other.same_as(one)
    return one.same_as(other)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ],
)
def test_the_equivalent_examples_of_the_rfc(left: str, right: str):
    """RFC 3261 19.1.4, first list."""
    assert same(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ],
)
def test_the_different_examples_of_the_rfc(left: str, right: str):
    """RFC 3261 19.1.4, second list."""
    assert not same(left, right)


def test_equality_is_not_transitive():
    """RFC 3261 19.1.4, the note."""
    plain, on, off = (
        f"sip:carol@chicago.com{end}" for end in ("", ";security=on", ";security=off")
    )
    assert same(plain, on)
    assert same(plain, off)
    assert not same(on, off)


@pytest.mark.parametrize(
    "param", ["user=phone", "ttl=1", "method=INVITE", "maddr=h", "transport=udp"]
)
def test_a_parameter_that_is_never_ignored(param: str):
    """RFC 3261 19.1.4: in one URI only, the two differ."""
    assert not same("sip:a@h", f"sip:a@h;{param}")


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("sip:a@h", "sips:a@h", False),
        ("sip:h", "sip:a@h", False),
        ("sip:a@h", "sip:a:@h", False),
        ("sip:a:x@h", "sip:a:X@h", False),
        ("sip:a%40b@h", "sip:a%40B@h", False),
        ("sip:a%2fb@h", "sip:a%2Fb@h", True),
        ("sip:a/b@h", "sip:a%2Fb@h", False),  # "/" is reserved: escaped it means another thing
        ("sip:%2540@h", "sip:%40@h", False),
        ("sip:a@[::1]", "sip:a@[0:0:0:0:0:0:0:1]", True),
        ("sip:a@h;x=%41", "sip:a@h;X=a", True),
        ("sip:a@h?x=1", "sip:a@h?X=1", True),
        ("sip:a@h?x=1", "sip:a@h?x=2", False),
        ("isbn:1", "ISBN:1", True),
        ("isbn:1", "isbn:2", False),
    ],
)
def test_the_rules_one_by_one(left: str, right: str, equal: bool):
    """RFC 3261 19.1.4."""
    assert same(left, right) is equal


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("tel:+1-201-555-0123", "tel:+12015550123", True),
        ("tel:+1(201)555.0123", "TEL:+12015550123", True),
        ("tel:12015550123", "tel:+12015550123", False),
        ("tel:7042;phone-context=Example.com", "tel:7042;phone-context=example.COM", True),
        ("tel:7042;phone-context=+1-2", "tel:7042;phone-context=+12", True),
        ("tel:7042;phone-context=a", "tel:7042", False),
        ("tel:7042;a=1;b=2", "tel:7042;b=2;a=1", True),
        ("tel:+1;ext=1-2", "tel:+1;ext=12", True),
        ("tel:+1", "sip:+1@h", False),
    ],
)
def test_tel_uris_are_compared_by_their_own_rules(left: str, right: str, equal: bool):
    """RFC 3966 section 4."""
    assert same(left, right) is equal
