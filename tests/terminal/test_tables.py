"""What the terminal shows of what the API says."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from softswitch.terminal import tables

CALL = {
    "id": "abc",
    "state": "talking",
    "caller": "sip:\x1b]0;owned\x07\x1b[2J@x",
    "called": "sip:bob\r\n[bold]\u202e@x",
    "identity_kind": "user",
    "identity": "alice",
    "trunk": None,
    "target": None,
    "invited": "2026-01-31T12:00:00.000000Z",
    "ringing": None,
    "answered": "2026-01-31T12:00:05.000000Z",
    "silences": 0,
}


def printed(part):
    console = Console(file=StringIO(), width=200, force_terminal=True, color_system="truecolor")
    console.print(part)
    return console.file.getvalue()


def test_what_callers_write_is_shown_as_text():
    """No escape, bell, line break or change of direction of theirs reaches the terminal, and no
    markup is taken for one."""
    text = printed(tables.calls([CALL], datetime(2026, 1, 31, 13, 2, 8, tzinfo=UTC)))
    assert "\x1b]" not in text
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert len(text.rstrip("\n").split("\n")) == 2
    assert r"\x1b[2J" in text
    assert r"\r\n[bold]\u202e" in text
    assert "1:02:03" in text


@pytest.mark.parametrize(
    ("moment", "words"),
    [(None, "-"), ("2026-01-31T12:00:00Z", "0:09"), ("2026-01-31T12:01:00Z", "0:00")],
)
def test_how_long(moment, words):
    """A clock that differs a little makes nothing negative."""
    assert tables.ago(moment, datetime(2026, 1, 31, 12, 0, 9, tzinfo=UTC)) == words


def test_octets_of_no_encoding():
    """They are shown, too."""
    assert tables.safe("a\udcffb") == r"a\udcffb"
