"""The rows of a rate file, a column each, or what is wrong with one of them. Pure but for the file.

For ``ratefile``, and like it with nothing but the standard library.
"""

import csv
import re
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

from softswitch.policy.ratetable import DIGITS, LATEST

#: The first bytes of a SQLite file.
_SQLITE: Final = b"SQLite format 3\0"
_WANTED: Final = ("prefix", "price", "trunk")
#: Their numbers have two bytes.
_MOST_TRUNKS: Final = 0xFFFF
_PRICE: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)
#: How many numbers begin with so many digits.
WIDTHS: Final = tuple(10 ** (DIGITS - length) for length in range(DIGITS + 1))
#: Values of a column that are remembered, since most occur often.
_REMEMBERED: Final = 16_384

#: A row: its place, then prefix, price, trunk and valid_from as they stand there.
_Cells: TypeAlias = tuple[int, str, str, str, str]


class BrokenRatesError(ValueError):
    """The file holds no table of rates; the text says where and what would be right."""


class Rows:
    """All rows, a column each, with what is said of wherever one is wrong.

    :ivar keys: prefix and length as one number, by which prefixes sort as texts do: each before
        those that begin with it.
    :ivar place: what a row is called: "line" or "row".
    :ivar places: which line, or row, each was.
    :ivar named: trunk -> where it occurs the first time, in the order of their numbers.
    """

    def __init__(self, place: str, columns: Sequence[str]) -> None:
        self.keys = array("Q")
        self.prices = array("d")
        self.valid_from = array("I")
        self.trunks = array("H")
        self.places = array("I")
        self.place = place
        self._columns = columns
        self.named: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._costs: dict[str, float] = {}
        self._times: dict[str, int] = {}

    def add(self, rows: Iterable[_Cells]) -> None:
        """Many rows more; what makes one cheap stands here, for a table has a million.

        :raises BrokenRatesError: one is wrong.
        """
        keys, prices, valid_from = self.keys, self.prices, self.valid_from
        trunks, places = self.trunks, self.places
        costs, numbers, times = self._costs, self._numbers, self._times
        for place, prefix, price, trunk, since in rows:
            digits = prefix[1:] if prefix[:1] == "+" else prefix
            if not (digits.isdigit() and digits.isascii() and len(digits) <= DIGITS):
                raise self.broken(place, "prefix", f"1 to {DIGITS} digits are wanted", prefix)
            cost = costs.get(price)
            if cost is None:
                cost = self._price(place, price)
            number = numbers.get(trunk)
            if number is None:
                number = self._trunk(place, trunk)
            moment = times.get(since)
            if moment is None:
                moment = self._moment(place, since)
            keys.append(int(digits) * WIDTHS[len(digits)] << 4 | len(digits))
            prices.append(cost)
            trunks.append(number)
            valid_from.append(moment)
            places.append(place)

    def clear(self) -> None:
        """Forget them."""
        for column in (self.keys, self.prices, self.valid_from, self.trunks, self.places):
            del column[:]

    def broken(
        self, place: int, column: str, mend: str, found: str | None = None
    ) -> BrokenRatesError:
        """What is wrong there."""
        said = "" if found is None else f', not "{_shown(found)}"'
        return BrokenRatesError(f"{self._where(place, column)}: {mend}{said}")

    def _where(self, place: int, column: str) -> str:
        """A place, and a column by its number in the file and its name; "" for the whole."""
        if not column:
            return f"{self.place} {place}"
        return f"{self.place} {place}, column {self._columns.index(column) + 1} ({column})"

    def _trunk(self, place: int, name: str) -> int:
        """The number of one that has not occurred before."""
        if not name or len(self.named) > _MOST_TRUNKS:
            mend = "the name of a trunk is wanted" if not name else "there are too many trunks"
            raise self.broken(place, "trunk", mend)
        self._numbers[name] = len(self.named)
        self.named[name] = self._where(place, "trunk")
        return self._numbers[name]

    def _price(self, place: int, text: str) -> float:
        if not _PRICE.fullmatch(text.strip()):
            raise self.broken(place, "price", "a number such as 0.0125 is wanted", text)
        if len(self._costs) < _REMEMBERED:
            self._costs[text] = float(text)
        return float(text)

    def _moment(self, place: int, text: str) -> int:
        """Unix time of a date, or date and time, UTC unless it says otherwise; 0 for none."""
        moment = 0.0
        if text.strip():
            try:
                found = datetime.fromisoformat(text.strip())
                moment = found.replace(tzinfo=found.tzinfo or UTC).timestamp()
            except (ValueError, OverflowError):
                moment = -1.0
            if not (text.isascii() and 0 <= moment <= LATEST):
                raise self.broken(place, "valid_from", "a date as 2026-01-31 is wanted", text)
        if len(self._times) < _REMEMBERED:
            self._times[text] = int(moment)
        return int(moment)


def read(path: Path) -> Rows:
    """All rows of a file.

    :raises BrokenRatesError: names line and column.
    """
    try:
        with path.open("rb") as file:
            first = file.read(len(_SQLITE))
        rows = _read_sqlite(path) if first == _SQLITE else _read_csv(path)
    except OSError as error:
        raise BrokenRatesError(f"cannot be read: {error.strerror}") from None
    if not rows.keys:
        raise BrokenRatesError("there is no rate in it")
    return rows


def _read_csv(path: Path) -> Rows:
    # What is no UTF-8 stands in a column that nobody reads, or is found wrong there.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        first = file.readline()
        separator = max(",;\t", key=first.count)
        columns = next(csv.reader([first], delimiter=separator), [])
        columns = [name.strip().lower() for name in columns]
        _check_columns(columns, "line 1")
        rows = Rows("line", columns)
        prefix, price, trunk = map(columns.index, _WANTED)
        since = columns.index("valid_from") if "valid_from" in columns else -1
        reader = csv.reader(file, delimiter=separator, strict=True)
        width = len(columns)

        def cells() -> Iterator[_Cells]:
            for row in reader:
                line = reader.line_num + 1
                if len(row) == width:
                    found = row[since] if since >= 0 else ""
                    yield line, row[prefix], row[price], row[trunk], found
                elif row:
                    raise rows.broken(line, "", f"{width} columns are wanted, not {len(row)}")

        try:
            rows.add(cells())
        except csv.Error as error:
            raise rows.broken(reader.line_num + 1, "", f"is no CSV: {error}") from None
    return rows


def _read_sqlite(path: Path) -> Rows:
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            table = connection.execute("PRAGMA table_info(rates)")
            columns = [str(name).lower() for _, name, *_ in table]
            _check_columns(columns, "table rates")
            rows = Rows("row", columns)
            wanted = ", ".join((*_WANTED, "valid_from" if "valid_from" in columns else "NULL"))
            found = connection.execute(f"SELECT {wanted} FROM rates")
            texts = (["" if cell is None else str(cell) for cell in row] for row in found)
            rows.add(
                (number, prefix, price, trunk, since)
                for number, (prefix, price, trunk, since) in enumerate(texts, 1)
            )
    except sqlite3.Error as error:
        raise BrokenRatesError(f"is no SQLite that can be read: {error}") from None
    return rows


def _check_columns(columns: Sequence[str], where: str) -> None:
    for name in _WANTED:
        if name not in columns:
            found = f"only {', '.join(map(_shown, columns))}" if any(columns) else "none at all"
            raise BrokenRatesError(f"{where}: a column {name} is wanted, there is {found}")


def _shown(text: str) -> str:
    """What was found, in a line of the log."""
    return text[:40].encode("unicode_escape").decode("ascii")
