"""TNAuthList: RFC 8226 9."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.policy.tnauthlist import MOST_ENTRIES, TnAuthList


def der(tag: int, *parts: bytes) -> bytes:
    """An element."""
    body = b"".join(parts)
    length = bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2, "big")
    return bytes([tag]) + length + body


def provider(code: str) -> bytes:
    return der(0xA0, der(0x16, code.encode()))


def one(number: str) -> bytes:
    return der(0xA2, der(0x16, number.encode()))


def several(first: str, count: int) -> bytes:
    size = (count.bit_length() + 8) // 8
    many = der(0x02, count.to_bytes(size, "big"))
    return der(0xA1, der(0x30, der(0x16, first.encode()), many))


def test_the_entries_of_a_list():
    """A provider's code as in certificates of SHAKEN, a number, a range; lengths of any form."""
    assert TnAuthList.parse(bytes.fromhex("3008a006160437303941")) == TnAuthList(("709A",))
    found = TnAuthList.parse(der(0x30, one("12155551212"), several("441632960000", 1000)))
    assert found.ranges == (("12155551212", 1), ("441632960000", 1000))
    long = TnAuthList.parse(der(0x30, *[one("1")] * 40))
    assert len(long.ranges) == 40


def test_what_it_speaks_for():
    """A range ends where it ends; a provider's numbers are known to nobody here."""
    found = TnAuthList.parse(der(0x30, one("*98"), several("4416329600", 10)))
    for number, covered in (
        ("4416329600", True),
        ("4416329609", True),
        ("4416329610", False),
        ("4416329599", False),
        ("04416329600", False),
        ("441632960", False),
        ("*98", True),
        ("*99", False),
        ("", False),
    ):
        assert found.covers(number) is covered, number
    assert TnAuthList(("709J",), (("1", 1),)).covers("2")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x00",
        b"\x30\x80\x00\x00",
        b"\x30\x85\x00\x00\x00\x00\x00",
        b"\x30\x05\xa0\x03\x16\x01",
        der(0x30, one("1")) + b"x",
        der(0x31, one("1")),
        der(0x30, der(0xA3, der(0x16, b"1"))),
        der(0x30, der(0xA0, der(0x0C, b"1"))),
        der(0x30, der(0xA2, der(0x16, b"1"), b"\x16\x00")),
        der(0x30, one("")),
        der(0x30, one("1" * 16)),
        der(0x30, one("12a")),
        der(0x30, der(0xA0, der(0x16, b"\xff"))),
        der(0x30, several("1", 1)),
        der(0x30, der(0xA1, der(0x30, der(0x16, b"1"), der(0x02, b"\xff")))),
        der(0x30, der(0xA1, der(0x30, der(0x16, b"1"), der(0x02, b"")))),
        der(0x30, der(0xA1, der(0x30, der(0x16, b"1"), der(0x02, b"\x01" * 9)))),
        der(0x30, *[one("1")] * (MOST_ENTRIES + 1)),
    ],
)
def test_what_is_no_list(data):
    """Anything that is not exactly right."""
    with pytest.raises(ValueError, match=r"wanted|cut off|wrong|can't decode"):
        TnAuthList.parse(data)


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda body: der(0x30, der(0xA1, body))))
def test_nothing_else_leaves_it(data):
    """Whatever stands there."""
    try:
        found = TnAuthList.parse(data)
    except ValueError:
        return
    assert found.covers("1") in (True, False)
