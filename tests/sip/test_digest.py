"""Digest authentication: the vectors of the RFCs, and what comes back wrong."""

import attrs
import pytest

from softswitch.errors import SipSyntaxError
from softswitch.sip.digest import (
    ALGORITHMS,
    Challenge,
    Credentials,
    Nonces,
    answer,
    best,
    ha1,
    parse_challenges,
    parse_credentials,
    verify,
)
from softswitch.testing.clock import VirtualClock

RFC_2617 = (
    'Digest username="Mufasa", realm="testrealm@host.com", '
    'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", qop=auth, nc=00000001, '
    'cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1", '
    'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)


def test_the_vector_of_rfc_2617():
    """Section 3.5: MD5 with qop."""
    credentials = Credentials.parse(RFC_2617)
    assert credentials == Credentials(
        "Mufasa",
        "testrealm@host.com",
        "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        "/dir/index.html",
        "6629fae49393a05397450978507c4ef1",
        "MD5",
        "auth",
        1,
        "0a4f113b",
        "5ccc069c403ebaf9f0171e9517f40e41",
    )
    secret = ha1("Mufasa", "testrealm@host.com", "Circle Of Life")
    assert secret == "939e7578ed9e3c518a452acee763bce9"
    assert verify(credentials, secret, "GET")


def test_without_qop_as_in_rfc_2069():
    """RFC 2617 3.2.2.1: the vector of RFC 2069 as corrected by its erratum 749."""
    text = (
        'Digest username="Mufasa", realm="testrealm@host.com", '
        'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", '
        'response="1949323746fe6a43ef61f9606e7febea"'
    )
    credentials = Credentials.parse(text)
    assert (credentials.qop, credentials.nc, credentials.cnonce) == (None, None, None)
    assert verify(credentials, ha1("Mufasa", "testrealm@host.com", "CircleOfLife"), "GET")


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_vectors_of_rfc_7616(algorithm: str, response: str):
    """Section 3.9.1: the same request by MD5 and SHA-256."""
    challenge = Challenge.parse(
        'Digest realm="http-auth@example.org", qop="auth, auth-int", '
        f"algorithm={algorithm}, "
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    assert challenge.qop == ("auth", "auth-int")
    secret = ha1("Mufasa", "http-auth@example.org", "Circle of Life", algorithm)
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    credentials = answer(challenge, "Mufasa", secret, "GET", "/dir/index.html", 1, cnonce)
    assert credentials.response == response
    assert verify(credentials, secret, "GET")


def test_the_vector_of_rfc_7616_for_sha_512_256():
    """Section 3.9.2, with the response of its erratum 4897: the RFC's own is a cut SHA-512."""
    challenge = Challenge(
        "api@example.org", "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", "SHA-512-256"
    )
    secret = ha1("Jäsøn Doe", "api@example.org", "Secret, or not?", "SHA-512-256")
    cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
    credentials = answer(challenge, "Jäsøn Doe", secret, "GET", "/doe.json", 1, cnonce)
    assert credentials.response == (
        "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("qop", [("auth",), ()])
def test_what_we_answer_we_accept(algorithm: str, qop: tuple[str, ...]):
    """Over the wire and back, with every sign that wants an escape."""
    challenge = Challenge('r"e\\alm, ü', 'n"', algorithm, qop, 'o"', stale=True)
    assert Challenge.parse(str(challenge)) == challenge
    secret = ha1('a"b', challenge.realm, "p", algorithm)
    credentials = answer(challenge, 'a"b', secret, "REGISTER", "sip:h", 10, "c")
    read = Credentials.parse(str(credentials))
    assert read == credentials
    assert verify(read, secret, "REGISTER")
    assert not verify(read, secret, "INVITE")
    assert not verify(read, ha1('a"b', challenge.realm, "q", algorithm), "REGISTER")


@pytest.mark.parametrize(
    "change",
    [
        {"response": ""},
        {"response": "6629fae49393a05397450978507c4ef2"},
        {"response": "ü"},
        {"response": "\udcff"},
        {"uri": "/other"},
        {"nonce": "x"},
        {"nc": 2},
        {"cnonce": "x"},
        {"qop": "auth-int"},
        {"qop": None},
        {"algorithm": "SHA-256"},
        {"algorithm": "MD5-sess"},
        {"algorithm": "UNKNOWN"},
    ],
)
def test_whatever_is_changed_no_longer_proves_anything(change: dict[str, object]):
    """RFC 7616 3.4.1; an unknown algorithm or qop is no exception to be caught."""
    secret = ha1("Mufasa", "testrealm@host.com", "Circle Of Life")
    assert not verify(attrs.evolve(Credentials.parse(RFC_2617), **change), secret, "GET")


def test_the_proof_may_be_written_in_capitals():
    """Hex digits have no case in the eyes of many phones."""
    credentials = Credentials.parse(RFC_2617.replace("6629fae4", "6629FAE4"))
    assert verify(credentials, ha1("Mufasa", "testrealm@host.com", "Circle Of Life"), "GET")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Digest",
        "Basic dXNlcjpwYXNz",
        "NoOneKnowsThisScheme opaque-data=here",
        RFC_2617.replace('username="Mufasa", ', ""),
        RFC_2617.replace('realm="testrealm@host.com", ', ""),
        RFC_2617.replace(', response="6629fae49393a05397450978507c4ef1"', ""),
        RFC_2617.replace("nc=00000001, ", ""),
        RFC_2617.replace("nc=00000001", "nc=1"),
        RFC_2617.replace("nc=00000001", "nc=0000000_"),
        RFC_2617.replace('cnonce="0a4f113b", ', ""),
        RFC_2617.replace("qop=auth", "qop=auth,,"),
        RFC_2617 + ', realm="another"',
        RFC_2617 + ', x="',
        RFC_2617 + ", x",
    ],
)
def test_what_are_no_credentials_is_refused(text: str):
    """RFC 3261 25.1; RFC 4475 3.3.7."""
    with pytest.raises(SipSyntaxError):
        Credentials.parse(text)


def test_credentials_are_read_as_phones_write_them():
    """Case, white space, quotes around everything or around nothing that needs none."""
    read = Credentials.parse(
        'DIGEST  USERNAME = "a" ,realm="r",nonce="n", uri="sip:h" ,response="x",'
        'algorithm="md5", qop="AUTH",nc=0000000A, cnonce=c,\topaque=""'
    )
    assert (read.username, read.algorithm, read.qop) == ("a", "MD5", "auth")
    assert (read.nc, read.cnonce, read.opaque) == (10, "c", "")


def test_the_challenges_of_a_message_on_one_line_or_several():
    """RFC 3261 20.27, 22.3; unknown schemes and what cannot be read are passed over."""
    lines = [
        'Digest realm="a, b", nonce="1", qop="auth,auth-int", algorithm=SHA-256, '
        'Basic realm="x", Digest realm="c", nonce="2"',
        'Digest realm="broken"',
        "Negotiate",
        'Digest realm = "d" , nonce = "3", algorithm=NEW-1, stale=true',
        "",
    ]
    one, two, three = parse_challenges(lines)
    assert (one.realm, one.qop, one.algorithm) == ("a, b", ("auth", "auth-int"), "SHA-256")
    assert (two.realm, two.qop, two.algorithm, two.stale) == ("c", (), "MD5", False)
    assert (three.realm, three.algorithm, three.stale) == ("d", "NEW-1", True)


def test_the_credentials_of_a_message():
    """Those of other schemes stand beside ours (RFC 4475 3.3.7)."""
    lines = ["NoOneKnowsThisScheme opaque-data=here", RFC_2617, "Digest x"]
    assert [credentials.username for credentials in parse_credentials(lines)] == ["Mufasa"]


def test_the_servers_order_is_its_wish():
    """RFC 8760 2.4: the first that we know; unknown algorithms and qops are passed over."""
    unknown = Challenge("r", "1", "NEW-1")
    int_only = Challenge("r", "2", "SHA-256", ("auth-int",))
    sha = Challenge("r", "3", "SHA-256")
    md5 = Challenge("r", "4", "MD5", ())
    assert best([unknown, int_only, sha, md5]) is sha
    assert best([unknown, int_only, sha, md5], ("MD5", "NEW-1")) is md5
    assert best([unknown, int_only]) is None


def nonces() -> tuple[Nonces, VirtualClock]:
    clock = VirtualClock()
    return Nonces(clock, b"0123456789abcdef", lifetime=300, window=64), clock


def test_a_nonce_is_good_until_it_is_stale():
    """RFC 7616 3.3."""
    issuer, clock = nonces()
    clock.run(1.5)
    nonce = issuer.issue()
    assert issuer.check(nonce, 1) == "ok"
    clock.run(300)
    assert issuer.check(nonce, 2) == "ok"
    clock.run(0.1)
    assert issuer.check(nonce, 3) == "stale"
    assert issuer.check(nonce, None) == "stale"


def test_a_nonce_that_is_not_ours_is_bad():
    """Nobody makes one without the secret."""
    issuer, clock = nonces()
    nonce = issuer.issue()
    other = Nonces(clock, b"another secret!!")
    assert issuer.issue() != nonce
    assert other.check(nonce, 1) == "bad"
    for forged in ("", "x", nonce[:-1], nonce + "0", nonce.upper(), "f" * len(nonce), "é" * 52):
        assert issuer.check(forged, 1) == "bad" or forged == nonce
    assert issuer.check(nonce, 1) == "ok"


def test_each_count_is_taken_once_in_any_order():
    """RFC 7616 3.4: a replay shows; UDP may reorder within the window."""
    issuer, _ = nonces()
    nonce = issuer.issue()
    for nc in (1, 3, 2, 64, 66, 4):
        assert issuer.check(nonce, nc) == "ok"
        assert issuer.check(nonce, nc) == "replayed"
    assert issuer.check(nonce, 0) == "replayed"
    assert issuer.check(nonce, 67) == "ok"
    assert issuer.check(nonce, 5) == "ok"
    assert issuer.check(nonce, 68) == "ok"
    assert issuer.check(nonce, 3) == "replayed"
    assert issuer.check(issuer.issue(), 1) == "ok"


def test_a_leap_of_the_count_costs_nothing():
    """The peer chooses the count; what lay below the window is gone."""
    issuer, _ = nonces()
    nonce = issuer.issue()
    assert issuer.check(nonce, 1) == "ok"
    assert issuer.check(nonce, 2**32 - 1) == "ok"
    assert issuer.check(nonce, 2**32 - 1) == "replayed"
    assert issuer.check(nonce, 2**32 - 64) == "ok"
    assert issuer.check(nonce, 2**32 - 65) == "replayed"


def test_without_a_count_a_nonce_can_be_used_again():
    """An RFC 2069 element has none."""
    issuer, _ = nonces()
    nonce = issuer.issue()
    assert [issuer.check(nonce, None), issuer.check(nonce, None)] == ["ok", "ok"]


def test_counts_are_forgotten_with_their_nonce():
    """What a stranger never used is not kept at all; what was used, for its lifetime."""
    issuer, clock = nonces()
    for _ in range(10):
        assert issuer.check(issuer.issue(), 1) == "ok"
    assert issuer.kept == 10
    clock.run(301)
    assert issuer.check(issuer.issue(), 1) == "ok"
    assert issuer.kept == 1


def test_whether_a_nonce_has_come_back_from_where_it_went():
    """It is good everywhere, for phones move; but only from that host it shows that the host is
    real, for who forges a source does not see what goes there."""
    issuer, clock = nonces()
    nonce = issuer.issue("192.0.2.1")
    assert issuer.check(nonce, 1) == "ok"
    assert issuer.came_back(nonce, "192.0.2.1")
    assert not issuer.came_back(nonce, "192.0.2.2")
    assert not issuer.came_back(nonce, "")
    assert not issuer.came_back("rubbish", "192.0.2.1")
    assert not Nonces(clock, b"another secret!!").came_back(nonce, "192.0.2.1")
    clock.run(301)
    assert not issuer.came_back(nonce, "192.0.2.1")


@pytest.mark.parametrize("seconds", [-86400, 86400])
def test_a_nonce_and_a_clock_that_is_set(seconds):
    """What was stale stays stale, what is good stays good, and counts are forgotten in time."""
    issuer, clock = nonces()
    old = issuer.issue()
    assert issuer.check(old, 1) == "ok"
    clock.run(301)
    fresh = issuer.issue("192.0.2.1")
    clock.set_by = seconds
    assert issuer.check(old, 2) == "stale"
    assert issuer.check(fresh, 1) == "ok"
    assert issuer.came_back(fresh, "192.0.2.1")
    assert issuer.kept == 1


def test_a_nonce_of_a_time_to_come_is_stale():
    """Whatever the clock has done: it would be good for longer than its lifetime."""
    issuer, clock = nonces()
    clock.run(1000)
    nonce = issuer.issue("192.0.2.1")
    clock.run(-1)
    assert issuer.check(nonce, 1) == "stale"
    assert not issuer.came_back(nonce, "192.0.2.1")


def test_a_nonce_does_not_tell_for_how_long_we_run():
    """Its time is from a moment by chance: two that are issued at once, by two, differ."""
    clock = VirtualClock()
    times = {Nonces(clock, bytes(32)).issue()[:12] for _ in range(3)}
    assert len(times) > 1
