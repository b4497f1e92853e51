import io
import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from twisted.python.usage import UsageError

from softswitch.errors import ConfigError
from softswitch.ops.cli import main
from softswitch.ops.config import load
from softswitch.ops.options import Options, check_state
from softswitch.sip.digest import ha1

LISTEN = '[[listen]]\ntransport = "udp"\nbind = "127.33.6.1"\n'


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch):
    """Puts a text on the standard input, which is no terminal."""

    def typed(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    return typed


def test_a_hash_goes_into_the_configuration_as_it_is(typed, capsys, tmp_path: Path):
    """`softswitch user hash` prints a table that the configuration takes, with a hash for every
    algorithm, for the realm of the configuration named."""
    file = tmp_path / "switch.toml"
    file.write_text(f'[switch]\nrealm = "example.org"\n{LISTEN}')
    typed("gehe im\n")
    assert main(["user", "hash", "+44.1", "--config", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "gehe im" not in printed
    file.write_text(file.read_text() + printed)
    assert load(file).directory_of_users()["+44.1"].ha1 == {
        algorithm: ha1("+44.1", "example.org", "gehe im", algorithm)
        for algorithm in ("MD5", "SHA-256", "SHA-512-256")
    }


def test_algorithms_and_realm_can_be_chosen(typed, capsys):
    """--realm needs no configuration; --algorithm may be repeated. The realm is told."""
    typed("x\n")
    assert main(["user", "hash", "a", "--realm", "r", "--algorithm", "MD5"]) == 0
    assert capsys.readouterr().out == (
        f'[users.a]\n# for the realm "r" alone\nha1 = {{ MD5 = "{ha1("a", "r", "x", "MD5")}" }}\n'
    )


@pytest.mark.parametrize(("name", "password"), [("a", "\n"), ("a@b", "x\n"), ("a b", "x\n")])
def test_what_makes_no_user_makes_no_hash(typed, capsys, name: str, password: str):
    """No empty password, no name that the configuration would refuse."""
    typed(password)
    assert main(["user", "hash", name, "--realm", "r"]) == 1
    assert capsys.readouterr().out == ""


def test_two_passwords_typed_must_be_equal(monkeypatch, capsys):
    """At a terminal the password is asked for twice and not echoed."""
    answers = iter(["x", "y"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("softswitch.ops.users.getpass", lambda _: next(answers))
    assert main(["user", "hash", "a", "--realm", "r"]) == 1
    assert "two equal passwords" in capsys.readouterr().err


def test_check_finds_no_mistake_in_the_defaults(capsys):
    """`softswitch check` without a file reads the defaults in the package, and warns."""
    assert main(["check"]) == 0
    told = capsys.readouterr()
    assert "softswitch.toml: no mistake found" in told.out
    assert "users.alice has a password in the clear" in told.err
    assert "alice-demo" not in told.err


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "switch.toml: listen: at least one [[listen]] table is wanted"),
        (f'{LISTEN}[[policy]]\nuse = "locatd"', "policy[0].use: no policy is called"),
        (f'{LISTEN}[[policy]]\nuse = "locatd"', "did you mean located?"),
        (f'{LISTEN}[[policy]]\nuse = "lunch"', '"lunch"; known: '),
        (f'{LISTEN}[[policy]]\nuse = "lunch"', "where PYTHONPATH names its folder"),
    ],
)
def test_check_tells_a_mistake(tmp_path: Path, capsys, text: str, mistake: str):
    """One line and status 2, as at the start."""
    (file := tmp_path / "switch.toml").write_text(text)
    assert main(["check", str(file)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert mistake in told.err


@pytest.mark.parametrize(
    "line", ["completion zsh", "explain --from alice --to bob --json", "user list"]
)
def test_who_has_read_enough(line: str):
    """`softswitch ... | head` ends in silence, with the status of one whom SIGPIPE has ended."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "softswitch", *line.split()],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_configuration_that_is_no_option():
    """`twistd softswitch FILE` says how a file is named."""
    with pytest.raises(UsageError, match=r"--config my\.toml is what reads a file"):
        Options().parseOptions(["my.toml"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_state_directory_that_is_not_ours(tmp_path: Path):
    """The key is named, and what mends it; where it must be made, the folder that is there."""
    (file := tmp_path / "switch.toml").write_text(LISTEN)
    (tmp_path / "taken").touch()
    config = load(file, tmp_path)
    check_state(config)
    with pytest.raises(
        ConfigError, match=r"switch.toml: switch\.state_directory: .*taken is no directory"
    ):
        check_state(attrs.evolve(config, directory=tmp_path / "taken"))
    os.chmod(tmp_path, 0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(ConfigError, match="cannot be written by the user 65534: chown it"):
            check_state(config)
    finally:
        os.seteuid(0)
