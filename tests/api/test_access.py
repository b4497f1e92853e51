"""Who may call what: each operation with each role and each state of a token."""

import pytest

from softswitch.api.interface import Api
from softswitch.api.server import CONNECTIONS, LOOK_SECONDS, OF_ONE
from softswitch.api.tokens import Token, hashed

ROLES = ("view", "operate", "admin")


def asked(desk, operation):
    """Method and path of an operation, its names filled in with what is not there."""
    path = operation.path
    for name in operation.names:
        path = path.replace(f"{{{name}}}", "index.html" if name == "file" else "nobody")
    return operation.method, path


def body(operation):
    return None if operation.read is None else b"not read before the token"


def operations(desk, role=True):
    found = list(desk.api.operations)
    assert found
    return [each for each in found if (each.role is not None) is role]


def test_every_operation_without_a_token(desk):
    """401, a challenge, and a line of the audit; only health and the page want none."""
    for operation in operations(desk):
        method, path = asked(desk, operation)
        desk.audit.clear()
        response = desk.ask(
            method, path, body(operation), role=None, host=f"198.51.100.{len(path)}"
        )
        assert response.status == 401, operation.name
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert response.field == "Authorization"
        assert [(line[0], line[3]) for line in desk.audit] == [(operation.name, 401)]
    assert {each.name for each in operations(desk, role=False)} == {
        *("live", "ready", "openapi", "page", "page_file", "greeting")
    }
    for operation in operations(desk, role=False):
        assert desk.ask(*asked(desk, operation), role=None).status == 200


@pytest.mark.parametrize("role", ROLES)
def test_every_operation_with_each_role(desk, role):
    """403, and a line of the audit, for a role that is less than the operation takes; else it is
    not the role that is in the way."""
    for operation in operations(desk):
        method, path = asked(desk, operation)
        desk.audit.clear()
        response = desk.ask(method, path, body(operation), role=role)
        if ROLES.index(role) < ROLES.index(operation.role):
            assert response.status == 403, operation.name
            assert f'"{operation.role}"' in response.json["detail"]
            assert [line[3] for line in desk.audit] == [403]
            assert desk.audit[0][1].name == role
        else:
            assert response.status not in (401, 403), operation.name


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"Authorization": "Bearer nobody-has-it"}, "invalid_token"),
        ({"Authorization": "Bearer"}, ""),
        ({"Authorization": "Bearer "}, ""),
        ({"Authorization": "Basic bG9vazpsb29r"}, ""),
        ({"Authorization": "look"}, ""),
        ({"Authorization": "Bearer \xff\xfe"}, "invalid_token"),
    ],
)
def test_a_token_that_is_none(desk, headers, error):
    """401, for every operation."""
    for number, operation in enumerate(operations(desk)):
        response = desk.ask(
            *asked(desk, operation), role=None, headers=headers, host=f"198.51.100.{number + 1}"
        )
        assert response.status == 401
        assert (error in response.headers["www-authenticate"]) is bool(error) or not error


def test_a_token_that_has_expired(stage, desk):
    """It is good until its time, and not any more."""
    tokens = (Token("late", "admin", hashed("late"), expires=stage.clock.seconds() + 10),)
    desk.api.renew(type(desk.api._gate.settings)(tokens))
    assert desk.get("/api/v1/stats", token="late").status == 200
    stage.run(10)
    for operation in operations(desk):
        response = desk.ask(
            *asked(desk, operation), token="late", host=f"203.0.113.{len(operation.name)}"
        )
        assert response.status in (401, 429)
    assert "expired" in desk.get("/api/v1/stats", token="late", host="203.0.113.99").json["detail"]


def test_a_stream_ends_when_its_token_expires(stage, desk, line):
    """Within seconds, though nobody asks anew; another's goes on."""
    tokens = [
        Token(name, "view", hashed(name), expires=stage.clock.seconds() + seconds)
        for name, seconds in (("late", 5), ("later", 500))
    ]
    desk.api.renew(type(desk.api._gate.settings)(tuple(tokens)))
    listening = {token.name: line() for token in tokens}
    for name, each in listening.items():
        request = f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {name}\r\n\r\n"
        each.send(request.encode())
        assert b"200 OK" in each.wire.value()
    reactor = desk.api.factory.reactor
    reactor.advance(LOOK_SECONDS)
    assert [each.wire.connected for each in listening.values()] == [True, True]
    stage.run(6)
    reactor.advance(LOOK_SECONDS)
    assert [each.wire.connected for each in listening.values()] == [False, True]
    for each in listening.values():
        each.hang_up()
    reactor.advance(LOOK_SECONDS)
    assert reactor.getDelayedCalls() == []


def test_one_stranger_does_not_shut_out_others(line):
    """Whoever comes from elsewhere gets half of the connections; this machine may have all."""
    strange = [line("203.0.113.7") for _ in range(OF_ONE + 1)]
    assert [each.protocol is None for each in strange] == [False] * OF_ONE + [True]
    assert line("203.0.113.8").protocol is not None
    assert line("127.0.0.1").protocol is not None
    strange[0].hang_up()
    assert line("203.0.113.7").protocol is not None


def test_a_reload_changes_the_tokens(desk):
    """What is not in the configuration any more is not good any more."""
    assert desk.get("/api/v1/stats").status == 200
    desk.api.renew(type(desk.api._gate.settings)())
    assert desk.get("/api/v1/stats").status == 401


def test_who_guesses_is_put_off(stage, desk):
    """After some wrong tokens of one source 429 and no more lines; a good token still passes, and
    so does everybody else."""

    def guess(host="127.0.0.1"):
        return desk.get("/api/v1/stats", token="guess", host=host)

    assert [guess().status for _ in range(15)] == [401] * 10 + [429] * 5
    assert len(desk.audit) == 10
    assert int(guess().headers["retry-after"]) == 10
    assert desk.get("/api/v1/stats", host="127.0.0.1").status == 200
    assert guess("192.0.2.98").status == 401
    stage.run(10)
    assert guess().status == 401


def test_who_asks_too_often_for_what_anybody_may_have(stage, desk):
    """429 after a hundred at once; a second later ten more. Others, and this machine, where a proxy
    may be, are served, and so is he with a token for the rest."""
    live = "/api/v1/health/live"
    statuses = [desk.get(live, role=None).status for _ in range(101)]
    assert statuses == [200] * 100 + [429]
    assert desk.get(live, role=None).headers["retry-after"] == "1"
    assert desk.get("/api/v1/openapi.json", role=None).status == 429
    assert desk.get("/api/v1/stats").status == 200
    assert desk.get(live, role=None, host="198.51.100.7").status == 200
    assert {desk.get(live, role=None, host="127.0.0.1").status for _ in range(200)} == {200}
    stage.run(1)
    assert [desk.get(live, role=None).status for _ in range(11)] == [200] * 10 + [429]


def test_who_comes_from_elsewhere_time_and_again_is_put_off(desk):
    """A stranger fills no audit with pages of other origins either."""
    headers = {"Origin": "http://evil.example.org"}
    answers = [desk.get("/api/v1/stats", role=None, headers=headers).status for _ in range(15)]
    assert answers == [403] * 10 + [429] * 5
    assert len(desk.audit) == 10


def test_strangers_do_not_shut_out_who_sits_at_the_machine(desk, line):
    """All connections over TCP are taken: the unix socket is served all the same."""
    lines = [line(f"198.51.100.{number % 250}") for number in range(CONNECTIONS + 1)]
    assert [each.protocol is None for each in lines] == [False] * CONNECTIONS + [True]
    assert desk.get("/api/v1/stats", role=None, host="").status == 200
    for each in lines[:-1]:
        each.hang_up()
    assert desk.get("/api/v1/stats").status == 200


def test_wrong_tokens_count_towards_a_ban(stage, desk):
    """As wrong passwords do; then no connection of theirs is taken."""
    host = "198.51.100.7"
    for _ in range(10):
        desk.get("/api/v1/stats", token="guess", host=host)
    assert stage.house.transport.door.bars(host)
    with pytest.raises(AssertionError):
        desk.get("/api/v1/stats", host=host)


def test_this_machine_does_not_ban_itself(stage, desk):
    """Wrong tokens from loopback are put off, but its SIP goes on."""
    for _ in range(30):
        desk.get("/api/v1/stats", token="guess", host="127.0.0.1")
    assert not stage.house.transport.door.bars("127.0.0.1")


def test_loopback_is_trusted_where_that_is_said(stage, desk_of):
    """And nobody else."""
    desk = desk_of(stage, trust_loopback=True)
    here = {"Host": "127.0.0.1:8060"}
    assert desk.get("/api/v1/stats", role=None, host="127.0.0.1", headers=here).status == 200
    assert desk.get("/api/v1/stats", role=None, host="::1", headers={"Host": "[::1]"}).status == 200
    assert desk.get("/api/v1/stats", role=None, host="192.0.2.1", headers=here).status == 401


def test_loopback_wants_a_token_unless_it_is_trusted(desk):
    """The configuration has to say so."""
    response = desk.get("/api/v1/stats", role=None, host="127.0.0.1", headers={"Host": "localhost"})
    assert response.status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example.org"},
        {"Host": "127.0.0.1.evil.example.org"},
        {"Host": "localhost.evil.example.org:8060"},
        {"Host": "127.0.0.1", "X-Forwarded-For": "192.0.2.1"},
        {"Host": "127.0.0.1", "Forwarded": "for=192.0.2.1"},
        {"Host": "127.0.0.1", "Authorization": "Bearer wrong"},
    ],
)
def test_what_trust_does_not_cover(stage, desk_of, headers):
    """A re-bound name (DNS rebinding), a proxy on this machine, a token that is wrong."""
    desk = desk_of(stage, trust_loopback=True)
    assert desk.get("/api/v1/stats", role=None, host="127.0.0.1", headers=headers).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example.org"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_page_from_elsewhere_may_nothing(stage, desk_of, headers):
    """Neither where this machine is trusted nor with a token (CSRF); 403 and a line of the
    audit."""
    desk = desk_of(stage, trust_loopback=True)
    headers = {"Host": "127.0.0.1:8060", **headers}
    for role in (None, "admin"):
        response = desk.ask("POST", "/api/v1/reload", role=role, host="127.0.0.1", headers=headers)
        assert response.status == 403
    assert [line[3] for line in desk.audit] == [403, 403]
    assert not desk.reloads


def test_our_own_page_may(stage, desk_of):
    """Its Origin is the Host that it calls."""
    desk = desk_of(stage, trust_loopback=True)
    headers = {"Host": "127.0.0.1:8060", "Origin": "http://127.0.0.1:8060"}
    response = desk.ask("POST", "/api/v1/reload", role=None, host="127.0.0.1", headers=headers)
    assert response.status == 200


def test_no_other_origin_is_answered_across(desk):
    """No header of CORS, whatever is asked: pages from elsewhere cannot read."""
    headers = {"Origin": "http://evil.example.org", "Access-Control-Request-Method": "POST"}
    for method, path in (("GET", "/api/v1/health/live"), ("OPTIONS", "/api/v1/reload")):
        response = desk.ask(method, path, headers=headers)
        assert not any(name.startswith("access-control") for name in response.headers)


def test_the_unix_socket_asks_for_nothing(desk):
    """Its file says who may."""
    assert desk.get("/api/v1/stats", role=None, host="").status == 200
    assert desk.ask("POST", "/api/v1/reload", role=None, host="").status == 200
    assert desk.audit[-1][1].source == "unix:"
    assert isinstance(desk.api, Api)
