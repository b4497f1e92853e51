"""Bans towards the world: the log, the file, the firewall, the command's wishes."""

import json

import pytest
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher

from softswitch.ops import account, ban
from softswitch.ops.ban import BANS, OUTCOME, WISH, is_everybody
from softswitch.ops.banning import LINES, Banning
from softswitch.ops.cli import main
from softswitch.ops.door_tables import FirewallTable
from softswitch.ops.firewall import Change, Firewall, nft_line, spelled
from softswitch.transport.bans import Ban
from softswitch.transport.door import Door, DoorSettings
from softswitch.transport.networks import network_of
from softswitch.wheel import Wheel


class Pool:
    """A thread pool that does everything at once."""

    def callInThreadWithCallback(self, done, work, *args, **more):  # noqa: N802
        done(True, work(*args, **more))


class Reactor(Clock):
    def getThreadPool(self):  # noqa: N802
        return Pool()

    def callFromThread(self, function, *args):  # noqa: N802
        function(*args)


class Told(Firewall):
    """Notes what it is told."""

    def __init__(self):
        super().__init__(FirewallTable(table="inet filter"))
        self.log = []

    def _put(self, change):
        self.log.append(change)


@pytest.fixture
def reactor():
    return Reactor()


@pytest.fixture
def lines():
    found = []

    def note(event):
        found.append(formatEvent(event))

    globalLogPublisher.addObserver(note)
    yield found
    globalLogPublisher.removeObserver(note)


@pytest.fixture
def make(tmp_path, reactor):
    def make():
        door = Door(Wheel(reactor), DoorSettings(), [network_of("10.0.0.0/8")])
        banning = Banning(door, tmp_path, Told(), reactor)
        banning.start()
        return door, banning

    return make


def wish(banning, tmp_path, **wishes):
    """What a command is answered."""
    (tmp_path / WISH).write_text(json.dumps(wishes))
    banning.serve()
    return json.loads((tmp_path / OUTCOME).read_bytes())


def test_a_ban_is_logged_in_one_line(make, lines):
    """As docs/security.md tells fail2ban to read it."""
    door, _ = make()
    door.ban("192.0.2.1", 3600, "by hand")
    door.ban("192.0.2.0/24", None, "by hand")
    door.lift("192.0.2.1")
    assert lines == [
        "banned 192.0.2.1/32 for 3600 s: by hand, proven",
        "banned 192.0.2.0/24 for ever: by hand, proven",
        "lifted the ban of 192.0.2.1/32",
    ]


def test_many_bans_do_not_fill_the_log(make, reactor, lines):
    """So many lines a second, and how many more there were."""
    door, banning = make()
    for number in range(LINES + 7):
        door.ban(f"192.0.2.{number}", 60, "flood")
    reactor.advance(1)
    assert len(lines) == LINES + 1
    assert lines[-1] == "banned 7 more in that second"
    assert len(banning.firewall.log) == LINES + 7


def test_bans_outlive_the_process(make, tmp_path, reactor):
    """Written a second later at most, or at the end; those of the configuration are not, for the
    next one may be another. The firewall hears of them again, with what is left of their time."""
    door, banning = make()
    door.ban("192.0.2.1", 100, "by hand")
    reactor.advance(1)
    door.ban("2001:db8::/32", None, "for ever")
    door.ban_configured([network_of("198.51.100.0/24")])
    banning.stop()
    reactor.advance(40)
    again, later = make()
    assert {ban.network for ban in again.bans.all()} == {"192.0.2.1/32", "2001:db8::/32"}
    assert set(later.firewall.log) == {
        Change("192.0.2.1/32", True, 59.0),
        Change("2001:db8::/32", True, None),
    }


@pytest.mark.parametrize("rubbish", ["", "{", "[]", '{"bans": 1}', '{"bans": [{"network": 5}]}'])
def test_a_damaged_file_stops_nobody(make, tmp_path, rubbish, lines):
    """The switch starts without those bans, and says so."""
    (tmp_path / BANS).write_text(rubbish)
    door, _ = make()
    assert len(door.bans) == 0
    assert "cannot be restored" in lines[0]


def test_what_a_command_wishes_for(make, tmp_path):
    """A ban is made, listed, lifted; what is trusted is not banned, what is not banned not
    lifted; and each answer can be told from the one before."""
    door, banning = make()
    first = wish(banning, tmp_path, do="add", network="192.0.2.1", seconds=60, why="x")
    assert (first["done"], first["said"]) == (True, "192.0.2.1/32 is banned")
    (listed,) = wish(banning, tmp_path, do="list")["bans"]
    assert (listed["network"], listed["why"], listed["by"]) == ("192.0.2.1/32", "x", "command")
    refused = wish(banning, tmp_path, do="add", network="10.1.1.1", seconds=60, why="x")
    assert not refused["done"]
    assert "trusted" in refused["said"]
    assert wish(banning, tmp_path, do="lift", network="192.0.2.1")["done"]
    assert len(door.bans) == 0
    last = wish(banning, tmp_path, do="lift", network="192.0.2.1")
    assert not last["done"]
    assert last["at"] != first["at"]


def test_the_firewall_hears_of_what_is_proven(make, reactor, tmp_path):
    """It would drop whatever comes from there, on connections, too; and the source of a datagram
    may be anybody's. Nor are such bans written, for the disk is not an attacker's to fill."""
    door, banning = make()
    forged = Ban("192.0.2.1", 60.0, "scanner", proven=False)
    door.bans.put(forged)
    door.bans.put(Ban("192.0.2.2", 3600.0, "failed logins"))
    reactor.advance(1)
    assert banning.firewall.log == [Change("192.0.2.2", True, 3600.0)]
    assert [each["network"] for each in json.loads((tmp_path / BANS).read_bytes())["bans"]] == [
        "192.0.2.2"
    ]
    door.lift("192.0.2.1")
    assert len(banning.firewall.log) == 1
    (tmp_path / BANS).unlink()
    door.bans.put(forged)
    reactor.advance(1)
    assert not (tmp_path / BANS).exists()


def test_the_firewall_does_not_hear_of_a_network_in_which_somebody_is_trusted(make, reactor, lines):
    """It does not know that he comes in all the same. That holds when he becomes trusted later,
    and no longer when he is so no more."""
    door, banning = make()
    door.ban("0.0.0.0/1", None, "by hand")
    assert banning.firewall.log == []
    assert lines[-1] == "the firewall is not told of 0.0.0.0/1: 10.0.0.0/8 is trusted"
    door.lift("0.0.0.0/1")
    assert banning.firewall.log == []
    door.ban("192.0.2.0/24", None, "by hand")
    door.renew(DoorSettings(), [network_of("192.0.2.7")])
    banning.renewed()
    door.renew(DoorSettings(), [])
    banning.renewed()
    banning.renewed()
    wide = "192.0.2.0/24"
    told = [Change(wide, True), Change(wide, False), Change(wide, True)]
    assert banning.firewall.log == told
    door.ban("192.0.2.0/24", 60, "for a while")
    assert banning.firewall.log[3:] == [Change(wide, True, 60.0)]


def test_what_is_trusted_from_now_on_ends_the_ban_by_score_around_it(make):
    """A /64 that was banned for one of its addresses, before another one became a trunk's."""
    door, banning = make()
    door.bans.put(Ban("2001:db8::/64", 3600.0, "failed logins"))
    door.renew(DoorSettings(), [network_of("2001:db8::7")])
    assert len(door.bans) == 0
    assert [each.made for each in banning.firewall.log] == [True, False]


def test_a_command_does_not_shorten_a_ban_of_the_configuration(make, tmp_path):
    """It is told that the ban is there for ever; a longer one is for the configuration to end."""
    door, banning = make()
    door.ban_configured([network_of("192.0.2.0/24")])
    refused = wish(banning, tmp_path, do="add", network="192.0.2.0/24", seconds=60, why="x")
    assert not refused["done"]
    assert "door.banned" in refused["said"]
    assert door.bans.all()[0].until is None


@pytest.mark.parametrize("text", ["", "{}", '{"do": "add"}', '{"do": "lift", "network": "x"}'])
def test_a_wish_that_cannot_be_read(make, tmp_path, text):
    """It is answered, too, and harms nobody."""
    _, banning = make()
    (tmp_path / WISH).write_text(text)
    banning.serve()
    assert json.loads((tmp_path / OUTCOME).read_bytes())["done"] is False


def test_what_nftables_is_told():
    """An element with its time, in the place of the one that was there; IPv6 has its own set."""
    table = FirewallTable(table="inet filter", set="four", set6="six")
    put = "add element inet filter four { 192.0.2.1 timeout 60s }"
    assert nft_line(table, Change("192.0.2.1", True, 59.6)) == (
        f"{put}\ndelete element inet filter four {{ 192.0.2.1 }}\n{put}"
    )
    lifted = nft_line(table, Change("2001:db8::/64", False))
    assert lifted == "delete element inet filter six { 2001:db8::/64 }"
    assert nft_line(FirewallTable(table="inet filter"), Change("2001:db8::/64", True)) == ""


def test_a_command_of_the_operators(tmp_path):
    """It is run with the address and the seconds as words of their own, whatever it is; then the
    next one."""
    script, out = tmp_path / "tell", tmp_path / "out"
    script.write_text(f'#!/bin/sh\necho "$@" >> {out}\n')
    script.chmod(0o755)
    ban, lift = (str(script), "ban", "{address}", "{seconds}"), (str(script), "lift", "{address}")
    assert spelled(ban, Change("192.0.2.1", True, 60.0))[1:] == ["ban", "192.0.2.1", "60"]
    firewall = Firewall(FirewallTable(ban=ban, lift=lift))
    door = Door(Wheel(Clock()), DoorSettings())
    door.bans.made.append(lambda ban: firewall.ban(ban, 60.0 if ban.until else None))
    door.bans.lifted.append(firewall.lift)
    door.ban("192.0.2.1", 60, "x")
    door.ban("192.0.2.2", None, "x")
    door.lift("192.0.2.1")
    firewall.stop()
    assert out.read_text().splitlines() == [
        "ban 192.0.2.1/32 60",
        "ban 192.0.2.2/32 0",
        "lift 192.0.2.1/32",
    ]


def test_a_command_that_fails_is_told_of(lines):
    """With what it said; the next one is run all the same."""
    firewall = Firewall(FirewallTable(ban=("/nonexistent", "{address}")))
    door = Door(Wheel(Clock()), DoorSettings())
    door.bans.made.append(lambda ban: firewall.ban(ban, None))
    door.ban("192.0.2.1", 60, "x")
    door.ban("192.0.2.2", 60, "x")
    firewall.stop()
    assert len([line for line in lines if line.startswith("/nonexistent: ")]) == 2


def test_a_ban_of_what_is_trusted_by_now_is_not_restored(make, tmp_path, reactor):
    """Whoever has become a trunk since then comes in, though he was banned before."""
    door, banning = make()
    door.ban("192.0.2.1", None, "by hand")
    banning.stop()
    trusting = Door(Wheel(reactor), DoorSettings(), [network_of("192.0.2.0/24")])
    Banning(trusting, tmp_path, Told(), reactor).start()
    assert len(trusting.bans) == 0


def test_bans_that_cannot_be_written_end_nothing(make, tmp_path, reactor, lines):
    """A disk that is full: the log says so, and the firewall is told to the end. What was not
    written is tried once more when the switch stops."""
    door, banning = make()
    (tmp_path / BANS).mkdir()
    door.ban("192.0.2.1", None, "by hand")
    reactor.advance(1)
    assert lines[-1] == f"{tmp_path / BANS} cannot be written: Is a directory"
    banning.stop()
    assert lines[-1] == f"{tmp_path / BANS} cannot be written: Is a directory"
    assert len(lines) == 3
    (tmp_path / BANS).rmdir()
    banning.stop()
    assert (tmp_path / BANS).exists()


def test_an_answer_that_cannot_be_written(make, tmp_path, lines):
    """The log says so; the ban is made."""
    door, banning = make()
    (tmp_path / OUTCOME).mkdir()
    (tmp_path / WISH).write_text(
        json.dumps({"do": "add", "network": "192.0.2.1", "seconds": 60, "why": "x"})
    )
    banning.serve()
    assert lines[-1] == f"{tmp_path / OUTCOME} cannot be written: Is a directory"
    assert len(door.bans) == 1


@pytest.mark.parametrize(
    ("network", "everybody"),
    [
        ("0.0.0.0/0", True),
        ("128.0.0.0/1", True),
        ("127.0.0.0/8", True),
        ("127.0.0.1/32", False),
        ("203.0.0.0/8", False),
        ("::/0", True),
        ("::/64", True),
        ("::1/128", False),
        ("2000::/3", True),
        ("2001:db8::/32", False),
    ],
)
def test_everybody_is_banned_by_force_alone(network, everybody, monkeypatch, capsys):
    """A slip of the finger shuts nobody out."""
    assert is_everybody(network) is everybody
    asked = []
    answer = {"done": True, "said": "it is banned"}
    monkeypatch.setattr(ban, "ask", lambda *terms: asked.append(terms) or answer)
    assert main(["ban", "add", network]) == (2 if everybody else 0)
    assert bool(asked) is not everybody
    if everybody:
        assert "with --force" in capsys.readouterr().err
    assert main(["ban", "add", network, "--force"]) == 0


def test_empty_lists_say_so(monkeypatch, capsys):
    """Beside the output, which is for programs too."""
    monkeypatch.setattr(ban, "ask", lambda *terms: {"done": True, "bans": []})
    monkeypatch.setattr(account, "ask", lambda *terms: {"done": True, "blocked": []})
    assert main(["ban", "list"]) == main(["account", "list"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == (
        "",
        "softswitch: nobody is banned\nsoftswitch: no account is blocked\n",
    )
