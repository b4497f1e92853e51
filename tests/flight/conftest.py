"""A stage for the tests of what is recorded."""

import pytest

from softswitch.testing.stage import Stage


@pytest.fixture(name="make_stage")
def _make_stage():
    """Makes stages; each must have let go of everything in the end."""
    stages = []

    def make(*args, **kwargs):
        stages.append(Stage(*args, **kwargs))
        return stages[-1]

    yield make
    for stage in stages:
        stage.close()


@pytest.fixture(name="stage")
def _stage(make_stage):
    return make_stage()
