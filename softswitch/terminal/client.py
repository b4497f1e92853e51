"""Speaks to the API of a running switch, over its unix socket or over HTTP.

Nothing has to be said for a switch on this machine: its socket is in its state directory. Another
one is named by ``--url``, and the token stands in the environment, where no list of processes shows
it.
"""

import json
import os
import socket
import ssl
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from softswitch.api.ports import SOCKET, short
from softswitch.errors import ConfigError
from softswitch.ops.config import load

#: Where the token is.
TOKEN: Final = "SOFTSWITCH_TOKEN"

#: Seconds to wait for an answer, and for the next sign of life of what goes on.
PATIENCE: Final = 30.0


class ApiError(Exception):
    """The switch cannot be asked, or has refused; says why, and what would help.

    :ivar status: HTTP status; 0 where there is no answer.
    :ivar field: of what was asked, that is at fault; "" for none.
    """

    def __init__(self, words: str, status: int = 0, field: str = "") -> None:
        super().__init__(words)
        self.status = status
        self.field = field


class _UnixConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(self.timeout)
            connection.connect(short(folder, self._path.name))
        finally:
            os.close(folder)
        self.sock = connection


class Client:
    """One switch's API.

    :param path: of its unix socket; or
    :param url: under which it is served.
    :param token: for that; "" for none.
    """

    def __init__(self, path: Path | None = None, url: str = "", token: str = "") -> None:
        self._path = path
        self._url = urlsplit(url)
        self._headers = {"Accept": "*/*"} | ({"Authorization": f"Bearer {token}"} if token else {})

    def get(self, *path: str, **query: Any) -> Any:
        """What is there; parameters that are None are left out."""
        return self.ask("GET", *path, query=query)

    def ask(
        self, method: str, *path: str, query: Mapping[str, Any] | None = None, body: Any = None
    ) -> Any:
        """Ask for something.

        :param path: below /api/v1, each part as it is.
        :returns: the JSON of the answer; None for none.
        :raises ApiError: it is refused, or nobody answers.
        """
        response = self._send(method, path, query or {}, body)
        data = self._whole(response)
        return json.loads(data) if data else None

    def pages(self, key: str, *path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Each thing of a list, page by page.

        :param key: under which they stand.
        """
        cursor: str | None = None
        while True:
            found = self.get(*path, **query, cursor=cursor)
            yield from found[key]
            cursor = found["next"]
            if cursor is None:
                return

    def text(self, *path: str, accept: str, **query: Any) -> bytes:
        """What is there in another form than JSON."""
        return self._whole(self._send("GET", path, query, None, {"Accept": accept}))

    def events(self, *path: str, **query: Any) -> Iterator[tuple[str, Any]]:
        """What goes on from now on: name and data of each event; "" for a sign of life."""
        response = self._send("GET", path, query, None, {"Accept": "text/event-stream"})
        name, lines = "", []
        while True:
            try:
                line = response.readline()
            except OSError as error:
                raise ApiError(f"the switch says nothing any more: {error}") from None
            if not line:
                raise ApiError("the switch has ended the connection: is it being stopped?")
            word, _, rest = line.decode().rstrip("\n").partition(": ")
            if word == "event":
                name = rest
            elif word == "data":
                lines.append(rest)
            elif not word and lines:
                yield name, json.loads("\n".join(lines))
                name, lines = "", []
            elif line.startswith(b":"):
                yield "", None

    def _send(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, Any],
        body: Any,
        headers: Mapping[str, str] | None = None,
    ) -> HTTPResponse:
        where = "/api/v1/" + "/".join(quote(each, safe="") for each in path)
        chosen = {key: _written(value) for key, value in query.items() if value is not None}
        if chosen:
            where += f"?{urlencode(chosen)}"
        fields = {**self._headers, **(headers or {})}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            fields["Content-Type"] = "application/json"
        connection = self._connection()
        try:
            connection.request(method, where, data, fields)
            response = connection.getresponse()
        except (OSError, HTTPException) as error:
            raise ApiError(self._unreachable(error)) from None
        if response.status >= 400:
            raise self._refusal(response)
        return response

    def _whole(self, response: HTTPResponse) -> bytes:
        try:
            return response.read()
        except (OSError, HTTPException) as error:
            raise ApiError(self._unreachable(error)) from None

    def _connection(self) -> HTTPConnection:
        if self._path is not None:
            return _UnixConnection(self._path)
        host = self._url.hostname or ""
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            return HTTPSConnection(host, self._url.port, timeout=PATIENCE, context=context)
        return HTTPConnection(host, self._url.port, timeout=PATIENCE)

    def _refusal(self, response: HTTPResponse) -> ApiError:
        field = ""
        try:
            problem = json.loads(response.read())
            words, field = str(problem["detail"]), str(problem["field"])
        except (ValueError, LookupError, TypeError):
            words = f"{response.status} {response.reason}"
        if field == "Authorization":
            if "Authorization" not in self._headers:
                words = "a token is wanted"
            return ApiError(f"${TOKEN}: {words}; `softswitch token` makes one", response.status)
        return ApiError(words, response.status, field)

    def _unreachable(self, error: Exception) -> str:
        if self._path is None:
            return f"{self._url.geturl()} does not answer: {error}"
        if isinstance(error, FileNotFoundError | ConnectionRefusedError):
            return (
                f"no switch runs with the state directory {self._path.parent},"
                " or its API is off ([api] unix): --rundir and --config say which is meant"
            )
        if isinstance(error, PermissionError):
            return f"{self._path} is not for us: run as the user of the switch"
        return f"{self._path}: {error}"


def add_options(parser: ArgumentParser) -> None:
    """Put the options that say which switch is meant among a command's own."""
    parser.add_argument("--config", type=Path, help="the configuration that it runs with")
    parser.add_argument(
        "--rundir", type=Path, default=Path(), help="from where it runs, as twistd's --rundir"
    )
    parser.add_argument(
        "--url", help=f"of a switch elsewhere, https://HOST:PORT; its token in ${TOKEN}"
    )
    parser.add_argument("--json", action="store_true", help="the same for programs")


def client_of(chosen: Namespace) -> Client:
    """The API of the switch that is meant.

    :raises ConfigError: the configuration is wrong, or the URL.
    """
    if chosen.url:
        parts = urlsplit(chosen.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError("--url", "http://HOST:PORT or https://HOST:PORT is wanted")
        return Client(url=chosen.url, token=os.environ.get(TOKEN, ""))
    return Client(load(chosen.config, chosen.rundir).state_directory / SOCKET)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
