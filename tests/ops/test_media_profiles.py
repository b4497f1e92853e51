"""What the peers want of the media, as the configuration has it."""

import pytest

from softswitch.errors import ConfigError
from softswitch.ops.config import load
from softswitch.plugin.media import MediaProfile
from softswitch.testing.stage import Stage

LISTEN = '[[listen]]\ntransport = "udp"\nbind = "127.33.1.1"\n'
FARM = '[media]\nengine = "rtpengine"\n[[media.rtpengine]]\naddress = "127.0.0.1:2223"\n'
PEERS = """
[trunks.carrier]
addresses = ["192.0.2.1"]
[trunks.carrier.media]
profile = "srtp"
interface = "outside"
[groups.browsers.media]
profile = "webrtc"
transcode = ["opus"]
[users.ann]
password = "x"
group = "browsers"
[users.bea]
password = "x"
group = "browsers"
media = { dtmf = "tones", profile = "rtp" }
[users.cat]
password = "x"
"""


@pytest.fixture
def read(tmp_path):
    """Reads a configuration given as text, with a listener in front."""

    def read(*parts):
        file = tmp_path / "switch.toml"
        file.write_text("\n".join((*parts, LISTEN)))
        return load(file, tmp_path)

    return read


def wants(house, kind, name):
    """What somebody wants."""
    return house.premises.profile_of(kind, name).wants


def test_who_wants_what(read):
    """A trunk, the users of a group, one of them who wants something else besides, and everybody
    else, who wants plain RTP."""
    with Stage({"policy": []}) as stage:
        stage.house.premises.config = config = read(FARM, PEERS)
        users = config.directory_of_users()
        stage.house.premises.users.find = users.get
        assert wants(stage.house, "trunk", "carrier") == MediaProfile("srtp", interface="outside")
        assert wants(stage.house, "user", "ann") == MediaProfile("webrtc", ("opus",))
        assert wants(stage.house, "user", "bea") == MediaProfile("rtp", ("opus",), "tones")
        assert wants(stage.house, "user", "cat") is None
        assert wants(stage.house, "peer", "") is None


PAGES = '[[listen]]\ntransport = "ws"\nport = 8080\n'


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ((FARM, PAGES), True),
        ((FARM, f"{PAGES}[listen.websocket]\nwebrtc = false\n"), False),
        (('[media]\nengine = "bypass"', PAGES), False),
        ((f"{PAGES}[listen.websocket]\nwebrtc = false\n",), False),
    ],
)
def test_pages_want_webrtc(read, parts, wanted):
    """Who connects over a WebSocket, where the media engine knows it and nothing else is said."""
    web, plain = read(*parts).listeners()
    assert (web.transport, web.facing("127.0.0.1").webrtc) == ("WS", wanted)
    assert not plain.facing("127.0.0.1").webrtc


def test_pages_and_the_built_in_relay(read):
    """Are told apart at the start, with the remedies."""
    with pytest.raises(ConfigError) as caught:
        read(PAGES)
    assert "listen[0].websocket.webrtc: pages speak WebRTC, and the built-in" in str(caught.value)


def test_what_everybody_wants(read):
    """``[media.default]`` lies below all others, and what says nothing is as it is there."""
    config = read(FARM, '[media.default]\nprofile = "srtp"\ndtmf = "events"\n', PEERS)
    assert config.usual.wants == MediaProfile("srtp", dtmf="events")
    assert config.profile_of("group", "browsers").wants == MediaProfile(
        "webrtc", ("opus",), "events"
    )
    assert config.profile_of("user", "bea").wants == MediaProfile("rtp", ("opus",), "tones")


@pytest.mark.parametrize(
    ("text", "where", "mend"),
    [
        ('[media]\nengine = "rtpengine"', "media.rtpengine", "at least one"),
        ('[[media.rtpengine]]\naddress = "127.0.0.1:2223"', "media.rtpengine", 'engine = "rtp'),
        (FARM.replace(":2223", ""), "media.rtpengine[0].address", "port"),
        (FARM.replace("127.0.0.1", "farm.example"), "media.rtpengine[0].address", "IP address"),
        (FARM + "weight = 0", "media.rtpengine[0].weight", "take calls"),
        (FARM + "weight = -1", "media.rtpengine[0].weight", "whole number"),
        (
            FARM + '[[media.rtpengine]]\naddress = "127.0.0.1:2223"',
            "media.rtpengine[1].address",
            "media.rtpengine[0]'s already",
        ),
        (FARM.replace("[[", "wait_seconds = 8\n[[", 1), "media.wait_seconds", "0.2 to 3"),
        (FARM.replace("[[", "check_seconds = 0\n[[", 1), "media.check_seconds", "1 or more"),
        (
            '[users.ann]\npassword = "x"\nmedia = { profile = "webrtc" }',
            "users.ann.media.profile",
            'the built-in relay knows profile = "rtp" only',
        ),
        (
            '[media]\nengine = "bypass"\n[media.default]\ndtmf = "tones"',
            "media.default.dtmf",
            "nobody changes media",
        ),
        (
            FARM + '[groups.b.media]\nprofile = "vp8"',
            "groups.b.media.profile",
            '"rtp" or "srtp" or "webrtc"',
        ),
        (FARM + '[media.default]\nkeys = "tones"', "media.default.keys", "no such key"),
        (
            FARM + '[trunks.t]\naddresses = ["192.0.2.1"]\ndialog.codecs = ["PCMA"]\n'
            'media.transcode = ["opus"]',
            "trunks.t.media.transcode",
            "dialog.codecs",
        ),
        (
            FARM + '[trunks.t]\naddresses = ["192.0.2.1"]\ndialog.media = "bypass"\n'
            'media.profile = "srtp"',
            "trunks.t.media",
            'dialog.media = "bypass" has the media go past all engines',
        ),
    ],
)
def test_what_is_wrong(read, text, where, mend):
    """The error names the key, and what would be right."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert caught.value.where.endswith(f": {where}"), caught.value
    assert mend in caught.value.mend


def test_plain_rtp_is_every_engine_s(read):
    """Who says so says nothing more than the default."""
    assert read('[media.default]\nprofile = "rtp"').usual.wants is None
