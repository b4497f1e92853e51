"""Packets as a pcap file has them: headers that add up."""

import struct

import pytest

from softswitch.media.pcap import FILE_HEADER, checksum, datagram, record


def folded(data):
    """The sum of 16-bit words, carries added back (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 8, b"\xff" * 8, b"\x01", bytes(range(255)), b"\xff\xfe"]
)
def test_the_checksum_is_the_one_of_rfc_1071(data):
    """Whatever its length; with it the sum is all ones."""
    made = checksum(data)
    assert made == ~folded(data) & 0xFFFF
    even = data + b"\0" * (len(data) % 2)
    assert folded(even + made.to_bytes(2)) == 0xFFFF


@pytest.mark.parametrize("size", [0, 1, 172])
def test_ip_version_4(size):
    """Lengths, addresses, ports; the header's sum is right, UDP has none (RFC 768)."""
    packet = datagram(("192.0.2.1", 4000), ("198.51.100.2", 5000), b"x" * size)
    assert len(packet) == 28 + size
    assert packet[0] == 0x45
    assert struct.unpack("!H", packet[2:4]) == (28 + size,)
    assert packet[9] == 17
    assert packet[12:20] == bytes([192, 0, 2, 1, 198, 51, 100, 2])
    assert folded(packet[:20]) == 0xFFFF
    assert struct.unpack("!HHHH", packet[20:28]) == (4000, 5000, 8 + size, 0)


@pytest.mark.parametrize("payload", [b"", b"x", b"x" * 172])
def test_ip_version_6(payload):
    """UDP must have a checksum there (RFC 8200 8.1), over the addresses too."""
    packet = datagram(("2001:db8::1", 4000), ("2001:db8::2", 5000), payload)
    length = 8 + len(payload)
    assert len(packet) == 40 + length
    assert packet[0] >> 4 == 6
    assert struct.unpack("!HB", packet[4:7]) == (length, 17)
    pseudo = packet[8:40] + struct.pack("!II", length, 17)
    assert folded(pseudo + packet[40:]) == 0xFFFF


def test_a_record_has_its_time_and_length():
    """Seconds and microseconds, in the order of bytes that the file's header has."""
    assert FILE_HEADER[:4] == b"\xd4\xc3\xb2\xa1"
    made = record(1_800_000_000.9999999, ("192.0.2.1", 4000), ("192.0.2.2", 5000), b"xyz")
    assert struct.unpack("<IIII", made[:16]) == (1_800_000_001, 0, 31, 31)
    assert len(made) == 16 + 31
