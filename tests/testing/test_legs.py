"""Rows of words for what each leg saw."""

from softswitch.testing.ladder import Carried
from softswitch.testing.legs import direction, rows, steps

NAMES = {"127.0.0.1": "switch", "127.0.0.2": "alice"}
SDP = b"v=0\r\nm=audio 4000 RTP/AVP 0\r\na=%s\r\n"


def carried(start, *, sent, call="1", cseq="1 INVITE", kind="", body=b""):
    """A message between Alice and the switch."""
    ends = [("127.0.0.2", 5060), ("127.0.0.1", 5060)]
    fields = f"Call-ID: {call}\r\nCSeq: {cseq}\r\n" + (f"Content-Type: {kind}\r\n" if kind else "")
    via = "Via: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\n"
    head = f"{start}\r\n{via}{fields}Content-Length: {len(body)}\r\n\r\n".encode()
    return Carried(0.0, "UDP", *(ends if sent else ends[::-1]), head + body)


def test_rows():
    """One word for each message, copies and 100 left out; a second Call-ID is a leg of its own,
    and what is no SIP message, or comes from elsewhere, is none of it."""
    sdp, fragment = "application/sdp", "message/sipfrag"
    invite = carried("INVITE sip:b@b SIP/2.0", sent=True, kind=sdp, body=SDP % b"sendrecv")
    log = [
        invite,
        invite,
        carried("SIP/2.0 100 Trying", sent=False),
        carried("SIP/2.0 200 OK", sent=False, kind=sdp, body=SDP % b"recvonly"),
        carried(
            "NOTIFY sip:a@b SIP/2.0",
            sent=False,
            cseq="1 NOTIFY",
            kind=fragment,
            body=b"SIP/2.0 486 Busy Here\r\n",
        ),
        carried("BYE sip:b@b SIP/2.0", sent=True, call="2", cseq="1 BYE"),
        Carried(0.0, "UDP", ("127.0.0.2", 5060), ("127.0.0.1", 5060), b"\r\n\r\n"),
        invite._replace(to=("127.0.0.9", 5060)),
    ]
    assert rows(steps(log, NAMES)) == {
        "alice": ">INVITE+ <200+recvonly <NOTIFY:486",
        "alice.2": ">BYE",
    }


def test_direction():
    """sendrecv is what is meant where nothing is said (RFC 3264 5.1)."""
    assert direction(b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n") == "sendrecv"
    assert direction(SDP % b"inactive") == "inactive"
