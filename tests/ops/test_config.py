import re
import tomllib
from ipaddress import ip_network
from pathlib import Path

import attrs
import pytest

from softswitch.errors import ConfigError
from softswitch.ops.api_tables import ApiTable, TokenTable
from softswitch.ops.config import DEMONSTRATION, Config, load
from softswitch.ops.door_tables import DoorTable, OverloadTable
from softswitch.ops.flight_tables import FlightTable, HepTable
from softswitch.ops.fraud_tables import FraudTable
from softswitch.ops.listen_tables import ListenTable
from softswitch.ops.operator_tables import LogTable, MetricsTable
from softswitch.ops.record_tables import RecordsTable
from softswitch.ops.registration_tables import RegistrationTable
from softswitch.ops.stir_tables import StirTable
from softswitch.ops.tables import (
    AuthTable,
    DnsTable,
    LimitsTable,
    MediaTable,
    StoreTable,
    SubscriptionsTable,
    SwitchTable,
    TrunkTable,
)
from softswitch.ops.user_tables import GroupTable, RingGroupTable, UserTable
from softswitch.ops.values import HostPort, PortRange
from softswitch.plugin.numbering import Numbering
from softswitch.plugin.profile import DEFAULT, Profile
from softswitch.plugin.views import CallLimits, Forwarded, RingGroup, User
from softswitch.sip.digest import ha1
from softswitch.sip.parser import Limits
from softswitch.transport.handshake import WebSocketSettings
from softswitch.transport.listener import Listener
from softswitch.trunk.group import Trunk

ROOT = Path(__file__).parent.parent.parent
PACKAGED = ROOT / "softswitch" / "ops" / "softswitch.toml"

LISTEN = '[[listen]]\ntransport = "udp"\nbind = "127.33.1.1"\n'

WEB = '[[listen]]\ntransport = "ws"\n[listen.websocket]\n'


@pytest.fixture
def read(tmp_path: Path):
    """Reads a configuration given as text, with a listener in front."""

    def read(text: str, listen: str = LISTEN) -> Config:
        file = tmp_path / "switch.toml"
        file.write_text(f"{text}\n{listen}")
        return load(file, tmp_path)

    return read


def test_the_defaults_serve_two_phones_on_loopback_only():
    """Without a file: alice and bob may register over UDP and TCP at 127.0.0.1:5060, and nobody
    from elsewhere."""
    config = load()
    assert [(each.transport, each.bind_host, each.port) for each in config.listeners()] == [
        ("UDP", "127.0.0.1", 5060),
        ("TCP", "127.0.0.1", 5060),
    ]
    assert set(config.directory_of_users()) == {"alice", "bob"}
    assert {user.password for user in config.users.values()} == DEMONSTRATION
    assert [policy["use"] for policy in config.policy] == [
        *("trunks", "users", "registration", "forwarding", "located", "follow")
    ]


def test_a_token_is_wanted_but_of_who_tries_the_defaults(tmp_path: Path):
    """Without a file, and when the defaults are reloaded, this machine is trusted; whoever makes a
    copy of his own asks everybody for a token."""
    (copy := tmp_path / "my.toml").write_bytes(PACKAGED.read_bytes())
    assert [load(file).api.trust_loopback for file in (None, Path(load().file), copy)] == [
        *(True, True, False)
    ]
    assert [each.split()[0] for each in load(copy).warnings()] == [
        *("api.tokens:", "users.alice", "users.bob")
    ]


def test_the_copy_in_etc_is_the_one_in_the_package():
    """etc/softswitch.toml is what a wheel, which has no etc/, starts on."""
    assert (ROOT / "etc" / "softswitch.toml").read_bytes() == PACKAGED.read_bytes()


def test_the_commented_file_shows_every_key():
    """With every comment that holds a key or a table made real, nothing that a table may hold is
    missing."""
    document = tomllib.loads(re.sub(r"^#(?=[^ \n])", "", PACKAGED.read_text(), flags=re.MULTILINE))
    for name, shape in {
        "switch": SwitchTable,
        "auth": AuthTable,
        "dns": DnsTable,
        "dialog": Profile,
        "numbering": Numbering,
        "media": MediaTable,
        "store": StoreTable,
        "records": RecordsTable,
        "limits": LimitsTable,
        "fraud": FraudTable,
        "registration": RegistrationTable,
        "subscriptions": SubscriptionsTable,
        "door": DoorTable,
        "overload": OverloadTable,
        "log": LogTable,
        "metrics": MetricsTable,
        "flight": FlightTable,
        "hep": HepTable,
        "stir": StirTable,
        "api": ApiTable,
        "listen": ListenTable,
        "groups": GroupTable,
        "users": UserTable,
        "ring_groups": RingGroupTable,
        "trunks": TrunkTable,
    }.items():
        table = document.pop(name)
        nested = name in ("groups", "users", "ring_groups", "trunks")
        entries = table if name == "listen" else table.values() if nested else [table]
        shown = {key for entry in entries for key in entry}
        wanted = {
            field.name
            for field in attrs.fields(shape)
            if field.init and field.metadata.get("in_file", True)
        }
        assert shown == wanted, name
        if name == "api":
            assert set(table["tokens"][0]) == {field.name for field in attrs.fields(TokenTable)}
    assert set(document) == {"policy"}
    assert {policy["use"] for policy in document["policy"]} == {
        *("trunks", "users", "registration", "forwarding", "dialplan", "redirects", "located"),
        *("follow", "front", "rates", "ring_groups", "webhook"),
    }


@pytest.mark.parametrize(
    ("text", "key", "mend"),
    [
        ('[door]\nbanned=["192.0.2.0/24"]\ntrusted=["192.0.2.0/24"]', "door.banned[0]", "trusted"),
        ("[door]\nsignatures=['(']", "door.signatures[0]", "regular expression"),
        ("[door]\nscore_seconds=0", "door.score_seconds", "more than 0"),
        ('[door]\nbanned=["192.0.2.1/24"]', "door.banned", "host bits"),
        ('[door.firewall]\nban=["drop"]', "door.firewall.ban", "{address}"),
        ('[door.firewall]\ntable="filter"', "door.firewall.table", "inet filter"),
        ("[api]\nport=8060\nkey='x'", "api", "go together"),
        ("[api]\nchain='x'", "api.chain", "certificate"),
        ("[api]\nbind='0.0.0.0'\ntrust_loopback=true", "api.trust_loopback", "127.0.0.1"),
        ("[[api.tokens]]\nname='a'\nrole='view'\nhash='secret'", "api.tokens[0].hash", "token"),
        ("[[api.tokens]]\nname='a'\nrole='boss'\nhash=''", "api.tokens[0].role", "admin"),
        (
            f"[[api.tokens]]\nname='a'\nrole='view'\nexpires='never'\nhash='sha256:{'0' * 64}'",
            "api.tokens[0].expires",
            "2027-12-31",
        ),
        (
            f"[[api.tokens]]\nname='a'\nrole='view'\nhash='sha256:{'0' * 64}'\n"
            f"[[api.tokens]]\nname='b'\nrole='view'\nhash='sha256:{'0' * 64}'",
            "api.tokens[1].hash",
            "api.tokens[0]",
        ),
        ("[limits.connections]\nidle_seconds=0", "limits.connections.idle_seconds", "more than 0"),
    ],
)
def test_what_guards_the_switch_is_checked(tmp_path, text, key, mend):
    """A mistake is told with its key and what would be right."""
    file = tmp_path / "softswitch.toml"
    file.write_text(f'[[listen]]\ntransport = "udp"\n{text}\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert key in caught.value.where
    assert mend in caught.value.mend


def test_the_values_in_the_commented_file_are_the_defaults(read):
    """Tables that are shown with their defaults hold just these."""
    shown, silent = load(), read("")
    for name in (
        "auth",
        "dialog",
        "numbering",
        "media",
        "store",
        "records",
        "limits",
        "subscriptions",
        "stir",
    ):
        assert getattr(shown, name) == getattr(silent, name)
    assert shown.switch == attrs.evolve(silent.switch, realm="softswitch")


def test_a_listener_is_what_the_transport_takes(read):
    """Advertised address and port, media address, local networks and algorithms; the name is made
    of the rest where none is given."""
    config = read(
        "",
        """
        [[listen]]
        transport = "udp"
        bind = "::1"
        port = 5070
        advertise = "[2001:DB8::1]:5080"
        media_address = "2001:db8::2"
        local_networks = ["fd00::/8", "127.33.0.1"]
        algorithms = ["SHA-256", "MD5"]
        [[listen]]
        transport = "tcp"
        """,
    )
    assert config.listeners() == (
        Listener(
            "udp:[::1]:5070",
            "UDP",
            "::1",
            5070,
            "2001:db8::1",
            5080,
            "2001:db8::2",
            (ip_network("fd00::/8"), ip_network("127.33.0.1")),
            ("SHA-256", "MD5"),
        ),
        Listener("tcp:0.0.0.0:5060", "TCP", "0.0.0.0", 5060),
    )


def test_a_password_becomes_the_hashes_that_are_offered(read):
    """By every listener, or by the user's group; a warning names who has one (never the
    password)."""
    config = read(
        """
        [switch]
        domains = ["Example.ORG"]
        [auth]
        algorithms = ["SHA-256"]
        [groups.old]
        algorithms = ["MD5"]
        [users.a]
        password = "geheim"
        display = "A"
        [users.b]
        password = "geheim"
        group = "old"
        """
    )
    assert config.realm == "example.org"
    assert config.directory_of_users() == {
        "a": User("a", {"SHA-256": ha1("a", "example.org", "geheim", "SHA-256")}, "A"),
        "b": User("b", {"MD5": ha1("b", "example.org", "geheim", "MD5")}, "", "old"),
    }
    assert [warning.split()[0] for warning in config.warnings()] == ["users.a", "users.b"]
    assert "geheim" not in f"{config.warnings()} {config!r} {config.directory_of_users()!r}"


def test_where_a_users_calls_go(read):
    """Another user, or a SIP URI; a warning where no policy looks at it (issue 3)."""
    text = """
        [users.a]
        password = "geheim"
        forward_always = "b"
        forward_busy = "sip:x@example.org"
        forward_no_answer = "sip:+441234@carrier"
        forward_unreachable = "b"
        forward_after = 5
        [users]
        b = { password = "geheim" }
        [[policy]]
        use = "USE"
        """
    users = read(text.replace("USE", "forwarding")).directory_of_users()
    places = ("b", "sip:x@example.org", "sip:+441234@carrier", "b")
    assert users["a"].forwarded == Forwarded(*places, 5.0)
    assert users["a"].forwarded.places == places
    assert users["b"].forwarded.places == ()
    assert read(text.replace("USE", "forwarding").replace('"b"', '"c"')).warnings()[0] == (
        "users.a forwards calls to c, who is no user of this file; known: a, b"
    )
    warned = read(text.replace("USE", "located")).warnings()
    assert warned[0] == 'users.a forwards calls, but no [[policy]] uses "forwarding"'
    assert len(warned) == 3


def test_ring_groups_and_the_rest_of_a_user(read):
    """What the policies see of them; warnings where no policy rings a group, and for members whom
    the file does not know."""
    text = """
        [users.a]
        password = "geheim"
        do_not_disturb = "busy"
        disturbed_by = ["b"]
        max_calls = 3
        max_calls_in = 2
        max_calls_out = 1
        max_calls_status = 480
        [ring_groups.sales]
        members = ["a", "b"]
        strategy = "in-turn"
        ring_seconds = 7
        numbers = ["200"]
        otherwise = "sip:x@y.example"
        """
    config = read(text)
    user = config.directory_of_users()["a"]
    assert (user.do_not_disturb, user.disturbed_by) == ("busy", ("b",))
    assert user.limits == CallLimits(3, 2, 1, 480)
    group = RingGroup("sales", ("a", "b"), "in-turn", 7.0, ("200",), "sip:x@y.example")
    assert config.directory_of_ring_groups() == {"sales": group, "200": group}
    assert config.warnings()[:2] == [
        'ring_groups: no [[policy]] uses "ring_groups"',
        "ring_groups.sales rings or goes on to b, who is no user of this file;"
        " known: 200, a, sales",
    ]


def test_hashes_are_taken_as_they_are(read):
    """In lower case, as RFC 7616 3.3 writes them; no warning."""
    config = read(f'[users.100]\nha1 = {{ MD5 = "{"AB" * 16}" }}')
    assert config.directory_of_users() == {"100": User("100", {"MD5": "ab" * 16})}
    assert config.warnings() == []
    assert "abab" not in repr(config).lower()


def test_a_trunk_is_what_the_trunks_take(read):
    """Addresses in their order, transport, networks, credentials, fields."""
    config = read(
        """
        [trunks.pbx]
        addresses = ["PBX.example.org", "127.33.2.1:5070", "[::1]:5080"]
        transport = "tcp"
        networks = ["127.33.2.0/24"]
        username = "u"
        password = "p"
        realm = "r"
        headers = { X-Account = "1" }
        force_rport = true
        """
    )
    assert config.trunk_groups() == (
        Trunk(
            "pbx",
            ("pbx.example.org", "127.33.2.1:5070", "[::1]:5080"),
            "tcp",
            (ip_network("127.33.2.0/24"),),
            "u",
            "p",
            "r",
            {"X-Account": "1"},
            True,
        ),
    )


def test_a_trunk_and_a_group_differ_from_everybody(read):
    """``[dialog]`` is everybody's profile; what a trunk's or a group's own table does not hold is
    as there. Who has none, or is unknown, is treated as everybody (issue 3)."""
    config = read(
        """
        [dialog]
        refer = "refuse"
        crossing = ["Subject"]
        [groups.desk]
        [groups.desk.dialog]
        refer = "end"
        [groups.plain]
        algorithms = ["MD5"]
        [users]
        a = { password = "x", group = "desk" }
        b = { password = "x", group = "plain" }
        c = { password = "x" }
        [trunks.carrier]
        addresses = ["127.33.2.1"]
        [trunks.carrier.dialog]
        trusted = true
        session_expires = 1800
        """
    )
    everybody = Profile(refer="refuse", crossing=("Subject",))
    assert config.dialog == everybody
    assert config.profile_of("group", "desk") == attrs.evolve(everybody, refer="end")
    for kind, name in (("group", "plain"), ("group", ""), ("trunk", "?"), ("peer", "desk")):
        assert config.profile_of(kind, name) is config.dialog
    carrier = config.profile_of("trunk", "carrier")
    assert carrier == attrs.evolve(everybody, trusted=True, session_expires=1800)
    assert carrier is config.profile_of("trunk", "carrier")
    assert config.directory_of_users()["a"].ha1.keys() == {"MD5"}
    assert read("").dialog == DEFAULT


def test_the_rest_is_plain_values(read, tmp_path):
    """Limits per kind of transport, a port range in either spelling, paths from where the switch
    runs, policies with their options untouched."""
    config = read(
        """
        [switch]
        state_directory = "state"
        [limits]
        max_message_udp = 2000
        max_message_stream = 3000
        max_fields = 20
        [media]
        ports = [20000, 20100]
        [[policy]]
        use = "night"
        office = "100"
        """
    )
    assert config.datagram_limits() == Limits(2000, 20)
    assert config.stream_limits() == Limits(3000, 20)
    assert config.media.ports == PortRange(20000, 20100)
    assert config.state_directory == tmp_path / "state"
    assert config.policy == ({"use": "night", "office": "100"},)
    assert read('[media]\nports = "20000-20100"').media == config.media


def test_an_absolute_state_directory_stays(read):
    """A path that starts with a slash is taken as it is."""
    config = read('[switch]\nstate_directory = "/var/lib/softswitch"')
    assert config.state_directory == Path("/var/lib/softswitch")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("Sip.Example.org.", "sip.example.org", None),
        ("pbx1:5070", "pbx1", 5070),
        ("127.33.0.1:1", "127.33.0.1", 1),
        ("2001:DB8::1", "2001:db8::1", None),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("[2001:db8::1]:65535", "2001:db8::1", 65535),
    ],
)
def test_an_address_may_bear_a_port(read, text: str, host: str, port: int | None):
    """Names, IPv4 and IPv6 literals, with a port after a colon."""
    config = read("", f'{LISTEN}advertise = "{text}"')
    assert config.listen[0].advertise == HostPort(host, port)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[swich]", "swich: no such key; did you mean switch?"),
        ("[switch]\ndrain_second = 1", "switch.drain_second: no such key; did you mean drain_se"),
        ("[switch]\ndrain_seconds = -1", "switch.drain_seconds: a number of seconds, 0 or more"),
        ("[switch]\ndrain_seconds = true", "drain_seconds: a number of seconds"),
        ("[switch]\ntry_seconds = nan", "try_seconds: a number of seconds"),
        ("[switch]\nstop_on = [200]", "switch.stop_on[0]: a status from 300 to 699 is wanted"),
        ('[switch]\ndomains = "a.org"', "switch.domains: a list is wanted, not text"),
        ('[switch]\ndomains = ["sip:a.org"]', "switch.domains[0]: a host name or an address"),
        ('[switch]\ndomains = ["1.2.3.999"]', "switch.domains[0]: a host name or an address"),
        ('file = "x"', "file: no such key"),
        ('[auth]\nalgorithms = ["md5"]', 'auth.algorithms[0]: "MD5" or "SHA-256" or'),
        ("[auth]\nalgorithms = []", "auth.algorithms: at least one is wanted"),
        ("[groups.g]\nalgorithms = []", "groups.g.algorithms: at least one is wanted"),
        ("[users.a]", "users.a: either ha1 or password is wanted"),
        ("[users.a]\npassword = 1234", "users.a.password: text in quotes, not empty, is wanted"),
        ('[users."a@b"]\npassword = "x"', 'users."a@b": a user\'s name is the part'),
        ('[users.a]\nha1 = { MD5 = "xyz" }', "users.a.ha1.MD5: 32 hex digits are wanted"),
        ('[users.a]\nha1 = { MD4 = "xyz" }', "users.a.ha1"),
        (f'[users.a]\nha1 = {{ SHA-256 = "{"0" * 64}" }}', "users.a.ha1: a hash for MD5 is wanted"),
        ('[users.a]\npassword = "x"\ngroup = "g"', "users.a.group: no such group"),
        ('[users.a]\npassword = "x"\nforward_busy = "a"', "forward_busy: somebody else is wanted"),
        (
            '[users.a]\npassword = "x"\nforward_always = "a b"',
            "users.a.forward_always: a user or a SIP URI is wanted",
        ),
        ('[users.a]\npassword = "x"\nnumbers = ["1@b"]', "users.a.numbers[0]: a number or name"),
        (
            '[users.a]\npassword = "x"\ndo_not_disturb = "no"',
            'users.a.do_not_disturb: "" or "busy" or "unavailable" is wanted',
        ),
        ('[users.a]\npassword = "x"\nmax_calls_in = -1', "users.a.max_calls_in: a number of calls"),
        (
            '[users.a]\npassword = "x"\nmax_calls_status = 503',
            "users.a.max_calls_status: 486 or 480 is wanted",
        ),
        ("[ring_groups.s]", "ring_groups.s.members: is required"),
        ("[ring_groups.s]\nmembers = []", "ring_groups.s.members: at least one is wanted"),
        ('[ring_groups.s]\nmembers = [""]', "ring_groups.s.members[0]: a user or a SIP URI"),
        ('[ring_groups.s]\nmembers = ["s"]', "ring_groups.s.members[0]: somebody else is wanted"),
        ('[ring_groups.s]\nmembers = ["a", "tel:1"]', "members[1]: a SIP URI is wanted"),
        ('[ring_groups."s:"]\nmembers = ["a"]', "a group's name is the part of an address"),
        (
            '[ring_groups.s]\nmembers = ["a"]\nnumbers = ["1 2"]',
            "ring_groups.s.numbers[0]: a number or name",
        ),
        ('[ring_groups.s]\nmembers = ["a"]\notherwise = "s"', "otherwise: somebody else is wanted"),
        (
            '[ring_groups.s]\nmembers = ["a"]\nring_seconds = 0',
            "ring_groups.s.ring_seconds: more than 0 seconds are wanted",
        ),
        (
            '[ring_groups.s]\nmembers = ["a"]\nstrategy = "any"',
            'strategy: "all" or "in-turn" or "random" or "longest-idle" is wanted',
        ),
        (
            '[users]\na = { password = "x" }\n[ring_groups.s]\nmembers = ["a"]\nnumbers = ["a"]',
            "ring_groups.s.numbers[0]: a is taken by users.a",
        ),
        (
            '[users.a]\npassword = "x"\nnumbers = ["1", "1"]',
            "users.a.numbers[1]: 1 is taken by users.a.numbers[0]",
        ),
        (
            '[users]\na = { password = "x", numbers = ["b"] }\nb = { password = "x" }',
            "users.a.numbers[0]: b is taken by users.b",
        ),
        ('[users.a]\npassword = "x"\nforward_busy = "sip:"', "forward_busy: unfit URI"),
        ('[users.a]\npassword = "x"\nforward_busy = "tel:1"', "a SIP URI is wanted"),
        ('[users.a]\npassword = "x"\nforward_after = 0', "more than 0 seconds are wanted"),
        ('[trunks.t]\naddresses = ["a:b"]', "trunks.t.addresses[0]: a port from 1 to 65535"),
        ('[trunks.t]\naddresses = ["a:70000"]', "trunks.t.addresses[0]: a port from 1 to 65535"),
        ("[trunks.t]\naddresses = []", "trunks.t.addresses: at least one address is wanted"),
        ("[trunks.t]", "trunks.t.addresses: at least one address is wanted, here or in members"),
        (
            '[trunks.t]\naddresses = ["a"]\ntransport = "UDP"',
            'transport: "udp" or "tcp" or "tls" is wanted',
        ),
        ('[trunks.t]\naddresses = ["a"]\nusername = "u"', "username and password go together"),
        ('[trunks.t]\naddresses = ["a"]\nheaders = { Via = "x" }', "trunks.t: header Via"),
        ('[trunks.t]\naddresses = ["a"]\nnetworks = ["10.0.0.1/8"]', "it has host bits set"),
        ("[dialog]\nrefers = 1", "dialog.refers: no such key; did you mean refer?"),
        ('[dialog]\nrefer = "drop"', 'dialog.refer: "relay" or "end" or "refuse" is wanted'),
        ("[dialog]\ntrusted = 1", "dialog.trusted: true or false is wanted"),
        ("[dialog]\nmin_se = 60", "dialog: min_se: 90 seconds or more are wanted"),
        ("[dialog]\nsession_expires = 80", "dialog: session_expires: 0, or at least min_se (90)"),
        ("[dialog]\nprobe_seconds = -1", "dialog: probe_seconds: a number of seconds, 0 or more"),
        ('[dialog]\ncrossing = ["a b"]', "dialog: crossing: names of header fields are wanted"),
        ('[dialog]\ncrossing = ["via"]', "dialog: crossing: whether Via crosses is not on this"),
        ('[dialog]\ncrossing = ["Privacy"]', "crossing: whether Privacy crosses is not on this"),
        ("[dialog]\ncrosses = {}", "dialog.crosses: no such key"),
        ("[groups.g.dialog]\ninfos = 1", "groups.g.dialog.infos: no such key; did you mean info?"),
        ("[groups.g]\ndialog = 1", "groups.g.dialog: a table is wanted, not 1"),
        (
            '[trunks."a b"]\naddresses = ["a"]\ndialog = { early = "all" }',
            'trunks."a b".dialog.early: "one" or "each" is wanted',
        ),
        (
            "[dialog]\nsession_expires = 100\n[groups.g.dialog]\nmin_se = 200",
            "groups.g.dialog: session_expires: 0, or at least min_se (200), is wanted",
        ),
        ("[[policy]]", "policy[0].use: the name of a policy, in quotes, is wanted"),
        ("[[policy]]\nuse = 3", "policy[0].use: the name of a policy, in quotes, is wanted"),
        ('[media]\nengine = "mixer"', 'media.engine: "relay" or "rtpengine" or "bypass" is'),
        ('[media]\nports = "2000"', 'media.ports: a range such as "16384-32767"'),
        ('[media]\nports = "30000-20000"', "media.ports: a range such as"),
        ("[media]\nports = [20000, true]", "media.ports: a range such as"),
        ("[limits]\nmax_fields = 1.5", "limits.max_fields: a whole number of at least 1"),
    ],
)
def test_a_mistake_names_file_and_key_and_what_would_be_right(read, text: str, mistake: str):
    """In one line, for whatever is wrong (issue 2, configuration)."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    told = str(caught.value)
    assert "switch.toml: " in told
    assert mistake in told
    assert "\n" not in told
    assert "1234" not in told


@pytest.mark.parametrize(
    ("listen", "mistake"),
    [
        ("", "listen: at least one [[listen]] table is wanted"),
        ("[listen]", "listen: a list is wanted, not a table"),
        ("[[listen]]", "listen[0].transport: is required"),
        ('[[listen]]\ntransport = "sctp"', 'listen[0].transport: "udp" or "tcp" or'),
        (
            "[media]\ndscp = 64",
            "media.dscp: a code point from 0 to 63 is wanted",
        ),
        (f"{LISTEN}port = 70000", "listen[0].port: a port from 1 to 65535 is wanted, not 70000"),
        (f'{LISTEN}port = "5060"', "listen[0].port: a port from 1 to 65535 is wanted"),
        ('[[listen]]\ntransport = "udp"\nbind = "lo"', "listen[0].bind: an IPv4 or IPv6 address"),
        (f'{LISTEN}advertise = "a b"', "listen[0].advertise: a host name or an address"),
        (f'{LISTEN}media_address = "a.org"', "listen[0].media_address: an IPv4 or IPv6 address"),
        (f"{LISTEN}{LISTEN}", "listen[1].name: udp:127.33.1.1:5060 is taken by listen[0].name"),
        (f"{LISTEN}websocket = {{}}", 'listen[0].websocket: goes with transport = "ws" or "wss"'),
        (f'{WEB}path = "sip"', 'listen[0].websocket.path: a path such as "/sip" is wanted'),
        (f'{WEB}path = "/a b"', 'listen[0].websocket.path: a path such as "/sip" is wanted'),
        (
            f'{WEB}origins = ["phone.example.org"]',
            "listen[0].websocket.origins[0]: an origin such as",
        ),
        (
            '[[listen]]\ntransport = "tcp"\n[[listen]]\ntransport = "ws"',
            "listen[1].port: tcp 0.0.0.0:5060 is taken by listen[0].port",
        ),
        (
            f'{LISTEN}name = "a"\n{LISTEN}name = "b"',
            "listen[1].port: udp 127.33.1.1:5060 is taken by listen[0].port",
        ),
    ],
)
def test_a_mistake_in_a_listener_is_told(read, listen: str, mistake: str):
    """The same for what is served, single or twice."""
    with pytest.raises(ConfigError) as caught:
        read("", listen)
    assert mistake in str(caught.value)


def test_a_password_that_everybody_knows_serves_loopback_only(read):
    """The demonstration's users cannot be opened to the network by changing an address alone."""
    text = '[users.alice]\npassword = "alice-demo"'
    assert read(text).users
    with pytest.raises(ConfigError, match=r"users\.alice\.password: everybody knows this one"):
        read(text, '[[listen]]\ntransport = "udp"')


def test_a_slip_of_syntax_is_told_with_its_line(tmp_path):
    """TOML's own message, with line and column."""
    (file := tmp_path / "x.toml").write_text("[switch]\nrealm = \n")
    with pytest.raises(ConfigError, match=r"x\.toml: is no TOML: .*line 2"):
        load(file)


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    """Missing, a folder, no UTF-8."""
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)
    (file := tmp_path / "x.toml").write_bytes(b'realm = "\xff"')
    with pytest.raises(ConfigError, match=r"x\.toml: UTF-8 text is wanted"):
        load(file)


def test_a_listener_for_web_pages(read):
    """What it says of its WebSockets is what the transport is given, origins in one spelling; the
    rest is the default."""
    origin = "https://Phone.example.org"
    said = f'path = "/sip"\norigins = ["{origin}"]\nping_seconds = 0\nwebrtc = false'
    config = read("", f"{WEB}{said}")
    [listener] = config.listeners()
    assert listener.transport == "WS"
    assert listener.websocket == WebSocketSettings(
        "/sip", ("https://phone.example.org:443",), 0.0, 10.0, 5.0
    )
