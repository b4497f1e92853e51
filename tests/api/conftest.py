"""The API of a switch on the loop network, called over HTTP without a socket."""

import json
from functools import cached_property

import attrs
import pytest
from jsonschema import Draft202012Validator
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from softswitch.api.gate import ApiSettings
from softswitch.api.interface import Api
from softswitch.api.operation import Answer
from softswitch.api.running import Doings, Reloaded
from softswitch.api.tokens import Token, hashed
from softswitch.testing.stage import Stage

#: Role -> a token that has it.
TOKENS = {"view": "look", "operate": "work", "admin": "rule"}
HERE = "192.0.2.99"


@attrs.frozen
class Response:
    """What came back."""

    status: int
    headers: dict
    body: bytes

    @cached_property
    def json(self):
        return json.loads(self.body)

    @property
    def field(self):
        """Which field a problem document names."""
        assert self.headers["content-type"] == "application/problem+json"
        return self.json["field"]


class Wire(StringTransport):
    """Its bytes. What the switch closes is closed once it has been read, as with a socket."""

    connected = True

    def loseConnection(self):  # noqa: N802
        self.disconnecting, self.connected = True, False

    def abortConnection(self):  # noqa: N802
        self.loseConnection()


class Reactor(Clock):
    """Time that stands still, and threads that do at once what they are asked for."""

    def getThreadPool(self):  # noqa: N802
        return self

    def callInThreadWithCallback(self, told, work, *args, **terms):  # noqa: N802
        try:
            told(True, work(*args, **terms))
        except Exception:
            told(False, Failure())

    def callFromThread(self, told, *args, **terms):  # noqa: N802
        told(*args, **terms)


class Line:
    """A connection to the API."""

    def __init__(self, api, host=HERE):
        peer = IPv4Address("TCP", host, 40000) if host else UNIXAddress("")
        self.wire = Wire(peerAddress=peer)
        self.protocol = api.factory.buildProtocol(peer)
        if self.protocol is not None:
            self.protocol.makeConnection(self.wire)

    def send(self, data):
        self.protocol.dataReceived(data)

    def hang_up(self):
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def read(self, head=False):
        """The next response, which must have come whole."""
        data = self.wire.value()
        header, gap, rest = data.partition(b"\r\n\r\n")
        assert gap, f"no response: {data!r}"
        first, *lines = header.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        length = 0 if head else int(headers.get("content-length", 0))
        self.wire.clear()
        self.wire.write(rest[length:])
        return Response(int(first.split(" ")[1]), headers, rest[:length])


class Desk:
    """Whoever calls the API of a stage.

    Each answer is held against the OpenAPI document: status, media type and schema.
    """

    def __init__(self, stage, **settings):
        self.stage = stage
        self.reloads = []
        self.outcome = Reloaded(True, "in force")
        self.audit = []
        tokens = [Token(role, role, hashed(text)) for role, text in TOKENS.items()]
        records = settings.pop("records", None)
        self.api = Api(
            stage.house,
            ApiSettings(tuple(tokens), **settings),
            Doings(
                self._reload,
                "1.2.3",
                lambda: b"softswitch_calls 0\n",
                records,
                lambda wish: succeed(Answer(body=attrs.asdict(wish))),
            ),
            lambda *line: self.audit.append(line),
            Reactor(),
        )

    def _reload(self):
        self.reloads.append(self.stage.clock.seconds())
        return succeed(self.outcome)

    def ask(self, method, path, body=None, *, role="admin", token=None, host=HERE, headers=()):
        """Ask for something, over a connection of its own.

        :param role: whose token is shown; None for none.
        :param body: JSON, or bytes as they are.
        """
        line = Line(self.api, host)
        assert line.protocol is not None
        fields = {"Host": "switch.example.org"}
        token = TOKENS.get(role) if token is None else token
        if token is not None:
            fields["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            fields["Content-Type"] = "application/json"
        if body is not None:
            fields["Content-Length"] = str(len(body))
        fields.update(headers)
        wanted = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        line.send(f"{method} {path} HTTP/1.1\r\n{wanted}\r\n".encode() + (body or b""))
        if not line.wire.value():
            self.stage.settle()
        response = line.read(head=method == "HEAD")
        line.hang_up()
        self.hold(method, path, response)
        self.stage.settle()
        return response

    def get(self, path, **terms):
        return self.ask("GET", path, **terms)

    @cached_property
    def document(self):
        return json.loads(json.dumps(self.api.document))

    def hold(self, method, path, response):
        """See that the document knows an answer."""
        found = self.api.operations.find(path.partition("?")[0])
        if method in ("HEAD", "OPTIONS") or found is None or method not in found[0]:
            return
        document = self.document
        described = document["paths"][found[0][method].path][method.lower()]
        answer = described["responses"].get(str(response.status))
        assert answer is not None, f"{method} {path}: {response.status} is not in the document"
        content = answer.get("content")
        if content is None:
            assert not response.body
            return
        kind = response.headers["content-type"].partition(";")[0]
        assert kind in content, kind
        schema = content[kind]["schema"] | {"components": document["components"]}
        if kind.endswith("json"):
            Draft202012Validator(schema).validate(response.json)


@pytest.fixture(name="stage")
def _stage():
    with Stage() as stage:
        yield stage


@pytest.fixture(name="desk")
def _desk(stage):
    return Desk(stage)


@pytest.fixture(name="desk_of")
def _desk_of():
    """Makes the desk of another stage, or with other settings."""
    return Desk


@pytest.fixture(name="line")
def _line(desk):
    """Makes connections."""
    return lambda host=HERE: Line(desk.api, host)
