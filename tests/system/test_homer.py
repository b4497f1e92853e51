"""Calls of SIPp, as a collector of Homer hears of them: over UDP, TCP and TLS."""

import json
import re
import socket
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import pytest
from collector import Collector
from phones import Talker, claimed_network
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
engine = "{media}"

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
        text = CONFIGURATION.format(network=network, transport=transport, media="bypass", more=more)
        switch = Switch(text, tmp_path / "s")
        callee = Sipp("basic_callee", tmp_path, f"{network}.4", calls=CALLS)
        caller = Sipp("basic_caller", tmp_path, f"{network}.3", f"{network}.1:5060", calls=CALLS)
        try:
            assert caller.wait(30) == 0
            assert callee.wait(30) == 0
            records = switch.records(CALLS)
            switch.until(lambda: len(of(collector, 1)) >= CALLS * 12, 10)
            assert switch.stats()["hep"]["connected"]
        finally:
            for each in (caller, callee, switch):
                each.kill()
            collector.close()
    assert not collector.wrong
    by_call = defaultdict(list)
    for packet in of(collector, 1):
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
        text = CONFIGURATION.format(network=network, transport="tcp", media="bypass", more="")
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


def test_media_and_the_log(tmp_path: Path):
    """How each side sounded is told at the end, as Homer reads RTCP, and what the log says of the
    call as it says it, under the call's id."""
    with ExitStack() as stack, claimed_network() as network:
        collector = Collector(f"{network}.9", "udp")
        stack.callback(collector.close)
        more = '[log.levels]\ncalls = "info"'
        text = CONFIGURATION.format(network=network, transport="udp", media="relay", more=more)
        switch = Switch(text, tmp_path / "s")
        stack.callback(switch.kill)
        callee = Sipp("page_callee", tmp_path, f"{network}.4", calls=1, words={"rings": 100})
        stack.callback(callee.kill)
        caller = Sipp(
            "page_caller",
            tmp_path,
            f"{network}.3",
            f"{network}.1:5060",
            calls=1,
            words={"name": "Office"},
            extra=("-d", "3000", "-s", "4930"),
        )
        stack.callback(caller.kill)
        switch.until(lambda: {b"INVITE", b"SIP/2.0 200"} <= shown(collector, network).keys(), 10)
        places = shown(collector, network)
        talkers = [
            Talker(stack, (f"{network}.3", 16400), (f"{network}.1", places[b"SIP/2.0 200"])),
            Talker(stack, (f"{network}.4", 16500), (f"{network}.1", places[b"INVITE"])),
        ]
        for number in range(60):
            for talker in talkers:
                talker.say(lost=talker is talkers[0] and number % 10 == 5)
            switch.pause(0.02)
        assert caller.wait(30) == 0
        (record,) = switch.records(1)
        switch.until(lambda: len(of(collector, 5)) == 2 and len(of(collector, 100)) == 4, 10)
    assert not collector.wrong
    assert {each["call"] for each in collector.packets} == {record["id"]}
    near, far = sorted(of(collector, 5), key=lambda each: each["source_port"])
    for packet, leg, number, lost in ((near, "a", 54, 6), (far, "b1", 60, 0)):
        report = json.loads(packet["payload"])
        assert (report["leg"], report["sender_information"]["packets"]) == (leg, number)
        assert report["report_blocks"][0]["packets_lost"] == lost
    assert (near["source"], near["source_port"]) == (f"{network}.3", 16400)
    words = [each["payload"].decode().split(": ", 1)[1].split()[0] for each in of(collector, 100)]
    assert words == ["trunk", "rings", "answered", "ended"]


def shown(collector: Collector, network: str) -> dict[bytes, int]:
    """How messages of the switch begin -> the port of audio that the last of them has shown."""
    found = {}
    for packet in of(collector, 1):
        port = re.search(rb"m=audio (\d+)", packet["payload"])
        if port is not None and packet["source"] == f"{network}.1":
            first = packet["payload"].split(b"\r\n")[0]
            found[first[:11] if first.startswith(b"SIP/") else first.split()[0]] = int(port[1])
    return found


def of(collector: Collector, kind: int) -> list[dict]:
    """The packets of a kind, of what it has got until now."""
    return [packet for packet in list(collector.packets) if packet["kind"] == kind]
