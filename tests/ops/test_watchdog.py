"""The watchdog: who holds the reactor up is named, once, with the line; nobody else is."""

import json
import sys
import threading
from textwrap import dedent

import pytest
from twisted.internet import base
from twisted.logger import globalLogPublisher
from zope.interface import implementer

from softswitch.flow import Flow
from softswitch.ops import metrics
from softswitch.ops.watchdog import LATE, QUIET, SELDOM, TICK, Watchdog, blamed
from softswitch.plugin.decisions import Route
from softswitch.plugin.interfaces import IRouter
from softswitch.plugin.views import RequestView
from softswitch.policy.budget import Attention
from softswitch.policy.chain import Policy, PolicyChain
from softswitch.sip.message import Request
from softswitch.testing.clock import VirtualClock


class Reactor:
    """Takes beats, and gives them when the test says."""

    def __init__(self):
        self.calls = []

    def callFromThread(self, function):  # noqa: N802 -- as Twisted calls it
        self.calls.append(function)

    def turn(self):
        while self.calls:
            self.calls.pop()()


@pytest.fixture
def reactor():
    return Reactor()


@pytest.fixture
def attention():
    return Attention()


@pytest.fixture
def watchdog(reactor, attention):
    return Watchdog(reactor, attention)


@pytest.fixture
def view():
    """What a policy is asked about."""
    flow = Flow("lan", "UDP", "127.0.0.1", 5060, "127.0.0.2", 5062)
    return RequestView(Request("INVITE", "sip:bob@127.0.0.1", [("Call-ID", "1")]), flow)


def chained(name, plug_in, attention=None):
    """A chain of one policy."""
    return PolicyChain(
        [Policy(name, plug_in)], VirtualClock(), challenge_fields=list, attention=attention
    )


def looks(watchdog, frame, now):
    """The watchdog looks until it has looked at everything."""
    for _ in range(SELDOM):
        watchdog.look(lambda: frame, now)


@pytest.fixture
def logged():
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def policy_from(tmp_path, text, name="sleeper"):
    """A policy whose class stands in a file of its own."""
    file = tmp_path / f"{name}.py"
    file.write_text(dedent(text))
    room = {}
    exec(compile(file.read_text(), str(file), "exec"), room)
    return room, str(file)


def test_the_line_of_a_policy_that_blocks_is_named(tmp_path, view, watchdog, attention, logged):
    """Its name, the file and the line where it stands, in its own code, while it still stands
    there; and that once."""
    room, file = policy_from(
        tmp_path,
        """\
        def wait(look):
            look()

        class Sleeper:
            def route(self, invite):
                wait(self.look)
        """,
    )
    sleeper = implementer(IRouter)(room["Sleeper"])()

    def look():
        here = sys._getframe(1)
        for later in (0, TICK, LATE, 10 * LATE):
            watchdog.look(lambda: here, attention.began + later)

    sleeper.look = look
    chained("sleeper", sleeper, attention).ask_route(view, lambda decision: None)
    (event,) = logged
    assert (event["who"], event["policy"]) == ("policy 'sleeper'", "sleeper")
    assert (event["file"], event["line"], event["function"]) == (file, 2, "wait")


def test_a_policy_that_waits_in_a_library_is_named_by_its_own_line(tmp_path, view):
    """The innermost line that belongs to no library; ``time.sleep``, which is C, shows none."""
    room, file = policy_from(
        tmp_path,
        """\
        class Sleeper:
            def route(self, invite):
                return self.decoder.decode('{"a": 1}')
        """,
    )
    found = []

    def hook(pairs):
        # Above this one stands the JSON decoder, which is Python in the standard library.
        found.append(blamed(sys._getframe(1), of_policy=True))
        return {}

    sleeper = implementer(IRouter)(room["Sleeper"])()
    sleeper.decoder = json.JSONDecoder(object_pairs_hook=hook)
    chained("sleeper", sleeper).ask_route(view, lambda decision: None)
    assert found == [(file, 3, "route")]


def test_a_step_of_a_coroutine_is_named_too(tmp_path, view):
    """The stack of a policy begins where its step is made."""
    room, file = policy_from(
        tmp_path,
        """\
        class Sleeper:
            async def route(self, invite):
                return self.look()
        """,
    )
    found = []
    sleeper = implementer(IRouter)(room["Sleeper"])()
    sleeper.look = lambda: found.append(blamed(sys._getframe(1), of_policy=True))
    chained("sleeper", sleeper).ask_route(view, lambda decision: None)
    assert found == [(file, 3, "route")]


def test_a_reactor_that_goes_on_is_left_alone(watchdog, reactor, logged):
    """A beat that comes in time, and one that comes before anybody has looked again."""
    for moment in range(10):
        looks(watchdog, sys._getframe(), moment * 1.0)
        reactor.turn()
        looks(watchdog, sys._getframe(), moment + TICK)
    assert logged == []


def test_a_reactor_that_waits_is_not_even_woken(watchdog, reactor):
    """Where it waits for its sockets it is asked for nothing."""

    def doPoll():  # noqa: N802 -- as epoll's reactor calls it
        looks(watchdog, sys._getframe(), 1.0)

    doPoll()
    assert reactor.calls == []


def test_the_switch_itself_may_be_to_blame(watchdog, reactor, logged):
    """Where no policy has the reactor, the line outside of the switch and of libraries is named:
    a plug-in's timer, here this test."""
    looks(watchdog, sys._getframe(), 0.0)
    looks(watchdog, sys._getframe(), LATE)
    (event,) = logged
    assert event["who"] == "the switch itself"
    assert event["file"] == __file__


def test_the_log_hears_of_a_place_now_and_then(watchdog, reactor, logged):
    """Somebody who blocks again and again fills no disk."""
    for number in range(3):
        begun = number * QUIET * 0.6

        for later in (0.0, 1.5 * LATE):
            looks(watchdog, sys._getframe(), begun + later)
        reactor.turn()
        looks(watchdog, sys._getframe(), begun + 2 * LATE)
    assert len(logged) == 2


def test_a_policy_that_is_quick_enough_is_not_named(view, watchdog, attention, reactor, logged):
    """However often it is asked while somebody looks; and the reactor is asked for no beat."""
    seen = []

    @implementer(IRouter)
    class Quick:
        def route(self, invite):
            here = sys._getframe()
            watchdog.look(lambda: here, attention.began + 0.9 * LATE)
            seen.append(attention.policy.name)

    chain = chained("quick", Quick(), attention)
    for _ in range(2 * SELDOM):
        chain.ask_route(view, lambda decision: None)
    assert (seen, logged, reactor.calls) == (["quick"] * 2 * SELDOM, [], [])


def test_it_watches_in_a_thread_of_its_own(attention, logged):
    """Started in the reactor's thread, it sees what that does: here it waits for the watchdog's
    word, which is what a policy that blocks would do."""
    heard = threading.Event()
    globalLogPublisher.addObserver(hear := lambda event: heard.set())
    watchdog = Watchdog(Reactor(), attention)
    watchdog.start()
    try:
        assert heard.wait(20)
    finally:
        watchdog.stop()
        globalLogPublisher.removeObserver(hear)
    assert not any(thread.name == "watchdog" for thread in threading.enumerate())
    assert logged[0]["log_format"].startswith("{who} keeps everybody waiting")


def test_a_question_of_a_question(view, attention):
    """A policy that is asked while another is leaves the reactor to that one again."""
    seen = []

    @implementer(IRouter)
    class Inner:
        def route(self, invite):
            seen.append(attention.policy.name)

    @implementer(IRouter)
    class Outer:
        def route(self, invite):
            inner.ask_route(invite, lambda decision: None)
            seen.append(attention.policy.name)
            return Route(["sip:a@b"])

    inner, outer = (
        PolicyChain(
            [Policy(name, plug_in)], VirtualClock(), challenge_fields=list, attention=attention
        )
        for name, plug_in in (("inner", Inner()), ("outer", Outer()))
    )
    outer.ask_route(view, lambda decision: None)
    assert seen == ["inner", "outer"]
    assert attention.policy is None


@pytest.mark.parametrize(
    ("file", "named"), [(base.__file__, False), (json.__file__, True), (metrics.__file__, True)]
)
@pytest.mark.parametrize("loop", ["run", "mainLoop"])
def test_what_runs_the_reactor_is_not_to_blame(tmp_path, file, named, loop):
    """Its script stands on every stack: the line of a library that the loop has called is named, or
    of ours; nobody where the reactor is between two things."""
    found = []
    room = {"look": lambda: found.append(blamed(sys._getframe(1), of_policy=False))}
    exec(compile("def called():\n    look()", file, "exec"), room)
    exec(compile(f"def {loop}():\n    called()", base.__file__, "exec"), room)
    exec(compile(f"{loop}()", str(tmp_path / "twistd"), "exec"), room)
    assert found == [(file, 2, "called") if named else None]


def test_a_busy_machine_is_nobody_s_fault(watchdog, monkeypatch, logged):
    """Where nobody can be named, the log hears nothing."""
    monkeypatch.setattr("softswitch.ops.watchdog.blamed", lambda frame, *, of_policy: None)
    looks(watchdog, sys._getframe(), 0.0)
    looks(watchdog, sys._getframe(), 1.5 * LATE)
    assert logged == []
