"""Records are carried on in their order, never one twice, never one lost, whatever fails."""

from contextlib import closing
from random import Random
from threading import Event

import pytest
from twisted.logger import globalLogPublisher

from softswitch.records.exporter import CarryError, Exporter, RefusedError
from softswitch.records.keeping import Bell
from softswitch.records.schema import open_records

PATIENCE = 30.0


class Shelf:
    """Takes records, as a place does that knows them by their ids.

    :ivar taken: their ids, in the order of arrival.
    :ivar batches: ids of each batch that came, taken or not.
    :ivar fail: asked before each batch: "before" or "after" it is taken it fails then.
    """

    def __init__(self, fail=lambda: ""):
        self.taken = []
        self.batches = []
        self.states = []
        self.fail = fail
        self.closed = Event()

    def carry(self, batch, state):
        ids = [entry.id for entry in batch]
        self.batches.append(ids)
        self.states.append(state)
        when = self.fail()
        if when == "before":
            raise CarryError("not now")
        self.taken += [each for each in ids if each not in self.taken]
        if when == "after":
            raise OSError("broken pipe")
        return {"last": ids[-1]}

    def close(self):
        self.closed.set()


@pytest.fixture
def make(path):
    """Makes exporters that know of everything in the file; they end with the test."""
    made = []

    def make(shelf, **options):
        bell = Bell()
        with closing(open_records(path)) as connection:
            bell.last = _last(connection)
        options = {"gather": 0.0, "first_wait": 0.001, **options}
        made.append(Exporter("shelf", path, lambda: shelf, bell, **options))
        made[-1].bell = bell
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.stop()
        assert each.join(PATIENCE)


def _last(connection):
    return connection.execute("SELECT coalesce(max(position), 0) FROM calls").fetchone()[0]


def end(exporter):
    exporter.stop()
    assert exporter.join(PATIENCE)


def test_in_order_and_batches(make, keep):
    """All that was kept, in bounded batches, and what the outlet remembers comes back to it."""
    keep(*range(25))
    shelf = Shelf()
    exporter = make(shelf, batch=10)
    end(exporter)
    assert shelf.taken == [f"call-{number}" for number in range(25)]
    assert [len(each) for each in shelf.batches] == [10, 10, 5]
    assert shelf.states == [{}, {"last": "call-9"}, {"last": "call-19"}]
    assert exporter.figures() == {
        "carried": 25,
        "waiting": 0,
        "passed_over": 0,
        "failures_in_a_row": 0,
        "error": "",
    }
    assert shelf.closed.is_set()


def test_what_comes_later_is_carried(make, keep, path):
    """It hears of what is written while it runs."""
    shelf = Shelf()
    exporter = make(shelf)
    for number in range(1, 4):
        keep(number)
        exporter.bell.ring(number)
    end(exporter)
    assert shelf.taken == ["call-1", "call-2", "call-3"]


def test_a_new_start_goes_on(make, keep):
    """From where the one before has come to; what the outlet remembered with it."""
    keep(1, 2)
    end(make(Shelf()))
    keep(3)
    shelf = Shelf()
    end(make(shelf))
    assert shelf.taken == ["call-3"]
    assert shelf.states == [{"last": "call-2"}]


def test_one_that_begins_now(make, keep):
    """It leaves out what was kept before it began, once."""
    keep(1, 2)
    shelf = Shelf()
    end(make(shelf, from_now=True))
    keep(3)
    end(make(shelf, from_now=True))
    assert shelf.taken == ["call-3"]


def test_an_outage_delays(make, keep):
    """It says that it fails, and why; once the place is back, all arrive."""
    keep(1, 2)
    tried, back = Event(), Event()

    def fail():
        tried.set()
        return "" if back.is_set() else "before"

    shelf = Shelf(fail)
    exporter = make(shelf)
    assert tried.wait(PATIENCE)
    keep(3)
    exporter.bell.ring(3)
    while not exporter.figures()["error"]:
        pass
    assert exporter.figures()["error"] == "not now"
    assert exporter.figures()["failures_in_a_row"] > 0
    assert exporter.figures()["waiting"] == 3
    assert shelf.taken == []
    back.set()
    end(exporter)
    assert shelf.taken == ["call-1", "call-2", "call-3"]
    assert exporter.figures()["failures_in_a_row"] == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_very_same_batch_comes_again(make, keep, seed):
    """Where nobody knows whether it has arrived, whatever was kept meanwhile, and after a restart,
    too: so that its key stays the same."""
    random = Random(seed)
    shelf = Shelf(lambda: random.choice(["", "before", "after"]))
    for turn in range(30):
        keep(3 * turn, 3 * turn + 1, 3 * turn + 2)
        end(make(shelf, batch=random.randrange(1, 6)))
    shelf.fail = lambda: ""
    end(make(shelf))
    assert shelf.taken == [f"call-{number}" for number in range(90)]
    for before, after in zip(shelf.batches, shelf.batches[1:], strict=False):
        assert after == before or after[0] not in before


def test_records_that_are_deleted_meanwhile(make, keep, path):
    """What retention took is passed over, the batch that was under way too."""
    keep(*range(6))
    shelf = Shelf(lambda: "before")
    end(make(shelf, batch=3))
    with closing(open_records(path)) as connection, connection:
        connection.execute("DELETE FROM calls WHERE position <= 4")
    shelf.fail = lambda: ""
    end(make(shelf, batch=3))
    assert shelf.taken == ["call-4", "call-5"]


def test_a_position_that_cannot_be_stored(make, keep, path, monkeypatch):
    """Somebody holds the file: nothing goes out that might be forgotten to have gone; afterwards
    all goes on."""
    monkeypatch.setattr("softswitch.store.schema.BUSY_SECONDS", 0.01)
    keep(1)
    shelf = Shelf()
    with closing(open_records(path)) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        exporter = make(shelf)
        while not exporter.figures()["error"]:
            pass
        assert "locked" in exporter.figures()["error"]
        assert shelf.batches == []
        other.execute("COMMIT")
    end(exporter)
    assert shelf.taken == ["call-1"]


def test_one_that_takes_anothers_place_waits(make, keep, path):
    """Two of one name would carry the same records: the second begins when the first has ended."""
    keep(1)
    slow = Event()
    begun = Event()

    def fail():
        begun.set()
        slow.wait(PATIENCE)
        return ""

    first = Shelf(fail)
    former = make(first)
    assert begun.wait(PATIENCE)
    former.stop()
    second = Shelf()
    make(second, former=former)
    keep(2)
    slow.set()
    assert former.join(PATIENCE)
    assert sorted([*first.taken, *second.taken]) in (["call-1"], ["call-1", "call-2"])
    assert not set(first.taken) & set(second.taken)


class Picky(Shelf):
    """Takes no batch with one of these in it.

    :ivar bad: ids.
    :ivar mended: set for it to take them, too.
    :ivar alone: set when one came alone.
    """

    def __init__(self, *bad, error=RefusedError):
        super().__init__()
        self.bad = bad
        self.error = error
        self.mended = Event()
        self.alone = Event()

    def carry(self, batch, state):
        found = [entry.id for entry in batch if entry.id in self.bad]
        if found and not self.mended.is_set():
            if len(batch) == 1:
                self.alone.set()
            raise self.error(f"a strange {found[0]}")
        return super().carry(batch, state)


@pytest.mark.parametrize("error", [RefusedError, ZeroDivisionError])
def test_a_record_that_is_refused(make, keep, error):
    """Those before it arrive at once, those behind it when it has been passed over; once again the
    batches are whole. What the outlet itself stumbles over is no different."""
    keep(*range(60))
    passed = []

    def observe(event):
        if "passes over" in event.get("log_format", ""):
            passed.append(event["id"])

    globalLogPublisher.addObserver(observe)
    shelf = Picky("call-3", "call-21", error=error)
    exporter = make(shelf, batch=16, refused_seconds=0.0)
    end(exporter)
    globalLogPublisher.removeObserver(observe)
    rest = [number for number in range(60) if number not in (3, 21)]
    assert shelf.taken == [f"call-{number}" for number in rest]
    assert max(map(len, shelf.batches)) == 16
    figures = exporter.figures()
    assert (figures["carried"], figures["passed_over"], figures["waiting"]) == (58, 2, 0)
    assert figures["error"] == ""
    assert passed == ["call-3", "call-21"]


def test_a_table_is_mended_in_time(make, keep):
    """Nothing is passed over before the hour is up; what holds it up is shown meanwhile."""
    keep(*range(5))
    shelf = Picky("call-3")
    exporter = make(shelf)
    assert shelf.alone.wait(PATIENCE)
    while not exporter.figures()["error"]:
        pass
    assert exporter.figures()["error"].endswith("a strange call-3")
    assert shelf.taken == ["call-0", "call-1", "call-2"]
    shelf.mended.set()
    end(exporter)
    assert shelf.taken == [f"call-{number}" for number in range(5)]
    assert exporter.figures()["passed_over"] == 0


def test_an_outlet_that_cannot_be_made_is_shown(path, keep):
    """That its thread has ended before it began is shown, too."""

    def broken():
        raise LookupError("no such thing")

    keep(1)
    exporter = Exporter("shelf", path, broken, Bell())
    exporter.start()
    assert exporter.join(PATIENCE)
    assert "fault of its own" in exporter.figures()["error"]
