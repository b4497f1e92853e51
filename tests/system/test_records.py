"""Ten thousand calls whose ends are known: as many records, each right, in SQLite and wherever it
is carried, though PostgreSQL and the web server are away for a while and the switch begins anew."""

import csv
import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs
import psycopg
import pytest
from conftest import do_without
from phones import claimed_network
from postgres import Postgres, programs
from processes import Sipp, Switch

from softswitch.records.columns import COLUMNS

CONFIGURATION = """
[switch]
state_directory = "@state@"
domains = ["records.test"]

[[listen]]
transport = "udp"
bind = "{network}.1"

[media]
engine = "bypass"

# A machine that is busy with other things is no overload: each call is to end as it is meant to.
[overload]
lag_seconds = 10

[records]
keep_days = 0

[[records.csv]]
path = "calls.csv"
rotate_mib = 1

[[records.postgresql]]
connect = "{connect}"

[[records.webhook]]
url = "http://{network}.9:8080/calls"
timeout = 5

[trunks.callers]
addresses = ["{network}.21", "{network}.22", "{network}.23", "{network}.24", "{network}.25"]

[trunks.answering]
addresses = ["{network}.31"]

[trunks.busy]
addresses = ["{network}.32"]

[trunks.ringing]
addresses = ["{network}.33"]

[[policy]]
use = "trunks"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = "1.*"
strip = 1
prepend = "+49"
trunk = "answering"

[[policy.rules]]
match = "2.*"
trunk = "busy"

[[policy.rules]]
match = "3.*"
trunk = "ringing"

[[policy.rules]]
match = "4.*"
trunk = "ringing"
ring_seconds = 1

[[policy.rules]]
match = "5.*"
refuse = 603
"""


@attrs.frozen
class Kind:
    """Calls that all end alike.

    :ivar caller: SIPp's scenario.
    :ivar calls: how many there are.
    :ivar rate: of them in a second.
    :ivar sent: the number as it was sent, "" where it was not.
    :ivar decided: by the routing policy.
    """

    host: str
    number: str
    caller: str
    calls: int
    rate: int
    status: int
    hung_up: str
    trunk: str
    sent: str
    decided: str


KINDS = (
    Kind(
        ".21", "100", "caller_hangs_up", 6000, 120, 200, "caller", "answering", "+4900", "1 target"
    ),
    Kind(".22", "200", "caller_is_refused", 1500, 30, 486, "callee", "busy", "200", "1 target"),
    Kind(
        ".23", "300", "caller_cancels_ringing", 500, 10, 487, "caller", "ringing", "300", "1 target"
    ),
    Kind(".24", "400", "caller_is_refused", 500, 10, 480, "switch", "ringing", "400", "1 target"),
    Kind(".25", "500", "caller_is_refused", 1500, 30, 603, "switch", "", "", "603 Decline"),
)


class WebServer:
    """Takes records, each batch once, as its key says.

    :ivar taken: the records, in their order.
    :ivar again: batches that came although they had been taken.
    """

    def __init__(self, host: str) -> None:
        self.taken: list[dict[str, Any]] = []
        self.again = 0
        self._host = host
        self._keys: set[str] = set()
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                web.take(self.headers["Idempotency-Key"], json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *words: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer((self._host, 8080), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, key: str, document: dict[str, Any]) -> None:
        if key in self._keys:
            self.again += 1
        else:
            self._keys.add(key)
            self.taken += document["records"]

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def rows(connect: str) -> list[tuple[Any, ...]]:
    """What PostgreSQL has; nothing where there is no table yet."""
    with psycopg.connect(connect) as connection:
        if connection.execute("SELECT to_regclass('calls')").fetchone() == (None,):
            return []
        return connection.execute(
            "SELECT id, called_number, status, hung_up, trunk_out, sent_called_number, "
            "record->>'id', extract(epoch FROM ended - invited) FROM calls"
        ).fetchall()


def kept(path: Path) -> int:
    """How many records SQLite has."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM calls").fetchone()[0])


def judge(record: dict[str, Any], kind: Kind, host: str) -> None:
    """A record says what its call was."""
    assert record["status"] == kind.status
    assert record["hung_up"] == kind.hung_up
    assert record["identity"] == record["trunk_in"] == "callers"
    assert record["caller_number"] == "caller"
    assert record["call_id_a"].endswith(host)
    assert (record["trunk_out"], record["sent_called_number"]) == (kind.trunk, kind.sent)
    assert (record["answered"] is not None) == (kind.status == 200)
    assert (record["talk_seconds"] is not None) == (kind.status == 200)
    assert [each["question"] for each in record["verdicts"]] == ["admission", "routing"]
    assert [each["policy"] for each in record["verdicts"]] == ["trunks", "dialplan"]
    assert record["verdicts"][1]["decision"] == kind.decided
    assert record["call_group"] == record["id"]
    assert record["invited"] <= (record["ringing"] or record["ended"]) <= record["ended"]
    if kind.trunk:
        (attempt,) = record["attempts"]
        assert attempt["trunk"] == kind.trunk
    else:
        assert record["attempts"] == []


@pytest.mark.alone
@pytest.mark.peer("sipp")
def test_ten_thousand_calls(stack: ExitStack, tmp_path: Path):
    """Answered, busy, given up, not answered and refused by a policy: one record each."""
    if programs() is None:
        do_without("PostgreSQL is missing: apt-get install postgresql")
    network = stack.enter_context(claimed_network())
    postgres = Postgres()
    stack.callback(postgres.close)
    postgres.start()
    web = WebServer(f"{network}.9")
    stack.callback(web.stop)
    web.start()
    text = CONFIGURATION.format(network=network, connect=postgres.connect)
    switch = Switch(text, tmp_path)
    stack.callback(switch.kill)
    total = sum(kind.calls for kind in KINDS)

    def sipp(scenario: str, host: str, there: str = "", *extra: str, **words: object) -> Sipp:
        calls = next((kind.calls for kind in KINDS if kind.host == host), total)
        limits = ("-timeout", "300", "-l", "2000", *extra)
        peer = Sipp(
            scenario, tmp_path, network + host, there, calls=calls, words=words, extra=limits
        )
        stack.callback(peer.kill)
        return peer

    sipp("callee_answers", ".31")
    sipp("callee_refuses", ".32", status=486, reason="Busy Here")
    sipp("callee_is_cancelled", ".33", status=180, reason="Ringing", pause=0)
    callers = [
        sipp(
            kind.caller,
            kind.host,
            f"{network}.1:5060",
            *("-s", kind.number, "-r", str(kind.rate)),
            status=kind.status,
        )
        for kind in KINDS
    ]

    # The servers vanish while calls go on.
    store = switch.state / "calls.sqlite"
    switch.until(lambda: len(rows(postgres.connect)) > total // 10, 120)
    switch.until(lambda: len(web.taken) > total // 10, 120)
    postgres.kill()
    web.stop()
    for peer in callers:
        assert peer.wait(240) == 0, peer.tail()
        assert peer.counts()["FailedCall"] == 0
    switch.until(lambda: kept(store) == total, 60)
    figures = switch.stats()["records"]
    for name in ("postgresql calls", f"webhook http://{network}.9:8080/calls"):
        assert figures["exporters"][name]["waiting"] > 0
        assert figures["exporters"][name]["error"]
    assert figures["exporters"]["jsonl calls.jsonl"]["error"] == ""

    # They come back once the switch has gone, and another one carries on.
    assert switch.stop(30) == 0
    assert "stopped, 0 leaks" in switch.tail()
    behind = len(web.taken)
    assert behind < total
    postgres.start()
    web.start()
    switch = Switch(text, tmp_path)
    stack.callback(switch.kill)
    switch.until(lambda: len(rows(postgres.connect)) >= total, 60)
    switch.until(lambda: len(web.taken) >= total, 60)
    waiting = switch.stats()["records"]["exporters"]
    assert {name: each["waiting"] for name, each in waiting.items()} == dict.fromkeys(waiting, 0)
    assert switch.stop(30) == 0

    # Each record is right, and there once.
    with closing(sqlite3.connect(store)) as connection:
        found = [json.loads(row[0]) for row in connection.execute("SELECT record FROM calls")]
    by_number = {kind.number: kind for kind in KINDS}
    assert Counter(record["called_number"] for record in found) == {
        kind.number: kind.calls for kind in KINDS
    }
    for record in found:
        kind = by_number[record["called_number"]]
        judge(record, kind, network + kind.host)
    ids = sorted(record["id"] for record in found)
    assert len({record["call_id_a"] for record in found}) == total

    lines = (switch.state / "calls.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["id"] for line in lines) == ids
    files = list(switch.state.glob("calls*.csv"))
    assert len(files) > 1
    table = []
    for file in files:
        head, *body = csv.reader(file.read_text().splitlines())
        assert head == list(COLUMNS)
        table += [dict(zip(COLUMNS, row, strict=True)) for row in body]
    assert sorted(row["id"] for row in table) == ids
    for row in table:
        kind = by_number[row["called_number"]]
        assert (row["status"], row["hung_up"]) == (str(kind.status), kind.hung_up)
        assert row["sent_called_number"].lstrip("'") == kind.sent
    assert sorted(each["id"] for each in web.taken) == ids
    postgresql = rows(postgres.connect)
    assert sorted(row[0] for row in postgresql) == ids
    for id, number, status, hung_up, trunk, sent, inner, seconds in postgresql:
        kind = by_number[number]
        assert (status, hung_up, trunk, sent) == (
            *(kind.status, kind.hung_up, kind.trunk, kind.sent),
        )
        assert inner == id
        assert 0 <= seconds < 60
