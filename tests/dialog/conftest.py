"""A stage for the tests of the user agent, with each transport."""

import pytest

from softswitch.testing.stage import Stage


@pytest.fixture(params=["UDP", "TCP"])
def stage(request):
    """Left empty at the end. Its ladder is shown when the test fails."""
    stage = Stage(transport=request.param)
    yield stage
    print(stage.ladder())
    stage.close()
