"""What docs/explain.md shows is what the commands print."""

import re
import shlex
from pathlib import Path

import pytest

from softswitch.__main__ import main

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "explain.md").read_text()
README = (DOCS.parent / "README.md").read_text()

#: What is drawn by lot.
RANDOM = [
    (re.compile(r"z9hG4bK[0-9a-f]+"), "BRANCH"),
    (re.compile(r"tag=[0-9a-f]{16}"), "TAG"),
    (re.compile(r"[0-9a-f]{24}@"), "CALL-ID@"),
    (re.compile(r"(?<=X-Softswitch-Mark: )[0-9a-f]{16}"), "MARK"),
    (re.compile(r"(?<=Session-ID: )[0-9a-f]{12}4[0-9a-f]{19}"), "UUID"),
    (re.compile(r"(?<=o=- )[0-9]{5,}"), "SESSION"),
    (re.compile(r"(?<=m=audio )[0-9]{5}"), "PORT"),
    (re.compile(r"(?<=Content-Length: )[0-9]+"), "LENGTH"),
    (re.compile(r"(?m)^  [0-9]+ bytes:$"), "  SIZE bytes:"),
]


def masked(text: str) -> str:
    """A text without what is drawn by lot, and with an editor's line ends."""
    text = text.replace("\r\n", "\n")
    for pattern, word in RANDOM:
        text = pattern.sub(word, text)
    return text.rstrip("\n")


@pytest.mark.parametrize(
    "block", re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL), ids=lambda text: text[:20]
)
def test_the_page_shows_what_is_printed(block: str, tmp_path: Path, monkeypatch, capfdbinary):
    """Each command, run with the configuration of the README."""
    (shown,) = [
        each
        for each in re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
        if "[trunks.pbx]" in each
    ]
    (tmp_path / "my.toml").write_text(shown)
    monkeypatch.chdir(tmp_path)
    command, _, printed = block.partition("\n")
    words = shlex.split(command.removeprefix("$ "))
    assert words[0] == "softswitch"
    assert main(words[1:]) == 0
    told = capfdbinary.readouterr()
    assert masked(told.out.decode()) == masked(printed)
    assert told.err == b""


def test_links_lead_somewhere():
    """Every relative link names a file of the project."""
    for link in re.findall(r"\]\(([^):#]+)[#)]", PAGE):
        assert (DOCS / link).exists(), link
