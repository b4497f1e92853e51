"""Every call that has ended is kept: never two records of it, never none."""

import sqlite3
from contextlib import closing
from threading import Event

import pytest
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from softswitch.errors import ConfigError
from softswitch.plugin.interfaces import ICallObserver
from softswitch.records import keeping
from softswitch.records.keeping import Keeper, Retention
from softswitch.records.schema import add, open_records
from softswitch.store.snapshot import reading

PATIENCE = 30.0
DAY = 86400.0
NOW = 1_800_000_000.0


@pytest.fixture
def make(path):
    """Makes keepers, which end with the test."""
    made = []

    def make(retention=Retention(), **options):  # noqa: B008 -- it is frozen
        made.append(Keeper(path, retention, lambda: NOW, gather=0.0, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def ids(path):
    with reading(path) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM calls ORDER BY position")]


def until(keeper, position):
    """Wait for a record to be in the file."""
    keeper.bell.wait(lambda: keeper.bell.last >= position, PATIENCE)
    assert keeper.bell.last >= position


def test_it_is_a_call_observer(make):
    """It fits where the interface says."""
    verifyObject(ICallObserver, make())


def test_only_the_end_of_a_call_is_kept(make, path, call):
    """One record per call, whatever happened in it before, and however often it is told."""
    keeper = make()
    record = call(1)
    keeper.call_started(record)
    keeper.call_ringing(record)
    keeper.call_answered(record)
    keeper.call_ended(record)
    until(keeper, 1)
    keeper.call_ended(record)
    keeper.close()
    assert ids(path) == ["call-1"]


def test_a_restart_goes_on(make, path, call):
    """What was kept stays."""
    for number in range(3):
        keeper = make()
        keeper.call_ended(call(number))
        keeper.close()
    assert ids(path) == ["call-0", "call-1", "call-2"]


def test_never_two_never_none_while_the_file_is_locked(make, path, call, monkeypatch):
    """Somebody else writes for a while: what waits is written later, once, in order."""
    monkeypatch.setattr("softswitch.store.schema.BUSY_SECONDS", 0.01)
    keeper = make(retry=0.01)
    tried = Event()
    write = keeper._rows.write

    def watched(items):
        try:
            write(items)
        except sqlite3.OperationalError:
            tried.set()
            raise

    keeper._rows.write = watched
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(100):
            keeper.call_ended(call(number))
        assert tried.wait(PATIENCE)
        assert ids(path) == []
    until(keeper, 100)
    assert ids(path) == [f"call-{number}" for number in range(100)]
    assert keeper.writer.dropped == 0


def test_a_disk_that_is_full_delays(make, path, call, monkeypatch):
    """Nothing half written is left, nothing is lost until too many wait; what is lost then is
    counted."""
    full, tried = Event(), Event()
    full.set()

    def fails(connection, records):
        add(connection, records)
        if full.is_set():
            tried.set()
            raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(keeping, "add", fails)
    keeper = make(limit=10, retry=PATIENCE)
    for number in range(9):
        keeper.call_ended(call(number))
    assert tried.wait(PATIENCE)
    for number in range(9, 15):
        keeper.call_ended(call(number))
    assert keeper.writer.dropped == 5
    assert ids(path) == []
    full.clear()
    keeper.close()
    assert ids(path) == [f"call-{number}" for number in range(10)]


def test_a_file_that_was_moved_away(make, path, call, tmp_path):
    """SQLite cannot have it moved while it is open: records go on into the same file, which is
    whole once it is put back, and the log says what to do."""
    said = Event()

    def observe(event):
        if event.get("file") == str(path) and "was moved" in event["log_format"]:
            said.set()

    globalLogPublisher.addObserver(observe)
    keeper = make()
    keeper.call_ended(call(1))
    until(keeper, 1)
    aside = tmp_path / "aside.sqlite"
    path.rename(aside)
    keeper.call_ended(call(2))
    until(keeper, 2)
    keeper.tidy()
    assert said.wait(PATIENCE)
    globalLogPublisher.removeObserver(observe)
    aside.rename(path)
    keeper.close()
    assert ids(path) == ["call-1", "call-2"]


def test_what_is_too_old_goes(make, path, call):
    """By days since the INVITE; its legs too."""
    keeper = make(Retention(days=10))
    keeper.call_ended(call(1, invited=NOW - 10 * DAY - 1))
    keeper.call_ended(call(2, invited=NOW - 10 * DAY + 1))
    until(keeper, 2)
    keeper.tidy()
    keeper.close()
    assert ids(path) == ["call-2"]
    with reading(path) as connection:
        assert connection.execute("SELECT count(*) FROM tries").fetchone() == (0,)


def test_what_no_exporter_has_carried_stays(make, path, call):
    """Days do not delete it; one that never ran has carried nothing, one that is configured no more
    does not count."""
    keeper = make(Retention(days=10))
    keeper.holders = frozenset(("slow", "quick"))
    for number in range(5):
        keeper.call_ended(call(number, invited=NOW - 20 * DAY))
    until(keeper, 5)
    with closing(open_records(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO exporters VALUES (?, ?, '{}')", [("slow", 2), ("quick", 5), ("gone", 1)]
        )
    keeper.tidy()
    keeper.close()
    assert ids(path) == ["call-2", "call-3", "call-4"]
    keeper = make(Retention(days=10))
    keeper.holders = frozenset(("slow", "new"))
    keeper.tidy()
    keeper.close()
    assert len(ids(path)) == 3


def test_the_file_stays_within_its_size(make, path, call, monkeypatch):
    """The oldest go, carried on or not; those that were not are counted. Room is given back."""
    monkeypatch.setattr(keeping, "_DELETED_AT_ONCE", 10)
    keeper = make(Retention(days=0, bytes=400_000))
    keeper.holders = frozenset(("dead",))
    for number in range(200):
        keeper.call_ended(call(number, reason="x" * 10_000))
    until(keeper, 200)
    keeper.tidy()
    keeper.close()
    left = ids(path)
    assert left == [f"call-{number}" for number in range(200 - len(left), 200)]
    assert 10 <= len(left) <= 35
    assert keeper.overtaken == 200 - len(left)
    assert path.stat().st_size <= 500_000


def test_a_size_that_nothing_fits_into(make, path, call):
    """All go, and it ends."""
    keeper = make(Retention(days=0, bytes=1))
    keeper.call_ended(call(1))
    until(keeper, 1)
    keeper.tidy()
    keeper.close()
    assert ids(path) == []


def test_a_file_that_cannot_be_written_stops_the_start(path, tmp_path, make):
    """A folder or a file in the way is told at once, with the path."""
    path.mkdir()
    with pytest.raises(ConfigError, match=r"calls\.sqlite"):
        make()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="SQLite can open"):
        Keeper(tmp_path / "file" / "calls.sqlite", Retention(), lambda: NOW)
