"""What the system tests share: the module ``processes``, and the check that real peers are there.

A test marked ``peer("sipp")`` is skipped where that program is missing, and the summary says why;
under ``CI=true`` it fails, so that nothing is skipped unnoticed.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from engines import ENGINES, Engine
from namespaces import World, hindrance, world
from trunks import Stage

#: Program -> the Debian package that brings it.
PEERS = {
    "sipp": "sip-tester",
    "baresip": "baresip-core",
    "kamailio": "kamailio",
    "rtpengine": "rtpengine-daemon",
    "chromium": "chromium",
    "ip": "iproute2",
    "nft": "nftables",
    "svmap": "sipvicious",
    "svwar": "sipvicious",
    "svcrack": "sipvicious",
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("peer"):
        need(*mark.args)


def need(*programs: str) -> None:
    """Do not run the test where one of these programs is missing."""
    for program in programs:
        if shutil.which(program) is None:
            do_without(f"{program} is missing: apt-get install {PEERS[program]}")


def do_without(missing: str) -> NoReturn:
    """Skip the test, and say why; or fail it, where all has to be there."""
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


@pytest.fixture(params=ENGINES, ids=lambda engine: str(engine.name))
def engine(request: pytest.FixtureRequest) -> Engine:
    """A media engine: the test is run with each."""
    found: Engine = request.param
    need(*found.peers)
    return found


@pytest.fixture
def networks() -> Iterator[World]:
    """Networks of its own for a test."""
    need("ip", "nft")
    if missing := _hindrance():
        do_without(missing)
    with world() as made:
        yield made


_hindrance = lru_cache(hindrance)
