"""Names at a real name server, by ``twisted.names`` as it is."""

import json
import subprocess
import sys
from pathlib import Path

CHILD = Path(__file__).with_name("names_child.py")

#: URI -> where it leads; that of the dead server is asked for first.
WANTED = {
    "sip:dead.example": [],
    "sip:carrier.example": [
        ["UDP", "127.77.53.10", 5070],
        ["UDP", "::1", 5070],
        ["UDP", "127.77.53.11", 5080],
    ],
    "sip:carrier.example;transport=tcp": [],
    "sip:a.carrier.example;transport=tcp": [["TCP", "127.77.53.10", 5060]],
    "sip:b.carrier.example:5099": [["UDP", "127.77.53.11", 5099]],
    "sip:alias.example": [["UDP", "127.77.53.11", 5060]],
    "sip:nobody.example": [],
    "sip:hosted.example": [
        ["UDP", "127.77.53.10", 5070],
        ["UDP", "::1", 5070],
        ["UDP", "127.77.53.11", 5080],
    ],
    "sips:hosted.example": [["TLS", "127.77.53.11", 5071, "hosted.example"]],
    "sips:carrier.example": [["TLS", "127.77.53.11", 5071, "carrier.example"]],
}


def test_services_and_hosts():
    """NAPTR, SRV, A and AAAA records lead to addresses (RFC 3263 4); a name whose server is silent
    is given up after a few seconds, and delays none of the others, which need no thread."""
    done = subprocess.run(
        [sys.executable, str(CHILD), *WANTED],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *told, last = map(json.loads, done.stdout.splitlines())
    assert {each["uri"]: each["places"] for each in told} == WANTED
    assert told[-1]["uri"] == "sip:dead.example"
    assert last == {"threads": 0}
