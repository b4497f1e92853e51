"""``softswitch user``: against a real file, as an operator would."""

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from softswitch.ops.cli import main
from softswitch.ops.user_tables import UserTable
from softswitch.ops.users import HELP
from softswitch.sip.digest import ha1
from softswitch.store.users import UserFile

CONFIG = """
[switch]
realm = "example.org"
[[listen]]
transport = "udp"
bind = "127.33.7.1"
algorithms = ["MD5", "SHA-256"]
[groups.modern]
algorithms = ["SHA-512-256"]
[users.alice]
password = "geheim"
numbers = ["100"]
[ring_groups.sales]
members = ["alice"]
numbers = ["300"]
[trunks.pbx]
addresses = ["127.33.7.2"]
inbound_username = "gateway"
inbound_password = "x"
[[policy]]
use = "users"
[store]
users = "users.sqlite"
"""


@pytest.fixture
def user(tmp_path: Path, monkeypatch, capsys):
    """Runs ``softswitch user`` with the words of a line; gives status, output and complaints."""
    file = tmp_path / "switch.toml"
    file.write_text(CONFIG)

    def run(line: str, password: str = "x"):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
        options = ["--config", str(file), "--rundir", str(tmp_path)]
        status = main(["user", *(word.strip("'") for word in line.split()), *options])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def stored(tmp_path):
    """What stands in the file."""
    rows = UserFile(tmp_path / "var" / "users.sqlite").load()
    return {name: json.loads(settings) for name, settings in rows}


def test_every_setting_has_an_option():
    """All but the secrets, and the tables of media and of limits, which users of the store have
    from their group."""
    without = {"ha1", "password", "media", "fraud"}
    assert set(HELP) == {each.name for each in attrs.fields(UserTable)} - without


def test_a_user_is_added_with_a_hash_for_each_algorithm_on_offer(user, tmp_path):
    """Those of the listeners, or of his group; nothing else is written than what was said."""
    status, out, err = user("add 200 --display Desk --numbers 201 +44 --forward-after 7", "gehe im")
    assert (status, err) == (0, "")
    assert out == f"user 200 added to {tmp_path}/var/users.sqlite\n"
    assert user("add bob --group modern")[0] == 0
    assert stored(tmp_path) == {
        "200": {
            "ha1": {
                each: ha1("200", "example.org", "gehe im", each) for each in ("MD5", "SHA-256")
            },
            "display": "Desk",
            "numbers": ["201", "+44"],
            "forward_after": 7.0,
        },
        "bob": {
            "ha1": {"SHA-512-256": ha1("bob", "example.org", "x", "SHA-512-256")},
            "group": "modern",
        },
    }


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("add 200", "there is a user 200 already"),
        ("add 201", "201 is user 200's already"),
        ("add alice", "alice stands in "),
        ("add 100", "100 is user alice's already"),
        ("add bob --numbers 200", "200 is user 200's already"),
        ("add bob --numbers 100", "100 is user alice's already"),
        ("add bob --numbers 1 1", "--numbers: each once is wanted"),
        ("add bob --numbers bob", "--numbers: each once is wanted"),
        ("add bob --numbers a@b", "--numbers: a number or name"),
        ("add bob --numbers 300", "300 is ring group sales's already"),
        ("add sales", "sales is ring group sales's already"),
        ("add gateway", "a trunk in "),
        ("add bob --max-calls -1", "--max-calls: a number of calls is wanted"),
        ("add bob --max-calls-status 503", "--max-calls-status: 486 or 480 is wanted"),
        ("add bob --do-not-disturb no", '--do-not-disturb: "" or "busy"'),
        ("add a@b", "NAME is the part of an address before the @"),
        ("add bob --group none", "--group: no such group; known: modern"),
        ("add bob --forward-busy bob", "--forward-busy: somebody else is wanted"),
        ("add bob --forward-busy tel:1", "--forward-busy: a SIP URI is wanted"),
        ("add bob --forward-after -1", "--forward-after: a number of seconds"),
        ("set 200 --numbers alice", "alice is user alice's already"),
        ("set bob --display B", "there is no user bob in "),
        ("set alice --display A", "alice stands in "),
        ("remove bob", "there is no user bob in "),
        ("password alice", "alice stands in "),
        ("show bob", "there is no user bob in "),
    ],
)
def test_what_cannot_be_is_refused(user, tmp_path, line, why):
    """Status 1 and a line that says why; nothing is changed."""
    assert user("add 200 --numbers 201")[0] == 0
    before = stored(tmp_path)
    status, out, err = user(line)
    assert (status, out) == (1, "")
    assert why in err
    assert err.startswith("softswitch: ")
    assert err.count("\n") == 1
    assert stored(tmp_path) == before


def test_an_empty_password_makes_no_user(user, tmp_path):
    """Nor does it change one."""
    assert user("add 200", "")[0] == 1
    assert stored(tmp_path) == {}
    assert user("add 200", "one")[0] == 0
    assert user("password 200", "")[0] == 1
    assert stored(tmp_path)["200"]["ha1"]["MD5"] == ha1("200", "example.org", "one", "MD5")


def test_before_the_first_user_there_is_no_file(user, tmp_path):
    """Nothing but `add` makes it, lest a wrong directory look like an empty one."""
    for line in ("set 200", "remove 200", "show 200", "password 200"):
        status, _, err = user(line)
        assert status == 1
        assert "users.sqlite is not there yet" in err
    assert not (tmp_path / "var").exists()


def test_settings_are_changed_and_taken_away(user, tmp_path):
    """Those that are not named stay; "" and no numbers are as it was without."""
    user("add 200 --display Desk --numbers 201 --forward-busy alice --max-calls 2")
    assert user("set 200 --do-not-disturb busy --disturbed-by alice --max-calls-status 480")[0] == 0
    assert user("set 200 --do-not-disturb '' --disturbed-by --max-calls-status 486")[0] == 0
    assert user("set 200 --display '' --forward-no-answer sip:x@y.example") == (0, "", "")
    settings = stored(tmp_path)["200"]
    settings.pop("ha1")
    assert settings == {
        "numbers": ["201"],
        "forward_busy": "alice",
        "forward_no_answer": "sip:x@y.example",
        "max_calls": 2,
    }
    cleared = "--numbers --forward-busy '' --forward-no-answer '' --max-calls 0"
    assert user(f"set 200 {cleared}")[0] == 0
    assert set(stored(tmp_path)["200"]) == {"ha1"}


def test_a_hash_that_is_missing_is_told(user, tmp_path):
    """A group may be offered what there is no hash for; a new password makes it."""
    user("add 200")
    status, _, err = user("set 200 --group modern")
    assert status == 0
    assert "200 has no hash for SHA-512-256" in err
    assert user("password 200", "new") == (0, "", "")
    assert stored(tmp_path)["200"]["ha1"] == {
        "SHA-512-256": ha1("200", "example.org", "new", "SHA-512-256")
    }


def test_users_are_shown_without_their_secrets(user, tmp_path):
    """One as the configuration has him, or as JSON; all in a line each."""
    user("add 200 --display Desk --numbers 201")
    (secret, _) = stored(tmp_path)["200"]["ha1"].values()
    shown = user("show 200")[1]
    assert shown == '[users.200]\n# hashes: MD5, SHA-256\ndisplay = "Desk"\nnumbers = ["201"]\n'
    for line in ("show 200 --json", "list --json", "list"):
        status, out, err = user(line)
        assert (status, err) == (0, "")
        assert secret not in out
        assert "geheim" not in out
    assert json.loads(user("show 200 --json")[1]) == {
        "name": "200",
        "display": "Desk",
        "numbers": ["201"],
        "algorithms": ["MD5", "SHA-256"],
    }
    assert [each["name"] for each in json.loads(user("list --json")[1])] == ["alice", "200"]
    assert user("list")[1] == "alice  configuration  100\n200    store          201  Desk\n"
    assert "a password in the clear" in user("show alice")[1]


def test_a_user_who_is_removed_is_gone(user, tmp_path):
    """And his numbers are free."""
    user("add 200 --numbers 201")
    assert user("remove 200") == (0, "", "")
    assert user("add 201")[0] == 0
    assert set(stored(tmp_path)) == {"201"}


def test_a_row_that_makes_no_user_is_told_and_can_be_mended(user, tmp_path):
    """`list` passes it over, `show` says what is wrong, `remove` removes it."""
    user("add 200")
    with closing(sqlite3.connect(tmp_path / "var" / "users.sqlite")) as connection, connection:
        connection.execute("""INSERT INTO users VALUES ('bad', '{"displai": 1}')""")
    status, out, err = user("list")
    assert status == 0
    assert "200" in out
    assert "user bad.displai: no such key; did you mean display?" in err
    status, _, err = user("show bad")
    assert (status, "user bad.displai" in err) == (2, True)
    assert user("remove bad")[0] == 0


def test_a_damaged_file_is_told(user, tmp_path):
    """Status 2 and a line with the path."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "users.sqlite").write_bytes(b"no database at all" * 100)
    for line in ("list", "add 200", "remove 200"):
        status, out, err = user(line)
        assert (status, out) == (2, "")
        assert "var/users.sqlite: a whole database" in err
        assert err.count("\n") == 1


def test_a_file_that_somebody_locks_is_told(user, tmp_path, monkeypatch):
    """After a while; status 2."""
    user("add 200")
    monkeypatch.setattr("softswitch.store.users.PATIENCE", 0)
    with closing(sqlite3.connect(tmp_path / "var" / "users.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        status, _, err = user("set 200 --display x")
        assert status == 2
        assert "database is locked" in err
        other.rollback()
    assert user("set 200 --display x")[0] == 0
