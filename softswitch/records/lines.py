"""The lines that call records make in files: JSON as it was kept, and CSV. Pure.

A cell of CSV harms nobody who opens it: what a spreadsheet would take for a formula has an
apostrophe before it, and control characters, line breaks among them, are written as ``\\x0a``.
"""

import csv
import json
import re
from io import StringIO
from typing import Any, Final

from softswitch.records.columns import COLUMNS, cells

#: What a spreadsheet takes for the beginning of a formula, the wide forms of East Asia among them.
_FORMULA: Final = tuple("=+-@＝＋－＠")

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\\\\]")


class JsonLines:
    """A record is a line of JSON."""

    head = b""

    def line(self, text: str) -> bytes:
        """The record as it was kept."""
        return f"{text}\n".encode()

    def id_of(self, line: bytes) -> str:
        """The id in such a line; "" for any other."""
        try:
            return str(json.loads(line)["id"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""


class CsvLines:
    """A record is a line of RFC 4180, below a line with the names of the columns."""

    head = f"{','.join(COLUMNS)}\r\n".encode()

    def line(self, text: str) -> bytes:
        """The record's columns."""
        written = StringIO(newline="")
        csv.writer(written).writerow(map(cell, cells(json.loads(text)).values()))
        return written.getvalue().encode()

    def id_of(self, line: bytes) -> str:
        """The id in such a line; "" for any other."""
        try:
            row = next(csv.reader([line.decode()]), [])
        except (UnicodeDecodeError, csv.Error):
            return ""
        return row[0] if len(row) == len(COLUMNS) and row != list(COLUMNS) else ""


def cell(value: Any) -> str:
    """A value as a cell that is text for whoever opens the file; "" for None."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    text = _CONTROL.sub(_escaped, value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\\":
        return "\\\\"
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
