"""``[records]``: where records are kept, for how long, and where they are carried."""

from pathlib import Path

import pytest

from softswitch.errors import ConfigError
from softswitch.ops.config import load
from softswitch.ops.reloading import check_reloadable
from softswitch.records.exports import FileExport, PostgresqlExport, WebhookExport
from softswitch.records.files import Turnover
from softswitch.records.keeping import Retention


@pytest.fixture
def read(tmp_path):
    """Reads a configuration with these tables."""

    def read(text):
        file = tmp_path / "softswitch.toml"
        file.write_text(f'[[listen]]\ntransport = "udp"\n{text}\n')
        return load(file, tmp_path)

    return read


def test_without_a_word(read):
    """Kept for 90 days within a gibibyte, and written to calls.jsonl."""
    table = read("").records
    assert (table.store, table.retention) == ("calls.sqlite", Retention(90.0, 2**30))
    assert table.exports(Path("/var")) == [
        FileExport("jsonl calls.jsonl", Path("/var/calls.jsonl"), "jsonl")
    ]


def test_everything(read):
    """Each place as it is told, under a name of its own."""
    config = read(
        """
        [records]
        keep_days = 0
        path = ""
        [[records.jsonl]]
        path = "a.jsonl"
        rotate = "hourly"
        [[records.csv]]
        path = "b.csv"
        name = "billing"
        rotate_mib = 2
        keep_files = 3
        begin = "now"
        [[records.postgresql]]
        connect = "postgresql://me:secret@host/db"
        table = "billing.calls"
        create = false
        [[records.webhook]]
        url = "https://host/calls"
        secret = "between us"
        batch = 7
        """
    )
    assert "secret" not in repr(config)
    assert "between us" not in repr(config)
    assert config.records.exports(Path("/var")) == [
        FileExport("jsonl a.jsonl", Path("/var/a.jsonl"), "jsonl", Turnover("hourly")),
        FileExport(
            "csv billing", Path("/var/b.csv"), "csv", Turnover("never", 2 * 2**20, 3), "now"
        ),
        PostgresqlExport(
            "postgresql billing.calls", "postgresql://me:secret@host/db", "billing.calls", False
        ),
        WebhookExport("webhook https://host/calls", "https://host/calls", "between us", batch=7),
    ]


@pytest.mark.parametrize(
    ("text", "key", "mend"),
    [
        ('[records]\nstore = ""', "records.path", "without records.store"),
        ('[records]\nstore=""\npath=""\n[[records.csv]]\npath="x"', "records.csv", "without"),
        ('[[records.csv]]\npath = "calls.jsonl"', "records.csv", "no other exporter"),
        ('[[records.csv]]\npath = ""', "records.csv", "no other exporter"),
        ('[records]\npath = "calls.sqlite"', "records.store", "a file of its own"),
        (
            '[[records.csv]]\npath="a"\nname="x"\n[[records.csv]]\npath="b"\nname="x"',
            "records.csv",
            "a name of its own",
        ),
        ("[[records.csv]]", "records.csv[0].path", ""),
        ('[[records.csv]]\npath="a"\nrotate="weekly"', "records.csv[0].rotate", "daily"),
        ('[[records.postgresql]]\nconnect="host"', "records.postgresql[0].connect", "libpq"),
        (
            '[[records.postgresql]]\nconnect="host=x"\ntable="a;b"',
            "records.postgresql[0].table",
            "name",
        ),
        (
            '[[records.postgresql]]\nconnect="host=x"\nbatch=99999',
            "records.postgresql[0].batch",
            "10000",
        ),
        ('[[records.webhook]]\nurl="ftp://x"', "records.webhook[0].url", "http"),
        ('[[records.webhook]]\nurl="http://x"\ntimeout=0', "records.webhook[0].timeout", "300"),
        ('[[records.webhook]]\nurl="http://x"\nbatch=1001', "records.webhook[0].batch", "1000"),
    ],
)
def test_what_makes_no_sense(read, text, key, mend):
    """Is told with its key and what would be right."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert key in caught.value.where
    assert mend in caught.value.mend


def test_a_reload_keeps_the_store(read):
    """It may carry records elsewhere, and keep them otherwise, but not in another file."""
    old = read("")
    check_reloadable(old, read('[records]\nkeep_days = 1\npath = "other.jsonl"'))
    with pytest.raises(ConfigError, match=r"records\.store"):
        check_reloadable(old, read('[records]\nstore = "other.sqlite"'))
