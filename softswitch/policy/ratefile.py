"""From a rate file to what ``ratetable`` maps: a program that another process runs.

::

    python -m softswitch.policy.ratefile FILE > TABLE

Reading a million rows takes seconds of computing, which the switch does not have; so it is done in
a process of its own. That imports nothing but the standard library, and keeps the rows in arrays
lest it need more memory than the switch. What is wrong with a row is told on the standard error,
in one line, with exit status 1.

FILE is CSV with a line that names the columns, or SQLite with a table ``rates``: ``prefix``,
``price``, ``trunk`` and, where it likes, ``valid_from``.
"""

import csv
import gc
import json
import os
import re
import sqlite3
import sys
import time
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

from softswitch.policy.ratetable import ARRAYS, DIGITS, LATEST, MOST, NOTHING

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
#: Rows that are sorted at once.
_SHARE: Final = 1 << 16


#: A row: its place, then prefix, price, trunk and valid_from as they stand there.
_Cells: TypeAlias = tuple[int, str, str, str, str]
#: Numbers of offers, in the order of trying.
_Ranking: TypeAlias = tuple[int, ...]


class BrokenRatesError(ValueError):
    """The file holds no table of rates; the text says where and what would be right."""


class _Rows:
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


def read(path: Path) -> _Rows:
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


def _read_csv(path: Path) -> _Rows:
    # What is no UTF-8 stands in a column that nobody reads, or is found wrong there.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        first = file.readline()
        separator = max(",;\t", key=first.count)
        columns = next(csv.reader([first], delimiter=separator), [])
        columns = [name.strip().lower() for name in columns]
        _check_columns(columns, "line 1")
        rows = _Rows("line", columns)
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


def _read_sqlite(path: Path) -> _Rows:
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            table = connection.execute("PRAGMA table_info(rates)")
            columns = [str(name).lower() for _, name, *_ in table]
            _check_columns(columns, "table rates")
            rows = _Rows("row", columns)
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


def _in_order(keys: Sequence[int]) -> Iterator[int]:
    """The rows' numbers by key, a share of them at a time lest all become objects at once."""
    count = -(-len(keys) // _SHARE)
    sample = sorted(keys[each] for each in range(0, len(keys), max(1, len(keys) // (64 * count))))
    borders = [sample[len(sample) * each // count] for each in range(1, count)]
    shares = [array("I") for _ in range(count)]
    for row, key in enumerate(keys):
        shares[bisect_right(borders, key)].append(row)
    for share in shares:
        yield from sorted(share, key=keys.__getitem__)


def _by_prefix(rows: _Rows) -> Iterator[tuple[int, list[int]]]:
    """Each prefix's key with its rows."""
    keys = rows.keys
    group: list[int] = []
    last = -1
    for row in _in_order(keys):
        key = keys[row]
        if key == last:
            group.append(row)
            continue
        if group:
            yield last, group
        last, group = key, [row]
    yield last, group


class _Rankings:
    """What is offered for each prefix, with what is offered for those around it.

    An offer is a trunk and from when until when it is valid; a ranking the numbers of offers in the
    order of trying. Those that occur often are written once.

    :param now: Unix time.
    """

    def __init__(self, rows: _Rows, now: float) -> None:
        self.firsts = array("I", [0])
        self.offers = array("I")
        self.valid_from = array("I")
        self.valid_until = array("I")
        self.trunks = array("H")
        self._rows = rows
        self._now = now
        self._offers: dict[tuple[int, int, int], int] = {}
        self._joined: dict[tuple[_Ranking, _Ranking], tuple[int, _Ranking]] = {}
        self._written: dict[_Ranking, int] = {}

    def add(self, group: list[int], around: _Ranking) -> tuple[int, _Ranking]:
        """The number of a prefix's ranking, and the ranking.

        :param group: the prefix's rows.
        :param around: ranking of the next shorter prefix.
        :raises BrokenRatesError: two rows contradict each other.
        """
        rows, offer = self._rows, self._offer
        if len(group) == 1:
            row = group[0]
            own: _Ranking = (offer((rows.trunks[row], rows.valid_from[row], LATEST)),)
        else:
            own = tuple([offer(each) for each in _by_price(rows, group)])
        joined = self._joined.get((own, around))
        if joined is None:
            ranking = self._join(own, around)
            joined = self._number(ranking), ranking
            if len(self._joined) < _REMEMBERED:
                self._joined[own, around] = joined
        return joined

    def _offer(self, offer: tuple[int, int, int]) -> int:
        number = self._offers.get(offer)
        if number is None:
            number = len(self.trunks)
            for column, value in zip(
                (self.trunks, self.valid_from, self.valid_until), offer, strict=True
            ):
                column.append(value)
            if len(self._offers) < _REMEMBERED:
                self._offers[offer] = number
        return number

    def _join(self, own: _Ranking, around: _Ranking) -> _Ranking:
        """First its own offers, then those for shorter prefixes that are not always behind one of
        the same trunk: from its first on, a trunk has always one that is valid. No more than can
        be tried."""
        begun: dict[int, int] = {}
        ranking = []
        settled = 0
        for place, offer in enumerate(chain(own, around)):
            trunk, since = self.trunks[offer], self.valid_from[offer]
            first = begun.get(trunk, LATEST)
            if place >= len(own) and (first <= since or settled >= MOST):
                continue
            ranking.append(offer)
            begun[trunk] = min(first, since)
            settled += first > self._now >= since
        return tuple(ranking)

    def _number(self, ranking: _Ranking) -> int:
        number = self._written.get(ranking)
        if number is None:
            number = len(self.firsts) - 1
            self.offers.extend(ranking)
            self.firsts.append(len(self.offers))
            if len(self._written) < _REMEMBERED:
                self._written[ranking] = number
        return number


def _by_price(rows: _Rows, group: list[int]) -> list[tuple[int, int, int]]:
    """A prefix's offers, the cheapest first. Each is valid until the next one of its trunk is.

    :raises BrokenRatesError: two contradict each other.
    """
    prices, trunks, since, places = rows.prices, rows.trunks, rows.valid_from, rows.places
    if len({trunks[row] for row in group}) == len(group):
        found = sorted([(prices[row], trunks[row], since[row]) for row in group])
        return [(trunk, begins, LATEST) for _, trunk, begins in found]
    group.sort(key=lambda row: (trunks[row], -since[row], places[row]))
    priced: list[tuple[float, tuple[int, int, int]]] = []
    other = -1
    for row in group:
        until = LATEST
        if other >= 0 and trunks[row] == trunks[other]:
            until = since[other]
            if until == since[row]:
                if prices[row] != prices[other]:
                    mend = f"another price than in {rows.place} {places[other]}, for the same time"
                    raise rows.broken(places[row], "price", mend)
                continue
        priced.append((prices[row], (trunks[row], since[row], until)))
        other = row
    return [offer for _, offer in sorted(priced)]


def write(rows: _Rows, file: BinaryIO, now: float) -> None:
    """The table as ``ratetable`` maps it, good from now on.

    :param now: Unix time.
    :raises BrokenRatesError: two rows contradict each other.
    """
    starts, longest = array("Q", [0]), array("I", [NOTHING])
    shorter, numbers, lengths = array("I"), array("I"), array("B")
    rankings = _Rankings(rows, now)
    # The prefixes that lie around the present one: where each ends, which it is, and its
    # ranking.
    around: list[tuple[int, int, _Ranking]] = [(WIDTHS[0] * 2, NOTHING, ())]

    def cut(start: int, prefix: int) -> None:
        """From here on it is that prefix's, whoever had it before."""
        if starts[-1] == start:
            longest[-1] = prefix
        else:
            starts.append(start)
            longest.append(prefix)

    for prefix, (key, group) in enumerate(_by_prefix(rows)):
        start, length = key >> 4, key & 15
        while around[-1][0] <= start:
            end, *_ = around.pop()
            cut(end, around[-1][1])
        _, next_shorter, ranking = around[-1]
        number, ranking = rankings.add(group, ranking)
        shorter.append(next_shorter)
        numbers.append(number)
        lengths.append(length)
        cut(start, prefix)
        around.append((start + WIDTHS[length], prefix, ranking))
    while len(around) > 1:
        end, *_ = around.pop()
        cut(end, around[-1][1])
    arrays = {
        "starts": starts,
        "longest": longest,
        "shorter": shorter,
        "rankings": numbers,
        "firsts": rankings.firsts,
        "offers": rankings.offers,
        "valid_from": rankings.valid_from,
        "valid_until": rankings.valid_until,
        "trunks": rankings.trunks,
        "lengths": lengths,
    }
    _write_arrays(rows, [arrays[name] for name in ARRAYS], file)


def _write_arrays(rows: _Rows, arrays: "Sequence[array[Any]]", file: BinaryIO) -> None:
    """First the length of the head, then the head, then the arrays, each at a multiple of 8."""
    sizes = [len(each) * each.itemsize for each in arrays]
    about = {
        "trunks": rows.named,
        "rates": len(rows.keys),
        "bytes": dict(zip(ARRAYS, sizes, strict=True)),
    }
    head = json.dumps(about).encode()
    head += b" " * (-len(head) % 8)
    file.write((len(head) + 8).to_bytes(8, "little") + head)
    for each, size in zip(arrays, sizes, strict=True):
        each.tofile(file)
        file.write(bytes(-size % 8))


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says."""
    (path,) = arguments
    try:
        write(read(Path(path)), sys.stdout.buffer, time.time())
        sys.stdout.buffer.flush()
    except BrokenRatesError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os.nice(10)  # calls go before
    gc.disable()  # nothing here goes round in a circle
    sys.exit(main(sys.argv[1:]))
