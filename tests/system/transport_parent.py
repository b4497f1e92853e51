"""The process of ``transport_child.py``, as its tests see it."""

import json
import queue
import subprocess
import sys
import threading
from pathlib import Path

CHILD = Path(__file__).with_name("transport_child.py")
PHONE = "127.77.0.9"
WAIT = 10.0


class Child:
    """The process, and what it has told."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *(command or [str(CHILD)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._told = queue.Queue()
        self._kept = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.started = self.wait("ports")
        self.ports = self.started["ports"]

    def _read(self) -> None:
        for line in self.process.stdout:
            self._told.put(json.loads(line))

    def wait(self, key: str) -> dict:
        """The next happening that has ``key``; others are kept for who waits for them."""
        while True:
            for told in self._kept:
                if key in told:
                    self._kept.remove(told)
                    return told
            self._kept.append(self._told.get(timeout=WAIT))

    def failed(self, port: int) -> str:
        """Why the flow to a phone's port has failed, once it has; what else fails is forgotten."""
        while True:
            told = self.wait("failed")
            if told["failed"] == port:
                return told["reason"]

    def counters(self) -> dict[str, int]:
        """What the transport layer has counted."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.wait("counters")["counters"]

    def stop(self) -> int:
        self.process.stdin.close()
        status = self.process.wait(WAIT)
        self._reader.join(WAIT)
        self.process.stdout.close()
        return status


def request(transport: str, port: int, host: str = PHONE, *more: str) -> bytes:
    lines = [
        "OPTIONS sip:100@127.77.0.1 SIP/2.0",
        f"Via: SIP/2.0/{transport} {host}:{port};rport;branch=z9hG4bK1",
        "From: <sip:alice@example.com>;tag=a",
        "To: <sip:100@example.com>",
        "Call-ID: one",
        "CSeq: 1 OPTIONS",
        "Max-Forwards: 70",
        *more,
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()
