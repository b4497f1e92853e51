"""docs/plugins.md, followed to the letter by somebody who has never seen the switch."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from phones import claimed_network

PAGE = Path(__file__).parent.parent.parent / "docs" / "plugins.md"
VENV = Path(sys.executable).parent.parent

#: A block, and the name of the file that it is to be, if a line before says so.
BLOCK = re.compile(
    r"(?:^`(?P<file>[\w./]+)`\n\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```", re.M | re.S
)


def steps() -> Iterator[tuple[str, str]]:
    """What the reader does: ("run", commands) or (file, its new text)."""
    begin, end = "## From nothing", "## The questions"
    section = PAGE.read_text().partition(begin)[2].partition(end)[0]
    for block in BLOCK.finditer(section):
        if block["language"] == "sh":
            yield "run", block["text"]
        elif block["file"]:
            yield block["file"], block["text"]


def test_from_nothing_to_a_tested_policy(tmp_path: Path):
    """Every command succeeds, the tests pass before and after the policy was written, and the
    switch runs with it until it is stopped."""
    (tmp_path / ".venv").symlink_to(VENV)
    done = []
    with claimed_network() as network:
        for file, text in steps():
            folder = tmp_path / "lunch" if (tmp_path / "lunch").exists() else tmp_path
            if file != "run":
                assert (folder / file).exists(), f"{file}: the page says that it is there"
                (folder / file).write_text(text)
            elif "twistd" in text:
                configuration = folder / "lunch.toml"
                told = configuration.read_text().replace("127.0.0.1", f"{network}.1")
                configuration.write_text(told)
                done.append(runs_until_stopped(text, folder))
            else:
                done.append(succeeds(text, folder))
    assert len(done) == 3, "the commands that the page is known to have"
    assert re.search("3 passed", done[0])
    assert re.search("3 passed(.|\n)*no mistake found", done[1])
    assert "Traceback" not in done[2]


def succeeds(commands: str, folder: Path) -> str:
    """Run commands in a shell, all of which have to succeed; what they print."""
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env={**os.environ, "PATH": f"{VENV}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def runs_until_stopped(command: str, folder: Path) -> str:
    """Start the switch as the page says, and stop it when it is ready; what it logs."""
    variable, *words = shlex.split(command)
    name, _, value = variable.partition("=")
    with (folder / "log").open("wb") as log:
        switch = subprocess.Popen(
            [VENV / "bin" / words[0], *words[1:]],
            cwd=folder,
            env={**os.environ, name: value},
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 20
        while "softswitch ready" not in (told := (folder / "log").read_text()):
            assert switch.poll() is None, told
            assert time.monotonic() < deadline, told
            os.sched_yield()
        switch.send_signal(signal.SIGTERM)
        assert switch.wait(20) == 0
    finally:
        switch.kill()
        switch.wait()
    return (folder / "log").read_text()
