"""Who may come in, before a message is read: bans, buckets, points. RFC 3261 26.3.2.4."""

import pytest

from softswitch.flow import Flow
from softswitch.testing.clock import VirtualClock
from softswitch.transport import bans as bans_module
from softswitch.transport import strangers as strangers_module
from softswitch.transport.bans import Ban, Bans
from softswitch.transport.door import REMEMBERED, Door, DoorSettings, Standing
from softswitch.transport.networks import Networks, network_of, source_of

KNOWN, STRANGER, TURNED_AWAY = Standing.KNOWN, Standing.STRANGER, Standing.TURNED_AWAY
HOST = "192.0.2.1"
OPTIONS = b"OPTIONS sip:a@b SIP/2.0\r\nUser-Agent: %s\r\n\r\nUser-Agent: friendly-scanner"


class Phones:
    """Where phones are registered."""

    def __init__(self, *addresses):
        self.addresses = addresses

    def at(self, host, port):
        return (host, port) in self.addresses

    def from_host(self, host):
        return any(host == known for known, _ in self.addresses)


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def make_door(clock):
    def make(*trusted, **settings):
        return Door(clock, DoorSettings(**settings), map(network_of, trusted))

    return make


def flow(host=HOST, port=5060, transport="UDP"):
    return Flow("udp", transport, "10.0.0.1", 5060, host, port, transport != "UDP")


def send(door, count=1, host=HOST, port=5060, data=b"OPTIONS"):
    """How each of so many datagrams stands."""
    return [door.standing(host, port, data) for _ in range(count)]


def test_a_bucket_for_each_stranger(make_door, clock):
    """A stranger may send a burst, then so much per second; another has a bucket of his own."""
    door = make_door(per_second=10, burst=5, ban_score=0)
    assert send(door, 7) == [STRANGER] * 5 + [TURNED_AWAY] * 2
    assert send(door, 1, "192.0.2.2") == [STRANGER]
    clock.run(0.2)
    assert send(door, 3) == [STRANGER] * 2 + [TURNED_AWAY]
    clock.run(100)
    assert send(door, 6) == [STRANGER] * 5 + [TURNED_AWAY]
    assert door.counters == {"dropped: too many from one source": 4}


def test_an_ipv6_network_is_one_stranger(make_door):
    """Who has one address of a /64 has all of them, and shares one bucket and one ban."""
    door = make_door(burst=2, ban_score=1)
    standings = [send(door, 1, f"2001:db8::{number}")[0] for number in (1, 2, 3, 4)]
    assert standings == [STRANGER, STRANGER, TURNED_AWAY, TURNED_AWAY]
    assert [ban.network for ban in door.bans.all()] == ["2001:db8::/64"]
    assert send(door, 1, "2001:db8:0:1::1") == [STRANGER]


def test_all_strangers_share_a_bucket(make_door, clock):
    """However many addresses an attacker has, no more than so many messages are read per second;
    what one sends beyond his own bucket does not count there."""
    door = make_door(burst=2, strangers_per_second=10)
    send(door, 50)
    standings = [send(door, 1, f"198.51.100.{number}")[0] for number in range(20)]
    assert standings == [STRANGER] * 8 + [TURNED_AWAY] * 12
    clock.run(1)
    assert send(door, 1, "198.51.100.19") == [STRANGER]


def test_no_more_than_so_many_strangers_are_remembered(make_door, clock, monkeypatch):
    """Ten million sources take the memory of a few; who keeps on sending is not forgotten."""
    monkeypatch.setattr(strangers_module, "MOST", 100)
    door = make_door(per_second=1, burst=2, strangers_per_second=0, ban_score=0)
    send(door, 3)
    for number in range(2000):
        send(door, 1, f"10.{number // 256}.{number % 256}.1")
        if number % 50 == 0:
            assert send(door) == [TURNED_AWAY]
        clock.run(0.0001)
    assert len(door._strangers) == 100


@pytest.mark.parametrize("why", ["trusted", "called", "proved", "registered"])
def test_who_is_known_comes_in(make_door, why):
    """A trunk's network, a host that we call, an address that proved a password or has a phone:
    its messages are not counted."""
    door = make_door(*(["192.0.2.0/31"] if why == "trusted" else []), burst=1)
    if why == "called":
        door.called(HOST)
    elif why == "proved":
        door.proved(flow())
    elif why == "registered":
        door.registered = Phones((HOST, 5060))
    assert send(door, 1000) == [KNOWN] * 1000
    other_port = [KNOWN] * 2 if why in ("trusted", "called") else [STRANGER, TURNED_AWAY]
    assert send(door, 2, port=5070) == other_port


def test_what_was_proved_is_forgotten(make_door, clock):
    """After ten minutes without another proof, or call, an address is a stranger's again."""
    door = make_door()
    door.proved(flow())
    door.called("192.0.2.2")
    clock.run(REMEMBERED - 1)
    door.proved(flow())
    clock.run(2)
    assert send(door) == [KNOWN]
    assert send(door, 1, "192.0.2.2") == [STRANGER]


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.0/24"),
        ("192.0.2.7", "128.0.0.0/1"),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::/32"),
    ],
)
def test_a_ban_by_command(make_door, clock, host, network):
    """An address or a network is banned for a time or for ever, and the ban is lifted; those who
    remember flows are told."""
    door = make_door()
    told = []
    door.changed.append(lambda: told.append(clock.seconds()))
    assert send(door, 1, host) == [STRANGER]
    ban = door.ban(network, 60, "by hand")
    assert ban is not None
    assert (ban.until, ban.by) == (60, "command")
    assert told
    assert send(door, 1, host) == [TURNED_AWAY]
    assert not door.accepts(host)
    clock.run(60)
    assert send(door, 1, host) == [STRANGER]
    door.ban(network, None, "by hand")
    clock.run(10**9)
    assert send(door, 1, host) == [TURNED_AWAY]
    lifted = door.lift(network)
    assert lifted is not None
    assert send(door, 1, host) == [STRANGER]
    assert door.lift(network) is None


def test_a_command_bans_phones_too(make_door):
    """The operator's word counts more than a registration or a password: the account may be
    stolen. But what he trusts, he cannot ban."""
    door = make_door("192.0.2.128/25")
    door.registered = Phones((HOST, 5060))
    door.proved(flow())
    door.called(HOST)
    assert door.ban("192.0.2.0/24", None, "stolen") is not None
    assert send(door) == [TURNED_AWAY]
    assert send(door, 1, "192.0.2.200") == [KNOWN]
    assert door.ban("192.0.2.200", None, "mistake") is None
    with pytest.raises(ValueError, match="network"):
        door.ban("nonsense", None, "mistake")


def test_bans_of_the_configuration(make_door):
    """They never end, and come and go with it; one that the command made stays."""
    door = make_door()
    door.ban("198.51.100.1", None, "by hand")
    door.ban_configured([network_of("192.0.2.0/24"), network_of("203.0.113.0/24")])
    assert send(door) == [TURNED_AWAY]
    door.ban_configured([network_of("203.0.113.0/24")])
    assert send(door) == [STRANGER]
    assert {ban.network for ban in door.bans.all()} == {"198.51.100.1/32", "203.0.113.0/24"}


def test_a_flood_is_banned(make_door, clock):
    """5,000 messages in a second: after the burst and a hundred more there is a ban, short because
    anybody may have sent them; it comes again as long as they come."""
    door = make_door()
    made = []
    door.bans.made.append(made.append)
    for _ in range(5000):
        send(door)
        clock.run(0.0002)
    (ban,) = made
    assert (ban.network, ban.why, ban.proven) == (HOST, "flood", False)
    assert ban.at < 0.1
    assert ban.until == pytest.approx(ban.at + 60)
    clock.run(60)
    assert send(door) == [STRANGER]


@pytest.mark.parametrize("name", ["friendly-scanner", "Friendly-Scanner/1.0", "x sipcli/v1.8"])
def test_a_scanner_is_banned_at_once(make_door, name):
    """Its first message is not answered, and not read."""
    door = make_door(scanners=("friendly-scanner", "sipcli"))
    assert send(door, data=OPTIONS % name.encode()) == [TURNED_AWAY]
    assert send(door, data=OPTIONS % b"good phone") == [TURNED_AWAY]
    assert door.bans.all()[0].why == "scanner"


def test_scanners_are_sought_in_the_header_alone(make_door):
    """What a body says, or another field, bans nobody; nor does an empty list."""
    door = make_door(scanners=("friendly-scanner",))
    assert send(door, data=OPTIONS % b"good phone") == [STRANGER]
    assert send(door, data=b"MESSAGE\r\nSubject: friendly-scanner\r\n\r\n") == [STRANGER]
    assert send(make_door(), data=OPTIONS % b"friendly-scanner") == [STRANGER]


def test_a_signature_is_a_line(make_door):
    """A regular expression that a header line begins with."""
    door = make_door(signatures=(r"Call-ID: [0-9]{24}\r?$",))
    assert send(door, data=b"OPTIONS\r\nCall-ID: 1@host\r\n\r\n") == [STRANGER]
    assert send(door, data=b"OPTIONS\r\nCall-ID: 123456789012345678901234\r\n\r\n") == [TURNED_AWAY]


@pytest.mark.parametrize(
    ("done", "times"),
    [
        (lambda door, flow: door.failed(flow, False), 10),
        (lambda door, flow: door.refused(flow, 404), 20),
        (lambda door, flow: door.refused(flow, 401), 100),
        (lambda door, flow: door.malformed(flow), 20),
        (lambda door, flow: door.refused(flow, 503), None),
    ],
)
def test_what_counts_how_much(make_door, done, times):
    """Ten failed logins, twenty refused requests or unreadable messages, a hundred challenges that
    nobody answered; what we cannot serve counts for nothing."""
    door = make_door()
    for _ in range((times or 1000) - 1):
        done(door, flow())
    assert len(door.bans) == 0
    done(door, flow())
    assert len(door.bans) == (times is not None)


def test_points_flow_off(make_door, clock):
    """A phone with a wrong password that asks every thirty seconds is never banned."""
    door = make_door()
    for _ in range(200):
        door.refused(flow(), 401)
        door.failed(flow(), True)
        clock.run(36)
    assert len(door.bans) == 0


def test_a_right_password_wipes_the_slate(make_door):
    """Hundreds of phones may register through one address: each challenge is answered."""
    door = make_door()
    for port in range(1000):
        door.refused(flow(port=port), 401)
        door.proved(flow(port=port))
    assert len(door.bans) == 0


@pytest.mark.parametrize(
    ("proven", "transport", "seconds"),
    [(True, "UDP", 3600), (False, "TCP", 3600), (False, "UDP", 60)],
)
def test_a_long_ban_wants_evidence(make_door, proven, transport, seconds):
    """That the source is real: a connection, or our challenge that went there and came back."""
    door = make_door()
    for _ in range(10):
        door.failed(flow(transport=transport), proven)
    assert door.bans.all()[0].until == seconds


@pytest.mark.parametrize("why", ["trusted", "called", "registered", "proved"])
def test_a_forged_source_bans_nobody_who_is_known(make_door, why):
    """Whoever writes a trunk's address into his datagrams, or that of a phone's host, has it
    throttled at most: where the trunk's messages come in, and the phone's."""
    door = make_door(*([HOST] if why == "trusted" else []), scanners=("friendly-scanner",))
    door.registered = Phones((HOST, 5060)) if why == "registered" else door.registered
    if why == "called":
        door.called(HOST)
    elif why == "proved":
        door.proved(flow())
    send(door, 1000, port=6666, data=OPTIONS % b"friendly-scanner")
    for _ in range(100):
        door.malformed(flow(port=6666))
        door.failed(flow(port=6666), False)
    assert len(door.bans) == 0
    assert send(door) == [KNOWN]


def test_who_proved_one_password_and_guesses_others_is_banned(make_door, clock):
    """A password of one's own buys no right to try those of others."""
    door = make_door()
    told = []
    door.changed.append(lambda: told.append(True))
    door.proved(flow())
    for _ in range(10):
        door.failed(flow(), True)
    assert told
    assert send(door) == [TURNED_AWAY]


def test_no_points_no_ban(make_door):
    """With ``ban_score`` 0 a flood is held back, and nobody is banned."""
    door = make_door(ban_score=0)
    send(door, 5000)
    for _ in range(1000):
        door.failed(flow(), True)
    assert len(door.bans) == 0


def test_other_settings(make_door, clock):
    """Under other settings the bans stay, but for one of what is trusted from now on."""
    door = make_door()
    door.ban(HOST, None, "mistake")
    door.ban("198.51.100.1", None, "right")
    door.renew(DoorSettings(burst=1), [network_of(HOST)])
    assert send(door, 2) == [KNOWN] * 2
    assert send(door, 1, "198.51.100.1") == [TURNED_AWAY]
    assert send(door, 2, "198.51.100.2") == [STRANGER, TURNED_AWAY]


def test_bans_are_bounded(clock, monkeypatch):
    """Forged sources fill the list up to a bound; proven ones and the operator's find room."""
    monkeypatch.setattr(bans_module, "MOST", 3)
    bans = Bans(clock.seconds)
    forged = [Ban(f"10.0.0.{number}", 60.0, "flood", proven=False) for number in range(5)]
    assert [bans.put(ban) for ban in forged] == [True, True, True, False, False]
    assert bans.put(Ban("192.0.2.1", 3600.0, "failed logins"))
    assert len(bans) == 3
    assert bans.find("192.0.2.1") is not None
    assert bans.put(Ban("192.0.2.2", None, "by hand", "command"))
    clock.run(60)
    bans.sweep()
    assert len(bans) == 2


def test_bans_are_restored(clock):
    """Those that have not ended; the firewall is told nothing that it was told before."""
    bans = Bans(clock.seconds)
    told = []
    bans.made.append(told.append)
    clock.run(100)
    kept = [
        Ban("192.0.2.1", 99.0, "a"),
        Ban("192.0.2.2", 101.0, "b"),
        Ban("2001:db8::/64", None, "c"),
    ]
    assert bans.restore(kept) == 2
    assert {ban.network for ban in bans.all()} == {"192.0.2.2", "2001:db8::/64"}
    assert not told


def test_the_narrowest_network_counts():
    """Of several that hold an address; an address of another family, or a name, is in none."""
    networks = Networks()
    for text in ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "2001:db8::/32"):
        networks.put(network_of(text), text)
    found = {host: networks.find(host) for host in ("10.1.2.3", "10.1.9.9", "10.9.9.9", "11.0.0.1")}
    assert list(found.values()) == ["10.1.2.3", "10.1.0.0/16", "10.0.0.0/8", "0.0.0.0/0"]
    assert networks.find("2001:db8::1") == "2001:db8::/32"
    assert networks.find("2001:db9::1") is None
    assert networks.find("example.org") is None
    assert networks.pop(network_of("0.0.0.0/0")) == "0.0.0.0/0"
    assert networks.find("11.0.0.1") is None
    assert len(networks) == 4
    assert len(list(networks)) == 4


def test_sources():
    """An IPv4 address is itself, an IPv6 address its network, a zone apart."""
    assert source_of("192.0.2.1") == "192.0.2.1"
    assert source_of("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64"
    assert source_of("fe80::1%eth0") == "fe80::/64"


def test_a_clock_that_is_set_back_turns_nobody_away():
    """The bucket loses nothing by it."""
    bucket = strangers_module.Bucket(10, 1000.0)
    assert bucket.take(1000.0, 10, 10)
    assert bucket.take(900.0, 10, 10)
    assert bucket.take(900.1, 10, 10)
