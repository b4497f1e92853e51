"""The table of users: a real file that others change, lock, damage and fill."""

import sqlite3
from contextlib import closing
from queue import Queue
from threading import Event

import pytest
from twisted.logger import globalLogPublisher

from softswitch.errors import ConfigError
from softswitch.store.schema import SCHEMA_VERSION, STEPS
from softswitch.store.sqlite import SqliteStore
from softswitch.store.users import UserFile

#: What the version before users were kept left behind.
VERSION_1 = f"""
{STEPS[0]}
INSERT INTO bindings VALUES (x'626f624078', '[]');
PRAGMA application_id = {0x53495053};
PRAGMA user_version = 1;
"""


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "var" / "softswitch.sqlite"


@pytest.fixture(name="told")
def _told():
    """What is logged, as events: what the format begins with -> set when it is said."""
    events = {"cannot read users": Event(), "reading users again": Event()}

    def observe(event):
        for begins, said in events.items():
            if event.get("log_format", "").startswith(begins):
                said.set()

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


@pytest.fixture(name="watched")
def _watched(path):
    """A file that is watched, and the changes that its thread tells."""
    changes = Queue()
    file = UserFile(path, poll=0.01)
    file.load()
    file.watch(changes.put)
    yield changes
    file.close()


def change(path, *statements):
    """What another program does, in one transaction."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def gathered(changes, count):
    """The next changes, of so many users."""
    found = []
    while len(found) < count:
        found += changes.get(timeout=10)
    return found


def test_what_the_command_line_writes_is_loaded(path):
    """In the order of names; bindings in the same file are left alone."""
    with UserFile(path).changing() as users:
        users |= {"b": "{}", "a": '{"display": "Å"}', "c": "{}"}
    store = SqliteStore(path)
    store.save("x@y", [{"a": 1}])
    store.close()
    with UserFile(path).changing() as users:
        del users["c"]
        users["b"] = '{"x": 1}'
    assert UserFile(path).load() == [("a", '{"display": "Å"}'), ("b", '{"x": 1}')]
    assert SqliteStore(path).load() == {"x@y": [{"a": 1}]}


def test_nothing_is_written_when_the_change_fails(path):
    """All or nothing."""
    with pytest.raises(KeyError), UserFile(path).changing() as users:
        users.update(a="{}", b=users["none"])
    assert UserFile(path).load() == []


def test_changes_are_told_while_it_is_watched(path, watched):
    """Added, changed, renamed and removed, by whatever program and statement; each once."""
    change(path, "INSERT INTO users VALUES ('a', '1')", "INSERT INTO users VALUES ('b', '2')")
    assert gathered(watched, 2) == [("a", "1"), ("b", "2")]
    change(path, "UPDATE users SET settings = '3' WHERE name = 'a'", "DELETE FROM users WHERE 0")
    assert gathered(watched, 1) == [("a", "3")]
    change(path, "UPDATE users SET name = 'c' WHERE name = 'a'")
    assert gathered(watched, 2) == [("a", None), ("c", "3")]
    change(path, "DELETE FROM users WHERE name = 'b'", "REPLACE INTO users VALUES ('c', '4')")
    assert gathered(watched, 2) == [("b", None), ("c", "4")]
    change(path, "INSERT OR IGNORE INTO users VALUES ('b', '5')", "UPDATE users SET settings = 6")
    assert gathered(watched, 2) == [("b", "6"), ("c", "6")]
    assert UserFile(path).load() == [("b", "6"), ("c", "6")]


def test_many_changes_come_in_portions(path, watched):
    """A bulk import holds nobody up."""
    rows = [(f"{number:04}", "{}") for number in range(500)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO users VALUES (?, ?)", rows)
    assert [len(watched.get(timeout=10)) for _ in range(3)] == [200, 200, 100]


def test_other_changes_of_the_file_are_nobodys(path, watched):
    """A registration that is written tells nothing."""
    store = SqliteStore(path)
    store.save("x@y", [{"a": 1}])
    store.close()
    change(path, "INSERT INTO users VALUES ('a', '1')")
    assert gathered(watched, 1) == [("a", "1")]


def test_a_locked_file_delays_nobody(path, told, monkeypatch):
    """While another program has it for itself nothing is told, and the log says so once; then all
    that has changed meanwhile is."""
    monkeypatch.setattr("softswitch.store.schema.BUSY_SECONDS", 0)
    changes = Queue()
    file = UserFile(path, poll=0.01)
    file.load()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("INSERT INTO users VALUES ('a', '1')")
        other.commit()
        file.watch(changes.put)
        assert told["cannot read users"].wait(10)
        assert changes.empty()
    assert gathered(changes, 1) == [("a", "1")]
    assert told["reading users again"].wait(10)
    file.close()


def test_a_full_disk_hinders_no_reading(path, watched):
    """A file that cannot grow is read all the same."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("INSERT INTO users VALUES ('a', '1')")
        other.commit()
        (pages,) = other.execute("PRAGMA page_count").fetchone()
        other.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            other.executemany(
                "INSERT INTO users VALUES (?, ?)", [(f"{n}", "x" * 9000) for n in range(9)]
            )
        other.rollback()
    assert gathered(watched, 1) == [("a", "1")]


def test_a_damaged_file_stops_the_start(path):
    """With its path and what would be right, whether it is no database or one that is torn."""
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigError, match=r"softswitch\.sqlite: a whole database that"):
        UserFile(path)
    path.unlink()
    with UserFile(path).changing() as users:
        users |= {f"{number}": "x" * 500 for number in range(100)}
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(ConfigError, match=r"softswitch\.sqlite: a whole database that"):
        UserFile(path).load()


def test_an_older_file_is_taken_along(path):
    """What it held is still there; a second start changes nothing."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
    for _ in range(2):
        assert UserFile(path).load() == []
        assert SqliteStore(path).load() == {"bob@x": []}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_a_later_file_is_refused(path):
    """Rather than spoilt."""
    UserFile(path)
    change(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(ConfigError, match="written by a later version"):
        UserFile(path)


def test_a_step_that_fails_leaves_the_file_as_it_was(path):
    """No half of a version."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"{VERSION_1} CREATE TABLE user_changes (mine);")
    with pytest.raises(ConfigError, match="user_changes already exists"):
        UserFile(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        names = connection.execute("SELECT name FROM sqlite_schema WHERE name = 'users'")
        assert names.fetchall() == []


def test_too_many_users_stop_the_start(path, monkeypatch):
    """All are in memory, so there is an end to them."""
    monkeypatch.setattr("softswitch.store.users.MOST", 2)
    with UserFile(path).changing() as users:
        users |= dict.fromkeys("abc", "{}")
    with pytest.raises(ConfigError, match="3 users are more than 2"):
        UserFile(path).load()


def test_whatever_stands_there_is_text(path):
    """Blobs, numbers and octets of no encoding."""
    file = UserFile(path)
    change(path, r"INSERT INTO users VALUES (x'ff41', x'fe'), (5, 7)")
    assert file.load() == [("5", "7"), ("\ufffdA", "\ufffd")]
