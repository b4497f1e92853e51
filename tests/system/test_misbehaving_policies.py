"""Plug-ins that misbehave in a running switch, beside a load that goes through others."""

import os
import re
from pathlib import Path

import pytest
from phones import Phone, claimed_network
from processes import Sipp, Switch
from trunks import played

pytestmark = pytest.mark.peer("sipp")

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[trunks.caller]
addresses = ["{network}.2"]

[trunks.odd]
addresses = ["{network}.4"]

[trunks.callee]
addresses = ["{network}.3"]

[[policy]]
use = "trunks"

[[policy]]
use = "raises"

[[policy]]
use = "sleeps"

[[policy]]
use = "never"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = ".*"
trunk = "callee"

[media]
engine = "bypass"
"""

MAKERS = """
from softswitch.plugin.maker import PolicyMaker

raises = PolicyMaker("raises", "odd:Raises", "Raises.", api="1.0")
sleeps = PolicyMaker("sleeps", "odd:Sleeps", "Sleeps in the reactor.", api="1.0")
never = PolicyMaker("never", "odd:Never", "Never answers.", api="1.0")
"""

POLICIES = """
import time

from softswitch.plugin.decisions import Reject
from softswitch.plugin.interfaces import IRouter
from twisted.internet.defer import Deferred
from zope.interface import implementer


@implementer(IRouter)
class Raises:
    def route(self, invite):
        if invite.uri.user == "raises":
            raise RuntimeError("not today")


@implementer(IRouter)
class Sleeps:
    def route(self, invite):
        if invite.uri.user == "sleeps":
            time.sleep(1)  # here
            return Reject(480)


@implementer(IRouter)
class Never:
    def route(self, invite):
        if invite.uri.user == "never":
            return Deferred()
"""

#: Calls per second of the load, and for how many seconds.
RATE, SECONDS = 20, 16


def test_nobody_else_is_harmed(tmp_path: Path):
    """One that raises, one that sleeps a second in the reactor and one that never completes get a
    call each per five seconds, beside 20 calls per second through other policies: each fails its
    own call alone, no other fails, and the sleeper is named with the file and the line."""
    mine = tmp_path / "mine"
    (mine / "twisted" / "plugins").mkdir(parents=True)
    (mine / "twisted" / "plugins" / "odd_plugin.py").write_text(MAKERS)
    (mine / "odd.py").write_text(POLICIES)
    path = os.pathsep.join(filter(None, [str(mine), os.environ.get("PYTHONPATH")]))
    with claimed_network() as network:
        switch = Switch(
            CONFIGURATION.format(network=network),
            tmp_path / "switch",
            environment={"PYTHONPATH": path},
        )
        odd = Phone("odd", f"{network}.4", (f"{network}.1", 5060))
        peers = []
        try:
            calls = RATE * SECONDS
            extra = ("-timeout", "90", "-timeout_error")
            peers.append(Sipp("callee_answers", tmp_path, f"{network}.3", calls=calls, extra=extra))
            peers.append(
                Sipp(
                    "caller_hangs_up",
                    tmp_path,
                    f"{network}.2",
                    f"{network}.1:5060",
                    calls=calls,
                    extra=("-r", str(RATE), "-d", "1000", *extra),
                )
            )
            statuses = []
            for _ in range(SECONDS // 5):
                for number in ("raises", "sleeps", "never"):
                    invite = odd.invite(f"sip:{number}@{network}.1")
                    statuses.append(odd.ask(invite)[1].status)
                # The calls above take three seconds.
                switch.pause(2)
            played(*peers, seconds=90)
            counts = peers[1].counts()
            assert (counts["SuccessfulCall"], counts["FailedCall"]) == (calls, 0)
            assert statuses == [500, 480, 500] * (SECONDS // 5)
            log = switch.log.read_text()
            line = POLICIES.splitlines().index("            time.sleep(1)  # here") + 1
            named = f"policy 'sleeps' keeps everybody waiting: {mine / 'odd.py'}:{line} in route"
            assert named in log
            assert re.search("policy 'sleeps' kept everybody waiting for 1[0-9]{3} ms", log)
            policies = switch.stats()["policies"]
            assert policies["raises"]["failures"] == {"raised": SECONDS // 5}
            assert policies["never"]["failures"] == {"late": SECONDS // 5}
            assert policies["sleeps"]["failures"] == {}
            assert policies["sleeps"]["slow"] >= SECONDS // 5
            assert policies["dialplan"]["questions"] == calls
            assert switch.stats()["leaks"] == 0
            assert switch.stop() == 0
        finally:
            odd.close()
            for peer in peers:
                peer.kill()
            switch.kill()
