"""Call records posted to a web server, in batches, until it has taken them.

A batch has an ``Idempotency-Key`` that stays the same however often it is posted, and each record
in it its id: a server that had taken it when the connection broke need not take it twice. What it
answers with 2xx is taken; after anything else the same batch comes again.
"""

import hashlib
from collections.abc import Callable, Sequence
from time import time
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.threads import blockingCallFromThread

from softswitch.plugin.version import API
from softswitch.policy.courier import signature
from softswitch.policy.webhook import HttpPost
from softswitch.records.exporter import CarryError, Entry, RefusedError

#: Posts a body with header fields; status and body of the answer.
Post = Callable[[bytes, dict[str, str]], Deferred[tuple[int, bytes]]]

#: Connections that are kept open to the server.
_CONNECTIONS: Final = 1

#: Answers by which a server refuses what a request holds, and not the request (RFC 9110 15.5).
_REFUSALS: Final = frozenset((400, 413, 422))


class WebServer:
    """The outlet.

    :param secret: with which requests are signed, as those of the policy ``webhook``; "" for not.
    :param timeout: seconds within which the server answers.
    """

    def __init__(self, url: str, secret: str, timeout: float, reactor: Any) -> None:
        self._secret = secret.encode()
        self._timeout = timeout
        self._reactor = reactor
        self._http: HttpPost = blockingCallFromThread(reactor, HttpPost, url, _CONNECTIONS, reactor)

    def carry(self, batch: Sequence[Entry], state: dict[str, Any]) -> dict[str, Any]:
        """Post a batch.

        :raises CarryError: it was not taken, as far as can be known.
        :raises RefusedError: it holds something that the server does not take, or too much.
        """
        body = f'{{"version": "{API}", "records": [{",".join(each.text for each in batch)}]}}'
        posted: Callable[[bytes, str], Any] = self._posted
        try:
            status = blockingCallFromThread(
                self._reactor, posted, body.encode(), key([each.id for each in batch])
            )
        except (TimeoutError, CancelledError) as error:
            raise CarryError("the web server has not answered in time") from error
        except Exception as error:
            text = " ".join(f"{type(error).__name__} {error}".split())
            raise CarryError(f"the web server cannot be reached: {text}") from error
        if not 200 <= status < 300:
            kind = RefusedError if status in _REFUSALS else CarryError
            raise kind(f"the web server answered {status}")
        return {}

    def close(self) -> None:
        """Let go of the connection."""
        self._reactor.callFromThread(self._http.close)

    def _posted(self, body: bytes, idempotency_key: str) -> Deferred[int]:
        fields = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key}
        if self._secret:
            stamp = str(int(time()))
            fields["Softswitch-Timestamp"] = stamp
            fields["Softswitch-Signature"] = signature(self._secret, stamp, body)
        answer = self._http.post(body, fields)
        answer.addTimeout(self._timeout, self._reactor)
        return answer.addCallback(lambda answered: answered[0])


def key(ids: Sequence[str]) -> str:
    """What names a batch: the same for the same records."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:32]
