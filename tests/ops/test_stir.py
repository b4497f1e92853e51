"""Signed numbers in the configuration: what is wrong between the keys, and with the files."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from softswitch.errors import ConfigError
from softswitch.ops.certificates import expiring, read_certificates
from softswitch.ops.cli import main
from softswitch.ops.config import load
from softswitch.ops.stir import read_stir
from softswitch.testing.authority import Authority

PLAIN = '[[listen]]\ntransport = "udp"\nbind = "127.33.2.1"\n'
SIGNER = (
    '[stir]\ncertificate = "signer.pem"\nkey = "signer.key"\n'
    'certificate_url = "https://sip.example.org/signer.pem"\n'
)
TRUNK = '[trunks.a]\naddresses = ["127.33.2.2"]\n'


@pytest.fixture
def authority(tmp_path):
    authority = Authority(tmp_path)
    authority.issue("signer")
    return authority


@pytest.fixture
def file(tmp_path):
    return tmp_path / "switch.toml"


@pytest.fixture
def read(file, tmp_path, authority):
    """Reads a configuration given as text; its files are beside it."""

    def read(text):
        file.write_text(PLAIN + text)
        return load(file, tmp_path)

    return read


@pytest.mark.parametrize(
    ("text", "key", "mend"),
    [
        ('[stir]\ncertificate = "signer.pem"\n', "stir", "go together"),
        ('[stir]\ncertificate_url = "http://x"\n', "stir.certificate_url", "https://"),
        ("[stir]\nfetch_seconds = 2\n", "stir.fetch_seconds", "policy_seconds, 2,"),
        ("[stir]\nfetch_seconds = 0\n", "stir.fetch_seconds", "policy_seconds"),
        ("[stir]\nfresh_seconds = 0\n", "stir.fresh_seconds", "more than 0"),
        ("[stir]\nkeep_most_seconds = 1\n", "stir.keep_most_seconds", "keep_least_seconds"),
        (TRUNK + "stir.sign = true\n", "trunks.a.stir.sign", "certificate_url"),
        (TRUNK + 'stir.verify = "tag"\n', "trunks.a.stir.verify", "authorities and hosts"),
        (TRUNK + 'stir.verify = "on"\n', "trunks.a.stir.verify", '"require"'),
        (TRUNK + 'stir.attest = "D"\n', "trunks.a.stir.attest", '"A"'),
        ('[stir]\nhosts = ["https://x"]\n', "stir.hosts[0]", "wanted"),
    ],
)
def test_what_does_not_go_together(read, text, key, mend):
    """File, key and what would be right."""
    with pytest.raises(ConfigError) as raised:
        read(text)
    assert f"switch.toml: {key}: " in str(raised.value)
    assert mend in str(raised.value)


def test_the_files_that_it_names(read, authority):
    """Our certificate and key, who vouches for signers, who vouches for hosts."""
    found = read_stir(
        read(SIGNER + 'authorities = "authority.pem"\nhttps_authorities = "authority.pem"\n')
    )
    assert found.proof is not None
    assert len(found.authorities) == len(found.https_authorities) == 1
    assert read_stir(read("")).proof is None


def unreadable(folder, authority):
    (folder / "signer.key").unlink()


def another(folder, authority):
    authority.issue("other")
    (folder / "signer.key").write_bytes((folder / "other.key").read_bytes())


def curved(folder, authority):
    """P-384, which is not what ES256 takes."""
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "signer.key").write_bytes(pem)


def expired(folder, authority):
    authority.issue("signer", good_for=timedelta(days=-1))


@pytest.mark.parametrize(
    ("spoil", "key", "mend"),
    [
        (unreadable, "key", "cannot be read"),
        (another, "key", "is not the key of the first certificate"),
        (curved, "key", "is not the key"),
        (expired, "certificate", "has expired on"),
    ],
)
def test_check_says_what_is_wrong_with_them(
    read, file, authority, tmp_path, capsys, spoil, key, mend
):
    """``softswitch check``: a key of another certificate, one that cannot be read, what has
    expired: exit status 2, and the key."""
    read(SIGNER.replace('"signer', f'"{tmp_path}/signer'))
    assert main(["check", "--no-plugins", str(file)]) == 0
    spoil(tmp_path, authority)
    capsys.readouterr()
    assert main(["check", "--no-plugins", str(file)]) == 2
    told = capsys.readouterr().err
    assert f"switch.toml: stir.{key}: " in told
    assert mend in told


def test_before_it_expires_the_log_says_so(read, authority):
    """As of every certificate of ours."""
    authority.issue("signer", good_for=timedelta(days=20))
    [found] = expiring(read_certificates(read(SIGNER)))
    assert "signer.pem expires on" in str(found)
