"""A switch with two trunks, and phones that serve every method."""

import pytest

from softswitch.machine import unexpected
from softswitch.testing.stage import Stage

CONFIG = {
    "trunks": {
        "pbx": {"addresses": ["127.88.0.200"]},
        "carrier": {
            "addresses": ["127.88.0.201", "127.88.0.202"],
            "username": "us",
            "password": "secret",
        },
    },
    "policy": [
        {"use": "trunks"},
        {"use": "users"},
        {"use": "registration"},
        {"use": "located"},
        {
            "use": "dialplan",
            "rules": [
                {"match": "9.*", "strip": 1, "trunk": "carrier"},
                {"match": "8.*", "strip": 1, "trunk": "pbx"},
            ],
        },
    ],
}


@pytest.fixture(params=["UDP", "TCP"])
def stage(request):
    """Left empty at the end, and nobody met an event that he should know."""
    before = dict(unexpected)
    with Stage(CONFIG, transport=request.param) as stage:
        yield stage
    assert dict(unexpected) == before


@pytest.fixture
def udp():
    """The same over UDP alone, for what has nothing to do with transports."""
    before = dict(unexpected)
    with Stage(CONFIG) as stage:
        yield stage
    assert dict(unexpected) == before


@pytest.fixture
def phones():
    """Makes phones that serve every method, registered."""

    def make(stage, *names, **options):
        made = [stage.phone(name, **options) for name in names]
        for phone in made:
            phone.can()
        return made

    return make
