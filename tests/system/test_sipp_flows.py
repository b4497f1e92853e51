"""What phones do inside calls, with SIPp on both sides and the switch a process between them: each
flow of ``flows``. All are played at once, over one transport after the other."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flows import FLOWS, LASTS, MIDDLES, OPENINGS, TIMERS, TRANSFERS
from phones import claimed_network
from processes import Sipp, Switch
from trunks import played

pytestmark = pytest.mark.peer("sipp")

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "{transport}"
bind = "{switch}"

[[policy]]
use = "trunks"

[[policy]]
use = "forwarding"

[[policy]]
use = "dialplan"

{rules}

[media]
engine = "{engine}"
{trunks}
"""
RULE = """
[[policy.rules]]
match = "{name}"
trunk = "{name}"
"""
TRUNK = """
[trunks.{name}]
addresses = ["{address}"]
transport = "{transport}"
dialog = {{ {dialog} }}
"""


class Troupe:
    """SIPp on all sides of several calls at once, each with trunks of its own.

    :param engine: of the media; calls that want another are left out.
    :param running: ends whatever still runs.
    """

    def __init__(
        self, folder: Path, flows: Iterable[str], transport: str, engine: str, running: ExitStack
    ) -> None:
        self.engine = engine
        self._peers: dict[str, list[Sipp]] = {}
        network = running.enter_context(claimed_network())
        rules, trunks, places = "", "", {}
        fit = (name for name in flows if FLOWS[name].engine in ("", engine))
        for number, name in enumerate(fit):
            trunks += FLOWS[name].user
            for place, side in enumerate(FLOWS[name].sides):
                who = {"caller": f"{name}-caller", "callee": name, "target": f"{name}-target"}[side]
                address = places[name, side] = f"{network}.{2 + number * 3 + place}"
                dialog = FLOWS[name].dialog if side != "target" else ""
                words = {"name": who, "address": address, "transport": transport, "dialog": dialog}
                rules += RULE.format(**words)
                trunks += TRUNK.format(**words)
        here = f"{network}.1"
        configuration = CONFIGURATION.format(
            switch=here, transport=transport, engine=engine, rules=rules, trunks=trunks
        )
        self.switch = Switch(configuration, folder)
        running.callback(self.switch.kill)
        for (name, side), address in sorted(places.items(), reverse=True):
            there = f"{here}:5060" if side == "caller" else ""
            peer = Sipp(
                f"{name}.{side}",
                folder,
                address,
                there,
                transport=transport,
                words={"flow": name, "switch": here},
                extra=("-s", name, "-d", str(LASTS), "-timeout", "100", "-timeout_error"),
            )
            running.callback(peer.kill)
            self._peers.setdefault(name, []).append(peer)

    def judge(self, flow: str, seconds: float) -> dict[str, Any]:
        """All sides of a call have come to its end, and it was as it should be; its record. What
        was refused for its interval has one of its own."""
        played(*self._peers[flow], seconds=seconds)

        def records() -> list[dict[str, Any]]:
            file = self.switch.state / "calls.jsonl"
            lines = self.switch.records(0) if file.exists() else []
            mine = (each for each in lines if each["called"].startswith(f"sip:{flow}@"))
            return [each for each in mine if each["status"] != 422]

        self.switch.until(lambda: len(records()) == 1, 5)
        (record,) = records()
        assert (record["status"], record["hung_up"]) == (200, FLOWS[flow].hung_up)
        return record

    def close(self) -> None:
        """The switch stops in order, and nothing has leaked."""
        stats = self.switch.stats()
        assert (stats["calls"], stats["leaks"]) == (0, 0)
        assert self.switch.stop() == 0
        assert "stopped, 0 leaks" in self.switch.tail()
        assert "Traceback" not in self.switch.log.read_text()


@pytest.fixture(scope="module", params=[("udp", "bypass"), ("tcp", "relay")], ids=" ".join)
def troupe(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Troupe]:
    """All but those that take long."""
    with ExitStack() as running:
        quick = [name for name in FLOWS if name not in TIMERS]
        troupe = Troupe(tmp_path_factory.mktemp("flows"), quick, *request.param, running)
        yield troupe
        troupe.close()


@pytest.mark.parametrize("who", ["caller", "callee"])
@pytest.mark.parametrize("what", MIDDLES)
def test_within_a_call(troupe: Troupe, what: str, who: str):
    """From either side: hold in its forms and back (RFC 3264 8.4), a re-INVITE without an offer
    (RFC 3261 14.1) and one that is refused, UPDATE (RFC 3311) also to a side that knows none."""
    troupe.judge(f"{who}_{what}", 15)


@pytest.mark.parametrize("how", OPENINGS)
def test_how_a_call_comes_to_be(troupe: Troupe, how: str):
    """A late offer (RFC 3264 5); PRACK wanted by both sides or one, who does not know of the other
    (RFC 3262), also with the offer in the 183; UPDATE before the answer (RFC 3311 5.1); session
    timers that are too brief for one side (RFC 4028 5); forwarding (RFC 5359 2.7, 2.9)."""
    troupe.judge(how, 15)


@pytest.mark.parametrize("who", ["caller", "callee"])
@pytest.mark.parametrize("how", [how for how in TRANSFERS if how != "transfers_unnoticed"])
def test_a_side_transfers_the_other(troupe: Troupe, how: str, who: str):
    """The transferor hears how far it has come and is hung up on, or the old call goes on where
    nothing comes of it (RFC 5589 6.1, 6.2). The transferee hears of it only where the media go past
    the switch. Where the switch relays the REFER, the transferee tells (RFC 3515 2.4.4)."""
    unnoticed = "_unnoticed" if how == "transfers" and troupe.engine == "relay" else ""
    record = troupe.judge(f"{who}_{how}{unnoticed}", 15)
    statuses = {"transfers": [200, 200], "transfers_in_vain": [200, 486]}.get(how, [200])
    assert [attempt["status"] for attempt in record["attempts"]] == statuses


def test_session_timers(tmp_path: Path):
    """Each leg is refreshed by itself after half of its interval, by UPDATE or re-INVITE; where a
    peer does not refresh as it promised, both sides get BYE (RFC 4028 7.2, 10). All at the same
    time and over both transports, since no interval is less than 90 s."""
    with ExitStack() as running:
        troupes = []
        for transport in ("udp", "tcp"):
            folder = tmp_path / transport
            folder.mkdir()
            troupes.append(Troupe(folder, TIMERS, transport, "relay", running))
        for troupe in troupes:
            for flow in TIMERS:
                record = troupe.judge(flow, 75)
                assert (record["reason"] == "Session Expired") == (flow != "refreshed")
            troupe.close()
