"""The configurations in ``etc/`` load, and do what they say."""

import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

from softswitch.ops.config import load
from softswitch.testing.media import CountingEngine
from softswitch.testing.stage import Stage

ETC = Path(__file__).parent.parent.parent / "etc"
OUTSIDE, INSIDE = ("203.0.113.7", 5060), ("10.0.0.5", 5060)
CARRIER, SPARE, MOBILE, PBX = "198.51.100.10", "198.51.100.11", "192.0.2.20", "10.0.0.10"


@pytest.mark.parametrize("name", ["pbx.toml", "teams.toml", "softswitch.toml"])
def test_they_load(name):
    """As they are, without a word of complaint but for the passwords that they show, and the token
    that the page wants."""
    expected = ("password", "api.tokens: without one")
    warnings = load(ETC / name).warnings()
    assert [each for each in warnings if not any(word in each for word in expected)] == []


class House:
    """etc/pbx.toml, with everybody at his place."""

    def __init__(self, stage):
        self.stage = stage
        self.carrier = stage.phone("carrier", host=CARRIER, register=False)
        self.spare = stage.phone("spare", host=SPARE, port=5080, register=False)
        self.mobile = stage.phone("mobile", host=MOBILE, register=False)
        self.pbx = stage.pbx(PBX, {"21": "secret"})
        self.pbx.switch = INSIDE
        self.home = stage.phone("21", host="203.0.113.99", password="secret", register=False)
        # What a phone or a PBX writes is our name.
        for phone in (self.carrier, self.spare, self.mobile, self.home, self.pbx):
            phone.can()


@pytest.fixture(name="house")
def _house():
    config = tomllib.loads((ETC / "pbx.toml").read_text())
    for trunk in config["trunks"].values():
        trunk.pop("health", None)  # OPTIONS for ever would never let the stage rest
    with Stage(config, engine=lambda clock: CountingEngine()) as stage:
        yield House(stage)


def test_a_call_from_the_carrier_rings_at_the_pbx(house):
    """Each side sees the switch under the address that faces it, and nothing of the other."""
    call = house.carrier.call(f"sip:+4930123421@{OUTSIDE[0]}")
    invite = house.pbx.line.invite
    assert invite.uri == f"sip:+4930123421@{PBX}"
    assert str(invite.contacts[0].uri.host) == INSIDE[0]
    house.pbx.answer()
    assert call.statuses == [200]
    assert INSIDE[0] not in str(call.responses[-1].encode())
    assert PBX not in str(call.responses[-1].encode())
    house.pbx.hang_up()


@pytest.mark.parametrize(
    ("dialled", "rings", "sent"),
    [
        ("00441234567", "carrier", "+441234567"),
        ("0307654321", "carrier", "+49307654321"),
        ("01701234567", "mobile", "+491701234567"),
        ("112", "carrier", "112"),
    ],
)
def test_a_call_of_the_pbx_goes_out(house, dialled, rings, sent):
    """Abroad, into town, to a mobile phone, for help."""
    call = house.pbx.call(f"sip:{dialled}@{INSIDE[0]}")
    callee = getattr(house, rings)
    assert callee.line.invite.request_uri.user == sent
    callee.answer()
    assert call.statuses == [200]
    callee.hang_up()


def test_help_is_called_whatever_the_limits_say(house):
    """With every line of the contract taken, 112 goes out and another call does not."""
    for _ in range(30):
        house.pbx.call(f"sip:00441234567@{INSIDE[0]}")
        house.carrier.answer()
        house.stage.run(1)
    assert house.pbx.call(f"sip:00441234567@{INSIDE[0]}").statuses == [486]
    call = house.pbx.call(f"sip:112@{INSIDE[0]}")
    house.carrier.answer()
    assert call.statuses == [200]
    for line in house.pbx.lines:
        if line.stands:
            line.request("BYE")


def test_the_second_gateway_stands_in(house):
    """A carrier whose first gateway is silent costs two seconds."""
    house.carrier.vanish()
    house.pbx.call(f"sip:00441234567@{INSIDE[0]}")
    house.stage.run(2.5)
    house.spare.answer()
    house.spare.hang_up()
    house.stage.run(40)


def test_a_phone_at_home_is_the_pbx_s(house):
    """It registers through the switch, is called by the PBX, calls it, and calls for help even when
    the PBX is gone."""
    assert house.home.register() == 200
    call = house.pbx.call(house.pbx.token("21"))
    assert house.home.line.invite.contacts[0].uri.host == OUTSIDE[0]
    house.home.answer()
    assert call.statuses == [200]
    house.pbx.hang_up()
    house.home.call("22")
    assert house.pbx.line.invite.uri == f"sip:22@{PBX}"
    house.pbx.answer()
    house.home.hang_up()
    house.pbx.vanish()
    help_line = house.home.call("112")
    house.carrier.answer()
    assert help_line.statuses == [200]
    house.home.hang_up()


def test_strangers_are_not_let_in(house):
    """Neither do they call, nor register under a name that is no extension."""
    stranger = house.stage.phone("eve", host="203.0.113.66", register=False)
    assert stranger.call("00441234567").statuses == [403]
    assert stranger.register() == 403
    assert house.pbx.registers == []


def test_teams_is_three_members_in_order():
    """The second and third stand in for the first, and are watched."""
    config = load(ETC / "teams.toml")
    teams = config.trunk_groups()[0]
    assert [member.priority for member in teams.members] == [1, 2, 3]
    assert teams.health.check_seconds == 60


def test_teams_is_known_by_its_certificate_and_its_network():
    """Both must hold; our calls go to its name over TLS, and tell our own name."""
    config = tomllib.loads((ETC / "teams.toml").read_text())
    for trunk in config["trunks"].values():
        trunk.pop("health", None)  # OPTIONS for ever would never let the stage rest
    names = {f"sip{n}.pstnhub.microsoft.com": [f"52.112.0.{n or 1}"] for n in ("", 2, 3)}
    with Stage(config, engine=lambda clock: CountingEngine(), names=names) as stage:
        pbx = stage.phone("pbx", host=PBX, register=False)
        pbx.switch = INSIDE
        gateway = stage.phone("teams", host="52.112.0.1", port=5061, transport="TLS")
        uri = "sip:+4930555@sbc.example.org;transport=tls"
        stranger = stage.phone("stranger", host="203.0.113.66", transport="TLS")
        teams = frozenset(["sip.pstnhub.microsoft.com"])
        for phone, shown in ((gateway, []), (stranger, teams)):
            stage.network.certificates[phone.host] = frozenset(shown)
            assert phone.call(uri).statuses == [403]
        caller = stage.phone("teams", host="52.112.0.9", transport="TLS")
        stage.network.certificates[caller.host] = teams
        call = caller.call(uri)
        pbx.answer()
        assert call.statuses == [200]
        pbx.hang_up()
        pbx.call("sip:+49301234567@10.0.0.5")
        invite = gateway.line.invite
        assert (
            invite.uri == "sip:+49301234567@sip.pstnhub.microsoft.com:5061;transport=tls;user=phone"
        )
        assert invite.contacts[0].uri.host == "sbc.example.org"
        gateway.answer()
        pbx.hang_up()


def test_the_unit_lets_nobody_else_read():
    """Neither the state directory, whatever its mode was before, nor what is made anywhere."""
    unit = ConfigParser(interpolation=None)
    unit.read(ETC / "softswitch.service")
    service = unit["Service"]
    assert (service["StateDirectoryMode"], service["UMask"]) == ("0700", "0077")
