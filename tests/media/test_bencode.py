"""What rtpengine says is read strictly, and what we say is read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.media.bencode import DEEPEST, decode, encode

NUMBERS = st.integers(-(10**19) + 1, 10**19 - 1)
VALUES = st.recursive(
    NUMBERS | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read(value):
    """Numbers of 64 bits, bytes, lists and dictionaries come back as they were."""
    assert decode(encode(value)) == value


@given(st.binary(max_size=200) | VALUES.map(encode).map(lambda data: data[:-1]))
def test_rubbish_is_a_value_or_a_value_error(data):
    """Whatever comes: the value that says just that, or ValueError, and nothing else."""
    try:
        value = decode(data)
    except ValueError:
        return
    assert decode(encode(value)) == value


def test_a_message_as_it_goes_over_the_wire():
    """Text goes as UTF-8, keys keep their order, what is read stays bytes."""
    said = {
        "command": "offer",
        "flags": ["strict source", "x"],
        "delete delay": 0,
        "sdp": b"v=0\r\n",
    }
    written = encode(said)
    assert written == (
        b"d7:command5:offer5:flagsl13:strict source1:xe12:delete delayi0e3:sdp5:v=0\r\ne"
    )
    assert decode(b"d6:result5:error12:error-reason15:Unknown call-ide") == {
        "result": b"error",
        "error-reason": b"Unknown call-id",
    }
    assert decode(b"li-5ei0e0:le de e".replace(b" ", b"")) == [-5, 0, b"", [], {}]


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"x", b"i", b"ie", b"i-e", b"i-0e", b"i05e", b"i+5e", b"i 5e", b"i1_0e", b"i5"),
        *(b"1:", b"2:a", b"01:a", b"-1:a", b"1a", b"1_0:aaaaaaaaaa", "i٣e".encode()),
        *(b"l", b"lee", b"d", b"de1:a", b"d1:a", b"d1:ae", b"di5ei5ee", b"d1:ai1e1:ai2ee"),
        *(b"99999999999:a", b"i" + b"9" * 20 + b"e", b"9" * 5000, b"l" * 5000 + b"e" * 5000),
        b"l" * (DEEPEST + 1) + b"e" * (DEEPEST + 1),
    ],
)
def test_what_is_not_bencode(data):
    """Signs, blanks, leading zeros, numbers without end, lengths beyond the end, things left open,
    a key twice, and what would be too deep or too long for us."""
    with pytest.raises(ValueError, match=" "):
        decode(data)


def test_as_deep_as_may_be():
    """Our own limit is counted right."""
    value = []
    for _ in range(DEEPEST - 1):
        value = [value]
    assert decode(encode(value)) == value
