"""docs/security.md names tests that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "security.md").read_text()
SECTIONS = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tests/[^`]*)`", TEXT))))
def test_a_file_that_is_named_is_there(name: str):
    """It has tests, or is the folder of some."""
    path = ROOT / name
    files = sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
    assert files
    assert all("\ndef test_" in file.read_text() for file in files)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda text: text.partition("\n")[0])
def test_each_wall_has_a_test(section: str):
    """What is said to be defended is shown to be so."""
    assert re.search(r"`tests/[^`]*`", section), section[:200]


@pytest.mark.parametrize("part", sorted(set(re.findall(r"`scripts/bench (\w+)`", TEXT))))
def test_what_is_measured_can_be_measured(part: str):
    """`scripts/bench` knows each part that is named."""
    assert f'part == "{part}"' in (ROOT / "tests" / "system" / "bench.py").read_text()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(softswitch/[^`]*)`", TEXT))))
def test_code_that_is_named_is_there(name: str):
    """A module, by its path."""
    assert (ROOT / name).exists()
