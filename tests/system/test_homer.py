"""Calls of SIPp, as a collector of Homer hears of them: over UDP, TCP and TLS."""

import re
import socket
from collections import defaultdict
from pathlib import Path

import pytest
from collector import Collector
from phones import claimed_network
from processes import Sipp, Switch

from softswitch.testing.authority import Authority

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[trunks.caller]
addresses = ["{network}.3"]

[trunks.callee]
addresses = ["{network}.4"]

[[policy]]
use = "trunks"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = ".*"
trunk = "callee"

[media]
engine = "bypass"

[hep]
address = "{network}.9"
transport = "{transport}"
node_id = 77
node_name = "east"
password = "hush"
{more}
"""

CALLS = 5


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_both_legs_under_one_id(tmp_path: Path, transport: str):
    """Every message of both legs of each call, with its addresses, under one correlation id: that
    of the call's record; what cannot be decoded is none."""
    with claimed_network() as network:
        certificate, more = None, ""
        if transport == "tls":
            authority = Authority(tmp_path)
            issued = authority.issue("collector", f"{network}.9")
            certificate = (issued.certificate, issued.key)
            more = f'ca = "{authority.certificate}"'
        collector = Collector(f"{network}.9", transport, certificate)
        switch = Switch(
            CONFIGURATION.format(network=network, transport=transport, more=more), tmp_path / "s"
        )
        callee = Sipp("basic_callee", tmp_path, f"{network}.4", calls=CALLS)
        caller = Sipp("basic_caller", tmp_path, f"{network}.3", f"{network}.1:5060", calls=CALLS)
        try:
            assert caller.wait(30) == 0
            assert callee.wait(30) == 0
            records = switch.records(CALLS)
            switch.until(lambda: len(sip(collector)) >= CALLS * 12, 10)
            assert switch.stats()["hep"]["connected"]
        finally:
            for each in (caller, callee, switch):
                each.kill()
            collector.close()
    assert not collector.wrong
    by_call = defaultdict(list)
    for packet in sip(collector):
        by_call[packet["call"]].append(packet)
    assert set(by_call) == {record["id"] for record in records}
    for record in records:
        packets = by_call[record["id"]]
        ids = {re.search(rb"\r\nCall-ID: ?(\S+)", each["payload"])[1].decode() for each in packets}
        assert ids == {record["call_id_a"], record["attempts"][0]["call_id_b"]}
        peers = {each["source"] for each in packets} | {each["target"] for each in packets}
        assert peers == {f"{network}.{number}" for number in (1, 3, 4)}
        methods = [each["payload"].split()[0] for each in packets]
        assert methods.count(b"INVITE") == methods.count(b"ACK") == methods.count(b"BYE") == 2
        times = [each["second"] + each["microsecond"] / 1e6 for each in packets]
        assert times == sorted(times)
        for each in packets:
            assert (each["node_id"], each["node_name"], each["password"]) == (77, "east", "hush")
            assert (each["family"], each["protocol"]) == (socket.AF_INET, 17)


def test_a_dead_collector_costs_the_calls_nothing(tmp_path: Path):
    """Nobody listens there: each call is served as ever, and what is lost is counted."""
    with claimed_network() as network:
        text = CONFIGURATION.format(network=network, transport="tcp", more="")
        switch = Switch(text, tmp_path / "s")
        callee = Sipp("basic_callee", tmp_path, f"{network}.4", calls=CALLS)
        caller = Sipp("basic_caller", tmp_path, f"{network}.3", f"{network}.1:5060", calls=CALLS)
        try:
            assert caller.wait(30) == 0
            assert callee.wait(30) == 0
            hep = switch.stats()["hep"]
        finally:
            for each in (caller, callee, switch):
                each.kill()
    assert not hep["connected"]
    assert hep["sent"] == 0
    assert hep["waiting"] > 0


def sip(collector: Collector) -> list[dict]:
    """The SIP messages among what it got."""
    return [packet for packet in list(collector.packets) if packet["kind"] == 1]
