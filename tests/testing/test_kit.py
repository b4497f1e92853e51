"""The pytest fixture of plug-in authors, as they meet it: in a pytest of its own."""

import pytest

pytest_plugins = "pytester"

POLICY = """
import attrs
from zope.interface import implementer
from softswitch.plugin.interfaces import IRouter

@implementer(IRouter)
@attrs.define
class Moody:
    def route(self, invite):
        raise RuntimeError("not today")
"""


@pytest.fixture
def project(pytester):
    """A folder with one test, whose body is given."""

    def write(body: str, **files: str) -> pytest.RunResult:
        for name, text in files.items():
            pytester.makefile(".toml", **{name: text})
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        pytester.makepyfile(f"from datetime import datetime\ndef test_it(start_switch):\n{lines}\n")
        return pytester.runpytest_subprocess("-p", "no:cacheprovider")

    return write


def test_a_call_between_users_of_the_defaults(project):
    """Nothing is configured, and everything is there."""
    done = project(
        """
switch = start_switch()
alice, bob = switch.phone("alice"), switch.phone("bob")
bob.answers(180, 200, after=2)
call = alice.call("bob")
assert call.statuses == [180]
switch.run(2)
assert call.statuses == [180, 200]
assert b"m=audio 2000" in call.sdp
alice.hang_up()
"""
    )
    done.assert_outcomes(passed=1)


def test_a_failure_shows_the_ladder(project):
    """And no second error about what is left behind."""
    done = project(
        """
switch = start_switch()
alice, bob = switch.phone("alice"), switch.phone("bob")
alice.call("bob")
assert alice.line.statuses == [200]
"""
    )
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*|<--*INVITE sip:bob@127.88.0.1:5060 (2 INVITE)"])


def test_what_is_left_behind_is_an_error(project):
    """A test that passes but leaves a call open."""
    done = project(
        """
switch = start_switch()
alice, bob = switch.phone("alice"), switch.phone("bob")
alice.call("bob")
bob.answer()
"""
    )
    done.assert_outcomes(passed=1, errors=1)
    done.stdout.fnmatch_lines(["*calls have not ended*", "*200 OK (2 INVITE)*"])


def test_what_the_switch_logs_is_shown(project, pytester):
    """The exception of a policy stands beside the ladder."""
    pytester.makepyfile(moody=POLICY)
    done = project(
        """
import moody
switch = start_switch(plug_ins=[moody.Moody()])
assert switch.phone("alice").call("bob").statuses == [404]
"""
    )
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*RuntimeError: not today*"])


def test_a_file_and_a_time(project):
    """The configuration lies beside the test; a wildcard listener serves the network."""
    done = project(
        """
switch = start_switch("small.toml", at=datetime(2026, 3, 2, 20))
assert datetime.fromtimestamp(switch.clock.seconds()).hour == 20
zoe, carrier = switch.phone("zoe"), switch.trunk("carrier")
carrier.answers(486)
assert zoe.call("+441234").statuses == [486]
second = switch.trunk("carrier", 1)
second.answers(200)
carrier.answers(503)
call = zoe.call("+441234")
switch.run(1)
assert call.statuses == [200]
zoe.hang_up()
""",
        small="""
[[listen]]
transport = "udp"
[users.zoe]
password = "z"
[trunks.carrier]
addresses = ["192.0.2.7", "sip.carrier.example"]
[[policy]]
use = "users"
[[policy]]
use = "registration"
[[policy]]
use = "dialplan"
rules = [{ match = ".*", trunk = "carrier" }]
""",
    )
    done.assert_outcomes(passed=1)


def test_a_mistake_in_the_configuration(project):
    """It is named with file and key."""
    done = project('start_switch("bad.toml")', bad="[swich]\n")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*ConfigError: bad.toml: swich: no such key; did you mean switch?"])


def test_a_trunk_that_is_not_there(project):
    """It is named."""
    done = project('start_switch().trunk("nowhere")')
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*AssertionError: there is no [[]trunks.nowhere]*"])
