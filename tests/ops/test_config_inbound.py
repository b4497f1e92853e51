"""How the configuration says that trunks call us."""

from pathlib import Path

import pytest

from softswitch.errors import ConfigError
from softswitch.ops.config import Config, load
from softswitch.sip.digest import ha1

LISTEN = '[[listen]]\ntransport = "udp"\nbind = "127.33.1.1"\n'
POLICIES = '[[policy]]\nuse = "trunks"\n[[policy]]\nuse = "users"\n[[policy]]\nuse = "registration"'


@pytest.fixture
def read(tmp_path: Path):
    """Reads a configuration given as text, with a listener and policies after it."""

    def read(text: str, policies: str = POLICIES) -> Config:
        file = tmp_path / "switch.toml"
        file.write_text(f'[switch]\nrealm = "r"\n{text}\n{policies}\n{LISTEN}')
        return load(file, tmp_path)

    return read


def test_a_pbx_that_registers_needs_no_address(read):
    """Its password becomes a hash for what we offer, and a warning says how to have hashes."""
    config = read('[trunks.pbx]\nregisters = true\ninbound_username = "p"\ninbound_password = "s"')
    (trunk,) = config.trunk_groups()
    assert trunk.registered_as == "p"
    assert trunk.members == ()
    assert trunk.sources() == ()
    assert trunk.inbound.ha1 == {"MD5": ha1("p", "r", "s", "MD5")}
    assert "trunks.pbx has an inbound_password in the clear" in config.warnings()[0]
    assert "p s" not in repr(config)


def test_hashes_and_lists_are_taken_as_they_are(read):
    """Numbers are whole ones or regular expressions; ``networks = []`` is nowhere."""
    digest = "A" * 32
    config = read(
        "domains = ['x.example']\n[trunks.t]\naddresses = ['10.0.0.1']\nnetworks = []\n"
        f"inbound_username = 't'\ninbound_ha1 = {{ MD5 = '{digest}' }}\n"
        "inbound_hosts = ['X.example']\ninbound_numbers = ['+44']\ncalled_from = 'to'\n"
        "numbers = ['\\+49.']\ndefault_number = '+490'"
    )
    (trunk,) = config.trunk_groups()
    assert trunk.inbound.ha1 == {"MD5": digest.lower()}
    assert trunk.inbound.hosts == ("x.example",)
    assert trunk.sources() == ()
    assert trunk.inbound.owns("+491")
    assert not trunk.inbound.owns("+4912")
    assert [each.split()[0] for each in config.warnings()] == ["fraud.closed"]


ACCOUNT = '[trunks.t]\naddresses = ["a"]\ninbound_username = "t"\n'
PROVEN = f'{ACCOUNT}inbound_password = "s"\n'


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (ACCOUNT, "trunks.t: inbound_username wants either inbound_password or inbound_ha1"),
        (
            '[trunks.t]\naddresses = ["a"]\ninbound_password = "s"',
            "trunks.t: inbound_password and inbound_ha1 want inbound_username",
        ),
        (
            f'{ACCOUNT}inbound_ha1 = {{ MD5 = "12" }}',
            "trunks.t.inbound_ha1.MD5: 32 hex digits are wanted",
        ),
        (
            f'[auth]\nalgorithms = ["SHA-256"]\n{ACCOUNT}inbound_ha1 = {{ MD5 = "{"0" * 32}" }}',
            "trunks.t.inbound_ha1: a hash for SHA-256 is wanted, since we offer it",
        ),
        (
            f'[users.t]\npassword = "x"\n{PROVEN}',
            "trunks.t.inbound_username: t is taken by users.t",
        ),
        (
            f'{PROVEN}[trunks.u]\naddresses = ["a"]\ninbound_username = "t"\n'
            'inbound_password = "z"',
            "trunks.u.inbound_username: t is taken by trunks.t",
        ),
        (
            "[trunks.t]\nregisters = true",
            "trunks.t.registers: inbound_username and a password are wanted, too",
        ),
        (
            f"{PROVEN}registers = true",
            "trunks.t.addresses: none is wanted: it is reached where it registers",
        ),
        (
            '[trunks.t]\naddresses = ["a"]\ninbound_hosts = ["not.ours"]',
            "trunks.t.inbound_hosts[0]: not.ours is wanted in switch.domains, too",
        ),
        (
            '[trunks.t]\naddresses = ["a"]\nnumbers = ["*1"]',
            "trunks.t.numbers[0]: a number or a regular expression is wanted",
        ),
        (
            '[trunks.t]\naddresses = ["a"]\ndefault_number = "1"',
            "trunks.t.default_number: stands for numbers that are not in numbers",
        ),
        (
            '[trunks.t]\naddresses = ["a"]\ncalled_from = "from"',
            'trunks.t.called_from: "request-uri" or "to" or "p-called-party-id" is wanted',
        ),
    ],
)
def test_a_contradiction_names_the_key_and_what_would_be_right(read, text, mistake):
    """In one line, and no password in it."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert mistake in str(caught.value)


@pytest.mark.parametrize(
    ("policies", "mistake"),
    [
        ('[[policy]]\nuse = "trunks"', "trunks.t.inbound_username: nobody is asked for a password"),
        ('[[policy]]\nuse = "users"', "trunks.t.registers: it cannot"),
    ],
)
def test_what_no_policy_serves_is_refused(read, policies, mistake):
    """A password that nobody asks for, a registration that nobody allows."""
    registers = PROVEN.replace('addresses = ["a"]', "registers = true")
    with pytest.raises(ConfigError) as caught:
        read(registers, policies)
    assert mistake in str(caught.value)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ('[dialog]\nlate_offer = "offer"', "dialog.late_offer: our offers want"),
        (
            '[trunks.t]\naddresses = ["a"]\ndialog = { late_offer = "offer" }',
            "trunks.t.dialog.late_offer: our offers want",
        ),
        (
            '[dialog]\noffer_codecs = ["AMR"]',
            "dialog: offer_codecs: one of PCMU, PCMA",
        ),
        (
            '[dialog]\noffer_codecs = ["telephone-event"]',
            "dialog: offer_codecs: at least one codec for voice is wanted",
        ),
        ('[dialog]\ncodecs = ["PCM A"]', "dialog: codecs: the name of a codec is wanted"),
    ],
)
def test_codecs_and_late_offers_that_cannot_be_are_refused(read, text, mistake):
    """Without a relay there is nowhere to offer; and what nobody knows to offer is no codec."""
    with pytest.raises(ConfigError) as caught:
        read(f'{text}\n[media]\nengine = "bypass"')
    assert mistake in str(caught.value)


def test_offers_of_ours_to_a_peer_whose_media_go_past_us_are_refused(read):
    """They would lead nowhere; what is said names the cell."""
    with pytest.raises(ConfigError) as caught:
        read(
            '[trunks.t]\naddresses = ["a"]\n'
            '[trunks.t.dialog]\nlate_offer = "offer"\nmedia = "bypass"'
        )
    assert 'trunks.t.dialog.late_offer: our offers want media = "engine"' in str(caught.value)
    assert read('[trunks.t]\naddresses = ["a"]\ndialog = { media = "bypass" }').bypasses
    assert not read('[trunks.t]\naddresses = ["a"]').bypasses


@pytest.mark.parametrize(
    ("more", "warned"),
    [
        ("", True),
        ("[fraud]\nclosed = ['premium']\n", False),
        ("[numbering]\ncountry = 'GB'\n", False),
    ],
)
def test_what_is_closed_has_to_be_told_from_others(read, more, warned):
    """Without a country no call goes abroad: a warning, unless nobody wants that closed, or there
    is no trunk."""
    trunk = "[trunks.t]\naddresses = ['10.0.0.1']\n"
    assert any("[numbering] country" in each for each in read(more + trunk).warnings()) is warned
    assert read(more).warnings() == []
