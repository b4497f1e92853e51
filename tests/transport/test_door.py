"""Who may come in, before a message is read: bans, buckets, points. RFC 3261 26.3.2.4."""

import pytest

from softswitch.flow import Flow
from softswitch.testing.clock import VirtualClock
from softswitch.transport import bans as bans_module
from softswitch.transport import guesses as guesses_module
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
        return any(source_of(host) == source_of(known) for known, _ in self.addresses)


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
    assert len(door._strangers[False]) == 100


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
        (lambda door, flow: door.failed(flow, "bob", False), 10),
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
        door.failed(flow(), "bob", True)
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
        door.failed(flow(transport=transport), "bob", proven)
    assert door.bans.all()[0].until == seconds


@pytest.mark.parametrize(("host", "forged"), [(HOST, HOST), ("2001:db8::1", "2001:db8::2")])
@pytest.mark.parametrize("why", ["trusted", "called", "registered", "proved"])
def test_a_forged_source_bans_nobody_who_is_known(make_door, why, host, forged):
    """Whoever writes a trunk's address into his datagrams, or that of a phone's host, or another
    one of its /64, has it throttled at most: where the trunk's messages come in, and the phone's;
    and others there can connect."""
    trusted = [str(network_of(source_of(host)))] if why == "trusted" else []
    door = make_door(*trusted, scanners=("friendly-scanner",))
    door.registered = Phones((host, 5060)) if why == "registered" else door.registered
    if why == "called":
        door.called(host)
    elif why == "proved":
        door.proved(flow(host))
    send(door, 1000, forged, port=6666, data=OPTIONS % b"friendly-scanner")
    for _ in range(100):
        door.malformed(flow(forged, 6666))
        door.failed(flow(forged, 6666), "bob", False)
    assert len(door.bans) == 0
    assert send(door, host=host) == [KNOWN]
    assert door.accepts(forged)


def test_a_forger_leaves_no_points_behind(make_door):
    """However near to a ban he has brought a host, one mistake that the host itself makes later is
    one mistake; and what it has proved against itself, no forger's ban wipes out."""
    door = make_door()
    for _ in range(9):
        door.failed(flow(), "bob", False)
    door.failed(flow(), "bob", True)
    assert len(door.bans) == 0
    door.failed(flow(), "bob", False)
    (ban,) = door.bans.all()
    assert (ban.why, ban.proven) == ("failed logins", False)
    for _ in range(8):
        door.failed(flow(), "bob", True)
    assert not door.bans.all()[0].proven
    door.failed(flow(), "bob", True)
    assert door.bans.all()[0].proven


def test_a_forger_takes_nobodys_tokens(make_door):
    """However many datagrams he sends in a host's name, or in everybody's: whoever is there can
    connect, and what he says on his connection is read."""
    door = make_door(burst=5, strangers_per_second=20, scanners=("friendly-scanner",))
    send(door, 1000)
    send(door, 1, data=OPTIONS % b"friendly-scanner")
    for number in range(200):
        send(door, 1, f"198.51.100.{number}")
    assert send(door) == [TURNED_AWAY]
    assert [ban.proven for ban in door.bans.all()] == [False]
    assert door.accepts(HOST)
    assert not door.bars(HOST)
    said = [door.standing(HOST, 5060, b"OPTIONS", proven=True) for _ in range(5)]
    assert said == [STRANGER] * 4 + [TURNED_AWAY]


def test_an_office_may_connect_with_all_its_phones(make_door):
    """The first challenge on a connection counts for nothing; more of them do, unless a password is
    proved meanwhile, and they are evidence."""
    door = make_door()
    for serial in range(1, 1000):
        door.refused(flow(transport="TCP")._replace(serial=serial), 401)
    assert len(door.bans) == 0
    for _ in range(99):
        door.refused(flow(transport="TCP"), 401)
    assert len(door.bans) == 0
    door.refused(flow(transport="TCP"), 401)
    assert [ban.proven for ban in door.bans.all()] == [True]


def test_whom_we_call_is_banned_no_longer(make_door):
    """By score: his answers are to come in. What the operator has ordered stays."""
    door = make_door(scanners=("friendly-scanner",))
    lifted = []
    door.bans.lifted.append(lifted.append)
    for host in (HOST, "2001:db8::1"):
        send(door, 1, host, data=OPTIONS % b"friendly-scanner")
        assert send(door, 1, host) == [TURNED_AWAY]
        door.called(host)
        assert send(door, 1, host) == [KNOWN]
    assert len(lifted) == 2
    door.ban(HOST, None, "by hand")
    door.called(HOST)
    assert send(door) == [TURNED_AWAY]


def test_a_ban_by_command_does_not_shorten_the_configurations(make_door, clock):
    """What the configuration bans stays banned for ever, whatever a command says of its time."""
    door = make_door()
    door.ban_configured([network_of("192.0.2.0/24")])
    kept = door.ban("192.0.2.0/24", 60, "by hand")
    assert kept is not None
    assert (kept.by, kept.until) == ("configuration", None)
    clock.run(61)
    assert send(door) == [TURNED_AWAY]


def test_what_is_over_is_forgotten(make_door, clock):
    """A sweep leaves nothing of passwords proved, and hosts called, long ago."""
    door = make_door()
    for number in range(100):
        door.proved(flow(f"2001:db8::{number}"))
        door.called(f"2001:db8:1::{number}")
    clock.run(REMEMBERED / 2)
    door.proved(flow("2001:db8::1"))
    clock.run(REMEMBERED / 2)
    door.sweep()
    assert (len(door._proved), len(door._called)) == (1, 0)
    clock.run(REMEMBERED / 2)
    door.sweep()
    assert len(door._proved) == 0


def test_who_proved_one_password_and_guesses_others_is_banned(make_door, clock):
    """A password of one's own buys no right to try those of others."""
    door = make_door()
    told = []
    door.changed.append(lambda: told.append(True))
    door.proved(flow())
    for _ in range(10):
        door.failed(flow(), "bob", True)
    assert told
    assert send(door) == [TURNED_AWAY]


def test_no_more_than_so_many_guesses_are_remembered(make_door, monkeypatch):
    """However many names somebody makes up, and however long."""
    monkeypatch.setattr(guesses_module, "MOST", 100)
    door = make_door(ban_score=0)
    for number in range(1000):
        door.failed(flow(), "x" * 100 + str(number), True)
        door.failed(flow(), f"{number}", True)
    assert len(door._guesses) == 100
    assert door.doubts(flow(), "999")
    assert not door.doubts(flow(), "1")
    assert door.doubts(flow(), "x" * 64)


def test_no_points_no_ban(make_door):
    """With ``ban_score`` 0 a flood is held back, and nobody is banned."""
    door = make_door(ban_score=0)
    send(door, 5000)
    for _ in range(1000):
        door.failed(flow(), "bob", True)
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


@pytest.mark.parametrize("place", ["10.0.0.{}", "2001:db8:0:{}::/64"])
def test_bans_are_bounded(clock, monkeypatch, place):
    """Of the forged sources as many are banned as the bound says, the latest; they push out none
    that is proven, nor do proven ones push out what the operator has ordered."""
    monkeypatch.setattr(bans_module, "MOST", 3)
    bans = Bans(clock.seconds)
    forged = [Ban(place.format(number), 60.0, "flood", proven=False) for number in range(5)]
    caught = [Ban(f"192.0.2.{number}", 3600.0, "failed logins") for number in range(5)]
    bans.put(Ban("198.51.100.1", None, "by hand", "command"))
    for ban in (*caught, *forged):
        assert bans.put(ban)
    found = {ban.network for ban in bans.all()}
    kept = {ban.network for ban in (*caught[2:], *forged[2:])}
    assert found == {*kept, "198.51.100.1"}
    clock.run(60)
    bans.sweep()
    assert len(bans) == 4


def test_a_full_list_costs_nothing_more(clock, monkeypatch):
    """A further ban does not look at all others, or an attacker with many sources would have the
    switch do nothing else."""
    monkeypatch.setattr(bans_module, "MOST", 3)
    bans = Bans(clock.seconds)

    def swept():
        raise AssertionError("the whole list was looked at")

    monkeypatch.setattr(bans, "sweep", swept)
    for number in range(9):
        assert bans.put(Ban(f"10.0.0.{number}", 60.0, "flood", proven=False))
    assert len(bans) == 3


def test_a_score_never_shortens_a_ban(clock):
    """Neither one that was ordered, nor one that is proven by one that may be forged; but when
    that is over, it does."""
    bans = Bans(clock.seconds)
    assert bans.put(Ban("192.0.2.1", None, "by hand", "command"))
    assert bans.put(Ban("192.0.2.2", 3600.0, "failed logins"))
    assert not bans.put(Ban("192.0.2.1", 60.0, "flood"))
    assert not bans.put(Ban("192.0.2.2", 60.0, "flood", proven=False))
    assert bans.put(Ban("192.0.2.2", 7200.0, "failed logins"))
    clock.run(7200)
    assert bans.put(Ban("192.0.2.2", 7260.0, "flood", proven=False))
    assert {ban.network: ban.ends() for ban in bans.all()} == {
        "192.0.2.1": float("inf"),
        "192.0.2.2": 7260.0,
    }


def test_a_wide_ban_is_not_covered_by_a_narrow_one(make_door):
    """Who is called or registered comes in where his /64 was banned by score; where the operator
    has banned the network around it, he does not."""
    door = make_door(scanners=("friendly-scanner",))
    send(door, 1, "2001:db8::1", data=OPTIONS % b"friendly-scanner")
    door.registered = Phones(("2001:db8::2", 5060))
    assert send(door, 1, "2001:db8::2") == [KNOWN]
    assert send(door, 1, "2001:db8::1") == [TURNED_AWAY]
    door.ban("2001:db8::/32", None, "by hand")
    assert send(door, 1, "2001:db8::2") == [TURNED_AWAY]
    assert not door.accepts("2001:db8::2")


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


def test_what_the_configuration_bans_by_now_is_not_restored(clock):
    """A command had banned it for an hour, and the configuration does for ever."""
    bans = Bans(clock.seconds)
    bans.put(Ban("192.0.2.0/24", None, "configuration", "configuration"))
    assert bans.restore([Ban("192.0.2.0/24", 3600.0, "by hand", "command")]) == 0
    (ban,) = bans.all()
    assert ban.by == "configuration"


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


def test_networks_within_a_network():
    """One of those that are part of it, itself too; of the other family none."""
    networks = Networks()
    for text in ("10.1.2.0/24", "192.0.2.7", "2001:db8:1::/48"):
        networks.put(network_of(text), text)
    for wide in ("0.0.0.0/0", "10.0.0.0/8", "10.1.2.0/24", "192.0.2.7", "2001:db8::/32"):
        assert networks.within(network_of(wide)) is not None
    for other in ("10.1.2.7", "10.1.3.0/24", "192.0.2.8/29", "2001:db8:1:1::/64", "fe80::/10"):
        assert networks.within(network_of(other)) is None


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


def test_points_flow_off_when_the_clock_is_set_back(make_door, clock):
    """They are no more than before: one more challenge bans nobody."""
    clock.run(10_000)
    door = make_door()
    door.refused(flow(), 404)
    clock.set_by = -600
    door.refused(flow(), 404)
    assert not door.bans.all()
    clock.run(300)
    assert door._strangers[False].score(HOST, clock.monotonic(), 1, 1 / 3) == 1


def test_who_is_known_is_so_no_longer_when_the_clock_is_set_back(make_door, clock):
    """Ten minutes are ten minutes."""
    door = make_door()
    door.proved(flow())
    clock.set_by = -3600
    assert send(door) == [KNOWN]
    clock.run(REMEMBERED)
    assert send(door) == [STRANGER]


def test_a_ban_lasts_no_longer_than_it_is_long_when_the_clock_is_set_back(make_door, clock):
    """It begins anew when the door is swept: its times are the time of day, since it outlives the
    process."""
    clock.run(10_000)
    door = make_door(unproven_seconds=60)
    door.ban("192.0.2.0/24", 60, "by hand")
    door.ban("198.51.100.1", None, "by hand")
    for _ in range(20):
        door.refused(flow("203.0.113.1"), 404)
    clock.run(30)
    clock.set_by = -3600
    door.sweep()
    assert {ban.network: door.bans.left(ban) for ban in door.bans} == {
        "192.0.2.0/24": 60,
        "198.51.100.1/32": None,
        "203.0.113.1": 60,
    }
    clock.run(60)
    assert send(door) == send(door, host="203.0.113.1") == [STRANGER]
    assert send(door, host="198.51.100.1") == [TURNED_AWAY]
