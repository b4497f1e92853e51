"""The API over HTTP/1.1 (RFC 9110, 9112), on twisted.web.

When the header of a request has come it is seen whether its sender is known: else nothing of its
body is kept. When it is whole it is looked at in this order: what its path and method mean, whose
it is and whether he may, whether its body is too large, what he wants to have and what he has sent.
Then the operation does its work. Whoever is turned away for want of a token or role, and every
change, stands in the audit.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from socket import AF_UNIX, SO_PEERCRED, SOL_SOCKET
from struct import calcsize, unpack
from typing import Any, Final
from urllib.parse import parse_qsl

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory, Request

from softswitch.api.gate import Gate, Source, see_role
from softswitch.api.operation import Answer, Asked, Operation, Operations, Stream, allowed
from softswitch.api.problem import PROBLEM, ProblemError
from softswitch.api.shapes import to_json
from softswitch.api.tokens import Caller
from softswitch.transport.networks import source_of

log = Logger()

#: Bytes of a body; what is longer, or a stranger's, is read, up to so much, and thrown away: most
#: clients read no answer before they have sent it all.
LONGEST: Final = 1024 * 1024
SWALLOWED: Final = 16 * LONGEST

#: Seconds that a connection may be silent while nothing is asked for, or a request comes.
IDLE_SECONDS: Final = 60

#: Connections at one time, over TCP; over the unix socket as many again, so that strangers do not
#: shut out who sits at the machine.
CONNECTIONS: Final = 256
#: And from one source, unless it is this machine: a proxy, or a whole office, but not one stranger
#: who shuts out all others.
OF_ONE: Final = CONNECTIONS // 2

#: Seconds between two times that it is looked whether who listens still may.
LOOK_SECONDS: Final = 10.0

#: What every answer bears: nobody keeps it, frames it or takes it for what it is not.
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

#: The weight of a media type that is not wanted.
_NEVER: Final = re.compile(r"(?:.*;)?q=0(?:\.0*)?(?:;.*)?")

#: Told what was done, or refused: operation, caller, path, status, detail.
Audit = Callable[[str, Caller, str, int, str], None]


class ApiFactory(HTTPFactory):
    """Makes a connection of each that comes.

    :ivar open: how many there are: over TCP, and over the unix socket.
    :ivar streams: answers that go on.
    :param bars: whether nothing is taken from an address.
    """

    noisy = False

    def __init__(
        self,
        operations: Operations,
        gate: Gate,
        audit: Audit,
        reactor: Any,
        bars: Callable[[str], bool] = lambda host: False,
    ) -> None:
        super().__init__(timeout=IDLE_SECONDS, reactor=reactor)
        self.operations = operations
        self.gate = gate
        self.audit = audit
        self.open = {"tcp": 0, "unix": 0}
        self.streams: set[Exchange] = set()
        self._bars = bars
        self._of_one: Counter[str] = Counter()
        self._looks = False

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """None, which closes the connection, for who is banned, or one too many."""
        host = getattr(addr, "host", "")
        way = "tcp" if host else "unix"
        if self.open[way] >= CONNECTIONS or (host and self._bars(host)):
            return None
        one = "" if not host or Source(host).is_loopback else source_of(host)
        if one and self._of_one[one] >= OF_ONE:
            return None
        self._of_one[one] += 1
        channel: Any = super().buildProtocol(addr)
        channel.requestFactory = partial(ApiRequest, self)
        self.open[way] += 1
        lost = channel.connectionLost

        def closed(reason: Failure) -> None:
            self.open[way] -= 1
            self._of_one[one] -= 1
            if not self._of_one[one]:
                del self._of_one[one]
            lost(reason)

        channel.connectionLost = closed
        return channel

    def begin(self, stream: "Exchange") -> None:
        """An answer goes on."""
        self.streams.add(stream)
        if not self._looks:
            self._looks = True
            self.reactor.callLater(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Tokens expire."""
        self.look_again()
        self._looks = bool(self.streams)
        if self._looks:
            self.reactor.callLater(LOOK_SECONDS, self._look)

    def look_again(self) -> None:
        """Others may call now than before: end the streams of those who may no more."""
        for exchange in list(self.streams):
            exchange.see_caller()

    def logPrefix(self) -> str:
        """What the log calls it."""
        return "the API"

    def startFactory(self) -> None:  # noqa: N802
        """No log of requests: what matters stands in the audit."""

    def stopFactory(self) -> None:  # noqa: N802
        """See ``startFactory``."""


class ApiRequest(Request):
    """One request, as the channel sees it: its body stays in memory, for it is small, or is thrown
    away.

    :ivar longest: bytes of a body that are kept; none of who is not known.
    """

    def __init__(self, factory: ApiFactory, channel: HTTPChannel, queued: object = None) -> None:
        super().__init__(channel, parsePOSTFormSubmission=False)
        self.exchange = Exchange(factory, self)
        self.longest = 0
        self._body = BytesIO()
        self._length = 0

    @property
    def body(self) -> bytes | None:
        """What has come; None for too much."""
        return self._body.getvalue() if self._length <= self.longest else None

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        """The header has come."""
        self.content = BytesIO()
        if length != 0 and self.exchange.knows_caller():
            self.longest = LONGEST

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """More of the body has come: keep no more than may be."""
        self._length += len(data)
        if self._length <= self.longest:
            self._body.write(data)
        elif self._length > SWALLOWED:
            channel: Any = self.channel
            channel.transport.abortConnection()

    def process(self) -> None:
        """All of it has come."""
        self.exchange.run()

    def finish(self) -> None:
        """The answer is whole, be it one that went on: its connection may be another's now."""
        self.exchange.forget()
        Request.finish(self)

    def connectionLost(self, reason: Failure) -> None:
        """Whoever asked has gone."""
        self.exchange.gone = True
        self.exchange.forget()
        Request.connectionLost(self, reason)


class Exchange:
    """One request and its answer.

    :ivar gone: whether whoever asked has gone.
    :param http: an ``ApiRequest``.
    """

    def __init__(self, factory: ApiFactory, http: Any) -> None:
        self.gone = False
        self._factory = factory
        self._http = http
        self._caller = Caller("", "view", "")
        self._operation: Operation | None = None

    def run(self) -> None:
        """Serve it."""
        try:
            self._serve()
        except ProblemError as problem:
            self._refuse(problem)
        except Exception:
            self._broken(Failure())

    def _serve(self) -> None:
        factory = self._factory
        found = factory.operations.find(self._http.path.decode("ascii", "surrogateescape"))
        if found is None:
            raise ProblemError(
                404, "there is nothing here; /api/v1/openapi.json says what is where"
            )
        methods, names = found
        method = self._http.method.decode("ascii", "replace")
        if method == "OPTIONS":
            self._answer(Answer(204, headers={"Allow": allowed(methods)}))
            return
        operation = methods.get("GET" if method == "HEAD" else method)
        if operation is None:
            raise ProblemError(405, f"only {allowed(methods)}", "", {"Allow": allowed(methods)})
        self._operation = operation
        headers = self._headers()
        if operation.role is not None:
            self._caller = Caller("", "view", str(self._source()))
            self._caller = factory.gate.caller(self._source(), headers)
            see_role(self._caller, operation.role)
        else:
            self._caller = factory.gate.guest(self._source(), headers)
        if self._http.body is None:
            raise ProblemError(413, f"a body of {self._http.longest} bytes at most is wanted")
        see_accept(headers.get("accept", "*/*"), operation.kinds)
        query = operation.queried(_pairs(self._http.uri.partition(b"?")[2]))
        asked = Asked(self._caller, names, query, self._read(operation, headers), headers)
        answer = operation.handle(asked)
        if isinstance(answer, Deferred):
            answer.addCallback(self._answer).addErrback(self._failed)
        elif isinstance(answer, Stream):
            self._stream(answer)
        else:
            self._answer(answer)

    def _read(self, operation: Operation, headers: Mapping[str, str]) -> Any:
        """The body, as the operation wants it.

        :raises ProblemError: 415, or 400; names the key at fault.
        """
        body: bytes = self._http.body
        if operation.read is None:
            return None
        if body or "content-type" in headers:
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise ProblemError(415, "application/json is wanted", "Content-Type")
        try:
            document = json.loads(body.decode("utf-8")) if body else {}
        except (ValueError, RecursionError):
            raise ProblemError(400, "the body is no JSON", "body") from None
        return operation.read(document)

    def _source(self) -> Source:
        peer = self._http.getClientAddress()
        host = getattr(peer, "host", "")
        if host:
            return Source(host.partition("%")[0])
        connection = getattr(self._http.channel.transport, "socket", None)
        if connection is None or connection.family != AF_UNIX:
            return Source("", "")
        credentials = connection.getsockopt(SOL_SOCKET, SO_PEERCRED, calcsize("3i"))
        return Source("", str(unpack("3i", credentials)[1]))

    def _headers(self) -> dict[str, str]:
        return {
            name.decode("latin-1").lower(): ", ".join(each.decode("latin-1") for each in values)
            for name, values in self._http.requestHeaders.getAllRawHeaders()
        }

    # The answer.

    def _answer(self, answer: Answer) -> None:
        operation = self._operation
        if operation is not None and operation.changes:
            self._note(answer.status, "")
        if self.gone:
            return
        body, kind = answer.body, answer.kind
        if body is not None and not isinstance(body, bytes):
            body = to_json(body)
        self._http.setResponseCode(answer.status)
        for name, value in {**HEADERS, **answer.headers}.items():
            self._http.setHeader(name, value)
        if answer.status != 204:
            self._http.setHeader("Content-Type", kind)
            self._http.setHeader("Content-Length", str(len(body or b"")))
        self._http.write(body or b"")
        self._http.finish()

    def _stream(self, stream: Stream) -> None:
        self._http.setResponseCode(200)
        for name, value in HEADERS.items():
            self._http.setHeader(name, value)
        self._http.setHeader("Content-Type", "text/event-stream")
        self._http.setHeader("X-Accel-Buffering", "no")
        if self._http.method == b"HEAD":
            self._http.finish()
            return
        self._http.write(b"")
        self._factory.begin(self)
        stream.begin(self._http)

    def forget(self) -> None:
        """It does not go on any more."""
        self._factory.streams.discard(self)

    def knows_caller(self) -> bool:
        """Whether it is known whose request it is."""
        return self._factory.gate.knows(self._source(), self._headers())

    def see_caller(self) -> None:
        """Whoever listens goes on only if he might begin now."""
        operation = self._operation
        try:
            caller = self._factory.gate.caller(self._source(), self._headers())
            if operation is not None and operation.role is not None:
                see_role(caller, operation.role)
        except ProblemError:
            self._http.channel.transport.abortConnection()

    def _failed(self, failure: Failure) -> None:
        if isinstance(failure.value, ProblemError):
            self._refuse(failure.value)
        else:
            self._broken(failure)

    def _broken(self, failure: Failure) -> None:
        log.failure(
            "{method} {path} failed", failure, method=self._http.method, path=self._http.path
        )
        if self._http.startedWriting:
            self._http.loseConnection()
        else:
            self._refuse(ProblemError(500, "the switch has failed at this; its log says how"))

    def _refuse(self, problem: ProblemError) -> None:
        operation = self._operation
        turned_away = problem.status in (401, 403)
        if operation is not None and (turned_away or operation.changes) and problem.status != 429:
            self._note(problem.status, problem.detail)
        if self.gone:
            return
        self._operation = None  # it stands in the audit already
        self._answer(Answer(problem.status, problem.document, PROBLEM, problem.headers))

    def _note(self, status: int, detail: str) -> None:
        assert self._operation is not None
        where = self._http.uri.decode("ascii", "backslashreplace")[:500]
        self._factory.audit(self._operation.name, self._caller, where, status, detail)


def see_accept(accept: str, kinds: tuple[str, ...]) -> None:
    """See that somebody takes what there is (RFC 9110 12.5.1); problem documents come unasked.

    :raises ProblemError: 406.
    """
    good = {"*/*", "*", "", *kinds, *(f"{kind.partition('/')[0]}/*" for kind in kinds)}
    for each in accept.split(","):
        wanted, _, parameters = each.lower().partition(";")
        if wanted.strip() in good and not _NEVER.fullmatch(parameters.replace(" ", "")):
            return
    raise ProblemError(406, f"there is only {', '.join(kinds)}", "Accept")


def _pairs(query: bytes) -> list[tuple[str, str]]:
    """
    :raises ProblemError: 400, they are too many.
    """
    text = query.decode("ascii", "surrogateescape")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=50, errors="surrogateescape")
    except ValueError:
        raise ProblemError(400, "too many parameters", "query") from None
