"""Schemathesis against a running switch: whatever is asked of its API, by the document or past it,
gets an answer that the document knows, and never a 5xx that it does not."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from phones import claimed_network
from processes import Switch
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from softswitch.api.tokens import hashed

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[users]
alice.password = "secret"

[trunks.carrier]
addresses = ["{network}.9"]

[[policy]]
use = "users"

[[policy]]
use = "located"

[media]
engine = "bypass"

[api]
bind = "{network}.1"
port = 8060

[[api.tokens]]
name = "tester"
role = "admin"
hash = "{hash}"
"""

TOKEN = "softswitch-test"

#: Those that never end are played in tests/api/test_events.py.
ENDLESS = ("events", "follow")

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module", name="document")
def _document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    with claimed_network() as network:
        text = CONFIGURATION.format(network=network, hash=hashed(TOKEN))
        switch = Switch(text, tmp_path_factory.mktemp("document"))
        document = schemathesis.openapi.from_url(
            f"http://{network}.1:8060/api/v1/openapi.json", wait_for_schema=10
        )
        yield document
        switch.kill()
        log = switch.log.read_text()
        assert "Traceback" not in log, log


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
def test_every_answer_is_in_the_document(document: Any, mode: GenerationMode):
    """Status, media type, headers and schema, for what the document allows and for what it does
    not; 500 never."""
    operations = [each.ok() for each in document.get_all_operations()]
    assert len(operations) > 20
    statuses = set()
    for operation in operations:
        if operation.definition.raw["operationId"] in ENDLESS:
            continue

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=15,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def asked(case: schemathesis.Case) -> None:
            response = case.call(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
            statuses.add(response.status_code)
            assert response.status_code != 500, response.text
            case.validate_response(response, checks=CHECKS)

        try:
            asked()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, operation.label  # nothing there can be wrong
    assert 200 in statuses if mode is GenerationMode.POSITIVE else 400 in statuses
