"""docs/flows.md says which test stands for which section, and leaves none out."""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = (HERE.parent.parent / "docs" / "flows.md").read_text()

#: The sections of each RFC that hold a flow, or a rule that can be played.
SECTIONS = {
    "RFC 3665": [*(f"2.{n}" for n in range(1, 6)), *(f"3.{n}" for n in range(1, 12))],
    "RFC 5359": [f"2.{n}" for n in range(1, 19)],
    "RFC 5407": [
        "2",
        *(f"3.1.{n}" for n in range(1, 7)),
        *(f"3.2.{n}" for n in range(1, 5)),
        *(f"3.3.{n}" for n in range(1, 4)),
        *"ABCDE",
    ],
    "RFC 5589": [
        "1 to 5",
        *("6.1", "6.2", "6.3.1", "6.3.2"),
        *(f"7.{n}" for n in range(1, 8)),
        *("8", "9", "10", "11.1", "11.2"),
    ],
    "Cases from the field": [],
}
#: The file whose tests a heading speaks of.
FILES = {
    **{name: f"test_{name.lower().replace(' ', '')}.py" for name in list(SECTIONS)[:-1]},
    "Cases from the field": "test_anchors.py",
}


def rows(heading):
    """The table under a heading: cells of each line."""
    (part,) = re.findall(rf"^## {heading}.*?\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    lines = [line.strip("| ").split("|") for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


def functions(file):
    """The tests in a file."""
    tree = ast.parse((HERE / file).read_text())
    return {node.name for node in tree.body if getattr(node, "name", "").startswith("test_")}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_test_exists_and_is_listed(heading):
    """The names on the page are those in the file."""
    named = {name for row in rows(heading) for name in re.findall(r"`(test_\w+)`", row[-1])}
    assert named == functions(FILES[heading])


@pytest.mark.parametrize("heading", list(SECTIONS)[:-1])
def test_every_section_is_listed(heading):
    """In order, with a test or a reason."""
    table = rows(heading)
    assert [row[0] for row in table] == SECTIONS[heading]
    assert all(row[-1] for row in table)
