"""The API of a running switch: over its unix socket, TCP and TLS; what it leaves on the disk."""

import http.client
import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from phones import Phone, claimed_network
from processes import Switch

from softswitch.api.tokens import hashed
from softswitch.testing.authority import Authority

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[users]
alice.password = "secret"
bob.password = "secret"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "located"

[media]
engine = "bypass"

[api]
bind = "{network}.1"
port = 8060
{api}

[[api.tokens]]
name = "tester"
role = "admin"
hash = "{hash}"
"""

TOKEN = "softswitch-test"


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the socket in the state directory."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(self._path))

    def get(self, path: str, method: str = "GET") -> tuple[int, dict]:
        self.request(method, path)
        response = self.getresponse()
        return response.status, json.loads(response.read() or b"null")


@pytest.fixture(name="network")
def _network() -> Iterator[str]:
    with claimed_network() as network:
        yield network


@pytest.fixture(name="switch")
def _switch(tmp_path: Path, network: str) -> Iterator[Switch]:
    text = CONFIGURATION.format(network=network, hash=hashed(TOKEN), api="")
    switch = Switch(text, tmp_path)
    yield switch
    switch.kill()


def lines(switch: Switch) -> list[dict]:
    path = switch.state / "audit.jsonl"
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_the_unix_socket(switch: Switch):
    """Its owner alone may open it; nobody there is asked for a token; changes are audited with the
    number of the user who made them. A switch that stops takes it away."""
    path = switch.state / "api.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    connection = UnixConnection(path)
    status, health = connection.get("/api/v1/health/ready")
    assert (status, health["status"]) == (200, "ok")
    assert connection.get("/api/v1/calls") == (200, {"calls": [], "next": None, "total": 0})
    status, outcome = connection.get("/api/v1/reload", "POST")
    assert status == 200
    assert outcome["done"]
    switch.until(lambda: len(lines(switch)) == 1, 5)
    [line] = lines(switch)
    assert line["from"] == f"unix:{os.getuid()}"
    assert (line["who"], line["what"], line["status"]) == ("local", "reload", 200)
    assert stat.S_IMODE((switch.state / "audit.jsonl").stat().st_mode) == 0o600
    assert switch.stop() == 0
    assert not path.exists()


def test_a_socket_that_a_dead_switch_has_left(tmp_path: Path, network: str):
    """It is in nobody's way; what is no socket is."""
    text = CONFIGURATION.format(network=network, hash=hashed(TOKEN), api="")
    switch = Switch(text, tmp_path)
    path = switch.state / "api.sock"
    switch.send_signal(signal.SIGKILL)
    switch.wait(10)
    assert path.exists()
    again = Switch(text, tmp_path)
    assert UnixConnection(path).get("/api/v1/health/live")[0] == 200
    assert again.stop() == 0


def test_tcp_asks_for_a_token(switch: Switch, network: str):
    """401 without, and what it allows with one; both stand in the audit."""
    url = f"http://{network}.1:8060/api/v1"
    assert requests.get(f"{url}/calls", timeout=10).status_code == 401
    header = {"Authorization": f"Bearer {TOKEN}"}
    alice = Phone("alice", f"{network}.2", (f"{network}.1", 5060))
    alice.register()
    found = requests.get(f"{url}/registrations", headers=header, timeout=10).json()
    assert found["total"] == 1
    gone = requests.delete(
        f"{url}/registrations/{found['registrations'][0]['aor']}", headers=header, timeout=10
    )
    assert gone.json() == {"removed": 1}
    alice.close()
    switch.until(lambda: len(lines(switch)) == 2, 5)
    assert [(line["who"], line["status"]) for line in lines(switch)] == [("", 401), ("tester", 200)]
    assert TOKEN not in (switch.state / "audit.jsonl").read_text()


def test_tls(tmp_path: Path, network: str):
    """With a certificate it is HTTPS and nothing else."""
    authority = Authority(tmp_path)
    mine = authority.issue("switch", f"{network}.1")
    keys = f'certificate = "{mine.certificate}"\nkey = "{mine.key}"'
    text = CONFIGURATION.format(network=network, hash=hashed(TOKEN), api=keys)
    switch = Switch(text, tmp_path)
    try:
        header = {"Authorization": f"Bearer {TOKEN}"}
        url = f"{network}.1:8060/api/v1/calls"
        found = requests.get(
            f"https://{url}", headers=header, verify=str(authority.certificate), timeout=10
        )
        assert found.status_code == 200
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://{url}", headers=header, timeout=10)
    finally:
        switch.kill()
