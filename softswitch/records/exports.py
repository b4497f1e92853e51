"""Where an operator wants call records carried: one class for each kind of place. Plain data.

Two that are equal are the same exporter, which a reload leaves alone.
"""

from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Any, Literal, TypeAlias

import attrs

from softswitch.records.exporter import Outlet
from softswitch.records.files import Files, Turnover
from softswitch.records.lines import CsvLines, JsonLines
from softswitch.records.postgresql import PostgresqlTable
from softswitch.records.webhook import WebServer

#: With which records an exporter begins that has never run.
Beginning: TypeAlias = Literal["first", "now"]


@attrs.frozen
class FileExport:
    """Into files.

    :ivar name: of the exporter: under it the file of records knows how far it is.
    :ivar form: JSON lines, or CSV.
    """

    name: str
    path: Path
    form: Literal["jsonl", "csv"]
    turnover: Turnover = attrs.field(factory=Turnover)
    begin: Beginning = "first"
    batch: int = 1000

    def outlet(self, reactor: Any) -> Callable[[], Outlet]:
        """What makes the outlet."""
        form = CsvLines() if self.form == "csv" else JsonLines()
        return lambda: Files(self.path, form, self.turnover, time)


@attrs.frozen
class PostgresqlExport:
    """Into a table of PostgreSQL; see ``postgresql.PostgresqlTable``."""

    name: str
    connect: str = attrs.field(repr=False)
    table: str = "calls"
    create: bool = True
    begin: Beginning = "first"
    batch: int = 500

    def outlet(self, reactor: Any) -> Callable[[], Outlet]:
        """What makes the outlet."""
        return lambda: PostgresqlTable(self.connect, self.table, self.create)


@attrs.frozen
class WebhookExport:
    """To a web server; see ``webhook.WebServer``."""

    name: str
    url: str
    secret: str = attrs.field(default="", repr=False)
    timeout: float = 10.0
    begin: Beginning = "first"
    batch: int = 100

    def outlet(self, reactor: Any) -> Callable[[], Outlet]:
        """What makes the outlet."""
        return lambda: WebServer(self.url, self.secret, self.timeout, reactor)


Export: TypeAlias = FileExport | PostgresqlExport | WebhookExport
