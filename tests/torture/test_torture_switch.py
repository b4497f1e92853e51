"""A running switch against the 49 messages of RFC 4475; what is expected stands in expected.toml.

Each message is sent twice: by a stranger, and to a switch whose policies let everybody in.
"""

import tomllib
from pathlib import Path
from typing import Any

import attrs
import pytest
from zope.interface import implementer

from softswitch.plugin.decisions import Accept, Allow
from softswitch.plugin.interfaces import IAdmissionPolicy, IRegistrationPolicy
from softswitch.plugin.views import Identity, RequestView
from softswitch.sip.message import Response
from softswitch.testing.stage import CONFIG, Stage

HERE = Path(__file__).parent
EXPECTED: dict[str, dict[str, Any]] = tomllib.loads((HERE / "expected.toml").read_text("utf-8"))

#: Where the messages come from, and the ports to which their Vias want the answers.
HOST = "127.88.9.9"

TABLES: dict[str, Any] = {
    "switch": {"domains": ["example.com"], "realm": "softswitch"},
    "users": {name: {"password": name} for name in ("alice", "bob", "user")},
}


@implementer(IAdmissionPolicy, IRegistrationPolicy)
@attrs.define
class LetsIn:
    """Lets every request in as the user of From, who may register anything.

    :ivar besides: users who prove their password all the same.
    """

    besides: tuple[str, ...] = ("alice", "bob")

    def admit(self, request: RequestView) -> Allow | None:
        name = request.from_.uri.user or ""
        return None if name in self.besides else Allow(Identity("user", name, "example.com"))

    def register(self, request: RequestView) -> Accept | None:
        return Accept(min_expires=1, max_contacts=100)


def outcome(stage: Stage, name: str) -> int | str:
    """What the switch does with a message: the status that it answers with, or nothing."""
    data = (HERE / "messages" / f"{name}.dat").read_bytes()
    sender = stage.network.attach(HOST, 5060)
    before = len(stage.network.log)
    sender.send(data, stage.address)
    stage.run(1.0)
    sent = [carried for carried in stage.network.log[before + 1 :] if carried.to != stage.address]
    sender.close()
    assert all(carried.source == stage.address for carried in sent)
    statuses = {int(carried.data.split(b" ")[1]) for carried in sent} - {100}
    # 18.2.2: what was sent in vain by a maddr or port that nobody has, was sent all the same.
    assert len(statuses) <= 1
    if statuses:
        return statuses.pop()
    return "ignored" if data.startswith(b"SIP/2.0") else "dropped"


def a_call_works(stage: Stage) -> None:
    """Two phones that know nothing of all this can talk."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    for phone in (alice, bob):
        phone.unread.clear()
    line = alice.call("bob")
    bob.answer()
    assert line.statuses == [200]
    alice.hang_up()
    last = bob.received[-1][1]
    assert not isinstance(last, Response)
    assert last.start_line().startswith("BYE ")


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("who", ["stranger", "admitted"])
def test_a_torture_message_at_the_switch(name: str, who: str) -> None:
    """As the table says, by the section that it names; calls go on as before, and nothing is
    left of the message."""
    row = EXPECTED[name]
    plug_ins = [LetsIn()] if who == "admitted" else []
    with Stage({**CONFIG, **TABLES}, plug_ins=plug_ins) as stage:
        assert outcome(stage, name) in [row[who], *row.get(f"{who}_also", ())]
        a_call_works(stage)
