"""The API as HTTP: methods, media types, bodies, headers, and what is no HTTP."""

import json
import tracemalloc

import pytest

STATS = "/api/v1/stats"


def test_a_path_that_is_not_there(desk):
    """404, with or without a token."""
    for path in ("/api", "/api/v1/", "/api/v1/calls/", "/api/v2/calls", "/%2e%2e/etc/passwd", "//"):
        assert desk.get(path, role=None).status == 404, path


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "BREW", "get"])
def test_a_method_that_is_not_there(desk, method):
    """405, and Allow says which there are (RFC 9110 15.5.6)."""
    response = desk.ask(method, "/api/v1/bans")
    assert response.status == 405
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_options(desk):
    """What there is, without a token (RFC 9110 9.3.7)."""
    response = desk.ask("OPTIONS", "/api/v1/calls/x", role=None)
    assert response.status == 204
    assert response.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"
    assert response.body == b""


def test_head(desk):
    """As GET, without the body (RFC 9110 9.3.2)."""
    got = desk.get("/api/v1/calls")
    response = desk.ask("HEAD", "/api/v1/calls")
    assert response.status == 200
    assert response.headers["content-length"] == got.headers["content-length"]
    assert desk.ask("HEAD", "/api/v1/calls", role=None).status == 401


def test_every_answer_is_kept_by_nobody(desk):
    """Headers against caches, frames and guesses; on problems, too."""
    for response in (desk.get(STATS), desk.get(STATS, role=None), desk.get("/nowhere")):
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "server" not in response.headers or "Twisted" not in response.headers["server"]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/json", 200),
        ("application/*", 200),
        ("text/html, application/json;q=0.5", 200),
        ("text/html, */*;q=0.1", 200),
        ("text/html", 406),
        ("application/json;q=0", 406),
        ("application/json; q=0.00", 406),
        ("image/png, text/*", 406),
    ],
)
def test_media_types_that_are_wanted(desk, accept, status):
    """406 where there is none that is wanted (RFC 9110 15.5.7)."""
    assert desk.get(STATS, headers={"Accept": accept}).status == status


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("Application/JSON", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ],
)
def test_media_types_that_are_sent(desk, kind, status):
    """415 for all but JSON: a form of a page from elsewhere is none."""
    body = json.dumps({"network": "203.0.113.7"}).encode()
    response = desk.ask("POST", "/api/v1/bans", body, headers={"Content-Type": kind})
    assert response.status == status


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "network"),
        (b"{", "body"),
        (b"\xff\xfe", "body"),
        (b"[" * 100_000, "body"),
        (b"[]", "body"),
        (b'"x"', "body"),
        (b"{}", "network"),
        (b'{"network": 5}', "network"),
        (b'{"network": "nobody"}', "network"),
        (b'{"network": "192.0.2.1/24"}', "network"),
        (b'{"network": "192.0.2.1", "seconds": "5"}', "seconds"),
        (b'{"network": "192.0.2.1", "seconds": true}', "seconds"),
        (b'{"network": "192.0.2.1", "seconds": 0}', "seconds"),
        (b'{"network": "192.0.2.1", "seconds": -1}', "seconds"),
        (b'{"network": "192.0.2.1", "seconds": NaN}', "seconds"),
        (b'{"network": "192.0.2.1", "seconds": 1e400}', "seconds"),
        (b'{"network": "192.0.2.1", "why": "\\u001b[31m"}', "why"),
        (b'{"network": "192.0.2.1", "why": ""}', "why"),
        (b'{"network": "192.0.2.1", "colour": "red"}', "colour"),
    ],
)
def test_a_body_that_is_wrong(desk, body, field):
    """400, and the problem names the key."""
    response = desk.ask("POST", "/api/v1/bans", body, headers={"Content-Type": "application/json"})
    assert response.status == 400
    assert response.field == field


def test_a_body_that_is_too_large(desk):
    """1 MiB is read; more gets 413, and is not kept."""
    body = b'{"network": "203.0.113.7", "why": "' + b" " * (1024 * 1024 - 37) + b'"}'
    assert len(body) == 1024 * 1024
    json_kind = {"Content-Type": "application/json"}
    assert desk.ask("POST", "/api/v1/bans", body, headers=json_kind).status == 400
    response = desk.ask("POST", "/api/v1/bans", body + b" ", headers=json_kind)
    assert response.status == 413
    assert "1048576" in response.json["detail"]


@pytest.mark.parametrize("token", ["", "Authorization: Bearer nobody-has-it\r\n"])
def test_nothing_is_kept_of_a_strangers_body(line, token):
    """It is read to its end, and then refused, as a client expects; what comes next is served."""
    connection = line()
    tracemalloc.start()
    connection.send(
        f"POST /api/v1/bans HTTP/1.1\r\nHost: x\r\n{token}Content-Length: 1048576\r\n\r\n".encode()
    )
    kept = tracemalloc.get_traced_memory()[0]
    for _ in range(15):
        connection.send(b"x" * 65536)
    assert tracemalloc.get_traced_memory()[0] - kept < 65536
    tracemalloc.stop()
    assert connection.wire.value() == b""
    connection.send(b"x" * 65536)
    assert connection.read().status == 401
    connection.send(b"GET /api/v1/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.read().status == 200


def test_a_strangers_body_where_none_is_wanted(desk):
    """Is too large, whatever its size: he may ask, and say nothing."""
    response = desk.ask("GET", "/api/v1/health/live", b"x", role=None)
    assert (response.status, "0 bytes" in response.json["detail"]) == (413, True)


def test_a_body_without_end_ends(line):
    """What goes on beyond 16 MiB, its length told or not, costs no memory and then the
    connection."""
    connection = line()
    connection.send(b"POST /api/v1/bans HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    for _ in range(17):
        assert connection.wire.connected
        connection.send(chunk)
    assert not connection.wire.connected


def test_several_requests_on_one_connection(desk, line):
    """One after the other, though they come together."""
    connection = line()
    request = b"GET /api/v1/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    connection.send(request * 3)
    assert [connection.read().status for _ in range(3)] == [200, 200, 200]
    connection.hang_up()


def test_what_is_no_http(line):
    """400 or nothing, and the connection is closed."""
    for data in (
        b"OPTIONS sip:bob@example.org SIP/2.0\r\nVia: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nNo colon\r\n\r\n",
        b"GET /api/v1/calls HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000,
    ):
        connection = line()
        connection.send(data)
        said = connection.wire.value()
        assert said == b"" or said.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), said
        connection.hang_up()


def test_connections_are_bounded(desk, line):
    """More than so many are closed at once; one that goes makes room."""
    connections = [line("127.0.0.1") for _ in range(256)]
    assert line().protocol is None
    connections.pop().hang_up()
    assert line().protocol is not None
    for each in connections:
        each.hang_up()


def test_a_failure_of_ours_is_500_and_says_nothing(stage, desk, monkeypatch):
    """What was wrong stands in the log; the next request is served."""

    def fail():
        raise RuntimeError("secret")

    monkeypatch.setattr(stage.house, "stats", fail)
    response = desk.get(STATS)
    assert response.status == 500
    assert b"secret" not in response.body
    assert desk.get("/api/v1/calls").status == 200
