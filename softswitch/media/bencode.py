"""Bencode, the form in which rtpengine's NG protocol is written (BEP 3). Pure.

The libraries there are take what ``int()`` takes, a length that goes beyond the end, and any depth
that the stack bears. Here everything is bounded, and nothing is guessed. The order of a
dictionary's keys is kept and not looked at: rtpengine has an order of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Final

#: What can be written: text goes as UTF-8.
Value = int | str | bytes | Sequence["Value"] | Mapping[str, "Value"]

#: What is read: text stays bytes, but for keys.
Read = int | bytes | list["Read"] | dict[str, "Read"]

#: Lists and dictionaries within each other.
DEEPEST: Final = 16
#: Digits of a number, the sign not counted: what 64 bits need.
DIGITS: Final = 19

_INTEGER, _LIST, _DICTIONARY, _END, _COLON = b"ilde:"


def encode(value: Value) -> bytes:
    """A value as bencode."""
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def decode(data: bytes) -> Read:
    """The one value that ``data`` is.

    :raises ValueError: it is not bencode, is something more, or is beyond our limits.
    """
    value, end = _read(data, 0, DEEPEST)
    if end != len(data):
        raise ValueError("more than one value")
    return value


def _write(value: Value, parts: list[bytes]) -> None:
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        parts += (b"%d:" % len(value), value)
    elif isinstance(value, int):
        parts.append(b"i%de" % value)
    elif isinstance(value, Mapping):
        parts.append(b"d")
        for key, each in value.items():
            _write(key, parts)
            _write(each, parts)
        parts.append(b"e")
    else:
        parts.append(b"l")
        for each in value:
            _write(each, parts)
        parts.append(b"e")


def _read(data: bytes, at: int, deeper: int) -> tuple[Read, int]:
    """The value that begins at ``at``, and where it ends."""
    kind = data[at] if at < len(data) else _END
    if kind == _INTEGER:
        negative = data[at + 1 : at + 2] == b"-"
        number, end = _number(data, at + 1 + negative, _END)
        if negative and not number:
            raise ValueError("a zero with a sign")
        return -number if negative else number, end
    if kind not in (_LIST, _DICTIONARY):
        return _text(data, at)
    if not deeper:
        raise ValueError("too deep")
    at += 1
    items: list[Read] = []
    pairs: dict[str, Read] = {}
    while data[at : at + 1] != b"e":
        if kind == _LIST:
            value, at = _read(data, at, deeper - 1)
            items.append(value)
        else:
            key, at = _text(data, at)
            name = key.decode("utf-8", "surrogateescape")
            if name in pairs:
                raise ValueError("a key twice")
            pairs[name], at = _read(data, at, deeper - 1)
    return items if kind == _LIST else pairs, at + 1


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    length, begin = _number(data, at, _COLON)
    end = begin + length
    if end > len(data):
        raise ValueError("longer than there is")
    return data[begin:end], end


def _number(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """A number without a sign, and what is behind the byte that ends it."""
    end = data.find(stop, at, at + DIGITS + 1)
    digits = data[at:end] if end >= 0 else b""
    if not digits.isdigit() or (digits[:1] == b"0" and len(digits) > 1):
        raise ValueError("no number")
    return int(digits), end + 1
