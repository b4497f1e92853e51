"""Records, and files of them."""

from contextlib import closing

import pytest

from softswitch.plugin.record import CallRecord
from softswitch.records.schema import add, open_records


def _call(number, **cells):
    fields = {
        "call_id_a": f"{number}@phone",
        "from_tag": "f",
        "identity_kind": "user",
        "identity": "alice",
        "caller": "sip:alice@example.com",
        "called": "sip:100@example.com",
        "invited": 1_800_000_000.0 + number,
        "ended": 1_800_000_005.0 + number,
        "hung_up": "callee",
        "status": 486,
        "reason": "Busy Here",
    }
    return CallRecord(**{"id": f"call-{number}", **fields, **cells})


@pytest.fixture
def call():
    """Makes the record of a call that ended, "call-7" for 7."""
    return _call


@pytest.fixture
def path(tmp_path):
    """Of the file of records."""
    return tmp_path / "calls.sqlite"


@pytest.fixture
def keep(path):
    """Writes the records of these calls down."""

    def keep(*numbers):
        with closing(open_records(path)) as connection, connection:
            add(connection, [_call(number) for number in numbers])

    return keep
