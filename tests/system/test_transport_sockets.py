"""The transport on real sockets, in a process of its own; the phones are plain sockets."""

import socket

import pytest
from transport_parent import PHONE, WAIT, Child, request


@pytest.fixture(scope="module")
def child():
    child = Child()
    yield child
    assert child.stop() == 0


def udp_phone(host: str) -> socket.socket:
    phone = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    phone.settimeout(WAIT)
    phone.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    phone.bind((host, 0))
    return phone


def tcp_phone(child: Child, name: str, host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    phone = socket.socket(family, socket.SOCK_STREAM)
    phone.settimeout(WAIT)
    phone.connect((host, child.ports[name]))
    return phone


@pytest.mark.parametrize(
    ("name", "host", "phone_host"), [("udp", "127.77.0.1", PHONE), ("udp6", "::1", "::1")]
)
def test_datagrams_are_answered(child, name, host, phone_host):
    """IPv4 and IPv6; bad datagrams between good ones, and one whose serving raises, harm none of
    them."""
    with udp_phone(phone_host) as phone:
        port = phone.getsockname()[1]
        written = f"[{phone_host}]" if ":" in phone_host else phone_host
        good = request("UDP", port, written)
        for data in (
            good,
            b"\xff" * 100,
            good[:30],
            request("UDP", port, written, "X-Fail: 1"),
            b"",
            good,
        ):
            phone.sendto(data, (host, child.ports[name]))
        for _ in range(2):
            answer = phone.recv(65535)
            assert answer.startswith(b"SIP/2.0 200 OK\r\n")
            assert f";received={phone_host}".encode() in answer


def test_a_burst_is_read_to_its_end(child):
    """More datagrams than one wake-up reads are served by the next, none forgotten."""
    with udp_phone(PHONE) as phone:
        data = request("UDP", phone.getsockname()[1])
        for _ in range(200):
            phone.sendto(data, ("127.77.0.1", child.ports["udp"]))
        for _ in range(200):
            assert phone.recv(65535).startswith(b"SIP/2.0 200")


def test_a_closed_udp_port_harms_nobody(child):
    """The network says that a peer's port is closed; the next peer is served."""
    for _ in range(3):
        with udp_phone(PHONE) as gone:
            port = gone.getsockname()[1]
        with udp_phone(PHONE) as phone:
            target = f"X-Send: UDP {PHONE} {port}"
            data = request("UDP", phone.getsockname()[1], PHONE, target)
            phone.sendto(data, ("127.77.0.1", child.ports["udp"]))
            assert phone.recv(65535).startswith(b"SIP/2.0 200")


def test_an_answer_that_no_datagram_holds(child):
    """Beyond 65,507 bytes: the sender hears of it, and all goes on."""
    with udp_phone(PHONE) as phone:
        port = phone.getsockname()[1]
        switch = ("127.77.0.1", child.ports["udp"])
        phone.sendto(request("UDP", port, PHONE, "X-Answer: 70000"), switch)
        assert "too long" in child.wait("refused")["refused"].lower()
        phone.sendto(request("UDP", port), switch)
        assert phone.recv(65535).startswith(b"SIP/2.0 200")


def test_a_taken_port_is_told_with_its_address(child):
    """So that the configuration's error can name it."""
    udp, tcp, foreign = child.started["taken"]
    assert udp.startswith(f"127.77.0.1:{child.ports['udp']}: Address already in use")
    assert tcp.startswith(f"127.77.0.1:{child.ports['tcp']}: Address already in use")
    assert foreign.startswith("203.0.113.1:5060: Cannot assign")


def test_a_name_is_looked_up(child):
    """The reactor's resolver gives addresses that a listener can reach."""
    assert ["UDP", "127.0.0.1", 5060, ""] in child.wait("localhost")["localhost"]


@pytest.mark.parametrize(("name", "host"), [("tcp", "127.77.0.1"), ("any6", "::1")])
def test_a_stream_in_pieces(child, name, host):
    """Framed, answered on the same connection; a ping gets its pong (RFC 5626 4.4.1)."""
    with tcp_phone(child, name, host) as phone, phone.makefile("rb") as stream:
        data = request("TCP", 5060) * 3
        for start in range(0, len(data), 97):
            phone.sendall(data[start : start + 97])
        for _ in range(3):
            assert stream.readline() == b"SIP/2.0 200 OK\r\n"
            while stream.readline() != b"\r\n":
                pass
        phone.sendall(b"\r\n\r\n")
        assert stream.readline() == b"\r\n"
        own_port = phone.getsockname()[1]
    assert child.wait("failed")["failed"] == own_port


def test_a_stream_that_is_no_sip(child):
    """It is closed, not followed."""
    with tcp_phone(child, "tcp", "127.77.0.1") as phone:
        phone.sendall(request("TCP", 5060).replace(b"Length: 0", b"Length: x"))
        answer = b""
        while piece := phone.recv(65535):
            answer += piece
        assert answer.startswith(b"SIP/2.0 400 Bad Content-Length\r\n")
        child.wait("failed")


def test_a_connection_of_ours(child):
    """Opened when there is none, from the listener's address; used again for the next message;
    its end is told."""
    with socket.create_server((PHONE, 0)) as server, udp_phone(PHONE) as phone:
        server.settimeout(WAIT)
        port = server.getsockname()[1]
        data = request("UDP", phone.getsockname()[1], PHONE, f"X-Send: TCP {PHONE} {port}")
        for _ in range(2):
            phone.sendto(data, ("127.77.0.1", child.ports["udp"]))
        connection, (host, _) = server.accept()
        with connection, connection.makefile("rb") as stream:
            assert host == "127.77.0.1"
            connection.settimeout(WAIT)
            for _ in range(2):
                assert stream.readline().startswith(b"OPTIONS ")
                while stream.readline() != b"\r\n":
                    pass
        assert child.wait("failed")["failed"] == port


def test_a_connection_that_is_refused(child):
    """Nobody listens: the flow fails at once."""
    with socket.create_server((PHONE, 0)) as server:
        port = server.getsockname()[1]
    with udp_phone(PHONE) as phone:
        data = request("UDP", phone.getsockname()[1], PHONE, f"X-Send: TCP {PHONE} {port}")
        phone.sendto(data, ("127.77.0.1", child.ports["udp"]))
        told = child.wait("failed")
        assert told["failed"] == port
        assert "refused" in told["reason"]


def test_a_peer_that_never_reads_is_cut_off(child):
    """When 256 KiB wait beyond what the kernel takes, sending fails and the connection ends."""
    with tcp_phone(child, "tcp", "127.77.0.1") as phone:
        phone.sendall(request("TCP", 5060, PHONE, "X-Answer: 60000", "X-Times: 1000"))
        assert "does not read" in child.wait("refused")["refused"]
        assert child.wait("failed")["reason"] == "the peer does not read"
