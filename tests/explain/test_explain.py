"""``softswitch explain``: each decision in order, what leaves, and nothing done."""

import io
import json
import os
import socket
import sqlite3
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import attrs
import pytest
from twisted.internet.defer import Deferred
from zope.interface import implementer

from softswitch.__main__ import main
from softswitch.flow import Flow
from softswitch.ops.config import load
from softswitch.plain import to_plain
from softswitch.plugin.decisions import Proxy, Reject, Route, Target
from softswitch.plugin.interfaces import ICallObserver, IRouter, IUserDirectory
from softswitch.plugin.maker import PolicyMaker
from softswitch.plugin.views import User
from softswitch.policy import load as policy_loading
from softswitch.registrar.bindings import Binding
from softswitch.sip import digest
from softswitch.sip.parser import parse
from softswitch.store.sqlite import SqliteStore
from softswitch.store.users import UserFile

CONFIG = """
[switch]
domains = ["example.org"]

[[listen]]
transport = "udp"
bind = "127.89.0.1"
name = "phones"

[[listen]]
transport = "tcp"
bind = "127.89.0.1"

[users]
alice = { password = "alice", display = "Alice A." }
bob = { password = "bob", forward_busy = "sip:0044123@carrier", forward_unreachable = "carol" }
carol = { password = "carol" }

[trunks.pbx]
addresses = ["127.89.0.9"]

[trunks.carrier]
addresses = ["127.89.0.10", "sip.carrier.example:5080"]
headers = { X-Account = "4711" }

[[policy]]
use = "trunks"

[[policy]]
use = "users"
%s
[[policy]]
use = "forwarding"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = "00[1-9][0-9]+"
strip = 2
prepend = "+"
trunk = "carrier"

[[policy.rules]]
match = "0900.*"
refuse = 403

[[policy.rules]]
match = "support"
redirect = ["sip:help@example.com"]

[[policy]]
use = "located"
"""

ALICE_CALLS = ["--as-user", "alice", "--source", "127.89.0.20"]


@pytest.fixture
def explain(tmp_path: Path, capsys):
    """Runs the command with ``--json``; its exit status and what it printed."""
    (file := tmp_path / "switch.toml").write_text(CONFIG % "")

    def explain(*arguments: str, config: Path = file):
        base = ["explain", "--json", "--config", str(config), "--rundir", str(tmp_path)]
        status = main([*base, *arguments])
        told = capsys.readouterr()
        return status, json.loads(told.out) if told.out else told.err

    return explain


def policies(found, place):
    """Names of those that were asked in a place, in order, and what they said."""
    return [
        (each["policy"], each["answer"])
        for each in found["steps"]
        if each["kind"] == "policy" and each["place"] == place
    ]


def test_every_decision_stands_in_its_order(explain):
    """Who was asked, what each said and what it asked the house; then the INVITE that leaves."""
    status, found = explain("--to", "0044123", *ALICE_CALLS)
    assert status == 0
    assert found["version"] == 1
    assert found["outcome"] == "leaves"
    assert found["source"] == {
        "listener": "phones",
        "transport": "UDP",
        "host": "127.89.0.20",
        "port": 5060,
    }
    assert policies(found, "admission") == [("trunks", "nothing"), ("users", "Allow user alice")]
    assert policies(found, "route")[0] == ("forwarding", "nothing")
    assert [name for name, _ in policies(found, "route")] == ["forwarding", "dialplan"]
    first = found["steps"][0]
    assert first["passed"]
    assert first["consulted"] == [
        {"question": "trunk_of(a request from 127.89.0.20)", "answer": "nothing"}
    ]
    dialplan = next(each for each in found["steps"] if each.get("policy") == "dialplan")
    assert dialplan["because"] == "rules[0], match = '00[1-9][0-9]+': 0044123 is +44123"
    assert found["caller"] == {"kind": "user", "name": "alice"}
    assert [each["uri"] for each in found["targets"]] == [
        "sip:+44123@127.89.0.10",
        "sip:+44123@sip.carrier.example:5080",
    ]
    assert [each["step"] for each in found["targets"]] == [1, 2]
    assert [each["health"] for each in found["targets"]] == ["up", "up"]
    (tried,) = found["tries"]
    assert (tried["transport"], tried["host"], tried["port"]) == ("UDP", "127.89.0.10", 5060)
    assert (tried["target"], tried["trunk"]) == ("sip:+44123@127.89.0.10", "carrier")
    assert tried["numbers"]["called"] == ["0044123", "+44123"]
    assert tried["numbers"]["caller"] == ["alice", "alice"]
    assert ["X-Account", "4711"] in tried["fields"]["added"]
    assert {name for name, _, _ in tried["fields"]["changed"]} >= {"Via", "From", "Call-ID"}
    invite = parse(tried["invite"].encode("utf-8", "surrogateescape"))
    assert invite.uri == "sip:+44123@127.89.0.10"
    assert tried["sdp"]["leaves"].encode() == invite.body
    assert "127.89.0.20" in tried["sdp"]["came"]
    assert "127.89.0.20" not in tried["sdp"]["leaves"]


SHARED = """
[trunks.north]
addresses = ["127.89.0.8"]
inbound_numbers = ["5.*"]

[trunks.south]
addresses = ["127.89.0.8"]
inbound_numbers = ["00.*"]
"""


@pytest.mark.parametrize(
    ("source", "name", "why"),
    [
        ("127.89.0.9", "pbx", "pbx, whose network 127.89.0.9/32 is"),
        (
            "127.89.0.8",
            "south",
            "south, whose network 127.89.0.8/32 is, of north, south by the Request-URI"
            " sip:0044123@example.org",
        ),
    ],
)
def test_it_is_said_why_a_call_is_a_trunks(explain, tmp_path, source, name, why):
    """By the network of its source and, where several trunks share that, by the Request-URI."""
    (file := tmp_path / "shared.toml").write_text(CONFIG % "" + SHARED)
    _, found = explain("--from", "1", "--to", "0044123", "--source", source, config=file)
    assert found["caller"] == {"kind": "trunk", "name": name}
    assert found["steps"][0]["consulted"] == [
        {"question": f"trunk_of(a request from {source})", "answer": why}
    ]


def test_it_is_said_that_a_certificate_makes_a_call_a_trunks(explain, tmp_path):
    """Over TLS, with the name that it is known by; another name is nobody's. What it takes is said
    where no TLS is served."""
    listen = (CONFIG % "").replace(
        "[users]",
        '[[listen]]\ntransport = "tls"\nbind = "127.89.0.1"\ncertificate = "a"\nkey = "a"\n'
        'client_certificates = "wanted"\nclient_ca = "a"\n\n[users]',
    )
    (file := tmp_path / "tls.toml").write_text(
        listen.replace("[trunks.pbx]", '[trunks.pbx]\ninbound_certificates = ["pbx.example"]')
    )
    call = ("--from", "1", "--to", "0044123", "--source", "127.89.0.9", "--transport", "tls")
    _, found = explain(*call, "--certificate", "PBX.example", config=file)
    said = json.dumps(found)
    assert "by its certificate for pbx.example" in said
    status, found = explain(*call, "--certificate", "other.example", config=file)
    assert "by its certificate" not in json.dumps(found)
    assert found["caller"] != {"kind": "trunk", "name": "pbx"}
    assert found["answers"][0]["status"] == 401
    status, said = explain(*call[:4], "--listener", "phones", "--certificate", "a", config=file)
    assert status == 1
    assert "phones serves no TLS" in said


@pytest.mark.parametrize(
    ("to", "outcome", "status"),
    [("0900123", "refused", 403), ("nobody", "refused", 404), ("support", "redirected", 302)],
)
def test_a_refusal_shows_the_response(explain, to, outcome, status):
    """Exit status 3, and the response byte for byte."""
    code, found = explain("--to", to, *ALICE_CALLS)
    assert (code, found["outcome"], found["tries"]) == (3, outcome, [])
    (answer,) = found["answers"]
    assert answer["status"] == status
    assert answer["response"].startswith(f"SIP/2.0 {status} ")
    assert answer["response"].endswith("Content-Length: 0\r\n\r\n")


def test_who_is_not_known_is_challenged(explain):
    """Closed by default, here too."""
    code, found = explain("--from", "alice", "--to", "bob", "--source", "127.89.0.20")
    assert (code, found["answers"][0]["status"]) == (3, 401)
    assert found["caller"] is None
    assert "WWW-Authenticate: Digest" in found["answers"][0]["response"]
    assert any("bob" in each for each in found["assumed"]) is False


def test_who_calls_as_another_is_refused_though_proved(explain):
    """--as-user stands for the password, not for the rest of what the policy checks."""
    code, found = explain("--from", "carol", "--to", "bob", *ALICE_CALLS)
    assert (code, found["answers"][0]["status"]) == (3, 403)


@pytest.mark.parametrize(("password", "status"), [("alice", 0), ("wrong", 3)])
def test_credentials_in_the_invite_are_checked(explain, tmp_path, password, status):
    """A right proof counts though only the running switch knows its nonce, and it is said; a wrong
    one is challenged."""
    secret = digest.ha1("alice", "example.org", password, "MD5")
    challenge = digest.Challenge("example.org", "0123", "MD5")
    proof = digest.answer(challenge, "alice", secret, "INVITE", "sip:carol@example.org", 1, "x")
    code, found = explain(
        *("--from", "alice", "--to", "carol", "--source", "127.89.0.20"),
        *("--header", f"Authorization: {proof}", "--registered", "carol=sip:c@127.89.0.21"),
    )
    assert code == status
    assert any("nonce" in each for each in found["assumed"]) is (password == "alice")
    assert "Authorization" not in "".join(each["invite"] for each in found["tries"])


def test_all_targets_fail_in_their_turn(explain):
    """With --all each target is tried; a name is not looked up but has a stand-in, which is said;
    in the end stands what the caller is told."""
    _, found = explain("--to", "0044123", "--all", *ALICE_CALLS)
    assert [each["target"] for each in found["tries"]] == [
        "sip:+44123@127.89.0.10",
        "sip:+44123@sip.carrier.example:5080",
    ]
    assert [each["fate"] for each in found["tries"]] == [0, 0]
    assert found["tries"][1]["seconds"] > found["tries"][0]["seconds"]
    (name,) = [each for each in found["steps"] if each["kind"] == "name"]
    assert name == {
        "kind": "name",
        "name": "sip.carrier.example",
        "addresses": ["192.0.2.1"],
        "stand_in": True,
    }
    assert found["tries"][1]["host"] == "192.0.2.1"
    assert "Q.850;cause=38" in found["answers"][-1]["response"]


@pytest.mark.parametrize("how", ["--down", "--stats"])
def test_a_member_that_is_out_is_passed_over(explain, tmp_path, how):
    """As it is told, or as a running switch has written it down."""
    value = "127.89.0.10"
    if how == "--stats":
        (file := tmp_path / "stats.json").write_text(
            '{"trunks": {"carrier": {"members": {"127.89.0.10": {"up": false}}}}}'
        )
        value = str(file)
    _, found = explain("--to", "0044123", how, value, *ALICE_CALLS)
    assert [each["uri"] for each in found["targets"]] == ["sip:+44123@sip.carrier.example:5080"]
    assert [each["health"] for each in found["targets"]] == ["up"]
    assert not any("every member" in each for each in found["assumed"])


def test_names_are_looked_up_when_that_is_wished(explain, monkeypatch):
    """--resolve asks the system."""

    def found_by_the_system(name, *_, **__):
        assert name == "sip.carrier.example"
        return [(2, 2, 17, "", ("127.89.0.77", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", found_by_the_system)
    _, found = explain("--to", "0044123", "--all", "--resolve", *ALICE_CALLS)
    assert found["tries"][1]["host"] == "127.89.0.77"


def test_pages_call_each_other(explain, tmp_path):
    """Over WebSockets, where the contact of who is called leads nowhere (RFC 7118): he is taken to
    have opened one."""
    web = '[[listen]]\ntransport = "ws"\nbind = "127.89.0.1"\nport = 8080\n'
    text = f'{CONFIG % ""}\n{web}\n[media]\nengine = "bypass"\n'
    (file := tmp_path / "pages.toml").write_text(text)
    page = ["--registered", "carol=sip:c@page.invalid;transport=ws", "--transport", "ws"]
    _, found = explain("--to", "carol", *page, "--as-user", "alice", config=file)
    assert found["outcome"] == "leaves"
    assert found["source"]["transport"] == "WS"
    [only] = found["tries"]
    assert only["transport"] == "WS"
    assert only["target"] == "sip:c@page.invalid;transport=ws"


def test_forwarding_is_shown_and_followed(explain):
    """Where a call goes when somebody is busy stands beside the targets; --fate 486 goes there."""
    bob = ["--registered", "bob=sip:bob@127.89.0.21:5070;transport=tcp"]
    _, found = explain("--to", "bob", "--all", "--fate", "486", *bob, *ALICE_CALLS)
    (first,) = found["targets"]
    assert first["flow"] == "TCP 127.89.0.21:5070"
    assert first["health"] == "registered"
    busy = found["forward"]["busy"]
    assert busy["diversions"] == [{"by": "sip:bob@example.org", "reason": "user-busy"}]
    assert [each["target"] for each in found["tries"]] == [
        "sip:bob@127.89.0.21:5070;transport=tcp",
        "sip:0044123@127.89.0.10",
    ]
    assert found["tries"][0]["transport"] == "TCP"
    assert "Diversion" in {name for name, _ in found["tries"][1]["fields"]["added"]}
    assert [each["status"] for each in found["answers"]] == [181, 486]


def test_a_saved_invite_is_read(explain, tmp_path, monkeypatch):
    """From a file or the standard input; an editor's line ends are mended, and that is said."""
    _, first = explain("--from", "1", "--to", "0044123", "--source", "127.89.0.9")
    wire = first["invite"].encode()
    (file := tmp_path / "saved.sip").write_bytes(wire)
    _, again = explain(str(file), "--source", "127.89.0.9")
    assert again["invite"] == first["invite"]
    assert again["assumed"] == first["assumed"]
    edited = wire.replace(b"\r\n", b"\n").replace(b"Content-Length: ", b"Content-Length: 1")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(edited)))
    _, mended = explain("-", "--source", "127.89.0.9")
    assert mended["invite"] == first["invite"]
    assert "line ends were made CRLF, and Content-Length to fit" in mended["assumed"]


def test_what_cannot_be_read_gets_what_the_switch_would_say(explain, tmp_path):
    """400 for a broken INVITE; where even that is not possible, nothing."""
    (file := tmp_path / "broken.sip").write_bytes(
        b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.89.0.9;branch=z9hG4bK1\r\n"
        b"From: <sip:a@b>;tag=1\r\nTo: <sip:\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"
    )
    code, found = explain(str(file), "--source", "127.89.0.9")
    assert (code, found["outcome"], found["answers"][0]["status"]) == (3, "refused", 400)
    file.write_bytes(b"hello\r\n\r\n")
    code, found = explain(str(file), "--source", "127.89.0.9")
    assert (code, found["outcome"]) == (3, "silent")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--to", "bob"],
        ["no such file"],
        ["x", "--from", "1"],
        ["--from", "1", "--to", "2", "--listener", "phnes"],
        ["--from", "1", "--to", "2", "--source", "::1"],
        ["--to", "2", "--as-user", "dave"],
        ["--from", "1", "--to", "2", "--registered", "bob=mailto:bob"],
        ["--from", "sip:", "--to", "2"],
        ["--from", "1", "--to", "2", "--down", "127.89.0.11"],
        ["--from", "1", "--to", "2", "--stats", __file__],
        ["none.txt"],
        ["/"],
    ],
)
def test_what_makes_no_sense_is_told_in_a_line(explain, arguments):
    """Status 1."""
    code, told = explain(*arguments)
    assert code == 1
    assert told.startswith("softswitch: ")
    assert told.count("\n") == 1
    assert "Errno" not in told


def test_a_wrong_configuration_is_told_as_ever(explain, tmp_path):
    """Status 2, file and key."""
    (file := tmp_path / "wrong.toml").write_text("[swich]\n")
    code, told = explain("--from", "1", "--to", "2", config=file)
    assert code == 2
    assert "wrong.toml: swich: no such key" in told


def kept(path: Path, user: str, contact: str, serial: int) -> None:
    """Have a store keep a registration as the switch does."""
    transport = "TCP" if serial else "UDP"
    listener = "tcp:127.89.0.1:5060" if serial else "phones"
    flow = Flow(listener, transport, "127.89.0.1", 5060, "127.89.0.21", 5071, serial)
    aor = f"{user}@example.org"
    store = SqliteStore(path)
    store.save(aor, to_plain([Binding(aor, contact, flow, "id", 1, 1.0, 4e9)]))
    store.close()


@pytest.mark.parametrize("serial", [0, 5])
def test_the_store_is_read_and_left_as_it_is(explain, tmp_path, serial):
    """Registrations come from the file, over a connection that is taken to stand still; no file is
    made or touched in the state directory."""
    config = load(tmp_path / "switch.toml", tmp_path)
    kept(config.state_directory / config.store.path, "bob", "sip:bob@10.0.0.1", serial)

    def state():
        return {
            path.name: (path.stat().st_mtime_ns, path.read_bytes())
            for path in config.state_directory.iterdir()
        }

    before = state()
    _, found = explain("--to", "bob", *ALICE_CALLS)
    assert state() == before
    (target,) = found["targets"]
    assert target["flow"] == f"{'TCP' if serial else 'UDP'} 127.89.0.21:5071"
    assert found["tries"][0]["host"] == "127.89.0.21"
    assert any("1 registrations were read from" in each for each in found["assumed"])


def test_the_store_of_a_running_switch_is_read(explain, tmp_path):
    """What stands in the write-ahead log only counts, too."""
    config = load(tmp_path / "switch.toml", tmp_path)
    path = config.state_directory / config.store.path
    kept(path, "carol", "sip:carol@10.0.0.2", 0)
    writer = sqlite3.connect(path)
    writer.execute("UPDATE bindings SET contacts = replace(contacts, '10.0.0.2', '10.0.0.3')")
    writer.commit()
    try:
        _, found = explain("--to", "carol", *ALICE_CALLS)
    finally:
        writer.close()
    assert [each["uri"] for each in found["targets"]] == ["sip:carol@10.0.0.3"]


def test_a_store_that_is_none_is_the_operators_matter(explain, tmp_path):
    """Status 2, and the file is named."""
    config = load(tmp_path / "switch.toml", tmp_path)
    config.state_directory.mkdir()
    (config.state_directory / config.store.path).write_text("what?" * 100)
    code, told = explain("--to", "bob", *ALICE_CALLS)
    assert code == 2
    assert "a database of softswitch is needed here" in told


def test_nothing_is_opened_written_or_told(explain, tmp_path, monkeypatch):
    """No socket, no file, no observer: the media ports of the SDP are numbers only."""

    def refuse(*_, **__):
        raise AssertionError("a socket is opened")

    monkeypatch.setattr(socket, "socket", refuse)
    before = sorted(os.listdir(tmp_path))
    status, found = explain("--to", "0044123", "--all", "--fate", "503", *ALICE_CALLS)
    assert status == 0
    assert "m=audio 16400" not in found["tries"][0]["sdp"]["leaves"]
    assert sorted(os.listdir(tmp_path)) == before


# Plug-ins: loaded by the names below, from this very module.


@implementer(IUserDirectory)
class Elsewhere:
    """A directory that must be waited for; it knows one user."""

    async def find(self, name):
        return User("zoe", {}, "Zoe Z.") if name == "zoe" else None


@implementer(IRouter, ICallObserver)
@attrs.define
class Odd:
    """A policy that does what it is told in the configuration."""

    mood: str

    def route(self, invite):
        return getattr(self, self.mood)()

    def raises(self):
        raise RuntimeError("not today")

    def rubbish(self):
        return Route(["nowhere"])

    def rejects(self):
        return Reject(488, "Not Here", {"X-Why": "odd"})

    def forwards(self):
        return Proxy([Target("sip:x@127.89.0.30")])

    def meek(self):
        return None

    async def later(self):
        return None

    async def never(self):
        await Deferred()

    def call_started(self, record):
        raise AssertionError("an observer is told")

    call_ringing = call_answered = call_ended = call_started


@pytest.fixture
def odd(explain, tmp_path, monkeypatch):
    """Explains a call that such a policy is asked about."""

    known = {
        **policy_loading.makers(),
        "odd": PolicyMaker("odd", f"{__name__}:Odd", ""),
        "elsewhere": PolicyMaker("elsewhere", f"{__name__}:Elsewhere", ""),
    }
    monkeypatch.setattr(policy_loading, "makers", lambda: known)

    def odd(mood: str, *further: str):
        (file := tmp_path / "odd.toml").write_text(
            CONFIG % f'[[policy]]\nuse = "odd"\nmood = "{mood}"\n[[policy]]\nuse = "elsewhere"\n'
        )
        return explain("--to", "0044123", *(further or ALICE_CALLS), config=file)

    return odd


@pytest.mark.parametrize(
    ("mood", "fault"),
    [
        ("raises", "raised RuntimeError: not today (" + __file__),
        ("rubbish", "rubbish: unfit URI"),
        ("never", "no answer in 2 s"),
    ],
)
def test_a_policy_that_fails_is_named_with_its_fault(odd, mood, fault):
    """And the 500 stands there that the caller would get."""
    status, found = odd(mood)
    assert status == 3
    (step,) = [each for each in found["steps"] if each.get("policy") == "odd"]
    assert step["fault"].startswith(fault)
    assert not step["passed"]
    assert found["answers"][-1]["status"] == 500


def test_a_policy_may_take_its_time(odd):
    """One that answers later is said to have done so, and the next is asked."""
    status, found = odd("later")
    assert status == 0
    assert policies(found, "route") == [
        ("odd", "nothing"),
        ("forwarding", "nothing"),
        *[each for each in policies(found, "route") if each[0] == "dialplan"],
    ]
    (step,) = [each for each in found["steps"] if each.get("policy") == "odd"]
    assert step["later"]
    assert step["passed"]


def test_what_a_policy_rejects_with_stands_in_the_response(odd):
    """Reason phrase and fields."""
    status, found = odd("rejects")
    assert status == 3
    assert found["answers"][0]["response"].startswith("SIP/2.0 488 Not Here\r\n")
    assert "\r\nX-Why: odd\r\n" in found["answers"][0]["response"]


def test_an_invite_that_is_forwarded_as_it_is(odd):
    """A Proxy decision has no call; what leaves bears the caller's Call-ID (RFC 3261 16)."""
    status, found = odd("forwards")
    assert status == 0
    (tried,) = found["tries"]
    assert tried["target"] == "sip:x@127.89.0.30"
    assert "Call-ID" in tried["fields"]["kept"]
    assert "Record-Route" in {name for name, _ in tried["fields"]["added"]}


def test_it_can_be_another_time(explain, odd, monkeypatch):
    """--at says what the clock shows, which policies ask."""
    houses, seen = [], []
    monkeypatch.setattr(Odd, "start", lambda self, house: houses.append(house), raising=False)
    monkeypatch.setattr(Odd, "rejects", lambda self: seen.append(houses[0].now()))
    status, _ = odd("rejects", "--at", "2026-12-24T18:30+00:00", *ALICE_CALLS)
    assert (status, seen) == (0, [1798137000.0])


def test_a_user_whom_a_directory_knows_may_call(odd):
    """--as-user asks the directories, too; whom none of them knows is told at once."""
    code, found = odd("meek", "--as-user", "zoe", "--source", "127.89.0.20")
    assert code == 0
    assert found["caller"] == {"kind": "user", "name": "zoe"}
    code, told = odd("meek", "--as-user", "nobody", "--source", "127.89.0.20")
    assert code == 1
    assert "knows no user nobody" in told


LIVE = """
from softswitch.plugin.decisions import Reject
from softswitch.plugin.interfaces import IRouter
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from zope.interface import implementer


@implementer(IRouter)
class Worldly:
    async def route(self, invite):
        await deferLater(reactor, 0.01, lambda: None)
        return Reject(await deferToThread(lambda: 487))
"""


@pytest.mark.parametrize(("options", "status"), [([], 500), (["--live"], 487)])
def test_policies_may_ask_the_world_if_that_is_wished(tmp_path, options, status):
    """Else they are late, and it is said why (a process of its own, for its reactor runs)."""
    (plugins := tmp_path / "mine" / "twisted" / "plugins").mkdir(parents=True)
    (tmp_path / "mine" / "worldly.py").write_text(LIVE)
    (plugins / "worldly_plugin.py").write_text(
        "from softswitch.plugin.maker import PolicyMaker\n"
        'worldly = PolicyMaker("worldly", "worldly:Worldly", "Asks.")\n'
    )
    (tmp_path / "switch.toml").write_text(CONFIG % '[[policy]]\nuse = "worldly"\n')
    command = ["explain", "--json", "--config", "switch.toml", "--to", "0044123", *ALICE_CALLS]
    done = subprocess.run(
        [sys.executable, "-m", "softswitch", *command, *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "mine")},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert found["answers"][0]["status"] == status
    assert any("--live" in each for each in found["assumed"]) is not bool(options)


class Answering(BaseHTTPRequestHandler):
    """Notes what is posted, and rejects every call."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append(json.loads(body))
        answer = b'{"decision": "reject", "status": 487}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Nothing is printed."""


@pytest.mark.parametrize(("options", "posts", "status"), [([], 0, 500), (["--live"], 1, 487)])
def test_a_webhook_is_asked_only_if_that_is_wished_and_told_of_nothing(
    tmp_path, options, posts, status
):
    """No event of a call that never was; and without --live, nothing at all."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.posted = []
    with server:
        Thread(target=server.serve_forever, daemon=True).start()
        (file := tmp_path / "hooked.toml").write_text(
            CONFIG
            % f"""
[[policy]]
use = "webhook"
url = "http://127.0.0.1:{server.server_port}/"
secret = "{"s" * 40}"
events = ["started", "ringing", "answered", "ended"]
"""
        )
        command = ["explain", "--json", "--config", str(file), "--to", "0044123", *ALICE_CALLS]
        done = subprocess.run(
            [sys.executable, "-m", "softswitch", *command, *options],
            cwd=tmp_path,
            capture_output=True,
            timeout=120,
            check=False,
        )
        server.shutdown()
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["answers"][0]["status"] == status
    assert len(server.posted) == posts


def test_users_of_the_store_and_of_a_directory_are_known(explain, tmp_path, monkeypatch):
    """The store is read as it stands, and is not written; that a directory was asked is told."""

    @implementer(IUserDirectory)
    class Directory:
        def find(self, name):
            return User("dave", {}) if name == "300" else None

    class Maker:
        name = "elsewhere"
        factory = f"{__name__}:Directory"
        description = ""

    monkeypatch.setitem(globals(), "Directory", Directory)
    known = policy_loading.makers()
    monkeypatch.setattr(policy_loading, "makers", lambda: {**known, "elsewhere": Maker()})
    (file := tmp_path / "store.toml").write_text(CONFIG % '[[policy]]\nuse = "elsewhere"\n')
    with UserFile(tmp_path / "var" / "softswitch.sqlite").changing() as users:
        users["erin"] = json.dumps({"ha1": {"MD5": "0" * 32}, "numbers": ["200"]})
    before = {path: path.read_bytes() for path in (tmp_path / "var").iterdir()}
    erin = ["--registered", "erin=sip:erin@127.89.0.30"]
    _, found = explain("--to", "200", *ALICE_CALLS, *erin, config=file)
    assert [each["target"] for each in found["tries"]] == ["sip:erin@127.89.0.30"]
    dave = ["--registered", "dave=sip:dave@127.89.0.31"]
    _, found = explain("--to", "300", *ALICE_CALLS, *dave, config=file)
    assert [each["target"] for each in found["tries"]] == ["sip:dave@127.89.0.31"]
    assert ("elsewhere", "user dave") in policies(found, "user")
    assert {path: path.read_bytes() for path in (tmp_path / "var").iterdir()} == before


def test_the_limit_of_an_account(explain, tmp_path):
    """What may not be called, and who is blocked by what the running switch has written down: the
    limit stands there as in the record; without it the call leaves."""
    (other := tmp_path / "closed.toml").write_text(
        CONFIG % "" + '\n[fraud]\nclosed = ["national"]\n'
    )
    status, found = explain("--to", "0044123", *ALICE_CALLS, config=other)
    assert (status, found["outcome"]) == (3, "refused")
    assert found["limit"] == "user alice: closed national"
    assert found["answers"][-1]["status"] == 403
    store = SqliteStore(tmp_path / "var" / "softswitch.sqlite")
    kept = {"at": 0, "begun": [], "fresh": [], "known": {}, "spent": [], "why": "calls 1"}
    store.save_counters("user alice", json.dumps({**kept, "blocked_until": 4e9}))
    store.close()
    _, found = explain("--to", "0044123", *ALICE_CALLS)
    assert found["limit"].startswith("user alice: blocked until 2096-10-02")
    _, found = explain("--to", "0044123", "--as-user", "bob", "--source", "127.89.0.20")
    assert (found["outcome"], found["limit"]) == ("leaves", "")
