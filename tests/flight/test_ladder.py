"""One call as a ladder: what it says, and how it is drawn."""

import io
import json
import re
import subprocess
from xml.etree import ElementTree

import attrs
import pytest
from rich.console import Console
from zope.interface import implementer

from softswitch.flight.pcap import capture
from softswitch.flight.svg import svg
from softswitch.flight.terminal import drawn
from softswitch.flow import Flow
from softswitch.journal import RECEIVED, SENT
from softswitch.plugin.decisions import Proxy, Target
from softswitch.plugin.interfaces import IRouter


@implementer(IRouter)
class Forwarded:
    """Has every call forwarded to the carrier."""

    def route(self, invite):
        return Proxy([Target("sip:100@127.88.0.101", trunk="carrier")])


SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=["UDP", "TCP", "WS"])
def talked(request, make_stage):
    """A call that alice has made and ended; its ladder."""
    stage = make_stage(transport=request.param)
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.answers(180, 200)
    alice.call("bob")
    stage.run(2)
    alice.hang_up()
    stage.run(2)
    (call,) = stage.house.recorder.calls()
    return stage, call.id


def text_of(ladder, **options):
    """As a terminal without colours shows it."""
    console = Console(file=io.StringIO(), width=200)
    console.print(drawn(ladder, **options), end="", soft_wrap=True)
    return console.file.getvalue()


def test_what_a_ladder_says(talked):
    """Who takes part, from left to right; each message with its direction and its whole text; what
    policies have said; how it ended."""
    stage, call = talked
    ladder = stage.house.recorder.ladder(call)
    assert [(each.name, each.leg) for each in ladder.participants] == [
        ("alice", "a"),
        ("softswitch", ""),
        ("bob", "b1"),
    ]
    rows = [(row.source, row.target, row.label) for row in ladder.rows if row.kind == "message"]
    labels = [label for *_, label in rows]
    assert labels[0].startswith("INVITE sip:bob@")
    assert {(0, 1), (1, 0), (1, 2), (2, 1)} == {row[:2] for row in rows}
    assert "180 Ringing (INVITE)" in labels
    assert labels[-1] == "200 OK (BYE)"
    assert [row.label for row in ladder.rows if row.kind == "decision"][-2:] == [
        "users admits user alice",
        next(row.label for row in ladder.rows if row.label.startswith("located routes to sip:bob")),
    ]
    assert [row.label for row in ladder.rows if row.kind == "state"] == [
        "ended by the caller: 200 BYE"
    ]
    assert all(bool(row.text) == (row.kind == "message") for row in ladder.rows)
    assert ladder.ended
    plain = json.loads(json.dumps(attrs.asdict(ladder)))
    assert plain["rows"][0]["at"] == 0.0
    assert len(plain["rows"]) == len(ladder.rows)


def test_no_password_is_in_it(talked):
    """In no form of it: the answer to the challenge is masked everywhere."""
    stage, call = talked
    proofs = {
        found[1]
        for carried in stage.network.log
        for found in re.finditer(rb'response="([0-9a-f]+)"', carried.data)
    }
    assert proofs
    ladder = stage.house.recorder.ladder(call)
    shown = [
        json.dumps(attrs.asdict(ladder)).encode(),
        svg(ladder).encode(),
        text_of(ladder, messages=True).encode(),
        stage.house.recorder.pcap(call),
    ]
    for each in shown:
        assert b"********************************" in each
        assert not any(proof in each for proof in proofs)


def test_the_terminal(talked):
    """A line for each thing, an arrow for each message; the messages themselves where one asks."""
    stage, call = talked
    ladder = stage.house.recorder.ladder(call)
    text = text_of(ladder)
    assert "     0.000          |------" in text
    assert re.search(r"\|-+>\|  +\|  +INVITE sip:bob@", text)
    assert re.search(r"\|  +\|<-+\|  +180 Ringing \(INVITE\)", text)
    assert len(text.splitlines()) == len(ladder.rows) + 5
    assert "Via: SIP/2.0/" in text_of(ladder, messages=True)


def test_the_image(talked):
    """Well-formed, scalable, with a title and a description; each arrow can be reached by the
    keyboard and has its message as its title."""
    stage, call = talked
    ladder = stage.house.recorder.ladder(call)
    image = ElementTree.fromstring(svg(ladder))
    assert image.tag == f"{SVG}svg"
    assert image.get("viewBox")
    assert image.get("role") == "img"
    for label in image.get("aria-labelledby").split():
        assert any(each.get("id") == label and each.text for each in image.iter())
    arrows = [each for each in image.iter(f"{SVG}g") if "arrow" in each.get("class").split()]
    assert len(arrows) == sum(row.kind == "message" for row in ladder.rows)
    assert all(each.get("tabindex") == "0" and each.get("aria-label") for each in arrows)
    assert all(each.find(f"{SVG}title").text.count("\n") > 3 for each in arrows)
    style = image.find(f"{SVG}style").text
    assert "prefers-color-scheme: dark" in style


def test_hostile_fields_are_text_everywhere(make_stage):
    """HTML, terminal escapes, markup of rich, directions of writing: shown, never obeyed."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.answers(486)
    evil = "</title><script>alert(1)</script> [bold red]x[/] \u202e ]]>"
    alice.call("bob", fields=[("Subject", evil)], caller='"<b>\u202eA</b>" <sip:alice@127.88.0.1>')
    stage.run(1)
    (call,) = stage.house.recorder.calls()
    ladder = stage.house.recorder.ladder(call.id)
    image = svg(ladder)
    ElementTree.fromstring(image)
    assert "<script>" not in image
    assert "&lt;script&gt;" in image
    text = text_of(ladder, messages=True)
    assert "[bold red]x[/]" in text
    for each in (image, text, json.dumps(attrs.asdict(ladder))):
        assert "\u202e" not in each
        assert "\x1b" not in each


def test_retransmissions_are_marked(make_stage):
    """The same bytes the same way are shown as again."""
    stage = make_stage()
    alice, bob = stage.phone("alice"), stage.phone("bob")
    bob.vanish()
    alice.call("bob")
    stage.run(40)
    (call,) = stage.house.recorder.calls()
    ladder = stage.house.recorder.ladder(call.id)
    again = [row for row in ladder.rows if row.again and row.label.startswith("INVITE")]
    assert len(again) == 6
    assert "(again)" in text_of(ladder)
    labels = [row.label for row in ladder.rows]
    assert "b1: Request Timeout" in labels
    assert labels.count("timer A") == 6


def test_a_call_that_is_forwarded(make_stage):
    """What the proxy forwards has one Call-ID on both sides: the caller stands left of the switch,
    the callee right of it."""
    trunk = {"carrier": {"addresses": ["127.88.0.101:5060"]}}
    stage = make_stage({"trunks": trunk}, plug_ins=[Forwarded()])
    alice, carrier = stage.phone("alice"), stage.trunk("carrier")
    carrier.answers(180, 200)
    alice.call("0100")
    stage.run(1)
    alice.hang_up()
    stage.run(1)
    (call,) = stage.house.recorder.calls()
    ladder = stage.house.recorder.ladder(call.id)
    addresses = [each.address for each in ladder.participants]
    assert addresses == [f"{alice.host}:5060", "", "127.88.0.101:5060"]


# Captures, read by tshark.


def dissected(path, *fields):
    """What tshark reads of a capture: a tuple of the fields of each frame."""
    command = ["tshark", "-r", str(path), "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("host", ["127.88.0.9", "fd88::9"])
@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS", "WSS"])
def test_tshark_opens_it(tmp_path, transport, host):
    """Whatever carried them, and over either version of IP: tshark reads each message as SIP, with
    its addresses and time, and finds nothing wrong."""
    here = "127.88.0.1" if ":" not in host else "fd88::1"
    port = {"UDP": 5060, "TCP": 5060, "TLS": 5061, "WSS": 443}[transport]
    flow = Flow("x", transport, here, port, host, 40404, int(transport != "UDP"))
    body = "v=0\r\na=ice-pwd:secret\r\n"
    entries = []
    for number in range(4):
        head = (
            f"INFO sip:u{number}@h SIP/2.0\r\nVia: SIP/2.0/{transport} h;branch=z9hG4bK{number}\r\n"
            "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INFO\r\n"
            f"Max-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}"
        )
        kind = RECEIVED if number % 2 else SENT
        entries.append((1000.25 + number, kind, flow, f"{head}\r\n\r\n{body}".encode()))
    path = tmp_path / "call.pcap"
    path.write_bytes(capture(entries))
    version = "ipv6" if ":" in host else "ip"
    found = dissected(
        path,
        *(
            "frame.time_epoch",
            f"{version}.src",
            "sip.r-uri.user",
            "_ws.malformed",
            "tcp.analysis.flags",
        ),
    )
    assert [(float(at), source, user) for at, source, user, *_ in found] == [
        (1000.25 + number, host if number % 2 else here, f"u{number}") for number in range(4)
    ]
    assert not any(wrong for *_, malformed, flags in found for wrong in (malformed, flags))
    assert b"secret" not in path.read_bytes()


@pytest.mark.parametrize("transport", ["TCP", "WSS"])
def test_a_message_that_no_packet_can_hold(tmp_path, transport):
    """Goes on in another segment, where there are such; else it is cut."""
    flow = Flow("x", transport, "127.88.0.1", 5060, "127.88.0.9", 40404, 1)
    message = b"MESSAGE sip:u@h SIP/2.0\r\nContent-Length: 70000\r\n\r\n".ljust(70_050, b"x")
    path = tmp_path / "call.pcap"
    path.write_bytes(capture([(1.0, SENT, flow, message)]))
    assert len(dissected(path, "frame.number")) == (2 if transport == "TCP" else 1)


def test_the_capture_of_a_call(talked, tmp_path):
    """Both legs, in order."""
    stage, call = talked
    path = tmp_path / "call.pcap"
    path.write_bytes(stage.house.recorder.pcap(call))
    found = dissected(path, "sip.Method", "sip.Status-Code", "sip.Call-ID")
    ladder = stage.house.recorder.ladder(call)
    assert len(found) == sum(row.kind == "message" for row in ladder.rows)
    assert {call_id for *_, call_id in found} == set(stage.house.recorder.find(call).legs)
    assert [method or status for method, status, _ in found] == [
        row.label.split()[0] for row in ladder.rows if row.kind == "message"
    ]
