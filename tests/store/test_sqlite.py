"""The SQLite store: a real file, a restart, a lock, a trigger that refuses, a wrong file."""

import sqlite3
from contextlib import closing
from threading import Event

import pytest
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from softswitch.errors import ConfigError
from softswitch.flow import Flow
from softswitch.plugin.interfaces import IBindingStore
from softswitch.registrar.bindings import Binding, Bindings
from softswitch.store.sqlite import SqliteStore
from softswitch.testing.clock import VirtualClock

EPOCH = 1_800_000_000.0
AOR = "bob@example.com"
UDP = Flow("lan", "UDP", "127.44.0.1", 5060, "127.44.0.9", 5060)
TCP = Flow("lan", "TCP", "::1", 5060, "::1", 40001, 7)


def binding(contact, aor=AOR, flow=UDP, **others):
    return Binding(aor, contact, flow, "id", 1, EPOCH, EPOCH + 3600, **others)


@pytest.fixture(name="failed")
def _failed():
    """An event that is set when the log says that writing failed."""
    failed = Event()

    def observe(event):
        if event.get("log_format", "").startswith("cannot write"):
            failed.set()

    globalLogPublisher.addObserver(observe)
    yield failed
    globalLogPublisher.removeObserver(observe)


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "var" / "softswitch.db"


def test_it_is_a_binding_store(path):
    """The store fits where the interface says."""
    verifyObject(IBindingStore, SqliteStore(path))


def test_bindings_outlive_a_restart(path):
    """What stood at the end stands at the start, equal in every field; twice over."""
    clock = VirtualClock()
    store = SqliteStore(path)
    bindings = Bindings(clock, store, lambda: EPOCH + clock.seconds())
    one = binding("sip:bob@a", q=0.25, instance='"<urn:uuid:1>"', user_agent="Phøne")
    bindings.update(AOR, [one, binding("sip:bob@tcp", flow=TCP)], 10)
    bindings.update("carol@example.com", [binding("sip:c@c", aor="carol@example.com")], 10)
    bindings.remove_all("carol@example.com", "other", 1)
    bindings.stop()
    store.close()

    for _ in range(2):
        store = SqliteStore(path)
        again = Bindings(clock, store, lambda: EPOCH + clock.seconds())
        assert again.restore(lambda flow: not flow.reliable, print) == 2
        assert again.lookup(AOR) == [one]
        assert [each.flow for each in again.contacts(AOR)] == [UDP, TCP]
        assert again.contacts("carol@example.com") == []
        again.stop()
        store.close()
    assert clock.idle


@pytest.mark.parametrize("contacts", ["{", "5", b"\xff\x00", "[" * 100_000])
def test_a_row_that_is_none_is_passed_over(path, contacts):
    """It is logged; all others are there."""
    store = SqliteStore(path)
    store.save(AOR, [{"a": 1}])
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE bindings")
        connection.execute("CREATE TABLE bindings (aor, contacts)")
        connection.execute("INSERT INTO bindings VALUES (?, ?)", (b"carol", contacts))
        connection.execute("INSERT INTO bindings VALUES (5, '[]')")
        connection.execute("INSERT INTO bindings VALUES (?, ?)", (AOR.encode(), '[{"a": 1}]'))
        connection.commit()
    told = []
    globalLogPublisher.addObserver(told.append)
    try:
        assert SqliteStore(path).load() == {AOR: [{"a": 1}]}
    finally:
        globalLogPublisher.removeObserver(told.append)
    assert sum(event["log_format"].startswith("passed over") for event in told) == 2


def test_a_damaged_file_is_told(path):
    """What SQLite itself cannot read stops the start with the file's name."""
    store = SqliteStore(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE bindings")
    with pytest.raises(ConfigError, match=r"softswitch\.db: a whole database is needed here"):
        store.load()


def test_the_last_word_counts(path):
    """Many changes of many addresses: the file holds the last of each."""
    store = SqliteStore(path)
    for turn in range(20):
        for number in range(100):
            store.save(f"{number}@example.com", [{"turn": turn}] if number % 3 else [])
    store.close()
    kept = SqliteStore(path).load()
    assert kept == {f"{n}@example.com": [{"turn": 19}] for n in range(100) if n % 3}


def test_hostile_names(path):
    """Quotes, NUL and octets of no encoding are a key like any other."""
    names = ["'; DROP TABLE bindings; --@x", "a\0b@x", "\udcff\udcfe@x", "ü@x", "@", '"@x']
    store = SqliteStore(path)
    for name in names:
        store.save(name, [{"contact": name}])
    store.close()
    assert SqliteStore(path).load() == {name: [{"contact": name}] for name in names}


def test_a_locked_database_delays_nobody(path, failed, monkeypatch):
    """Another process holds the lock: saving returns at once, and is done when it lets go."""
    monkeypatch.setattr("softswitch.store.schema.BUSY_SECONDS", 0)
    store = SqliteStore(path, retry=0.001)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store.save(AOR, [{"a": 1}])
    assert failed.wait(10)
    store.save("carol@example.com", [{"a": 2}])
    other.execute("COMMIT")
    other.close()
    store.close()
    assert store.writer.dropped == 0
    assert SqliteStore(path).load() == {AOR: [{"a": 1}], "carol@example.com": [{"a": 2}]}


def test_a_group_that_fails_is_written_whole_later(path, failed):
    """One row of a transaction fails: none is written, and all are when the trouble is over."""
    store = SqliteStore(path, retry=0.001)
    store.save("old@x", [{"a": 1}])
    store.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute(
        "CREATE TRIGGER full BEFORE INSERT ON bindings WHEN new.aor = CAST('two@x' AS BLOB)"
        " BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
    )
    store = SqliteStore(path, retry=0.001)
    store.save("old@x", [])
    store.save("one@x", [{"a": 1}])
    store.save("two@x", [{"a": 2}])
    assert failed.wait(10)
    assert set(SqliteStore(path).load()) == {"old@x"}
    other.execute("DROP TRIGGER full")
    other.close()
    store.close()
    assert set(SqliteStore(path).load()) == {"one@x", "two@x"}


def test_a_file_that_is_no_database(path):
    """The start stops with the file's name and what would be right."""
    path.parent.mkdir()
    path.write_text("not a database, but long enough to be taken for one" * 100)
    with pytest.raises(ConfigError, match=r"softswitch\.db: .*SQLite"):
        SqliteStore(path)


def test_a_folder_in_the_way(path):
    """A path that cannot be opened stops the start."""
    path.mkdir(parents=True)
    (path / "x").write_text("a file")
    with pytest.raises(ConfigError):
        SqliteStore(path)
    with pytest.raises(ConfigError):
        SqliteStore(path / "x" / "y.db" / "z.db")


def test_the_database_of_another_program(path):
    """It is refused and left as it was."""
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (a)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="of softswitch"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_the_database_of_a_later_version(path):
    """It is not touched by an earlier one."""
    SqliteStore(path)
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(ConfigError, match="later version"):
        SqliteStore(path)
