"""WebSockets on real sockets (RFC 6455, RFC 7118), in a process of its own; the phones are plain
sockets that write frames by hand."""

import random

import pytest
from test_transport_sockets import Child, request
from websockets import BINARY, CLOSE, CONTINUED, PING, PONG, TEXT, WebSocket, frame, handshake

HOST = "127.77.0.1"


@pytest.fixture(scope="module")
def child():
    child = Child()
    yield child
    assert child.stop() == 0


@pytest.fixture(name="connect")
def _connect(child):
    """Makes a WebSocket that has been opened."""
    opened = []

    def connect(name: str = "ws", path: str = "/sip", *more: str) -> WebSocket:
        found = WebSocket((HOST, child.ports[name]), opening=handshake(HOST, path, *more))
        opened.append(found)
        assert found.accepted, found.answer
        return found

    yield connect
    for each in opened:
        each.close()


def options(*more: str) -> bytes:
    """An OPTIONS of a page, without a Content-Length (RFC 7118 5)."""
    whole = request("WS", 5060, "page.invalid", *more).replace(
        b"page.invalid:5060", b"page.invalid"
    )
    return whole.replace(b"Content-Length: 0\r\n", b"")


@pytest.mark.parametrize("kind", [TEXT, BINARY])
def test_a_message_is_a_frame(connect, kind):
    """Text or binary, one SIP message each, answered as text on the same connection whatever the
    Via says of the sender (RFC 7118 5.1)."""
    phone = connect()
    for _ in range(3):
        phone.send(options(), kind)
        opcode, answer = phone.receive()
        assert opcode == TEXT
        assert answer.startswith(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/WS page.invalid;")
        assert b";received=127.0.0.1" in answer


def test_ipv6(child):
    """The same at an address of the other family."""
    with WebSocket(("::1", child.ports["ws6"]), opening=handshake("[::1]")) as phone:
        assert phone.accepted
        phone.send(options())
        assert b";received=::1" in phone.receive()[1]


def test_a_message_in_several_frames(connect):
    """With a ping between them, which is answered at once (RFC 6455 5.4, 5.5.2)."""
    phone = connect()
    data = options("Subject: caf\u00e9")
    cut = data.index("\u00e9".encode()) + 1
    phone.socket.sendall(frame(data[:cut], TEXT, final=False) + frame(b"there?", PING))
    phone.socket.sendall(frame(b"", CONTINUED, final=False) + frame(data[cut:], CONTINUED))
    assert phone.receive() == (PONG, b"there?")
    assert phone.receive()[1].startswith(b"SIP/2.0 200 ")


def test_bytes_that_trickle_in(connect):
    """However the network cuts the frames."""
    phone = connect()
    data = frame(options()) + frame(options())
    for start in range(0, len(data), 53):
        phone.socket.sendall(data[start : start + 53])
    for _ in range(2):
        assert phone.receive()[1].startswith(b"SIP/2.0 200 ")


def test_what_is_no_text_is_sent_as_binary(connect):
    """A message with a body that is no UTF-8 (RFC 7118 5)."""
    phone = connect()
    phone.send(options("X-Body: latin"), BINARY)
    opcode, answer = phone.receive()
    assert opcode == BINARY
    assert answer.endswith(b"\r\n\r\ncaf\xe9")


def test_a_keep_alive(connect):
    """CRLF CRLF gets its CRLF, as over TCP (RFC 5626 4.4.1); some phones know no ping."""
    phone = connect()
    phone.send(b"\r\n\r\n")
    assert phone.receive() == (TEXT, b"\r\n")
    phone.send(b"\r\n")
    phone.send(b"")
    phone.send(options())
    assert phone.receive()[1].startswith(b"SIP/2.0 200 ")


def test_a_message_that_is_no_sip(connect):
    """Answered or dropped, and the next one is served: a WebSocket does not get out of step."""
    phone = connect()
    phone.send(b"hello")
    phone.send(options().replace(b"CSeq: 1 OPTIONS", b"CSeq: x"))
    assert phone.receive()[1].startswith(b"SIP/2.0 400 Bad CSeq")
    phone.send(options())
    assert phone.receive()[1].startswith(b"SIP/2.0 200 ")


@pytest.mark.parametrize(
    ("opening", "status"),
    [
        (handshake(HOST, "/other"), 404),
        (handshake(HOST, "/sip", protocol=""), 400),
        (handshake(HOST, "/sip", protocol="chat"), 400),
        (handshake(HOST, "/sip", "Origin: https://evil.example.org"), 403),
        (handshake(HOST, "/sip", "Origin: http://phone.example.org"), 403),
        (handshake(HOST, "/sip", "Origin: https://phone.example.org:8443"), 403),
        (handshake(HOST, "/sip", "Origin: null"), 403),
        (handshake(HOST, "/sip", "Origin: https://[::1"), 400),
        (handshake(HOST, "/sip").replace(b"Version: 13", b"Version: 12"), 400),
        (handshake(HOST, "/sip").replace(b"Key: ", b"Key: \xff"), 400),
        (b"GET /sip HTTP/1.1\r\nHost: x\r\n\r\n", 426),
        (b"POST /sip HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP x\r\n\r\n", 405),
        (b"GET /sip HTTP/3.0\r\n\r\n", 505),
        (b"\xff\x00\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /sip HTTP/1.1\r\nX: " + b"x" * 20_000, 431),
    ],
    ids=lambda value: repr(value)[-40:] if isinstance(value, bytes) else str(value),
)
def test_a_handshake_that_is_refused(child, opening, status):
    """A wrong path, sub-protocol, page or worse: an HTTP status, and the end (RFC 6455 4.2.2)."""
    with WebSocket((HOST, child.ports["ws"]), opening=opening) as phone:
        assert phone.status == status
        assert "evil" not in phone.answer
        assert phone.ended()
    assert child.counters()[f"refused: WebSocket handshake, {status}"] >= 1


@pytest.mark.parametrize(
    "more",
    [
        ("Origin: https://phone.example.org",),
        ("Origin: https://PHONE.example.org:443",),
        ("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",),
    ],
)
def test_a_handshake_that_is_not(connect, more):
    """A page that may; a phone that is no page has no origin. Compression is declined."""
    phone = connect("ws", "/sip", *more)
    assert "Extensions" not in phone.answer


def test_the_first_message_may_come_with_the_handshake(child):
    """In one packet."""
    opening = handshake(HOST, "/sip") + frame(options())
    with WebSocket((HOST, child.ports["ws"]), opening=opening) as phone:
        assert phone.receive()[1].startswith(b"SIP/2.0 200 ")


#: The first of two frames.
BEGUN = frame(b"x", TEXT, final=False)

#: What breaks a rule -> its bytes, and the code of the Close.
BROKEN = {
    "text that is no UTF-8": (frame(b"caf\xe9"), 1007),
    "half a character": (frame(b"\xc3", TEXT, final=False) + frame(b"x", CONTINUED), 1007),
    "a large message": (frame(b"x" * (64 * 1024 + 1)), 1009),
    "in two frames": (
        frame(b"x" * 60_000, TEXT, final=False) + frame(b"x" * 60_000, CONTINUED),
        1009,
    ),
    "a frame without end": (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff1234", 1009),
    "a length beyond all": (b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff1234", 1002),
    "unmasked": (frame(b"x", masked=False), 1002),
    "an unknown message": (frame(b"x", 3), 1002),
    "an unknown control": (frame(b"x", 11), 1002),
    "a bit of an extension": (frame(b"x", 0x40 | TEXT), 1002),
    "a rest of nothing": (frame(b"x", CONTINUED), 1002),
    "a message within another": (BEGUN + frame(b"x"), 1002),
    "a ping in two frames": (frame(b"x", PING, final=False), 1002),
    "a large ping": (frame(b"x" * 126, PING), 1002),
    "a message of crumbs": (BEGUN + frame(b"", CONTINUED, final=False) * 300, 1008),
    "a flood of pings": (frame(b"", PING) * 2000, 1008),
}


@pytest.mark.parametrize(("wrong", "code"), BROKEN.values(), ids=BROKEN)
def test_frames_that_break_the_rules(child, connect, wrong, code):
    """The peer hears why, unless what it has sent goes on coming, and is cut off (RFC 6455 7.4.1).
    Nobody else notices."""
    phone, other = connect(), connect()
    phone.socket.sendall(wrong)
    try:
        while (heard := phone.receive())[0] == PONG:
            pass
        assert heard[0] == CLOSE
        assert int.from_bytes(heard[1]) == code
    except ConnectionError:
        assert len(wrong) > 4096
    assert phone.ended()
    assert child.failed(phone.own_port)
    assert child.counters()[f"dropped: WebSocket closed with {code}"] >= 1
    other.send(options())
    assert other.receive()[1].startswith(b"SIP/2.0 200 ")


def test_a_close_of_the_phone(child, connect):
    """Is answered, and the flow is told to be dead at once."""
    phone = connect()
    phone.send((1001).to_bytes(2) + b"the page is left", CLOSE)
    assert phone.closed_with() == 1000
    assert child.failed(phone.own_port) == "closed by the peer"


def test_a_handshake_that_never_comes(child):
    """Is waited for so long, however many bytes trickle in."""
    with pytest.raises(ConnectionError):
        WebSocket((HOST, child.ports["impatient"]), opening=b"GET / HTTP/1.1\r\n")
    assert child.counters()["dropped: WebSocket: no WebSocket was opened"] == 1


def test_a_ping_of_ours(child, connect):
    """Keeps what lies between awake. Who answers stays, and who does not is gone: its flow is told
    to be dead (RFC 7118 6)."""
    phone, gone = connect("pinging", "/"), connect("pinging", "/")
    for _ in range(3):
        opcode, payload = phone.frame()
        assert opcode == PING
        phone.send(payload, PONG)
    assert child.failed(gone.own_port) == "no answer to a ping"
    assert gone.frame() == (PING, b"")
    assert gone.ended()
    phone.send(options())
    assert phone.receive()[1].startswith(b"SIP/2.0 200 ")


def test_a_phone_that_never_reads_is_cut_off(child, connect):
    """When 256 KiB wait beyond what the kernel takes, sending fails and the connection ends."""
    phone = connect()
    phone.send(options("X-Answer: 60000", "X-Times: 1000"))
    assert "does not read" in child.wait("refused")["refused"]
    assert child.failed(phone.own_port) == "the peer does not read"


def test_random_frames(child, connect):
    """Whatever bytes come, they end their own connection at most."""
    chance = random.Random(7)
    good = [frame(options()), frame(options(), BINARY), frame(b"there?", PING)]
    for _ in range(150):
        data = bytearray(b"".join(chance.choices(good, k=chance.randint(1, 4))))
        for _ in range(chance.randint(1, 8)):
            place = chance.randrange(len(data))
            match chance.randrange(3):
                case 0:
                    data[place] = chance.randrange(256)
                case 1:
                    del data[place : place + chance.randint(1, 9)]
                case _:
                    data[place:place] = chance.randbytes(chance.randint(1, 9))
            data = data or bytearray(b"\0")
        phone = connect()
        phone.socket.sendall(data)
        phone.close()
    phone = connect()
    phone.send(options())
    assert phone.receive()[1].startswith(b"SIP/2.0 200 ")
    assert child.process.poll() is None
