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
from softswitch.records.exporter import Exporter
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


def damage(path, *names):
    """Overwrite the first page of tables or indices, as a disk does it; without any, the head."""
    if not names:
        path.write_bytes(b"\xff" * 8192)
        return
    with closing(sqlite3.connect(path)) as connection:
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema"))
    with path.open("r+b") as file:
        for name in names:
            file.seek((roots[name] - 1) * 4096)
            file.write(b"\xff" * 4096)


@pytest.fixture
def errors():
    """What the log says of damage."""
    found = []

    def observe(event):
        if "is damaged" in event.get("log_format", ""):
            found.append(event)

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


def put_aside(path):
    return sorted(each.name for each in path.parent.glob("calls.sqlite.damaged-*"))


@pytest.mark.parametrize("names", [(), ("sqlite_sequence",)])
def test_a_file_that_is_damaged_does_not_stop_the_start(make, path, call, keep, errors, names):
    """It is put aside with what SQLite keeps beside it, and a new one begins."""
    keep(*range(5))
    damage(path, *names)
    was = path.read_bytes()
    path.with_name("calls.sqlite-wal").write_bytes(b"log")
    keeper = make()
    keeper.call_ended(call(7))
    keeper.close()
    assert ids(path) == ["call-7"]
    aside = "calls.sqlite.damaged-20270115T080000Z"
    # Where SQLite can make sense of the file, it has used up the log.
    assert put_aside(path) == [aside] + ([] if names else [f"{aside}-shm", f"{aside}-wal"])
    assert path.with_name(aside).read_bytes() == was
    assert [event["aside"] for event in errors] == [aside]


@pytest.mark.parametrize("change", ["application_id = 1", "user_version = 99"])
def test_a_file_that_is_not_damaged_but_not_for_us_stays(make, path, keep, change):
    """Of another program, or of a later version: the start ends with the reason."""
    keep(1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA {change}")
    with pytest.raises(ConfigError, match=r"calls\.sqlite"):
        make()
    assert put_aside(path) == []
    assert path.exists()


def test_damage_that_a_write_meets(make, path, call, keep, errors, monkeypatch):
    """What waits is written into a new file; should the disk damage that, too, it waits for an
    hour."""
    keep(*range(500))
    damage(path, "calls_call_id")
    keeper = make(retry=0.01)
    assert keeper.bell.last == 500
    keeper.call_ended(call(501))
    until(keeper, 501)
    assert ids(path) == ["call-501"]
    assert len(errors) == 1

    def corrupt(connection, records):
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    monkeypatch.setattr(keeping, "add", corrupt)
    keeper.call_ended(call(502))
    keeper.close()
    assert keeper.writer.dropped == 1
    assert len(errors) == 1


class Taking:
    """An outlet that takes everything."""

    def __init__(self):
        self.taken = []

    def carry(self, batch, state):
        self.taken += [each.id for each in batch]
        return {}

    def close(self):
        pass


def come(exporter, position):
    """Wait for an exporter to be there."""
    for _ in range(int(PATIENCE / 0.01)):
        if exporter.progress.position == position:
            return
        exporter.join(0.01)
    raise AssertionError(exporter.progress)


def test_exporters_go_on_in_the_new_file(make, path, call, keep):
    """Each record that was kept before or since arrives once, also where an exporter begins with
    what comes "now"."""
    keep(*range(500))
    damage(path, "calls_call_id")
    keeper = make()
    keeper.holders = frozenset(("all", "new"))
    outlets = {"all": Taking(), "new": Taking()}
    exporters = [
        Exporter(name, path, lambda o=outlet: o, keeper.bell, from_now=name == "new", gather=0.0)
        for name, outlet in outlets.items()
    ]
    for exporter in exporters:
        exporter.start()
        come(exporter, 500)
    for number in range(501, 504):
        keeper.call_ended(call(number))
    for exporter in exporters:
        come(exporter, 503)
        exporter.stop()
        assert exporter.join(PATIENCE)
    keeper.close()
    since = [f"call-{number}" for number in range(501, 504)]
    assert outlets["new"].taken == since
    assert outlets["all"].taken == [f"call-{number}" for number in range(500)] + since
    assert ids(path) == since
