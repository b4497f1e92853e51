"""What stands in the log, and what does not."""

import io
import json

import pytest
from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure

from softswitch.flow import Flow
from softswitch.journal import RECEIVED, TIMER
from softswitch.ops import logs
from softswitch.ops.logs import CallLog, Log, WireLog, part_of, twistd_output
from softswitch.ops.operator_tables import LEVELS, LogTable
from softswitch.plugin.record import Attempt, CallRecord


@pytest.fixture
def written():
    """A log, what has been written to it, and what makes loggers that speak to it."""
    output = io.StringIO()
    log = Log(LogTable(), output)
    return log, output.getvalue, lambda name: Logger(name, observer=LogPublisher(log))


def test_a_line_for_people(written):
    """Time, level, part, and what has happened."""
    _, text, logger = written
    logger("softswitch.transport.udp").warn("{count} lost", count=3)
    time, rest = text().split(" ", 1)
    assert rest == "warn  transport: 3 lost\n"
    assert len(time) == len("2026-11-26T20:00:00.000+00:00")


def test_a_line_as_json(written):
    """One object, with the fields of the event; one that would hide ours has another name."""
    log, text, logger = written
    log.table = LogTable(format="json")
    logger("softswitch.policy.chain").error("policy {policy}", policy="a", text="b", odd={1})
    found = json.loads(text())
    assert found.pop("time").endswith("Z")
    assert found == {
        "level": "error",
        "part": "policy",
        "text": "policy a",
        "policy": "a",
        "field_text": "b",
        "odd": "{1}",
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_a_peer_has_sent_is_text(written, form):
    """Its line breaks begin no line of the log, and no terminal obeys its escapes."""
    log, text, logger = written
    log.table = LogTable(format=form)
    logger("softswitch.ops").info("from {name}", name="a\r\nb\x1b[2J\x7f\x9b31m\u202e\u2066")
    assert text().count("\n") == 1
    assert not {"\x1b", "\r", "\x7f", "\x9b", "\u202e", "\u2066"} & set(text())


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_failure_has_its_traceback(written, form):
    """Behind its line, with the lines that it has."""
    log, text, logger = written
    log.table = LogTable(format=form)
    try:
        raise ValueError("\x1b[31mred")
    except ValueError:
        logger("softswitch.ops").failure("that failed", Failure())
    assert "ValueError" in text()
    assert "\x1b" not in text()
    assert "Traceback" in (json.loads(text())["traceback"] if form == "json" else text())


@pytest.mark.parametrize("said", LEVELS)
@pytest.mark.parametrize("wanted", LEVELS)
def test_levels_of_parts(written, said, wanted):
    """What is less grave than its part's level is left out, whatever holds for the others; a change
    holds from the next event on."""
    log, text, logger = written
    log.table = LogTable(level="error", levels={"trunk": wanted})
    getattr(logger("softswitch.trunk.health"), said)("heard")
    getattr(logger("softswitch.store.writer"), said)("others")
    assert ("heard" in text()) == (LEVELS.index(said) >= LEVELS.index(wanted))
    assert ("others" in text()) == (said == "error")
    log.table = LogTable(level="debug")
    getattr(logger("softswitch.store.writer"), said)("afterwards")
    assert "afterwards" in text()


@pytest.mark.parametrize(
    ("namespace", "part"),
    [
        ("softswitch.media.farm", "media"),
        ("softswitch.calls", "calls"),
        ("softswitch", "twisted"),
        ("twisted.web.server", "twisted"),
        ("stdout", "twisted"),
        ("", "twisted"),
    ],
)
def test_parts(namespace, part):
    """A part is a package of ours."""
    assert part_of(namespace) == part


RECORD = CallRecord(
    id="c1",
    call_id_a="x@y",
    from_tag="t",
    identity_kind="user",
    identity="alice",
    caller="sip:alice@x",
    called="sip:bob@x",
    invited=1.0,
    ringing=2.0,
    answered=3.0,
    ended=8.5,
    hung_up="caller",
    status=200,
    reason="OK",
    attempts=[Attempt("sip:bob@phone", "z", 1.0)],
)


def test_the_lines_of_a_call(written, monkeypatch):
    """Four, once "calls" is to be heard: else none."""
    log, text, logger = written
    monkeypatch.setattr(logs, "_calls", logger("softswitch.calls"))
    told = CallLog()
    for _ in range(2):
        for fact in (told.call_started, told.call_ringing, told.call_answered, told.call_ended):
            fact(RECORD)
        log.table = LogTable(levels={"calls": "info"})
    lines = [line.split("calls: call c1: ")[1] for line in text().splitlines()]
    assert lines == [
        "user alice (sip:alice@x) calls sip:bob@x",
        "rings at sip:bob@phone",
        "answered by sip:bob@phone",
        "ended by caller after 5.5 s of talk: 200 OK",
    ]


def test_a_call_that_a_server_has_failed(written, monkeypatch):
    """Is a warning, which stands in the log anyway."""
    _, text, logger = written
    monkeypatch.setattr(logs, "_calls", logger("softswitch.calls"))
    failed = CallRecord("c2", "x", "t", "peer", "", "sip:a@x", "sip:b@x", 1.0)
    failed.status, failed.reason, failed.ended, failed.hung_up = 503, "No Trunk", 2.0, "switch"
    CallLog().call_ended(failed)
    assert "warn  calls: call c2: ended by switch after 0.0 s of talk: 503 No Trunk" in text()


INVITE = (
    b"INVITE sip:bob@x SIP/2.0\r\nFrom: \x1b[2J<sip:a@x>\r\n"
    b'Authorization: Digest username="a", response="f00"\r\n\r\n2026 error ops: a lie\n'
)
FLOW = Flow("udp", "UDP", "127.0.0.1", 5060, "127.0.0.9", 5071)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_message_at_debug(written, monkeypatch, form):
    """As it was on the wire, but for what proves a password; it can feign no line of the log, and
    whoever else listens hears it as before."""
    log, text, logger = written
    monkeypatch.setattr(logs, "_messages", logger("softswitch.wire"))
    heard = []
    wire = WireLog(heard.append)
    wire((1.0, RECEIVED, FLOW, INVITE))
    assert not text()
    log.table = LogTable(form, levels={"wire": "debug"})
    wire((1.0, RECEIVED, FLOW, INVITE))
    wire((2.0, TIMER, "timer A", "a-call-id"))
    assert [entry[0] for entry in heard] == [1.0, 1.0, 2.0]
    assert "\x1b" not in text()
    if form == "json":
        (found,) = map(json.loads, text().splitlines())
        assert found["wire"].startswith("INVITE sip:bob@x SIP/2.0\r\n")
        assert 'response="***"' in found["wire"]
        return
    first, *lines = text().splitlines()
    assert first.endswith(f"debug wire: received {len(INVITE)} bytes from 127.0.0.9 5071 over UDP")
    assert lines[0] == "    INVITE sip:bob@x SIP/2.0"
    assert lines[2] == '    Authorization: Digest username="a", response="***"'
    assert lines[4] == "    2026 error ops: a lie"


def test_where_twistd_wants_it(tmp_path, capsys):
    """To its file, to the terminal; its syslog is left to it."""
    path = str(tmp_path / "a.log")
    output = twistd_output({"logfile": path, "nodaemon": False})
    output.write("there\n")
    output.flush()
    assert (tmp_path / "a.log").read_text() == "there\n"
    twistd_output({"nodaemon": True}).write("here\n")
    assert capsys.readouterr().out == "here\n"
    for options in ({"syslog": True}, {"logger": "mine"}, {"logfile": "-", "nodaemon": False}):
        assert twistd_output(options) is None
