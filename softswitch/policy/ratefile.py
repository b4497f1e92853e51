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

import gc
import json
import os
import sys
import time
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

from softswitch.policy.raterows import WIDTHS, BrokenRatesError, Rows, read
from softswitch.policy.ratetable import ARRAYS, LATEST, MOST, NOTHING

#: Rows that are sorted at once.
_SHARE: Final = 1 << 16
#: Rankings that are remembered, since many occur often.
_REMEMBERED: Final = 16_384

#: Numbers of offers, in the order of trying.
_Ranking: TypeAlias = tuple[int, ...]


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


def _by_prefix(rows: Rows) -> Iterator[tuple[int, list[int]]]:
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

    def __init__(self, rows: Rows, now: float) -> None:
        self.firsts = array("I", [0])
        self.offers = array("I")
        self.own = array("I", [0])
        self.own_offers = array("I")
        self.own_prices = array("f")
        self._about: list[tuple[int, int, int]] = []
        self._rows = rows
        self._now = now
        self._offers: dict[tuple[int, int, int], int] = {}
        self._joined: dict[tuple[_Ranking, _Ranking], tuple[int, _Ranking]] = {}
        self._written: dict[_Ranking, int] = {}

    @property
    def columns(self) -> tuple["array[int]", "array[int]", "array[int]"]:
        """Of each offer the trunk, and from when until when it is valid."""
        trunks, since, until = zip(*self._about, strict=True)
        return array("H", trunks), array("I", since), array("I", until)

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
            self.own_prices.append(rows.prices[row])
        else:
            priced = _by_price(rows, group)
            own = tuple([offer(each) for _, each in priced])
            self.own_prices.extend([price for price, _ in priced])
        self.own_offers.extend(own)
        self.own.append(len(self.own_offers))
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
            number = len(self._about)
            self._about.append(offer)
            self._offers[offer] = number
        return number

    def _join(self, own: _Ranking, around: _Ranking) -> _Ranking:
        """First its own offers, then those for shorter prefixes that are not always behind one of
        the same trunk: from its first on, a trunk has always one that is valid."""
        about, left = self._about, list(around)
        for offer in own:
            trunk, since, _ = about[offer]
            left = [each for each in left if about[each][0] != trunk or about[each][1] < since]
        ranking = (*own, *left)
        return ranking if len(ranking) <= MOST else self._cut(ranking)

    def _cut(self, ranking: _Ranking) -> _Ranking:
        """No more than can be tried: so many trunks whose offers are valid from now on."""
        kept = []
        settled: set[int] = set()
        for offer in ranking:
            trunk, since, until = self._about[offer]
            if len(settled) < MOST:
                kept.append(offer)
            if since <= self._now and until == LATEST:
                settled.add(trunk)
        return tuple(kept)

    def _number(self, ranking: _Ranking) -> int:
        number = self._written.get(ranking)
        if number is None:
            number = len(self.firsts) - 1
            self.offers.extend(ranking)
            self.firsts.append(len(self.offers))
            if len(self._written) < _REMEMBERED:
                self._written[ranking] = number
        return number


def _by_price(rows: Rows, group: list[int]) -> list[tuple[float, tuple[int, int, int]]]:
    """A prefix's prices and offers, the cheapest first. Each is valid until the next one of its
    trunk is.

    :raises BrokenRatesError: two contradict each other.
    """
    prices, trunks, since, places = rows.prices, rows.trunks, rows.valid_from, rows.places
    if len({trunks[row] for row in group}) == len(group):
        found = sorted([(prices[row], trunks[row], since[row]) for row in group])
        return [(price, (trunk, begins, LATEST)) for price, trunk, begins in found]
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
    return sorted(priced)


def write(rows: Rows, file: BinaryIO, now: float) -> None:
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
    # What was read is needed no more, and the table takes its place in memory.
    about: dict[str, Any] = {"trunks": rows.named, "rates": len(rows.keys), "kinds": {}}
    rows.clear()
    trunks, valid_from, valid_until = rankings.columns
    arrays: dict[str, array[Any]] = {
        "starts": starts,
        "longest": longest,
        "shorter": shorter,
        "rankings": numbers,
        "firsts": rankings.firsts,
        "offers": rankings.offers,
        "valid_from": valid_from,
        "valid_until": valid_until,
        "own": rankings.own,
        "own_offers": rankings.own_offers,
        "own_prices": rankings.own_prices,
        "trunks": trunks,
        "lengths": lengths,
    }
    if len(trunks) <= 1 << 16:
        for name in ("offers", "own_offers"):
            arrays[name] = array("H", arrays[name])
            about["kinds"][name] = "H"
    _write_arrays(about, [arrays[name] for name in ARRAYS], file)


def _write_arrays(about: dict[str, Any], arrays: "Sequence[array[Any]]", file: BinaryIO) -> None:
    """First the length of the head, then the head, then the arrays, each at a multiple of 8."""
    sizes = [len(each) * each.itemsize for each in arrays]
    head = json.dumps({**about, "bytes": dict(zip(ARRAYS, sizes, strict=True))}).encode()
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
