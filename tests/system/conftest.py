"""What the system tests share: the module ``processes``, and the check that real peers are there.

A test marked ``peer("sipp")`` is skipped where that program is missing, and the summary says why;
under ``CI=true`` it fails, so that nothing is skipped unnoticed.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from trunks import Stage

#: Program -> the Debian package that brings it.
PEERS = {"sipp": "sip-tester", "baresip": "baresip-core", "kamailio": "kamailio"}


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("peer"):
        for program in mark.args:
            if shutil.which(program) is None:
                missing = f"{program} is missing: apt-get install {PEERS[program]}"
                if os.environ.get("CI") == "true":
                    pytest.fail(missing, pytrace=False)
                pytest.skip(missing)


@pytest.fixture(params=["udp", "tcp"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stage(tmp_path: Path, transport: str) -> Iterator[Stage]:
    """A switch between two trunks, once over each transport."""
    stage = Stage(tmp_path, transport)
    yield stage
    stage.clear()
