"""What the commands over the API say where it refuses."""

from types import SimpleNamespace

import pytest

from softswitch.__main__ import main
from softswitch.terminal import commands
from softswitch.terminal.client import ApiError, Client


class Refusing:
    """A switch that has no calls, and refuses all else with one field and some words."""

    def __init__(self, field):
        self.field = field

    def pages(self, key, *path, **query):
        return iter(())

    def ask(self, *path, **terms):
        raise ApiError("no.", 404, self.field)

    get = ask


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        ("trunks --out nosuch", "name", "--out nosuch: no."),
        ("trunks --back nosuch", "name", "--back nosuch: no."),
        ("trunks --out one --member x", "member", "--member x: no."),
        ("registrations --remove nobody", "aor", "--remove nobody: no."),
        ("originate nobody bob", "user", "nobody: no."),
        ("originate alice bob", "first", "first: no."),
        ("trace beef", "id", "beef: no."),
        ("health", "", "no."),
        (
            "show beef",
            "",
            "no call that goes on has an id that begins beef;"
            " `softswitch cdr show beef` shows one that has ended",
        ),
    ],
)
def test_a_refusal_names_what_was_typed(monkeypatch, capsys, line, field, words):
    """Not the field of the API."""
    monkeypatch.setattr(commands, "client_of", lambda chosen: Refusing(field))
    assert main(line.split()) == 1
    assert capsys.readouterr().err == f"softswitch: {words}\n"


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", "$SOFTSWITCH_TOKEN: a token is wanted; `softswitch token` makes one"),
        ("x", "$SOFTSWITCH_TOKEN: nobody has this; `softswitch token` makes one"),
    ],
)
def test_a_refused_token(token, words):
    """Whence it comes is said, and what makes one."""
    problem = b'{"detail": "nobody has this", "field": "Authorization"}'
    response = SimpleNamespace(status=401, reason="Unauthorized", read=lambda: problem)
    refusal = Client(url="http://x", token=token)._refusal(response)
    assert (str(refusal), refusal.status) == (words, 401)
