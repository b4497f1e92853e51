"""Which telephone numbers a certificate speaks for: the extension TNAuthList (RFC 8226 9). Pure.

No library at hand knows it, so its few elements of DER are read here. They come from strangers:
whatever is not exactly right is refused.
"""

from typing import Final

import attrs

#: Its object identifier.
OID: Final = "1.3.6.1.5.5.7.1.26"
#: Entries of a list, each two or three elements.
MOST_ENTRIES: Final = 1000

_SEQUENCE, _IA5STRING, _INTEGER = 0x30, 0x16, 0x02
_PROVIDER, _RANGE, _ONE = 0xA0, 0xA1, 0xA2


@attrs.frozen
class TnAuthList:
    """What a list says.

    :ivar providers: codes of service providers: all their numbers, whichever these are.
    :ivar ranges: first number and how many follow from there, itself included, as digits.
    """

    providers: tuple[str, ...] = ()
    ranges: tuple[tuple[str, int], ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> "TnAuthList":
        """
        :param data: DER.
        :raises ValueError: it is no such list.
        """
        tag, body, rest = _element(data)
        if tag != _SEQUENCE or rest or not body:
            raise ValueError("a sequence is wanted")
        providers: list[str] = []
        ranges: list[tuple[str, int]] = []
        while body:
            tag, entry, body = _element(body)
            inner, value, rest = _element(entry)
            if rest or len(providers) + len(ranges) == MOST_ENTRIES:
                raise ValueError("one element in each entry is wanted, and fewer entries")
            if (tag, inner) == (_PROVIDER, _IA5STRING):
                providers.append(value.decode("ascii"))
            elif (tag, inner) == (_ONE, _IA5STRING):
                ranges.append((_number(value), 1))
            elif (tag, inner) == (_RANGE, _SEQUENCE):
                ranges.append(_range(value))
            else:
                raise ValueError("a provider, a range or a number is wanted")
        return cls(tuple(providers), tuple(ranges))

    def covers(self, number: str) -> bool:
        """Whether it may speak for a number: which numbers are a provider's, nobody tells us.

        :param number: digits.
        """
        if self.providers:
            return True
        return any(_holds(first, count, number) for first, count in self.ranges)


def _holds(first: str, count: int, number: str) -> bool:
    if number == first:
        return True
    if count == 1 or len(number) != len(first) or not (number + first).isdigit():
        return False
    return int(first) <= int(number) < int(first) + count


def _range(data: bytes) -> tuple[str, int]:
    tag, start, rest = _element(data)
    inner, count, _ = _element(rest)  # what follows is for those who know more
    if (tag, inner) != (_IA5STRING, _INTEGER) or not 1 <= len(count) <= 8:
        raise ValueError("a first number and a count are wanted")
    many = int.from_bytes(count, "big", signed=True)
    if many < 2:
        raise ValueError("2 or more numbers are wanted")
    return _number(start), many


def _number(data: bytes) -> str:
    number = data.decode("ascii")
    if not 1 <= len(number) <= 15 or number.strip("0123456789#*"):
        raise ValueError("1 to 15 digits are wanted")
    return number


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag and content of the first element, and what follows it."""
    if len(data) < 2:
        raise ValueError("an element is cut off")
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        start += length & 0x7F
        size = data[2:start]
        if not 1 <= len(size) <= 4 or len(size) != length & 0x7F:
            raise ValueError("a length is wrong")
        length = int.from_bytes(size, "big")
    end = start + length
    if end > len(data):
        raise ValueError("an element is cut off")
    return tag, data[start:end], data[end:]
