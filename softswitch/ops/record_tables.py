"""The tables of the configuration that say what becomes of call records: ``[records]``. Pure."""

import re
from collections.abc import Iterator
from pathlib import Path

import attrs

from softswitch.ops.values import Amount, Count, FieldText, Seconds, Secret
from softswitch.records import postgresql
from softswitch.records.exports import (
    Beginning,
    Export,
    FileExport,
    PostgresqlExport,
    WebhookExport,
)
from softswitch.records.files import Rotation, Turnover
from softswitch.records.keeping import Retention

_TABLE = re.compile(r"[A-Za-z_]\w{0,62}(\.[A-Za-z_]\w{0,62})?", re.ASCII)

_MIB = 2**20


@attrs.frozen
class FileTable:
    """``[[records.jsonl]]`` and ``[[records.csv]]``: see ``records.files.Turnover``.

    :ivar name: under which the switch knows how far it is; "" for the path.
    :ivar path: seen from the state directory.
    :ivar rotate_mib: beyond which a new file begins; 0 for none.
    :ivar keep_files: old ones that stay; 0 for all.
    :ivar begin: with which records it begins that has never run.
    """

    path: FieldText
    name: FieldText = ""
    rotate: Rotation = "never"
    rotate_mib: Amount = 0
    keep_files: Amount = 0
    begin: Beginning = "first"


@attrs.frozen
class PostgresqlTable:
    """``[[records.postgresql]]``: see ``records.postgresql.PostgresqlTable``.

    :ivar name: under which the switch knows how far it is; "" for the table's.
    """

    connect: Secret = attrs.field(repr=False)
    name: FieldText = ""
    table: FieldText = "calls"
    create: bool = True
    batch: Count = 500
    begin: Beginning = "first"


@attrs.frozen
class WebhookTable:
    """``[[records.webhook]]``: see ``records.webhook.WebServer``.

    :ivar name: under which the switch knows how far it is; "" for the URL.
    """

    url: FieldText
    name: FieldText = ""
    secret: str = attrs.field(default="", repr=False)
    timeout: Seconds = 10.0
    batch: Count = 100
    begin: Beginning = "first"


@attrs.frozen
class RecordsTable:
    """``[records]``; files are seen from the state directory.

    :ivar store: the SQLite file in which they are kept; "" for nowhere.
    :ivar keep_days: see ``records.keeping.Retention``.
    :ivar keep_mib: likewise.
    :ivar path: a file of JSON lines that somebody else puts aside, if anybody; "" for none.
    :ivar jsonl: further files of JSON lines.
    :ivar csv: files of CSV.
    :ivar postgresql: tables of PostgreSQL.
    :ivar webhook: web servers.
    """

    store: FieldText = "calls.sqlite"
    keep_days: Amount = 90
    keep_mib: Amount = 1024
    path: FieldText = "calls.jsonl"
    jsonl: tuple[FileTable, ...] = ()
    csv: tuple[FileTable, ...] = ()
    postgresql: tuple[PostgresqlTable, ...] = ()
    webhook: tuple[WebhookTable, ...] = ()

    @property
    def retention(self) -> Retention:
        """How long they are kept."""
        return Retention(float(self.keep_days), self.keep_mib * _MIB)

    def exports(self, folder: Path) -> list[Export]:
        """Where they are carried.

        :param folder: the state directory.
        """
        found: list[Export] = []
        if self.path:
            found.append(FileExport(f"jsonl {self.path}", folder / self.path, "jsonl"))
        for table in self.jsonl:
            name = f"jsonl {table.name or table.path}"
            turnover = _turnover(table)
            found.append(FileExport(name, folder / table.path, "jsonl", turnover, table.begin))
        for table in self.csv:
            name = f"csv {table.name or table.path}"
            turnover = _turnover(table)
            found.append(FileExport(name, folder / table.path, "csv", turnover, table.begin))
        for each in self.postgresql:
            found.append(
                PostgresqlExport(
                    f"postgresql {each.name or each.table}",
                    each.connect,
                    each.table,
                    each.create,
                    each.begin,
                    each.batch,
                )
            )
        for server in self.webhook:
            found.append(
                WebhookExport(
                    f"webhook {server.name or server.url}",
                    server.url,
                    server.secret,
                    server.timeout,
                    server.begin,
                    server.batch,
                )
            )
        return found


def contradictions(records: RecordsTable) -> Iterator[tuple[str, str]]:
    """What is wrong between keys that are right by themselves: key path and what would be right."""
    if not records.store:
        for key in ("path", "jsonl", "csv", "postgresql", "webhook"):
            if getattr(records, key):
                nothing = '""' if key == "path" else "nothing"
                yield f"records.{key}", f"{nothing} is wanted without records.store"
    for index, table in enumerate(records.postgresql):
        key = f"records.postgresql[{index}]"
        if mend := postgresql.missing():
            yield key, mend
            return
        if mend := postgresql.fault(table.connect):
            yield f"{key}.connect", mend
        if not _TABLE.fullmatch(table.table):
            yield (
                f"{key}.table",
                'a name is wanted, perhaps with a schema: "calls", "billing.calls"',
            )
    for index, server in enumerate(records.webhook):
        key = f"records.webhook[{index}]"
        if not server.url.startswith(("http://", "https://")):
            yield f"{key}.url", "http://... or https://... is wanted"
        if not 0 < server.timeout <= 300:
            yield f"{key}.timeout", "more than 0 and at most 300 seconds are wanted"
        if server.batch > 1000:
            yield f"{key}.batch", "1 to 1000 are wanted"
    for index, table in enumerate(records.postgresql):
        if table.batch > 10_000:
            yield f"records.postgresql[{index}].batch", "1 to 10000 are wanted"
    yield from _twice(records)


def _twice(records: RecordsTable) -> Iterator[tuple[str, str]]:
    """Two exporters of one name would share one position, two with one file its lines."""
    names: set[str] = set()
    files: set[Path] = {Path()}
    for export in records.exports(Path()):
        kind, _, name = export.name.partition(" ")
        if export.name in names:
            yield f"records.{kind}", f"{name} is there twice: give each a name of its own"
        names.add(export.name)
        if isinstance(export, FileExport):
            if export.path in files:
                yield (
                    f"records.{kind}",
                    "the path of a file that no other exporter writes is wanted",
                )
            files.add(export.path)
    if records.store and Path(records.store) in files:
        yield "records.store", "a file of its own is wanted"


def _turnover(table: FileTable) -> Turnover:
    return Turnover(table.rotate, table.rotate_mib * _MIB, table.keep_files)
