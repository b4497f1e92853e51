"""What PostgreSQL gets of a record. That it gets it is shown in tests/system/test_records.py."""

import json

import pytest

from softswitch.records import postgresql
from softswitch.records.columns import COLUMNS
from softswitch.records.exporter import CarryError, Entry
from softswitch.records.postgresql import PostgresqlTable, fault, missing, row
from softswitch.records.written import as_json, summary


def test_a_row(call):
    """Its columns, and the record; NUL, which PostgreSQL knows not, is replaced everywhere."""
    record = call(1, reason="a\0b", causes=["x\0", "\\u0000"])
    values = row(as_json(record, summary(record)))
    assert len(values) == len(COLUMNS) + 1
    cells = dict(zip([*COLUMNS, "record"], values, strict=True))
    assert cells["id"] == "call-1"
    assert cells["reason"] == "a\ufffdb"
    assert cells["causes"] == "x\ufffd; \\u0000"
    inner = json.loads(cells["record"])
    assert (inner["reason"], inner["causes"]) == ("a\ufffdb", ["x\ufffd", "\\u0000"])
    assert "\\u0000" not in cells["record"].replace("\\\\u0000", "")


def test_a_server_that_is_away(tmp_path, call):
    """Is told with why, and tried again later; nothing hangs."""
    table = PostgresqlTable(f"host={tmp_path} dbname=x", "calls", create=True)
    record = call(1)
    with pytest.raises(CarryError, match="PostgreSQL: "):
        table.carry([Entry(1, "call-1", as_json(record, summary(record)))], {})
    table.close()


def test_how_it_is_reached():
    """As libpq has it; what is wrong is said without the password."""
    assert fault("postgresql://me:secret@host/db") == ""
    assert fault("host=/run/postgresql dbname=calls") == ""
    assert "libpq" in fault("host = = secret")
    assert "secret" not in fault("host = = secret")


def test_without_psycopg(monkeypatch):
    """It is said what to install."""
    assert missing() == ""
    monkeypatch.setattr(postgresql, "find_spec", lambda name: None)
    assert "softswitch[postgresql]" in missing()
