"""Certificates and keys read from files, and what is said where they are unfit."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from softswitch.testing.authority import Authority
from softswitch.transport.certificates import (
    Certificates,
    Client,
    Paths,
    Proof,
    Server,
    UnfitFileError,
)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def issued(authority):
    return authority.issue("switch", "sip.example.org")


def read(issued, **changed):
    return Proof.read(Paths(**{"certificate": issued.certificate, "key": issued.key, **changed}))


def test_what_is_missing_is_told(issued, tmp_path):
    """With the setting and the file."""
    with pytest.raises(UnfitFileError, match=r"key: .*absent.pem cannot be read: No such file"):
        read(issued, key=tmp_path / "absent.pem")


@pytest.mark.parametrize(
    ("setting", "mistake"),
    [
        ("certificate", "holds no certificate in PEM"),
        ("key", "holds no private key in PEM"),
        ("chain", "holds no certificate in PEM"),
    ],
)
def test_what_is_broken_is_told(issued, tmp_path, setting, mistake):
    """Whichever of the files it is."""
    broken = tmp_path / "broken"
    broken.write_text("-----BEGIN NONSENSE-----\n")
    with pytest.raises(UnfitFileError, match=mistake) as told:
        read(issued, **{setting: broken})
    assert told.value.key == setting


def test_a_key_of_another_certificate_is_refused(authority, issued):
    """Rather than at the first handshake."""
    other = authority.issue("other", "other.example")
    with pytest.raises(UnfitFileError, match="is not the key of the first certificate"):
        read(issued, key=other.key)


def test_a_key_with_a_password_is_refused(issued):
    """Nobody could type it at a reload."""
    key = load_pem_private_key(issued.key.read_bytes(), None)
    locked = issued.key.with_suffix(".locked")
    locked.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(UnfitFileError, match="has a password"):
        read(issued, key=locked)


def test_an_authority_that_is_none_is_refused(issued, tmp_path):
    """For clients, and for whom we connect to."""
    broken = tmp_path / "broken"
    broken.write_text("")
    proof = read(issued)
    with pytest.raises(UnfitFileError, match=r"ca: .* holds no certificate"):
        Server([proof], "required", broken)
    with pytest.raises(UnfitFileError, match=r"ca: .* holds no certificate"):
        Client(authority=broken)


def test_a_certificate_expires_with_its_chain(authority, issued):
    """The first of them to expire counts."""
    brief = authority.issue("brief", "b.example", good_for=timedelta(days=3))
    alone = read(issued)
    chained = read(issued, chain=brief.certificate)
    assert chained.expires < alone.expires
    assert chained.expires == read(brief).expires


def test_who_has_no_settings_is_believed_as_the_system_does(authority, issued):
    """Those of one name are its own."""
    own = Client(["sip.example.org"], authority=authority.certificate, proof=read(issued))
    server = Server([read(issued)])
    certificates = Certificates({"tls": server}, {"a.example": own})
    assert certificates.client("a.example") is own
    assert certificates.client("b.example") is certificates.client("c.example")
    assert [proof.paths.certificate for proof in certificates.proofs()] == [issued.certificate]
