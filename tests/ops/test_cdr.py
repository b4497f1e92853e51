"""``softswitch cdr``: records are looked up beside the switch."""

import csv
import json
import os
import subprocess
import sys
from contextlib import closing

import pytest

from softswitch.ops.cli import main
from softswitch.plugin.record import Attempt, CallRecord
from softswitch.records.columns import COLUMNS
from softswitch.records.schema import add, open_records

HOSTILE = "Busy\x1b[2J\x9b\nHere"


def call(number, **cells):
    fields = {
        "caller": f"sip:100{number}@example.com",
        "called": "sip:2000@example.com",
        "invited": 1_800_000_000.0 + number,
        "ended": 1_800_000_005.0 + number,
        "hung_up": "callee",
        "status": 486,
        "reason": HOSTILE,
        "attempts": [Attempt("sip:2000@gw", "b", 1_800_000_000.0, "red")],
    }
    cells = {**fields, **cells}
    return CallRecord(f"call-{number}", f"{number}@phone", "f", "user", "alice", **cells)


@pytest.fixture
def cdr(tmp_path, capsys):
    """Runs the command where a switch has kept seven records; status, output, errors."""
    path = tmp_path / "var" / "calls.sqlite"
    path.parent.mkdir()
    with closing(open_records(path)) as connection, connection:
        add(connection, [call(number) for number in range(6)])
        add(connection, [call(6, answered=1_800_000_007.5, status=200, reason="OK")])

    def cdr(*words):
        status = main(["cdr", "--rundir", str(tmp_path), *words])
        out, err = capsys.readouterr()
        return status, out, err

    return cdr


def test_a_list(cdr):
    """The latest first, a line for each, and nothing in it that a terminal obeys."""
    status, out, err = cdr("--limit", "3")
    assert status == 0
    head, *lines = out.splitlines()
    assert head.split() == [
        *("began", "from", "to", "over", "status", "rang", "talked", "hung", "up", "MOS", "id")
    ]
    assert [line.split()[-1] for line in lines] == ["call-6", "call-5", "call-4"]
    assert lines[0].split()[2:5] == ["1006", "2000", "red"]
    assert "200 OK" in lines[0]
    assert "3.5 s" in lines[0]
    assert "Busy\\x1b[2J\\x9b\\x0aHere" in lines[1]
    assert out.replace("\n", "").isprintable()
    assert "--after" in err
    _, out, _ = cdr("--limit", "9", "--after", err.split()[-1])
    assert [line.split()[-1] for line in out.splitlines()[1:]] == [
        f"call-{n}" for n in (3, 2, 1, 0)
    ]


def test_a_list_for_programs(cdr):
    """A line of JSON for each; found by what the words say."""
    status, out, _ = cdr("list", "--json", "--status", "2xx")
    assert status == 0
    (record,) = map(json.loads, out.splitlines())
    assert record["id"] == "call-6"
    assert [
        json.loads(line)["id"] for line in cdr("--json", "--number", "1003")[1].splitlines()
    ] == ["call-3"]
    assert cdr("--json", "--trunk", "blue")[1] == ""


def test_one_call(cdr):
    """All that is known of it."""
    status, out, _ = cdr("show", "call-3")
    assert status == 0
    assert json.loads(out)["reason"] == HOSTILE
    assert "\x1b" not in out
    assert cdr("show", "call-\x1b9")[::2] == (
        1,
        "softswitch: no call that has ended has an id that begins call-\\x1b9\n",
    )


def test_one_call_by_the_beginning_of_its_id(cdr, tmp_path):
    """As long as it is of one alone; a whole id is whole, whatever others begin with it."""
    with closing(open_records(tmp_path / "var" / "calls.sqlite")) as connection, connection:
        add(connection, [call(10), call(21)])
    assert json.loads(cdr("show", "call-2")[1])["id"] == "call-2"
    assert json.loads(cdr("show", "call-21")[1])["id"] == "call-21"
    assert json.loads(cdr("show", "call-3")[1])["id"] == "call-3"
    assert json.loads(cdr("show", "call-10")[1])["id"] == "call-10"
    assert json.loads(cdr("show", "call-1")[1])["id"] == "call-1"
    assert cdr("show", "call")[::2] == (
        1,
        "softswitch: call: more of it is wanted: several calls have an id that begins so\n",
    )
    with closing(open_records(tmp_path / "var" / "calls.sqlite")) as connection, connection:
        connection.execute("DELETE FROM calls WHERE id IN ('call-1', 'call-2')")
    assert json.loads(cdr("show", "call-1")[1])["id"] == "call-10"


def test_an_export_of_which_nobody_reads_more(cdr, tmp_path):
    """It is no mistake of the configuration's."""
    read, write = os.pipe()
    os.close(read)
    line = [sys.executable, "-m", "softswitch", "cdr", "export", "--rundir", str(tmp_path)]
    done = subprocess.run(line, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_what_is_missing_or_too_much(cdr):
    """No id to be shown; an id where none is looked for."""
    assert "which one?" in cdr("show")[2]
    assert cdr("list", "foo")[::2] == (1, "softswitch: foo: only show takes an id\n")


def test_statistics(cdr):
    """Per trunk and hour, or all together."""
    status, out, _ = cdr("stats")
    assert status == 0
    line = out.splitlines()[1].split()
    assert line == ["2027-01-15", "08:00", "red", "out", "7", "0", "0.0%"]
    (stat,) = map(json.loads, cdr("stats", "--json", "--by", "all")[1].splitlines())
    assert (stat["calls"], stat["answered"], stat["asr"], stat["acd"]) == (7, 1, 1 / 7, 3.5)


@pytest.mark.parametrize("how", [[], ["--csv"], ["--json"]])
def test_an_export(cdr, tmp_path, how):
    """All that match, in the order in which they began, into a new file."""
    file = tmp_path / "out"
    status, out, err = cdr("export", *how, "--to", str(file), "--since", "2027-01-15T08:00:03")
    assert (status, out) == (0, "")
    assert "4 records exported" in err
    assert "1 record exported" in cdr("export", "--number", "1003")[2]
    if how == ["--json"]:
        ids = [json.loads(line)["id"] for line in file.read_text().splitlines()]
    else:
        head, *rows = csv.reader(file.read_text().splitlines())
        assert head == list(COLUMNS)
        ids = [row[0] for row in rows]
    assert ids == ["call-3", "call-4", "call-5", "call-6"]
    assert cdr("export", "--to", str(file))[0] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--status", "48"], "--status: a status is wanted"),
        (["--hung-up", "me"], "--hung-up: caller"),
        (["--limit", "0"], "--limit: 1 to"),
        (["--after", "x"], "--after: what the page before"),
    ],
)
def test_a_wish_that_makes_no_sense(cdr, words, said):
    """Names the option and what would be right."""
    status, out, err = cdr(*words)
    assert (status, out) == (1, "")
    assert said in err


def test_no_records(tmp_path, capsys):
    """Where no call was recorded, or none is to be."""
    assert main(["cdr", "--rundir", str(tmp_path)]) == 2
    assert "no call has been recorded" in capsys.readouterr().err
    file = tmp_path / "off.toml"
    file.write_text('[[listen]]\ntransport = "udp"\n[records]\nstore = ""\npath = ""\n')
    assert main(["cdr", "--config", str(file)]) == 2
    assert "records.store" in capsys.readouterr().err
