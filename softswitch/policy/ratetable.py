"""A rate table as it is asked: the longest prefix of a number, then the price. Pure.

A table of a million prefixes is a few arrays in one file, which ``ratefile`` writes and which is
mapped into memory as it is: nothing is read, copied or held twice.

A prefix covers an interval of the numbers of fifteen digits, and intervals lie within each other or
apart. Cut where one begins or ends they are **segments**, each with the longest prefix that covers
it: so one bisection finds that. Each prefix has a **ranking**, the offers of the trunks for it and
for the shorter prefixes around it in the order of trying; an offer is a trunk and from when until
when its price is valid. There are few offers, and prefixes share rankings, so that the processor
has at hand what is read of either.
"""

import json
import mmap
import os
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, Final

#: Digits of a number that are looked at; no prefix has more (E.164: fifteen in all).
DIGITS: Final = 15

#: Where no prefix is: of a segment, or around the shortest.
NOTHING: Final = 0xFFFFFFFF

#: The last moment that a table knows, Unix time.
LATEST: Final = 2**32 - 1

#: Trunks that are tried for a call at most; a ranking has no more that are valid already.
MOST: Final = 16

#: The arrays of a table in the order of the file, with their types as ``array`` names them (offers
#: have two bytes instead where that is enough, and the head of the file says so). Of each
#: segment where it begins, and its prefix; of each prefix how many digits it has, the next shorter
#: one and its ranking; of each ranking where it begins among the offers (one more at the end), and
#: these; of each offer the trunk, and from when until when it is valid, Unix time; of each prefix
#: where its own rates begin (one more at the end), of each of these its offer and its price.
ARRAYS: Final[Mapping[str, str]] = {
    "starts": "Q",
    "longest": "I",
    "shorter": "I",
    "rankings": "I",
    "firsts": "I",
    "own": "I",
    "offers": "I",
    "valid_from": "I",
    "valid_until": "I",
    "own_offers": "I",
    "own_prices": "f",
    "trunks": "H",
    "lengths": "B",
}


class RateTable:
    """Which trunks reach each number, the best offer first.

    :ivar prefixes: how many there are.
    :ivar rates: how many rows: a prefix may have several, of several trunks and times.
    :ivar trunks: names of all that occur -> where the first time, in words.
    :param file: descriptor of a file that ``ratefile`` wrote; may be closed afterwards.
    """

    def __init__(self, file: int) -> None:
        # The map stays as long as a view of it.
        whole = memoryview(mmap.mmap(file, os.fstat(file).st_size, prot=mmap.PROT_READ))
        size = int.from_bytes(whole[:8], "little")
        head = json.loads(bytes(whole[8:size]))
        arrays: dict[str, Any] = {}
        for name, kind in {**ARRAYS, **head["kinds"]}.items():
            end = size + head["bytes"][name]
            arrays[name] = whole[size:end].cast(kind)
            size = end + -end % 8
        self.trunks: dict[str, str] = head["trunks"]
        self.rates: int = head["rates"]
        self.prefixes = len(arrays["lengths"])
        self._names = list(self.trunks)
        self._prefixes = tuple(
            arrays[name] for name in ("starts", "longest", "lengths", "shorter", "rankings")
        )
        self._rankings = tuple(
            arrays[name] for name in ("firsts", "offers", "valid_from", "valid_until", "trunks")
        )
        self._own = tuple(arrays[name] for name in ("own", "own_offers", "own_prices"))

    def look_up(self, number: str, now: float, most: int = MOST) -> list[str]:
        """The trunks that reach a number, by name: those of the longest prefix first, among them
        the cheapest first; then those of shorter prefixes.

        :param number: ASCII digits, with the country code and without a plus.
        :param now: Unix time; of a trunk's rates for a prefix the latest that is valid by then
            counts.
        :param most: so many, up to ``MOST``.
        """
        prefix, rankings = self._prefix(number), self._prefixes[-1]
        found: list[str] = []
        if prefix == NOTHING:
            return found
        firsts, offers, valid_from, valid_until, trunks = self._rankings
        ranking, moment = rankings[prefix], int(now)
        for place in range(firsts[ranking], firsts[ranking + 1]):
            offer = offers[place]
            if valid_from[offer] <= moment < valid_until[offer]:
                name = self._names[trunks[offer]]
                if name not in found:
                    found.append(name)
                    if len(found) == most:
                        break
        return found

    def price(self, number: str, trunk: str, now: float) -> float | None:
        """What a minute to a number costs over a trunk, by its rate for the longest prefix; None
        where it has none.

        :param number: as above.
        :param now: Unix time.
        """
        if trunk not in self.trunks:
            return None
        wanted, moment = self._names.index(trunk), int(now)
        (_, _, valid_from, valid_until, trunks), (own, offers, prices) = self._rankings, self._own
        prefix = self._prefix(number)
        while prefix != NOTHING:
            for place in range(own[prefix], own[prefix + 1]):
                offer = offers[place]
                valid = valid_from[offer] <= moment < valid_until[offer]
                if valid and trunks[offer] == wanted:
                    return float(prices[place])
            prefix = self._prefixes[3][prefix]
        return None

    def _prefix(self, number: str) -> int:
        """The longest prefix of a number; ``NOTHING`` where there is none."""
        starts, longest, lengths, shorter, _ = self._prefixes
        key = int(number[:DIGITS].ljust(DIGITS, "0"))
        prefix: int = longest[bisect_right(starts, key) - 1]
        # What was not dialled to its end is filled up with zeros that are no part of it.
        while prefix != NOTHING and lengths[prefix] > len(number):
            prefix = shorter[prefix]
        return prefix
