"""Health, figures, reload, and the OpenAPI document."""

import json
from pathlib import Path

from openapi_spec_validator import validate

from softswitch.api.running import Reloaded
from softswitch.api.shapes import CallSummary

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "openapi.json"


def test_health(stage, desk):
    """Live says that the process runs; ready, that it takes calls."""
    assert desk.get("/api/v1/health/ready", role=None).json["status"] == "ok"
    stage.run(5)
    assert desk.get("/api/v1/health/live", role=None).json == {
        "status": "ok",
        "version": "1.2.3",
        "seconds": 5.0,
    }
    stage.house.switch.draining = True
    assert desk.get("/api/v1/health/live", role=None).status == 200
    response = desk.get("/api/v1/health/ready", role=None)
    assert (response.status, response.json["status"]) == (503, "draining")


def test_an_overloaded_switch_is_not_ready(stage, desk, monkeypatch):
    """Whoever shares calls out among several should leave it alone for a while."""
    monkeypatch.setattr(stage.house.transport.overload, "now_on", lambda: True)
    response = desk.get("/api/v1/health/ready")
    assert (response.status, response.json["status"]) == (503, "overloaded")


def test_stats(stage, desk):
    """The figures of the house, as JSON."""
    assert desk.get("/api/v1/stats").json == json.loads(json.dumps(stage.house.stats()))


def test_reload(desk):
    """What came of it is answered; what is refused is a problem, and nothing has changed."""
    assert desk.ask("POST", "/api/v1/reload").json == {"done": True, "said": "in force"}
    desk.outcome = Reloaded(False, "x.toml: listen: at least one is wanted")
    response = desk.ask("POST", "/api/v1/reload")
    assert response.status == 409
    assert "x.toml: listen" in response.json["detail"]
    assert [line[3] for line in desk.audit] == [200, 409]


def test_the_document_is_one(desk):
    """It is OpenAPI 3.1, and names every operation once."""
    document = desk.get("/api/v1/openapi.json", role=None).json
    validate(document)
    names = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert sorted(names) == sorted(each.name for each in desk.api.operations)
    assert len(set(names)) == len(names)


def test_every_field_is_described(desk):
    """No schema without words."""
    for name, schema in desk.api.document["components"]["schemas"].items():
        assert schema["description"], name
        for key, about in schema["properties"].items():
            assert about["description"], f"{name}.{key}"
    summary = desk.api.document["components"]["schemas"]["CallSummary"]
    assert set(summary["properties"]) == set(CallSummary.__slots__) - {"__weakref__"}


def test_the_document_is_made_once(desk):
    """Anybody may ask for it, as often as he likes."""
    operation = desk.api.operations.find("/api/v1/openapi.json")[0]["GET"]
    first, again = (operation.handle(None).body for _ in range(2))
    assert isinstance(first, bytes)
    assert again is first


def test_the_document_in_docs_is_this_one(desk):
    """docs/openapi.json is what the switch serves; `scripts/openapi` writes it."""
    kept = json.loads(DOCUMENT.read_text())
    served = desk.get("/api/v1/openapi.json", role=None).json
    kept["info"]["version"] = served["info"]["version"]
    assert kept == served


def test_metrics(stage, desk):
    """As text, to whoever may look."""
    response = desk.get("/metrics", headers={"Accept": "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"})
    assert response.body == b"softswitch_calls 0\n"
    assert response.headers["content-type"].startswith("text/plain; version=1.0.0")
    assert desk.get("/metrics", role=None).status == 401
