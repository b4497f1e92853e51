"""The records of a running switch: kept, carried on, and taken elsewhere by a reload."""

import json
from threading import Event

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from softswitch.errors import ConfigError
from softswitch.records.archive import TIDY_SECONDS, Archive
from softswitch.records.exports import FileExport
from softswitch.records.keeping import Retention

PATIENCE = 30.0
NOW = 1_800_000_000.0


class Pool:
    """A pool of threads whose only one is ours."""

    def callInThreadWithCallback(self, done, work, *args, **more):  # noqa: N802
        done(True, work(*args, **more))


class Reactor(Clock):
    """The time, and what an archive wants of a reactor besides."""

    def getThreadPool(self):  # noqa: N802
        return Pool()

    def callFromThread(self, function, *args):  # noqa: N802
        function(*args)


@pytest.fixture
def make(path):
    """Makes archives that have begun."""
    made = []

    def make(*exports, retention=Retention()):  # noqa: B008 -- it is frozen
        reactor = Reactor()
        made.append(Archive(path, retention, exports, lambda: NOW, reactor))
        made[-1].reactor = reactor
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.stop(PATIENCE)


def end(archive):
    done = archive.stop(PATIENCE)
    assert isinstance(done, Deferred)
    assert done.called


def ids(path):
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def test_what_is_kept_is_carried_before_the_end(make, call, tmp_path):
    """To all places; and what has become of it is shown."""
    places = [FileExport(name, tmp_path / name, "jsonl") for name in ("one", "two")]
    archive = make(*places)
    for number in range(5):
        archive.call_ended(call(number))
    end(archive)
    for place in places:
        assert ids(place.path) == [f"call-{number}" for number in range(5)]
    figures = archive.figures()
    assert (figures["last"], figures["dropped"], figures["overtaken"]) == (5, 0, 0)
    assert {name: each["waiting"] for name, each in figures["exporters"].items()} == {
        "one": 0,
        "two": 0,
    }
    assert archive.waiting() == {
        "call records": (0, 0),
        "call records to one": (0, 0),
        "call records to two": (0, 0),
    }


def test_a_reload_takes_them_elsewhere(make, call, tmp_path):
    """A place that is as it was goes on; one under the same name elsewhere goes on where it was;
    one that is new begins with what was kept; one that is gone gets no more. None gets any
    twice."""
    stays = FileExport("stays", tmp_path / "stays", "jsonl")
    goes = FileExport("goes", tmp_path / "goes", "jsonl")
    moves = FileExport("moves", tmp_path / "here", "jsonl")
    archive = make(stays, goes, moves)
    archive.call_ended(call(1))
    moved = FileExport("moves", tmp_path / "there", "jsonl")
    new = FileExport("new", tmp_path / "new", "jsonl")
    keeper = archive.keeper
    keeper.bell.wait(lambda: keeper.bell.last >= 1, PATIENCE)
    archive.renew([stays, moved, new])
    gone = archive._ending
    assert all(each.join(PATIENCE) for each in gone)
    archive.call_ended(call(2))
    end(archive)
    assert ids(stays.path) == ["call-1", "call-2"]
    assert ids(goes.path) == ["call-1"]
    assert (ids(moves.path), ids(moved.path)) == (["call-1"], ["call-2"])
    assert ids(new.path) == ["call-1", "call-2"]


@attrs.frozen
class HeldUp:
    """A place to which records go once somebody lets them."""

    number: int
    go_on: Event = attrs.field(factory=Event, eq=False)
    begun: Event = attrs.field(factory=Event, eq=False)
    name: str = "place"
    begin: str = "first"
    batch: int = 10

    def outlet(self, reactor):
        return lambda: self

    def carry(self, batch, state):
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        return {}

    def close(self):
        """There is nothing to let go of."""


def test_reloads_while_a_place_is_held_up(make, call):
    """Of one name, one exporter is at work, however often it is moved while the first is held up:
    each waits for the one before it, else records would arrive twice."""
    places = [HeldUp(number) for number in range(3)]
    archive = make(places[0])
    archive.call_ended(call(1))
    assert places[0].begun.wait(PATIENCE)
    archive.renew(places[1:2])
    archive.renew(places[2:])
    first, second = archive._ending
    (third,) = archive._exporters.values()
    assert (second._former, third._former) == (first, second)
    for place in places:
        place.go_on.set()
    end(archive)


def test_what_is_too_old_goes_now_and_then(make, call, path, tmp_path):
    """At the start, and each ten minutes; by what a reload says."""
    archive = make()
    tidied = Event()
    tidy = archive.keeper._rows._tidy

    def watched(connection):
        tidy(connection)
        tidied.set()

    archive.keeper._rows._tidy = watched
    archive.call_ended(call(1, invited=NOW - 5 * 86400))
    archive.renew([], Retention(days=1))
    archive.reactor.advance(TIDY_SECONDS)
    end(archive)
    assert tidied.is_set()
    again = make(retention=Retention(days=1))
    end(again)
    assert again.figures()["last"] == 1


def test_a_file_that_cannot_be_written_stops_the_start(make, tmp_path, path):
    """Told with its path, before anything is kept."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="folder"):
        make(FileExport("x", tmp_path / "folder", "csv"))
    assert not path.exists()
