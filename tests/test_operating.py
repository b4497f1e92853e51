"""What docs/operating.md shows is true: commands are understood, tables read, pictures there."""

import re
import shlex
from argparse import ArgumentParser
from pathlib import Path

import pytest

from softswitch.__main__ import main
from softswitch.ops.config import load
from softswitch.ops.metrics import Metrics
from softswitch.testing.stage import Stage

PAGE = Path(__file__).parent.parent / "docs" / "operating.md"
TEXT = PAGE.read_text()

#: Each command of `softswitch`, be it in a block or in a sentence.
COMMANDS = sorted(
    {
        *re.findall(r"^(?:    )?softswitch (\w.*?)(?: >> .*)?$", TEXT, re.MULTILINE),
        *re.findall(r"`softswitch ([a-z].*?)`", TEXT, re.DOTALL),
    }
)


class UnderstoodError(Exception):
    """A command line makes sense."""


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str, monkeypatch: pytest.MonkeyPatch):
    """Each has its words and options; what it does is tested where it is made."""
    real = ArgumentParser.parse_args

    def parse(self: ArgumentParser, arguments: list[str] | None = None) -> None:
        real(self, arguments)
        raise UnderstoodError

    monkeypatch.setattr(ArgumentParser, "parse_args", parse)
    with pytest.raises(UnderstoodError):
        main(shlex.split(command))


def test_there_are_commands():
    """The page was read."""
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("table", re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL))
def test_tables_read(table: str, tmp_path: Path):
    """Beside a listener and a user, each is a configuration."""
    (file := tmp_path / "softswitch.toml").write_text(
        f'[[listen]]\ntransport = "udp"\nbind = "127.0.0.1"\n\n{table}'
    )
    load(file)


def test_links_lead_somewhere():
    """Files, pictures, and sections of the page itself."""
    sections = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }
    for link in re.findall(r"\]\(([^):]+)\)", TEXT):
        if link.startswith("#"):
            assert link[1:] in sections, link
        else:
            assert (PAGE.parent / link).exists(), link


def test_metrics_have_these_names():
    """Each that is named is told Prometheus, but for its labels."""
    with Stage() as stage:
        found = Metrics(stage.house).text().decode()
    for name in re.findall(r"`(softswitch_\w+)[`{]", TEXT):
        assert f"{name.removesuffix('_total')}" in found, name
