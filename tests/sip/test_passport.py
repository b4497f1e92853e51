"""PASSporT and Identity: RFC 8224, RFC 8225, RFC 8588."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given
from hypothesis import strategies as st

from softswitch.errors import IdentityError
from softswitch.sip.passport import (
    LONGEST,
    MOST_CALLED,
    Claims,
    Identity,
    Passport,
    canonical_number,
    canonical_uri,
    identity,
)
from softswitch.sip.uri import Uri

KEY = ec.generate_private_key(ec.SECP256R1())
INFO = "https://cert.example.org/passport.cer"
CLAIMS = Claims("12155551212", ("12155551213",), 1443208345)
SHAKEN = Claims(
    "12155551212", ("12155551213",), 1443208345, attest="A", origid="123e4567-e89b-12d3-a456-4266"
)
HEADER = {"alg": "ES256", "typ": "passport", "x5u": INFO}
PAYLOAD = {"orig": {"tn": "1"}, "dest": {"tn": ["2"]}, "iat": 3}


def encoded(found) -> str:
    """JSON, or bytes as they are, in base64url."""
    data = found if isinstance(found, bytes) else json.dumps(found).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def value(header=HEADER, payload=PAYLOAD, rest=f";info=<{INFO}>") -> str:
    """An Identity value that nobody has signed."""
    return f"{encoded(header)}.{encoded(payload)}.{'A' * 86}{rest}"


def test_what_is_signed_is_the_rfcs_to_the_byte():
    """RFC 8225 9: the example of its section 9.1: keys in order, no white space."""
    claims = Claims("12155551212", ("12155551213",), 1443208345, ("sip:alice@example.com",))
    assert claims.payload() == (
        b'{"dest":{"tn":["12155551213"],"uri":["sip:alice@example.com"]},'
        b'"iat":1443208345,"orig":{"tn":"12155551212"}}'
    )


def test_the_rfcs_own_passport_is_read():
    """RFC 8225 appendix A: its token."""
    token = (
        "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9j"
        "ZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9.eyJkZXN0Ijp7InVyaSI6WyJ"
        "zaXA6YWxpY2VAZXhhbXBsZS5jb20iXX0sImlhdCI6MTQ3MTM3NTQxOCwib3JpZyI"
        "6eyJ0biI6IjEyMTU1NTUxMjEyIn19.VLBCIVDCaeK6M4hLJb6SHQvacAQVvoiiEOW"
        "Q_iUkqk79UD81fHQ0E1b3_GluIkba7UWYRM47ZbNFdOJquE35cw"
    )
    claims = Claims("12155551212", (), 1471375418, ("sip:alice@example.com",))
    passport = Identity.parse(f"{token};info=<{INFO}>").passport()
    assert passport.claims == claims
    assert identity(claims, INFO, KEY).rpartition(".")[0].startswith(token.rpartition(".")[0])


def test_the_signature_of_another_is_verified():
    """RFC 7515 appendix A.3: r and s, 32 bytes each, by the key that it gives."""
    x, y = (
        int.from_bytes(urlsafe_b64decode(each + "="), "big")
        for each in (
            "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        )
    )
    signed = (
        b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        b"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    )
    signature = urlsafe_b64decode(
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q=="
    )
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    assert Passport(CLAIMS, signed, signature).is_signed_by(key)
    assert not Passport(CLAIMS, signed, signature).is_signed_by(KEY.public_key())
    assert not Passport(CLAIMS, signed, signature[:-1]).is_signed_by(key)


@pytest.mark.parametrize(("claims", "ppt"), [(CLAIMS, ""), (SHAKEN, "shaken")])
def test_what_one_signs_the_other_reads(claims, ppt):
    """The full form, with and without SHAKEN's claims."""
    found = Identity.parse(identity(claims, INFO, KEY, ppt))
    assert (found.info, found.ppt, found.compact) == (INFO, ppt, False)
    passport = found.passport()
    assert passport.claims == claims
    assert passport.is_signed_by(KEY.public_key())
    assert not Passport(claims, passport.signed + b"x", passport.signature).is_signed_by(
        KEY.public_key()
    )


def test_the_compact_form_says_what_the_request_says():
    """RFC 8225 7: two empty parts; another number or time, and the signature is none."""
    found = Identity.parse(identity(CLAIMS, INFO, KEY, compact=True))
    assert found.compact
    assert found.completed(CLAIMS).is_signed_by(KEY.public_key())
    other = Claims("12155551212", ("12155551214",), 1443208345)
    assert not found.completed(other).is_signed_by(KEY.public_key())


def test_the_parameters_in_any_form():
    """Quoted or not, with white space, in any order (RFC 8224 4)."""
    token = identity(SHAKEN, INFO, KEY, "shaken").partition(";")[0]
    for rest in (
        f';info=<{INFO}>;alg=ES256;ppt="shaken"',
        f' ; PPT = shaken ; canon="x" ; info = <{INFO}> ',
    ):
        assert Identity.parse(token + rest).passport().claims == SHAKEN


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 438),
        ("x", 438),
        ("a.b.c", 436),
        (value(rest=""), 436),
        (value(rest=";info=https://x"), 438),
        (value(rest=f";info=<{INFO}>;alg=RS256"), 437),
        (value(rest=f";info=<{INFO}>;alg=none"), 437),
        (value(rest=f";info=<{INFO}>;info=<{INFO}>"), 438),
        (value(rest=f";info=<{INFO}> junk"), 438),
        (value(rest=f";info=<{INFO}>;ppt=shaken"), 438),
        (value({**HEADER, "ppt": "shaken"}), 438),
        (value({**HEADER, "alg": "none"}), 438),
        (value({**HEADER, "typ": "jwt"}), 438),
        (value({**HEADER, "x5u": "https://elsewhere"}), 438),
        (value(payload=[]), 438),
        (value(payload=b"{"), 438),
        (value(payload=b"\xff"), 438),
        (value(payload=b"[" * 4000), 438),
        (value(payload=b'{"iat":1,"iat":2,"orig":{"tn":"1"},"dest":{"tn":["2"]}}'), 438),
        (value(payload={**PAYLOAD, "iat": "3"}), 438),
        (value(payload={**PAYLOAD, "iat": True}), 438),
        (value(payload={**PAYLOAD, "iat": -1}), 438),
        (value(payload={**PAYLOAD, "iat": 1 << 53}), 438),
        (value(payload={**PAYLOAD, "iat": float("nan")}), 438),
        (value(payload={**PAYLOAD, "orig": {"tn": "+1"}}), 438),
        (value(payload={**PAYLOAD, "orig": {"tn": 1}}), 438),
        (value(payload={**PAYLOAD, "orig": {"tn": "1", "uri": "sip:a@b"}}), 438),
        (value(payload={**PAYLOAD, "orig": {}}), 438),
        (value(payload={**PAYLOAD, "dest": {}}), 438),
        (value(payload={**PAYLOAD, "dest": {"tn": "2"}}), 438),
        (value(payload={**PAYLOAD, "dest": {"tn": ["2"] * (MOST_CALLED + 1)}}), 438),
        (value(payload={**PAYLOAD, "dest": {"uri": ["sip:a b"]}}), 438),
    ],
)
def test_what_is_no_passport(text, status):
    """RFC 8224 6.2.2: what answers it is in the error."""
    with pytest.raises(IdentityError) as raised:
        Identity.parse(text).passport()
    assert raised.value.status == status


@pytest.mark.parametrize(
    "change",
    [
        {"attest": "D"},
        {"attest": ["A"]},
        {"origid": ""},
        {"origid": "a\r\nb"},
        {"origid": 5},
        {"orig": {"uri": "sip:a@b"}},
    ],
)
def test_what_shaken_wants(change):
    """RFC 8588 4 to 6: attest and origid, and a number."""
    header = {**HEADER, "ppt": "shaken"}
    payload = {**PAYLOAD, "attest": "A", "origid": "x", **change}
    with pytest.raises(IdentityError):
        Identity.parse(value(header, payload, f";info=<{INFO}>;ppt=shaken")).passport()


def test_its_length_is_bounded():
    """What is longer than it may be is not decoded."""
    assert Identity.parse("..A;info=<x>".ljust(LONGEST))
    with pytest.raises(IdentityError):
        Identity.parse("..A;info=<x>".ljust(LONGEST + 1))


def test_numbers_and_uris_as_they_are_compared():
    """RFC 8224 8.3, 8.5."""
    assert canonical_number("+1 (215) 555-1212;verstat=x") == "12155551212"
    assert canonical_number("*98#") == "*98#"
    assert [canonical_number(each) for each in ("", "alice", "+", "1x", "\u0663")] == [""] * 5
    uri = Uri.parse("sip:Alice@Example.ORG:5070;transport=tcp")
    assert canonical_uri(uri) == "sip:Alice@example.org"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
CLAIM = st.sampled_from(("orig", "dest", "iat", "attest", "origid", "tn", "uri"))


@given(st.text() | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*(;\w*=?<?\S*>?)*", fullmatch=True))
@example('"..A";info=<a>')
def test_only_its_own_error_leaves_the_field(text):
    """Whatever stands in the field."""
    try:
        found = Identity.parse(text)
        passport = found.completed(CLAIMS) if found.compact else found.passport()
    except IdentityError:
        return
    assert not passport.is_signed_by(KEY.public_key())


@given(
    st.dictionaries(CLAIM, st.dictionaries(CLAIM, JSON | st.lists(st.just("1"))) | JSON),
    st.sampled_from(("", "shaken")),
    st.binary(max_size=70),
)
def test_only_its_own_error_leaves_the_claims(payload, ppt, signature):
    """Whatever was signed, and by whatever."""
    header = {**HEADER, "ppt": ppt} if ppt else HEADER
    token = f"{encoded(header)}.{encoded(payload)}.{encoded(signature or b'x')}"
    try:
        found = Identity.parse(f"{token};info=<{INFO}>;ppt={ppt or 'x'}"[: None if ppt else -6])
        passport = found.passport()
    except IdentityError:
        return
    assert not passport.is_signed_by(KEY.public_key())
