"""A baresip phone registers through the running switch at Kamailio, which knows its password; it is
called from Kamailio's side and calls back, each hears the other, and nobody outside is told where
Kamailio is."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from baresip import Baresip
from kamailio import Kamailio
from processes import Switch

from softswitch.testing.demo import free_network
from softswitch.testing.tones import dominant

pytestmark = pytest.mark.peer("baresip", "kamailio")

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[trunks.pbx]
addresses = ["{network}.3"]

[[policy]]
use = "trunks"

[[policy]]
use = "front"
trunk = "pbx"
"""

SECRET = "front-secret"

#: Kamailio wants the password of whoever registers, and of whoever calls from the switch.
MODULES = 'loadmodule "auth.so"'
BEFORE = f"""
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("pbx", "{SECRET}", "0")) {{
            www_challenge("pbx", "1");
            exit;
        }}
    }} else if (is_method("INVITE") && $si == "NETWORK.1") {{
        if (!pv_proxy_authenticate("pbx", "{SECRET}", "0")) {{
            proxy_challenge("pbx", "1");
            exit;
        }}
        consume_credentials();
    }}
"""


class Front:
    """The switch, Kamailio behind it, dave's phone before it, and bob's at Kamailio."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.network = network = free_network()
        self.switch = Switch(CONFIGURATION.format(network=network), folder)
        running.callback(self.switch.kill)
        before = BEFORE.replace("NETWORK", network)
        self.pbx = Kamailio(folder, f"{network}.3", f"{network}.5", before=before, modules=MODULES)
        running.callback(self.pbx.kill)
        self.bob = Baresip(folder, "bob", SECRET, f"{network}.5", f"{network}.3", 1000)
        running.callback(self.bob.kill)
        self.bob.until(lambda: b"200 OK" in self.bob.log.read_bytes(), 10)
        self.dave = Baresip(folder, "dave", SECRET, f"{network}.4", f"{network}.1", 440)
        running.callback(self.dave.kill)
        self.switch.until(lambda: self.switch.stats()["registrations"] == 1, 10)

    def talk(self, caller: Baresip, callee: Baresip, uri: str) -> None:
        """One calls the other, who answers; they talk, and the caller hangs up."""
        caller.order("dial", uri)
        for phone in (caller, callee):
            phone.expect("CALL_ESTABLISHED")
        self.switch.pause(3)
        caller.order("hangup")
        for phone in (caller, callee):
            phone.expect("CALL_CLOSED")


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    with ExitStack() as running:
        yield Front(tmp_path, running)


def test_a_phone_of_the_pbx_outside(front: Front):
    """Registered with the password that only Kamailio knows; called by the Contact that Kamailio
    has stored; calling with the challenge passed to it. The audio goes both ways, through the
    relay."""
    stats = front.switch.stats()
    assert stats["counters"]["REGISTER passed on"] == 2, "challenged, then accepted"
    front.talk(front.bob, front.dave, f"sip:dave@{front.network}.3")
    front.talk(front.dave, front.bob, f"sip:bob@{front.network}.1")
    records = front.switch.records(3)
    assert [(each["identity"], each["status"]) for each in records] == [
        ("pbx", 200),
        ("dave", 407),
        ("dave", 200),
    ]
    front.dave.quit()
    front.switch.until(lambda: front.switch.stats()["registrations"] == 0, 10)
    front.bob.quit()
    assert dominant(front.dave.recording()) == pytest.approx(1000, abs=10)
    assert dominant(front.bob.recording()) == pytest.approx(440, abs=10)
    assert front.switch.stop() == 0
    assert "stopped, 0 leaks" in front.switch.tail()
