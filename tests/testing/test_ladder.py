"""Ladders of messages."""

from softswitch.testing.ladder import Carried, ladder

ALICE = ("10.0.0.9", 5060)
SWITCH = ("10.0.0.1", 5060)
BOB = ("2001:db8::2", 5062)


def message(start: str, cseq: str = "CSeq: 1 INVITE") -> bytes:
    return f"{start}\r\nVia: SIP/2.0/UDP x\r\n{cseq}\r\n\r\nSIP/2.0 in the body".encode()


def test_one_line_per_message():
    """Time, arrow, start line, CSeq; hosts in the order of their names, strangers behind; what
    never arrived ends in an X; what is no SIP is left out."""
    log = [
        Carried(0.0, "UDP", ALICE, SWITCH, message("INVITE sip:bob@x SIP/2.0")),
        Carried(0.0104, "UDP", SWITCH, BOB, message("INVITE sip:bob@y SIP/2.0"), "lost"),
        Carried(0.2, "UDP", SWITCH, ALICE, message("SIP/2.0 100 Trying", "cseq : 1 INVITE")),
        Carried(0.3, "UDP", ALICE, SWITCH, b"\r\n\r\n"),
        Carried(12.5, "TCP", BOB, ALICE, message("SIP/2.0 200 OK", "X: y")),
    ]
    drawn = ladder(log, {"10.0.0.9": "alice", SWITCH: "switch"}).split("\n")
    lines = [" ".join(line.split()) for line in drawn]
    assert lines == [
        "alice switch [2001:db8::2]:506",
        "0.000 |---------------->| | INVITE sip:bob@x (1 INVITE)",
        "0.010 | |----------------X| INVITE sip:bob@y (1 INVITE)",
        "0.200 |<----------------| | 100 Trying (1 INVITE)",
        "12.500 |<----------------------------------| 200 OK",
        "",
    ]
    assert len({line.rindex("|") for line in drawn[1:5]}) == 1


def test_a_message_to_oneself():
    """A switch that calls itself does not break the picture."""
    drawn = ladder([Carried(0.0, "UDP", SWITCH, SWITCH, message("BYE sip:a SIP/2.0"))])
    assert "|-<" in drawn
