"""The notifier: a subscription that needs no more than a way to send a NOTIFY."""

import json

import pytest

from softswitch.dialog.subscription import Notifier, NotifierData
from softswitch.machine import unexpected
from softswitch.plain import from_plain, to_plain
from softswitch.scope import Auditor, Scope
from softswitch.sip.message import Response
from softswitch.testing.clock import VirtualClock

OK = Response(200, "OK", [])


class Line:
    """Takes NOTIFYs, answers them when it is told to, and keeps what happened."""

    def __init__(self, **options):
        self.clock = VirtualClock()
        self.log = []
        self.leaks = []
        self.auditor = Auditor(self.clock, lambda name, left: self.leaks.append(left))
        self.scope = Scope("notifier", self.auditor)
        self.answers = []
        over = lambda: self.log.append("over")  # noqa: E731
        self.notifier = Notifier(self.clock, self.scope, self.send, over, "refer", **options)

    def send(self, fields, body, tell):
        assert fields[0] == ("Event", "refer")
        self.log.append((fields[1][1], body.decode()))
        self.answers.append(tell)

    def answer(self, status=200):
        response = OK if status == 200 else Response(status, "No", []) if status else None
        self.answers.pop(0)(status or 408, "", response)

    def done(self):
        """Nothing is left, and what it knew was plain data."""
        data = self.notifier.data
        assert from_plain(NotifierData, json.loads(json.dumps(to_plain(data)))) == data
        self.scope.end()
        assert self.scope.closed
        assert self.leaks == []
        assert self.clock.idle


@pytest.fixture
def line():
    return Line()


def test_one_at_a_time_and_in_order(line):
    """The next NOTIFY leaves when the one before has been answered, the last one last; then it is
    over (RFC 6665 4.2.2)."""
    line.notifier.expire_in(60)
    line.notifier.notify(body=b"100")
    line.clock.run(1.5)
    line.notifier.notify(body=b"180")
    line.notifier.terminate("noresource", body=b"200")
    line.notifier.notify(body=b"never")
    assert line.log == [("active;expires=60", "100")]
    line.answer()
    line.answer(500)
    assert not line.notifier.idle
    line.answer()
    assert line.log == [
        ("active;expires=60", "100"),
        ("active;expires=59", "180"),
        ("terminated;reason=noresource", "200"),
        "over",
    ]
    line.done()


@pytest.mark.parametrize("status", [0, 404, 408, 481, 489])
def test_who_does_not_answer_hears_no_more(line, status):
    """No answer, or one that says so, ends it without another NOTIFY (RFC 6665 4.2.2); who waits
    for the outcome of a NOTIFY is told."""
    line.notifier.expire_in(60)
    told = []
    line.notifier.notify(tell=lambda status, reason, response: told.append(status))
    line.notifier.notify(tell=lambda status, reason, response: told.append(status))
    line.answer(status)
    assert line.log == [("active;expires=60", ""), "over"]
    assert told == [481, status or 408]
    line.notifier.notify(tell=lambda status, reason, response: told.append(status))
    assert told[2:] == [481]
    line.done()


def test_not_refreshed_it_times_out(line):
    """At its expiry, put off by each refresh: terminated, "timeout" (RFC 6665 4.2.1.4)."""
    line.notifier.expire_in(60)
    line.clock.run(59)
    line.notifier.expire_in(60)
    line.clock.run(59)
    assert line.log == []
    line.clock.run(1)
    assert line.log == [("terminated;reason=timeout", "")]
    line.answer()
    assert line.log[1:] == ["over"]
    line.done()


def test_pending_until_it_is_granted():
    """The state of RFC 6665 figure 2, and with it a time to try again."""
    line = Line(pending=True)
    line.notifier.notify()
    line.notifier.grant()
    line.notifier.notify()
    line.notifier.terminate("probation", retry_after=30)
    for _ in range(3):
        line.answer()
    assert line.log == [
        ("pending", ""),
        ("active", ""),
        ("terminated;reason=probation;retry-after=30", ""),
        "over",
    ]
    line.done()


def test_abandoned_while_a_notify_is_on_its_way(line):
    """Whoever owns it knows that the subscriber is gone: the answer that comes late is nothing."""
    before = dict(unexpected)
    line.notifier.notify()
    line.notifier.abandon()
    line.answer()
    assert line.log == [("active", ""), "over"]
    line.notifier.expire_in(5)
    assert dict(unexpected) == before
    line.done()
