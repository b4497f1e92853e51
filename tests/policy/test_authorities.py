"""Whose signature about callers counts: RFC 8226."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from softswitch.errors import IdentityError
from softswitch.policy.authorities import MOST_CERTIFICATES, Authorities
from softswitch.policy.tnauthlist import OID

NOW = datetime(2027, 1, 15, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
ONE = x509.UnrecognizedExtension(x509.ObjectIdentifier(OID), bytes.fromhex("3005a203160131"))
PROVIDER = x509.UnrecognizedExtension(x509.ObjectIdentifier(OID), bytes.fromhex("3005a003160131"))
ODD = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"")
DAY = timedelta(days=1)


def issued(
    name,
    key,
    issuer,
    signer,
    *,
    ca=False,
    extensions=(),
    critical=(),
    before=NOW - DAY,
    after=NOW + DAY,
    hashed=None,
):
    """A certificate of ``name``, signed by ``issuer``."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(before)
        .not_valid_after(after)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    for each in (*extensions, *critical):
        builder = builder.add_extension(each, critical=each in critical)
    return builder.sign(signer, hashed or hashes.SHA256())


ROOT_KEY, MIDDLE_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
ROOT = issued("root", ROOT_KEY, "root", ROOT_KEY, ca=True)
MIDDLE = issued("middle", MIDDLE_KEY, "root", ROOT_KEY, ca=True)


def pem(*certificates):
    """As an answer has them."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def signer(*certificates, trusted=(ROOT,)):
    """Who is meant."""
    return Authorities(trusted, NOW.timestamp).signer(pem(*certificates))


def leaf(**how):
    """A signer's certificate, by the authority between."""
    return issued("signer", how.pop("key", KEY), "middle", MIDDLE_KEY, **how)


def usage(**chosen):
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: chosen.get(name, False) for name in names})


def test_a_chain_to_an_authority():
    """With what is between, or to what is between where that is believed; until the first of them
    ends; PEM, or a single one in DER."""
    found = signer(leaf(after=NOW + DAY / 2), MIDDLE)
    assert found.subject == "CN=signer"
    assert found.key == KEY.public_key()
    assert found.until == (NOW + DAY / 2).timestamp()
    assert signer(leaf(), trusted=(MIDDLE,)).subject == "CN=signer"
    der = leaf().public_bytes(Encoding.DER)
    assert Authorities((MIDDLE,), NOW.timestamp).signer(der).key == KEY.public_key()
    assert signer(leaf(extensions=[usage(digital_signature=True)]), MIDDLE)
    assert signer(leaf(critical=[PROVIDER]), MIDDLE).may_sign("2")


def test_every_list_of_the_chain_holds():
    """What is above cannot be widened below (RFC 8226 9, RFC 9060)."""
    assert signer(leaf(), MIDDLE).may_sign("2")
    assert not signer(leaf(extensions=[ONE]), MIDDLE).may_sign("2")
    assert signer(leaf(extensions=[ONE]), MIDDLE).may_sign("1")
    narrow = issued("middle", MIDDLE_KEY, "root", ROOT_KEY, ca=True, extensions=[ONE])
    assert not signer(leaf(extensions=[PROVIDER]), narrow).may_sign("2")


RSA = rsa.generate_private_key(65537, 2048)
BAD_LIST = x509.UnrecognizedExtension(x509.ObjectIdentifier(OID), b"\x30\x01\x00")

WRONG = {
    "nobody vouches": lambda: signer(leaf(), MIDDLE, trusted=()),
    "what is between is missing": lambda: signer(leaf()),
    "by itself": lambda: signer(issued("signer", KEY, "signer", KEY)),
    "by one who is no authority": lambda: signer(issued("x", KEY, "signer", KEY), leaf(), MIDDLE),
    "expired": lambda: signer(leaf(after=NOW - DAY / 2), MIDDLE),
    "not yet": lambda: signer(leaf(before=NOW + DAY / 2), MIDDLE),
    "an authority that has expired": lambda: signer(
        leaf(),
        issued("middle", MIDDLE_KEY, "root", ROOT_KEY, ca=True, after=NOW - DAY / 2),
    ),
    "another curve": lambda: signer(leaf(key=ec.generate_private_key(ec.SECP384R1())), MIDDLE),
    "another kind of key": lambda: signer(leaf(key=RSA), MIDDLE),
    "not there to sign with": lambda: signer(leaf(extensions=[usage(crl_sign=True)]), MIDDLE),
    "something critical is unknown": lambda: signer(leaf(critical=[ODD]), MIDDLE),
    "a weak hash": lambda: signer(leaf(hashed=hashes.SHA224()), MIDDLE),
    "a list that is none": lambda: signer(leaf(extensions=[BAD_LIST]), MIDDLE),
    "too many": lambda: signer(leaf(), *[MIDDLE] * MOST_CERTIFICATES),
    "no certificate": lambda: Authorities((ROOT,), NOW.timestamp).signer(b"<html>"),
    "nothing": lambda: Authorities((ROOT,), NOW.timestamp).signer(b""),
    "half a PEM": lambda: Authorities((ROOT,), NOW.timestamp).signer(pem(leaf())[:200]),
}


@pytest.mark.parametrize("what", WRONG)
def test_whose_does_not_count(what):
    """437 (RFC 8224 6.2.2)."""
    with pytest.raises(IdentityError) as raised:
        WRONG[what]()
    assert raised.value.status == 437


ANSWER = leaf().public_bytes(Encoding.DER)


@given(st.binary(max_size=40), st.integers(0, len(ANSWER)), st.integers(0, 40))
def test_nothing_else_leaves_it(rubbish, start, length):
    """A certificate in which something is other than it was."""
    data = ANSWER[:start] + rubbish + ANSWER[start + length :]
    try:
        found = Authorities((MIDDLE,), NOW.timestamp).signer(data)
    except IdentityError:
        return
    assert data == ANSWER
    assert found.subject == "CN=signer"
