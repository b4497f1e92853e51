"""``[trunks.NAME.register]``, and the secret of which our Contacts are made."""

import stat

import pytest

from softswitch.errors import ConfigError
from softswitch.ops.config import load
from softswitch.ops.secret import kept_secret
from softswitch.trunk.upstream import Upstream

LISTEN = '[[listen]]\ntransport = "udp"\nbind = "127.0.0.1"\n'
TRUNK = '[trunks.t]\naddresses = ["sip.carrier.example:5070", "10.0.0.1"]\n'
ACCOUNT = 'username = "me@here"\npassword = "secret"\n'


def read(tmp_path, text):
    file = tmp_path / "softswitch.toml"
    file.write_text(LISTEN + TRUNK + text)
    return load(file)


def test_what_is_left_out_is_filled_in(tmp_path):
    """The members are the registrars; the username at the first of them is what is registered."""
    config = read(tmp_path, f"{ACCOUNT}[trunks.t.register]\n")
    (trunk,) = config.trunk_groups()
    assert trunk.upstream == Upstream(
        ("sip.carrier.example:5070", "10.0.0.1"), "sip:me%40here@sip.carrier.example"
    )
    assert config.registers
    assert not load().registers


def test_every_key(tmp_path):
    """As written."""
    text = """[trunks.t.register]
        registrars = ["[2001:db8::1]:5080"]
        aor = "sip:+441@ims.example"
        which = "all"
        contact_user = "+441"
        expires = 600
        retry_seconds = 5
        retry_max_seconds = 50
    """
    (trunk,) = read(tmp_path, text).trunk_groups()
    upstream = Upstream(
        ("[2001:db8::1]:5080",), "sip:+441@ims.example", "all", "+441", 600, 5.0, 50.0
    )
    assert trunk.upstream == upstream
    assert trunk.hosts == {"sip.carrier.example", "10.0.0.1", "2001:db8::1"}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "trunks.t.register.aor: it is wanted where the trunk has no username"),
        ('aor = "me"', "trunks.t.register.aor: a SIP URI such as"),
        ('aor = "sip:carrier.example"', "trunks.t.register.aor: a SIP URI such as"),
        ('aor = "tel:+441"', "trunks.t.register.aor: a SIP URI such as"),
        ('aor = "sip:a@b;transport=tcp"', "trunks.t.register.aor: a SIP URI such as"),
        ('aor = "sip:a@b"\nretry_seconds = 0.5', "register.retry_seconds: 1 second at least"),
        ('aor = "sip:a@b"\nretry_max_seconds = 20', "retry_max_seconds: no fewer than"),
        ('aor = "sip:a@b"\nregistrars = ["c", "c"]', "register.registrars: c is there twice"),
        ('which = "some"', 'trunks.t.register.which: "first" or "all" is wanted'),
        ("expires = 0", "trunks.t.register.expires: a whole number of at least 1"),
        ("expire = 1", "trunks.t.register.expire: no such key; did you mean expires?"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, wrong):
    """File, key, and what would be right."""
    with pytest.raises(ConfigError) as error:
        read(tmp_path, f"[trunks.t.register]\n{text}\n")
    assert wrong in str(error.value)


def test_the_secret_is_kept(tmp_path):
    """Made once, for its owner's eyes only, and the same from then on."""
    file = tmp_path / "state" / "secret"
    secret = kept_secret(file)
    assert len(secret) == 32
    assert kept_secret(file) == secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert kept_secret(tmp_path / "other") != secret


def test_a_secret_that_is_damaged(tmp_path):
    """It is not gone on with: the operator hears what to do."""
    file = tmp_path / "secret"
    file.write_bytes(b"short")
    with pytest.raises(ConfigError, match="32 bytes are wanted"):
        kept_secret(file)
    with pytest.raises(ConfigError, match="cannot be read or written"):
        kept_secret(file / "below")
