"""Plug-ins in a running switch, loaded the way a user would: folders on PYTHONPATH."""

import os
from pathlib import Path

from phones import Phone, claimed_network, pick_up, talk
from processes import Switch

EXAMPLE = Path(__file__).parent.parent.parent / "docs" / "examples" / "night"

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[trunks.caller]
addresses = ["{network}.2"]

[[policy]]
use = "trunks"

[[policy]]
use = "moody"

[[policy]]
use = "night"
office = "100"
target = "{target}"
opens = 24
closes = 24

[media]
engine = "bypass"
"""

MAKER = """
from softswitch.plugin.maker import PolicyMaker

moody = PolicyMaker("moody", "moody:Moody", "Raises when its name is called.")
"""

MOODY = """
from softswitch.plugin.interfaces import IRouter
from zope.interface import implementer


@implementer(IRouter)
class Moody:
    def route(self, invite):
        if invite.uri.user == "moody":
            raise RuntimeError("not today")
"""


def test_plug_ins_from_outside_the_package(tmp_path: Path):
    """The example of the documentation routes a call. A policy that raises gives 500 to its own
    call and is named in the log with the reason; a call that was under way and the next one are
    untouched."""
    plugins = tmp_path / "mine" / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "moody_plugin.py").write_text(MAKER)
    (tmp_path / "mine" / "moody.py").write_text(MOODY)
    path = os.pathsep.join([str(EXAMPLE), str(tmp_path / "mine")])
    with claimed_network() as network:
        here = (f"{network}.1", 5060)
        service = Phone("service", f"{network}.3", here)
        caller, other = (Phone("caller", f"{network}.2", here) for _ in range(2))
        switch = Switch(
            CONFIGURATION.format(network=network, target=service.contact),
            tmp_path / "switch",
            environment={"PYTHONPATH": path},
        )
        try:
            invite = caller.send(caller.invite(f"sip:100@{network}.1"))
            offered = service.request_received("INVITE")
            service.answer(offered, 180)
            caller.response_received(180)

            assert other.ask_once(other.invite(f"sip:moody@{network}.1")).status == 500

            pick_up(caller, service, invite, offered)
            talk(other, service, f"sip:100@{network}.1")

            assert sorted(each["status"] for each in switch.records(3)) == [200, 200, 500]
            assert switch.stats()["leaks"] == 0
            assert switch.stop() == 0
        finally:
            switch.kill()
    log = switch.log.read_text()
    assert "moody" in log
    assert "not today" in log
