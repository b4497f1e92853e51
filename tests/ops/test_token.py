"""``softswitch token``: what it prints lets its token in."""

import pytest

from softswitch.api.tokens import find
from softswitch.ops import cli
from softswitch.ops.config import load


def test_what_it_prints_lets_the_token_in(tmp_path, capsys):
    """The output alone belongs into the file; the token is on the standard error, and never
    twice the same."""
    tokens = []
    for name in ('the "night" shift', "b"):
        wish = ["token", name, "--role", "operate", "--expires", "2999-12-31"]
        assert cli.main(wish) == 0
        told = capsys.readouterr()
        tokens += [word for word in told.err.split() if word.startswith("softswitch-")]
        with (tmp_path / "x.toml").open("a") as file:
            file.write(told.out + "\n")
        assert tokens[-1] not in told.out
    file = tmp_path / "x.toml"
    file.write_text(f'[[listen]]\ntransport = "udp"\n\n{file.read_text()}')
    settings = load(file).api.settings()
    assert len(set(tokens)) == 2
    found = find(settings.tokens, tokens[0])
    assert (found.name, found.role) == ('the "night" shift', "operate")
    assert found.expires is not None
    assert find(settings.tokens, tokens[0] + "x") is None


def test_a_name_is_one_line(capsys):
    """It stands in the audit and in the file; and a token is good for a while."""
    for wish in (
        ["token", "a\nb"],
        ["token", ""],
        ["token", " "],
        ["token", "a", "--expires", "soon"],
        ["token", "a", "--expires", "2020-01-31"],
    ):
        with pytest.raises(SystemExit) as status:
            cli.main(wish)
        assert status.value.code == 2
