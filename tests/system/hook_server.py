"""A web server as a webhook talks to it, in a process of its own.

``hook_server.py HOST PORT FILE``. What it answers is named by the number that was dialled. Each
event that it takes is a line of the file; what is not signed as it should be is answered with 401.
"""

import hashlib
import hmac
import json
import sys
from typing import Any

from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

SECRET = b"between us"


class Hook(Resource):
    """The one resource."""

    isLeaf = True

    def __init__(self, file: str) -> None:
        super().__init__()
        self._file = file
        self._refusals = 1

    def render_POST(self, request: Request) -> Any:
        body = request.content.read()
        stamp = request.getHeader("Softswitch-Timestamp") or ""
        signed = hmac.new(SECRET, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        if request.getHeader("Softswitch-Signature") != f"sha256={signed}":
            request.setResponseCode(401)
            return b""
        document = json.loads(body)
        if "events" in document:
            return self._told(document["events"], request)
        return self._answer(document["request"]["dialled"], request)

    def _told(self, events: list[dict[str, Any]], request: Request) -> bytes:
        if self._refusals:  # the first one, so that it must come again
            self._refusals -= 1
            request.setResponseCode(503)
            return b""
        with open(self._file, "a") as file:
            for event in events:
                file.write(json.dumps(event) + "\n")
        request.setResponseCode(204)
        return b""

    def _answer(self, dialled: str, request: Request) -> Any:
        if dialled == "slow":
            return NOT_DONE_YET
        if dialled == "fails":
            request.setResponseCode(500)
            return b"oh dear"
        if dialled == "rubbish":
            return b'{"decision": "rout", "targets": []}'
        if dialled == "huge":
            return b" " * 200_000
        if dialled == "nobody":
            request.setResponseCode(204)
            return b""
        if dialled == "busy":
            return b'{"decision": "reject", "status": 486, "reason": "Says The Hook"}'
        return json.dumps({"decision": "route", "targets": [dialled.replace("+", "@")]}).encode()


def main() -> None:
    host, port, file = sys.argv[1:]
    reactor.listenTCP(int(port), Site(Hook(file)), interface=host)
    reactor.callWhenRunning(print, "listening", flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
