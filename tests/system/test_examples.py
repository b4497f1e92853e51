"""The examples of the documentation, each as a reader would try it: from its own folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "docs" / "examples"
BIN = Path(sys.executable).parent
NAMES = ["cheapest", "desk_queue", "http_driven", "night", "screening"]


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command with the folder on Python's path."""
    return subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_each_example_is_on_the_page():
    """And no other folder is there."""
    folders = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
    assert [name for name in folders if not name.startswith((".", "__"))] == NAMES
    page = (EXAMPLES / "README.md").read_text()
    for name in NAMES:
        (policy,) = [line for line in page.splitlines() if line.startswith(f"| [{name}]({name}/")]
        assert (EXAMPLES / policy.partition("](")[2].partition(")")[0]).is_file()


@pytest.mark.parametrize("name", NAMES)
def test_an_example_passes_its_test(tmp_path: Path, name: str):
    """In a copy, so that nothing of the checkout helps; its configuration is right."""
    folder = tmp_path / name
    shutil.copytree(
        EXAMPLES / name, folder, ignore=shutil.ignore_patterns("__pycache__", "*.cache")
    )
    done = run(folder, "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    (configuration,) = folder.glob("*.toml")
    checked = run(folder, "softswitch", "check", configuration.name)
    assert checked.returncode == 0, checked.stderr
