"""Records in files of JSON lines and CSV: each in one line, once, and a new file now and then."""

import csv
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from errno import EIO, ENOSPC
from io import FileIO
from random import Random

import pytest

from softswitch.errors import ConfigError
from softswitch.plugin.record import Attempt, MediaStream, Silence, Verdict
from softswitch.records.columns import COLUMNS
from softswitch.records.exporter import Entry
from softswitch.records.files import Files, Turnover, try_out
from softswitch.records.lines import CsvLines, JsonLines, cell
from softswitch.records.written import as_json, summary

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()
FORMS = {"jsonl": JsonLines(), "csv": CsvLines()}


class FailingFile(FileIO):
    """A file on a disk that is full, or broken, now and then: it writes a part and raises."""

    random = Random(44)
    failures = 0

    def write(self, data):
        kind = self.random.random()
        if FailingFile.failures and kind < 0.7:
            FailingFile.failures -= 1
            super().write(bytes(data)[: self.random.randrange(len(data))])
            raise OSError(ENOSPC, "No space left on device")
        if kind > 0.9:
            return super().write(bytes(data)[: self.random.randrange(1, len(data) + 1)])
        return super().write(data)

    def truncate(self, size=None):
        if FailingFile.failures and self.random.random() < 0.5:
            FailingFile.failures -= 1
            raise OSError(EIO, "Input/output error")
        return super().truncate(size)


@pytest.fixture(params=FORMS)
def form(request):
    """JSON and CSV."""
    return FORMS[request.param]


@pytest.fixture
def file(tmp_path, form):
    """Where the records go."""
    return tmp_path / ("calls.csv" if form.head else "calls.jsonl")


@pytest.fixture
def batch(call):
    """Makes a batch of records of these numbers."""

    def batch(*numbers, **cells):
        records = [call(number, **cells) for number in numbers]
        return [Entry(each.invited, each.id, as_json(each, summary(each))) for each in records]

    return batch


class Time:
    """The time, as a test says it."""

    now = NOON

    def __call__(self):
        return self.now


def ids(path):
    """Of the records in a file, each line of which is whole."""
    text = path.read_bytes().decode()
    if path.suffix == ".csv":
        lines = text.split("\r\n")
        assert lines.pop() == ""
        head, *rows = csv.reader(lines)
        assert head == list(COLUMNS)
        return [row[0] for row in rows]
    return [json.loads(line)["id"] for line in text.splitlines()]


def names(*numbers):
    return [f"call-{number}" for number in numbers]


def test_lines_follow_one_another(file, form, batch):
    """A restart goes on in the same file; CSV has the names of its columns once."""
    files = Files(file, form, Turnover(), Time())
    state = files.carry(batch(1, 2), {})
    state = files.carry(batch(3), state)
    files.close()
    files = Files(file, form, Turnover(), Time())
    files.carry(batch(4), state)
    files.close()
    assert ids(file) == names(1, 2, 3, 4)


def test_never_two_never_none_on_a_failing_disk(file, form, batch):
    """A disk that takes half a write and fails, and fails to take it back, time and again; the
    switch begins anew now and then: each record stands there once, in order."""
    FailingFile.failures = 0
    files = Files(file, form, Turnover(), Time(), lambda path: FailingFile(path, "a+b"))
    state, failed = {}, 0
    for number in range(0, 900, 3):
        FailingFile.failures += 3
        while True:
            try:
                state = files.carry(batch(number, number + 1, number + 2), state)
                break
            except OSError:
                failed += 1
                if failed % 7 == 0:
                    files.close()
    FailingFile.failures = 0
    files.close()
    assert failed > 300
    assert ids(file) == names(*range(900))


@pytest.mark.parametrize("aside", [False, True])
def test_a_crash_behind_the_write(file, form, batch, aside):
    """The lines are on the disk, that they are is not remembered: they are known by their ids, be
    it in a file that was moved away since; half a line is taken back."""
    files = Files(file, form, Turnover(), Time())
    state = files.carry(batch(1), {})
    files.carry(batch(2, 3), state)
    files.close()
    with file.open("ab") as torn:
        torn.write(form.line(batch(4)[0].text)[:20])
    there = file
    if aside:
        there = file.rename(file.with_name(f"{file.name}.1"))
    files = Files(file, form, Turnover(), Time())
    files.carry(batch(2, 3, 4), state)
    files.close()
    if aside:
        there = there.rename(file.with_name(f"old{file.suffix}"))
        assert ids(there) == names(1, 2, 3)
        assert ids(file) == names(4)
    else:
        assert ids(file) == names(1, 2, 3, 4)


def test_a_crash_behind_the_write_into_a_new_file(file, form, batch):
    """An hour has passed, a new file begun and the lines are in it, but that they are is not
    remembered: they are known there, too, half a line is taken back, and no third file begins."""
    now = Time()
    files = Files(file, form, Turnover("hourly"), now)
    state = files.carry(batch(1), {})
    now.now += 3600
    files.carry(batch(2, 3), state)
    files.close()
    with file.open("ab") as torn:
        torn.write(form.line(batch(4)[0].text)[:20])
    files = Files(file, form, Turnover("hourly"), now)
    state = files.carry(batch(2, 3, 4), state)
    files.carry(batch(5), state)
    files.close()
    (aside,) = file.parent.glob(f"{file.stem}-*")
    assert ids(aside) == names(1)
    assert ids(file) == names(2, 3, 4, 5)


def test_what_others_have_left_stays(file, form, batch):
    """Half a line that somebody else has written stays alone in its line."""
    file.write_bytes(b"torn")
    files = Files(file, form, Turnover(), Time())
    files.carry(batch(1), {})
    files.close()
    assert file.read_bytes() == b"torn\n" + form.line(batch(1)[0].text)


def test_a_file_that_was_moved_away_is_made_anew(file, form, batch):
    """As logrotate does; and copytruncate, too: writing goes on at the new end, without a hole."""
    files = Files(file, form, Turnover(), Time())
    state = files.carry(batch(1), {})
    old = file.rename(file.with_name(f"old{file.suffix}"))
    state = files.carry(batch(2), state)
    assert (ids(old), ids(file)) == (names(1), names(2))
    os.truncate(file, 0)
    files.carry(batch(3), state)
    files.close()
    assert ids(file) == names(3)


@pytest.mark.parametrize(("period", "seconds"), [("hourly", 3600), ("daily", 86400)])
def test_a_new_file_each_period(file, form, batch, period, seconds):
    """Of UTC; the old one is named after the time at which it was put aside. Of several, the
    oldest go."""
    time = Time()
    files = Files(file, form, Turnover(period, files=2), time)
    state = {}
    for number in range(5):
        time.now = NOON + number * seconds
        state = files.carry(batch(number), state)
        state = files.carry(batch(number + 100), state)
    files.close()
    assert ids(file) == names(4, 104)
    stamp = datetime.fromtimestamp(time.now, UTC).strftime("%Y%m%dT%H%M%SZ")
    latest = file.with_name(f"calls-{stamp}{file.suffix}")
    assert ids(latest) == names(3, 103)
    assert len(list(file.parent.iterdir())) == 3


def test_a_new_file_beyond_a_size(file, form, batch):
    """Several in one second have names of their own, in order; none goes unless that is wanted, and
    no file of others ever."""
    (file.parent / f"calls-of-mine{file.suffix}").write_text("mine")
    files = Files(file, form, Turnover(bytes=1), Time())
    state = {}
    for number in range(4):
        state = files.carry(batch(number), state)
    files.close()
    aside = sorted(file.parent.glob("calls-2*"), key=lambda path: path.stem)
    assert [ids(path) for path in aside] == [names(0), names(1), names(2)]
    assert ids(file) == names(3)
    files = Files(file, form, Turnover(bytes=1, files=1), Time())
    files.carry(batch(4), state)
    files.close()
    assert [ids(path) for path in file.parent.glob("calls-2*")] == [names(3)]
    assert (file.parent / f"calls-of-mine{file.suffix}").read_text() == "mine"


def test_a_failure_while_the_file_is_turned_over(file, form, batch):
    """Nothing is lost, nothing there twice."""
    FailingFile.failures = 0
    time = Time()
    files = Files(file, form, Turnover("hourly"), time, lambda path: FailingFile(path, "a+b"))
    state = {}
    for number in range(50):
        time.now = NOON + number * 3600
        FailingFile.failures += 2
        done = False
        while not done:
            with suppress(OSError):
                state = files.carry(batch(number), state)
                done = True
    files.close()
    found = [each for path in file.parent.iterdir() for each in ids(path)]
    assert sorted(found) == sorted(names(*range(50)))


def test_a_path_that_cannot_be_written_stops_the_start(tmp_path):
    """A folder, a pipe or a file in the way is told at once, with the path."""
    (tmp_path / "calls.jsonl").mkdir()
    with pytest.raises(ConfigError, match=r"calls\.jsonl: a file"):
        try_out(tmp_path / "calls.jsonl")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError):
        try_out(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError):
        try_out(tmp_path / "file" / "calls.jsonl")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+4989", "'+4989"),
        ("-1", "'-1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("＝1", "'＝1"),
        ("\t=1", "\\x09=1"),
        ("a\r\nb\x1b[2J\x9b\u2028", "a\\x0d\\x0ab\\x1b[2J\\x9b\\u2028"),
        ("\\x0a", "\\\\x0a"),
        ('plain, "quoted"; ü', 'plain, "quoted"; ü'),
        (None, ""),
        (-1.5, "-1.5"),
        (0, "0"),
    ],
)
def test_a_cell_harms_nobody(value, shown):
    """No formula, no control character, no line break reaches whoever opens the file; what was
    written can be told from it all the same."""
    assert cell(value) == shown


def test_the_columns_of_a_record(call):
    """What an operator reads: legs, numbers, verdicts, figures of both directions."""
    record = call(
        1,
        called="sip:\r\n=1@x",
        causes=["Q.850;cause=16", "SIP;cause=200"],
        verdicts=[Verdict("admission", "users", "user alice"), Verdict("routing", "", "404")],
        attempts=[
            Attempt("sip:1@x", "first", 1.0, "red"),
            Attempt("sip:2@x", "second", 1.0, "blue", answered=2.0, caller="<sip:me@x>", user="u"),
            Attempt("sip:3@x", "third", 1.0),
        ],
        media=[
            MediaStream("a", 0, "audio", "PCMA", packets=10, lost=1, jitter=0.001, mos=4.0),
            MediaStream("b1", 0, "audio", "PCMA", packets=3),
            MediaStream("b2", 0, "audio", "PCMU", packets=9, lost=0, jitter=0.002),
            MediaStream("b2", 1, "video", "H264", packets=99),
        ],
        silences=[Silence("b2", "held", "", 1.0)],
    )
    line = CsvLines().line(as_json(record, summary(record)))
    assert line.endswith(b"\r\n")
    assert line.count(b"\n") == 1
    row = dict(zip(COLUMNS, next(csv.reader([line.decode()])), strict=True))
    assert {name: row[name] for name in row if row[name]} == {
        "id": "call-1",
        "call_group": "call-1",
        "invited": "2027-01-15T08:00:01.000000Z",
        "ended": "2027-01-15T08:00:06.000000Z",
        "caller": "sip:alice@example.com",
        "called": "sip:\\x0d\\x0a=1@x",
        "caller_number": "alice",
        "sent_caller_number": "me",
        "sent_called_number": "2",
        "callee_user": "u",
        "identity_kind": "user",
        "identity": "alice",
        "trunk_out": "blue",
        "attempts": "3",
        "status": "486",
        "reason": "Busy Here",
        "hung_up": "callee",
        "causes": "Q.850;cause=16; SIP;cause=200",
        "verdicts": "admission: users: user alice; routing: nobody: 404",
        "codec_caller": "PCMA",
        "codec_callee": "PCMA",
        "packets_caller": "10",
        "packets_callee": "9",
        "lost_caller": "1",
        "lost_callee": "0",
        "jitter_caller": "0.001",
        "jitter_callee": "0.002",
        "mos_caller": "4.0",
        "silences": "b2: held",
        "call_id_a": "1@phone",
        "call_id_b": "second",
    }


def test_a_crash_behind_the_first_write(file, form, batch):
    """Though nothing is remembered yet, the lines are known."""
    files = Files(file, form, Turnover(), Time())
    files.carry(batch(1, 2), {})
    files.close()
    files = Files(file, form, Turnover(), Time())
    files.carry(batch(1, 2, 3), {})
    files.close()
    assert ids(file) == names(1, 2, 3)
