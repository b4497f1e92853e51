"""Least-cost routing: where a number goes, and what happens to the table meanwhile."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from softswitch.errors import ConfigError
from softswitch.plugin.decisions import Route
from softswitch.plugin.numbering import Numbering
from softswitch.plugin.views import Identity
from softswitch.policy import ratefile, raterows
from softswitch.policy.rates import NO_RATES, Rates
from softswitch.policy.ratesource import LOOK_SECONDS
from softswitch.settings import structure
from softswitch.trunk.group import Trunk, Trunks

HEAD = "prefix,price,valid_from,trunk"
USER = Identity("user", "alice", "example.org")


class FakeReactor(Clock):
    """Time, and processes that end when they are told to.

    :ivar running: whether calls may be going on.
    :ivar started: a function per process that was started: does its work, and ends it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.running = False
        self.started: list[Callable[[], None]] = []
        self.triggers: list[Callable[[], None]] = []

    def callWhenRunning(self, function, *args):  # noqa: N802
        self.callLater(0, function, *args)

    def addSystemEventTrigger(self, phase, event, function):  # noqa: N802
        assert (phase, event) == ("before", "shutdown")
        self.triggers.append(function)
        return function

    def removeSystemEventTrigger(self, trigger):  # noqa: N802
        self.triggers.remove(trigger)

    def spawnProcess(self, protocol, program, arguments, env, childFDs):  # noqa: N802, N803
        file = os.dup(childFDs[1])

        def run() -> None:
            self.started.remove(run)
            ended: Exception = ProcessDone(0)
            with open(file, "wb") as output:
                try:
                    ratefile.write(raterows.read(Path(arguments[-1])), output, 0.0)
                except raterows.BrokenRatesError as error:
                    protocol.errReceived(f"{error}\n".encode())
                    ended = ProcessTerminated(1)
            protocol.processEnded(Failure(ended))

        self.started.append(run)
        protocol.transport = self

    def signalProcess(self, name):  # noqa: N802
        self.started.clear()


class Rating:
    """A policy and all around it.

    :ivar path: the rate file; each change is one for the clock of the disk, too.
    """

    def __init__(self, house, path, view) -> None:
        self.reactor = FakeReactor()
        self.path = path
        self._view = view
        self._changes = 0
        self.house = house
        house.trunks = Trunks([Trunk(name, (f"10.0.0.{n}",)) for n, name in enumerate("abcd", 1)])

    def write(self, *rows: str) -> None:
        """Another table, put in the place of the old one at once."""
        self._changes += 1
        part = self.path.with_suffix(".part")
        part.write_text("\n".join([HEAD, *rows, ""]))
        os.utime(part, (self._changes, self._changes))
        os.replace(part, self.path)

    def policy(self, **options) -> Rates:
        """As a configuration makes it; not started."""
        table = {"file": str(self.path), **options}
        policy = structure(table, Rates, file="f", path="policy[0]")
        policy._reactor = self.reactor
        return policy

    def started(self, **options) -> Rates:
        policy = self.policy(**options)
        policy.start(self.house)
        return policy

    def trunks(self, policy, number="+442071838750", identity=USER):
        """Names of the trunks that are tried for a number."""
        answer = policy.route(self._view(f"sip:{number}@example.org", identity=identity))
        return [each.trunk for each in answer.targets] if isinstance(answer, Route) else answer

    def looks(self, times: int = 1) -> None:
        """Time passes until the file was looked at so often."""
        self.reactor.pump([LOOK_SECONDS] * times)


@pytest.fixture
def rating(house, tmp_path, view):
    """A policy's surroundings, with a file in which "a" is cheap and "b" dear."""
    made = Rating(house, tmp_path / "rates.csv", view)
    made.write("44,0.01,,a", "44,0.02,,b")
    return made


def test_a_call_goes_over_the_cheapest_trunk_then_the_next(rating):
    """All targets of one trunk after those of the other; the number with its plus."""
    policy = rating.started(ring_seconds=30)
    assert rating.trunks(policy) == ["a", "b"]
    answer = policy.route(rating._view("sip:+442071838750@example.org", identity=USER))
    assert [(each.uri, each.ring_seconds) for each in answer.targets] == [
        ("sip:+442071838750@10.0.0.1", 30),
        ("sip:+442071838750@10.0.0.2", 30),
    ]


def test_what_nobody_has_a_rate_for_is_the_next_policys(rating):
    """So is what is not dialled in our domain, or is no number."""
    policy = rating.started()
    for number in ("+33123456", "+", "442071838750", "bob", "+44x"):
        assert rating.trunks(policy, number) is None
    assert policy.route(rating._view("sip:+442071838750@example.net")) is None


def test_a_number_is_read_as_its_caller_writes_it(rating):
    """National and international alike, where ``[numbering]`` says how."""
    rating.house.numberings = {"alice": Numbering("GB")}
    policy = rating.started()
    for number in ("02071838750", "00442071838750", "+442071838750"):
        assert rating.trunks(policy, number) == ["a", "b"]
    assert rating.trunks(policy, "02071838750", Identity("user", "bob")) is None


def test_the_policy_says_how_it_came_to_its_answer(rating):
    """For ``softswitch explain``: who has a rate, in the order of trying."""
    policy = rating.started()

    def said(number):
        return policy.explained(rating._view(f"sip:{number}@example.org", identity=USER))

    assert said("+442071838750") == "442071838750 is cheapest over a, b"
    assert said("+33123456") == "nobody has a rate for 33123456"
    assert said("100") == "no number of those that match '\\\\+[0-9]+'"
    policy._source.table = None
    assert said("+442071838750") == "there are no rates"


def test_a_call_does_not_go_back_to_where_it_came_from(rating):
    """The trunk that sends it is passed over; so is one trunk too many."""
    rating.write("44,1,,a", "44,2,,b", "44,3,,c", "44,4,,d")
    policy = rating.started(most=2)
    assert rating.trunks(policy) == ["a", "b"]
    assert rating.trunks(policy, identity=Identity("trunk", "a")) == ["b", "c"]
    assert rating.trunks(policy, identity=Identity("trunk", "d")) == ["a", "b"]


def test_a_trunk_that_is_out_of_order_is_passed_over(rating):
    """It counts for none of those that are tried; where all are, the call has no targets, of which
    the switch makes a 500 with Q.850 cause 38."""
    rating.write("44,1,,a", "44,2,,b", "44,3,,c")
    policy = rating.started(most=2)
    up = {"a": False, "b": True, "c": True}
    rating.house.trunk = lambda name: rating.house.trunks.find(name) if up[name] else _Down()
    assert rating.trunks(policy) == ["b", "c"]
    up.update(b=False, c=False)
    assert rating.trunks(policy) == []


class _Down:
    """A trunk without a member that is up."""

    def targets(self, number, invite=None):
        return []


def test_other_ways_to_dial(rating):
    """``match`` and ``strip`` turn what is dialled into country code and number; ``callers``
    narrows who may."""
    policy = rating.started(match="00[1-9][0-9]*", strip=2, callers="users")
    assert rating.trunks(policy, "00442071838750") == ["a", "b"]
    assert rating.trunks(policy, "+442071838750") is None
    assert rating.trunks(policy, "0044207", Identity("trunk", "c")) is None


@pytest.mark.parametrize(
    ("options", "mend"),
    [
        ({"match": "("}, "no regular expression"),
        ({"strip": -1}, "strip: 0 or more"),
        ({"most": 0}, "most: 1 to 16"),
    ],
)
def test_a_wrong_option(rating, options, mend):
    """Told at load."""
    with pytest.raises(ConfigError, match=mend):
        rating.policy(**options)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("44,x,,a", "rates.csv: line 2, column 2 (price): a number such as 0.0125 is wanted"),
        ("44,1,,z", "rates.csv: line 2, column 4 (trunk): there is no [trunks.z]"),
    ],
)
def test_a_broken_row_stops_the_start(rating, row, told):
    """With line and column; there is no older table that could serve."""
    rating.write(row)
    with pytest.raises(ValueError, match=r"rates\.csv") as caught:
        rating.started()
    assert told in str(caught.value)


def test_a_file_that_has_changed_is_read_beside_the_calls(rating):
    """When it has stayed the same from one look to the next; the old table serves until then."""
    policy = rating.started()
    rating.looks(2)
    assert rating.reactor.started == []
    rating.write("44,0.03,,a", "44,0.02,,b")
    rating.looks()
    assert rating.reactor.started == []
    rating.looks()
    (run,) = rating.reactor.started
    assert rating.trunks(policy) == ["a", "b"]
    run()
    assert rating.trunks(policy) == ["b", "a"]
    rating.looks(3)
    assert rating.reactor.started == []


@pytest.mark.parametrize("row", ["44,x,,a", "44,1,,z"])
def test_a_broken_change_changes_nothing(rating, row):
    """The old table stays; what is wrong is known, and the file is not read again and again; when
    it is mended the new one serves."""
    policy = rating.started()
    rating.looks()
    rating.write(row)
    rating.looks(2)
    rating.reactor.started[0]()
    assert rating.trunks(policy) == ["a", "b"]
    assert "line 2, column" in policy._source.trouble
    rating.looks(3)
    assert rating.reactor.started == []
    rating.write("44,1,,c")
    rating.looks(2)
    rating.reactor.started[0]()
    assert (rating.trunks(policy), policy._source.trouble) == (["c"], "")


def test_a_file_that_is_gone_changes_nothing(rating):
    """Deleted by mistake: the table stays."""
    policy = rating.started()
    rating.looks()
    rating.path.unlink()
    rating.looks(2)
    rating.reactor.started[0]()
    assert rating.trunks(policy) == ["a", "b"]
    assert "cannot be read" in policy._source.trouble


def test_what_is_written_while_it_is_read_is_read_again(rating):
    """What came of it may be half of the one and half of the other."""
    policy = rating.started()
    rating.looks()
    rating.write("44,1,,c")
    rating.looks(2)
    rating.write("44,1,,d")
    rating.reactor.started[0]()
    assert rating.trunks(policy) == ["a", "b"]
    rating.looks(2)
    rating.reactor.started[0]()
    assert rating.trunks(policy) == ["d"]


def test_policies_of_one_file_share_its_table(rating):
    """Also over a reload: nothing is read again, and calls go on without waiting."""
    first = rating.started()
    rating.reactor.running = True
    second = rating.started(most=1)
    assert rating.reactor.started == []
    assert (rating.trunks(first), rating.trunks(second)) == (["a", "b"], ["a"])


def test_a_reload_refuses_a_table_whose_trunks_are_gone(rating):
    """The rates that there are name one that the new configuration does not have."""
    first = rating.started()
    assert rating.trunks(first) == ["a", "b"]
    known = rating.house.trunks
    rating.house.trunks = Trunks([Trunk("a", ("10.0.0.1",))])
    with pytest.raises(ValueError, match=r"line 3, column 4 \(trunk\): there is no \[trunks\.b\]"):
        rating.started()
    rating.house.trunks = known
    rating.looks()
    rating.write("44,1,,b")
    rating.looks(2)
    rating.reactor.started[0]()
    assert rating.trunks(first) == ["b"]


def test_while_calls_run_the_first_table_is_waited_for(rating):
    """A policy that a reload brings does not stop the reactor; a call that comes too early waits,
    and one that finds no table in the end fails."""
    rating.reactor.running = True
    policy = rating.started()
    asked = Deferred.fromCoroutine(rating.trunks(policy))
    told = []
    asked.addCallback(told.append)
    assert told == []
    rating.reactor.started[0]()
    (answer,) = told
    assert [each.trunk for each in answer.targets] == ["a", "b"]

    rating.path.unlink()
    other = rating.policy()
    other.file = str(rating.path.with_name("none.csv"))
    other.start(rating.house)
    Deferred.fromCoroutine(rating.trunks(other)).addCallback(told.append)
    rating.reactor.started[0]()
    assert told[1] is NO_RATES
    Deferred.fromCoroutine(rating.trunks(other)).addCallback(told.append)
    assert told[2] is NO_RATES


def test_the_reader_goes_when_the_switch_stops(rating):
    """Nobody waits for it."""
    rating.reactor.running = True
    policy = rating.started()
    assert len(rating.reactor.triggers) == 1
    rating.reactor.triggers[0]()
    assert rating.reactor.started == []
    assert policy._source.table is None
