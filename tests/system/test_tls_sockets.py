"""TLS on real sockets, in a process of its own; the peers are Python's ``ssl``."""

import socket
import ssl
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from transport_parent import WAIT, Child, request
from websockets import WebSocket

from softswitch.testing.authority import Authority

CHILD = Path(__file__).with_name("tls_child.py")
PHONE = "127.78.0.9"
SWITCH = "127.78.0.1"


class World:
    """The switch's transport, and an authority that everybody believes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.authority.issue("switch", "sip.example.org", SWITCH, "::1")
        self.authority.issue("second", "second.example.org")
        self.child = Child(str(CHILD), str(folder))

    def context(self, *, shows: str = "", believes: Authority | None = None) -> ssl.SSLContext:
        believed = believes or self.authority
        context = ssl.create_default_context(cafile=str(believed.certificate))
        if shows:
            context.load_cert_chain(self.folder / f"{shows}.pem", self.folder / f"{shows}.key")
        return context

    def connect(
        self,
        listener: str = "tls",
        *,
        name: str = "sip.example.org",
        host: str = SWITCH,
        context: ssl.SSLContext | None = None,
    ) -> ssl.SSLSocket:
        plain = self.plain(listener, host)
        return (context or self.context()).wrap_socket(plain, server_hostname=name)

    def plain(self, listener: str = "tls", host: str = SWITCH) -> socket.socket:
        return socket.create_connection((host, self.child.ports[listener]), WAIT)

    def talk(self, phone: ssl.SSLSocket, *more: str) -> str:
        """An OPTIONS on a connection, and its answer."""
        phone.sendall(request("TLS", 5061, PHONE, *more))
        return read(phone)

    def gone(self, port: int) -> dict:
        """The switch hears that the connection with that port of a peer's has ended."""
        while (told := self.child.wait("failed"))["failed"] != port:
            pass
        return told


def read(phone: socket.socket) -> str:
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        piece = phone.recv(65535)
        assert piece, answer
        answer += piece
    return answer.decode()


def refused_by(plain: socket.socket, context: ssl.SSLContext, data: bytes) -> bool:
    """Whether the switch ends the connection without a word of SIP, be it after our handshake."""
    try:
        with context.wrap_socket(plain, server_hostname="sip.example.org") as phone:
            phone.sendall(data)
            return phone.recv(65535) == b""
    except (ssl.SSLError, OSError):
        return True


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("tls"))
    yield world
    assert world.child.stop() == 0


@pytest.mark.parametrize(("listener", "host"), [("tls", SWITCH), ("tls6", "::1")])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_are_answered(world, listener, host, version):
    """IPv4 and IPv6, TLS 1.2 and 1.3: messages in pieces, the answer on the same connection, a ping
    and its pong (RFC 5626 4.4.1)."""
    context = world.context()
    context.maximum_version = version
    with world.connect(listener, host=host, context=context) as phone:
        data = request("TLS", 5061, PHONE)
        for start in range(0, len(data), 97):
            phone.sendall(data[start : start + 97])
        answer = read(phone)
        assert answer.startswith("SIP/2.0 200 OK\r\n")
        assert f";received={'::1' if ':' in host else '127.0.0.1'}" in answer
        assert "X-Names: \r\n" in answer
        phone.sendall(b"\r\n\r\n")
        assert phone.recv(100) == b"\r\n"
        assert phone.version() == version.name.replace("_", ".")


def test_a_certificate_for_each_name(world):
    """Server Name Indication (RFC 6066 3): its own where we have one, else the first."""
    found = {}
    for name in ("sip.example.org", "second.example.org", "unknown.example", SWITCH):
        context = world.context()
        context.check_hostname = False
        with world.connect(name=name, context=context) as phone:
            shown = phone.getpeercert()["subjectAltName"]
            found[name] = shown[0][1]
    assert found == {
        "sip.example.org": "sip.example.org",
        "second.example.org": "second.example.org",
        "unknown.example": "sip.example.org",
        SWITCH: "sip.example.org",
    }


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_an_old_version_is_refused(world, version):
    """TLS 1.2 is the oldest (RFC 8996)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(world.authority.certificate)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = context.maximum_version = version
    with world.plain() as plain, pytest.raises(ssl.SSLError, match="alert protocol version"):
        context.wrap_socket(plain, server_hostname="sip.example.org")


@pytest.mark.parametrize("cipher", ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA"])
def test_a_weak_cipher_is_refused(world, cipher):
    """Neither a key exchange without forward secrecy nor a cipher without authentication."""
    context = world.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        world.connect(context=context)


def test_plain_sip_is_no_handshake(world):
    """The connection is closed, nothing is read as SIP."""
    with world.plain() as plain:
        plain.sendall(request("TCP", 5061, PHONE))
        answer = b""
        with suppress(ConnectionResetError):
            while piece := plain.recv(65535):
                answer += piece
        assert b"SIP" not in answer
        assert "TLS" in world.gone(plain.getsockname()[1])["reason"]


def test_a_handshake_that_never_ends(world):
    """It is given up, and takes no descriptor with it: the half of a ClientHello, or nothing."""
    with world.plain() as silent, world.plain() as half, world.connect() as good:
        half.sendall(bytes.fromhex("160301020001000"[:14]))
        assert world.talk(good).startswith("SIP/2.0 200")
        for plain in (silent, half):
            with suppress(ConnectionResetError):
                assert plain.recv(100) == b""
            assert world.gone(plain.getsockname()[1])["reason"] == "no connection within 1 s"
        assert world.talk(good).startswith("SIP/2.0 200")


def test_a_peer_that_never_reads_is_cut_off(world):
    """Within TLS as over TCP: when 256 KiB wait beyond what the kernel takes, the connection
    ends."""
    with world.connect() as phone:
        port = phone.getsockname()[1]
        phone.sendall(request("TLS", 5061, PHONE, "X-Answer: 60000", "X-Times: 1000"))
        assert "does not read" in world.child.wait("refused")["refused"]
        assert world.gone(port)["reason"] == "the peer does not read"


def test_a_large_answer_comes_whole(world):
    """Through more than one record of 16 KiB, to one who reads."""
    with world.connect() as phone, phone.makefile("rb") as stream:
        phone.sendall(request("TLS", 5061, PHONE, "X-Answer: 60000", "X-Times: 3"))
        for _ in range(3):
            assert stream.readline() == b"SIP/2.0 200 OK\r\n"
            while stream.readline() != b"\r\n":
                pass
            assert stream.read(60000) == b"x" * 60000


def test_a_client_that_distrusts_us_is_forgotten(world, tmp_path):
    """Its alert is the reason."""
    context = world.context(believes=Authority(tmp_path, "stranger"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    plain = world.plain()
    port = plain.getsockname()[1]
    with plain, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(plain, server_hostname="sip.example.org")
    assert "unknown ca" in world.gone(port)["reason"]


def test_a_certificate_of_the_client_tells_who_it_is(world):
    """Mutual TLS: the names in a certificate that the authority vouches for; where one is wanted
    and not required, whoever shows none is nobody."""
    world.authority.issue("carrier", "sip:carrier.example", "gw.carrier.example")
    for listener in ("wanted", "mutual"):
        with world.connect(listener, context=world.context(shows="carrier")) as phone:
            assert "X-Names: carrier.example\r\n" in world.talk(phone)
    with world.connect("wanted") as phone:
        assert "X-Names: \r\n" in world.talk(phone)
    with world.connect("tls", context=world.context(shows="carrier")) as phone:
        assert "X-Names: \r\n" in world.talk(phone)


@pytest.mark.parametrize(
    ("listener", "shows", "why"),
    [
        ("mutual", "", "peer did not return a certificate"),
        ("mutual", "stranger", "comes from an authority that is not trusted"),
        ("wanted", "stranger", "comes from an authority that is not trusted"),
        ("mutual", "expired", "has expired"),
    ],
)
def test_a_bad_certificate_of_the_client_is_refused(world, tmp_path, listener, shows, why):
    """Before a byte of SIP is read; who is asked for a certificate may not show a false one."""
    if shows == "expired":
        world.authority.issue(shows, "carrier.example", good_for=timedelta(days=-1))
    elif shows:
        other = Authority(tmp_path, "others").issue(shows, "carrier.example")
        other.certificate.replace(world.folder / "stranger.pem")
        other.key.replace(world.folder / "stranger.key")
    plain = world.plain(listener)
    port = plain.getsockname()[1]
    with plain:
        refused = refused_by(plain, world.context(shows=shows), request("TLS", 5061, PHONE))
        assert refused
        assert why in world.gone(port)["reason"]


class Peer:
    """Somebody to whom the switch connects."""

    def __init__(self, world: World, issued, mutual: bool = False) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(issued.certificate, issued.key)
        self.asked = []
        self.context.sni_callback = lambda _, name, __: self.asked.append(name)
        if mutual:
            self.context.load_verify_locations(world.authority.certificate)
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.server = socket.create_server((PHONE, 0))
        self.server.settimeout(WAIT)
        self.port = self.server.getsockname()[1]
        self.world = world

    def called(self, name: str, phone: ssl.SSLSocket) -> None:
        """Have the switch send something here."""
        answer = self.world.talk(phone, f"X-Send: {name} {PHONE} {self.port}")
        assert answer.startswith("SIP/2.0 200")

    def refuses(self) -> bool:
        """Whether the switch ends its connection without a word of SIP."""
        try:
            with self.accept() as there:
                return there.recv(65535) == b""
        except (ssl.SSLError, OSError):
            return True

    def accept(self) -> ssl.SSLSocket:
        plain, _ = self.server.accept()
        plain.settimeout(WAIT)
        return self.context.wrap_socket(plain, server_side=True)


@pytest.mark.parametrize(
    ("name", "borne"),
    [
        ("peer.example", "peer.example"),
        ("peer.example", "sip:peer.example"),
        ("wild.example", "*.wild.example"),
        ("strict.example", "sip.wild.example"),
    ],
)
def test_a_connection_of_ours(world, name, borne):
    """To whoever has the name that is looked for, which is also asked for (SNI); used again, and
    what comes on it comes from that name."""
    peer = Peer(world, world.authority.issue("peer", borne))
    with peer.server, world.connect() as phone:
        peer.called(name, phone)
        with peer.accept() as there:
            assert read(there).startswith("OPTIONS ")
            peer.called(name, phone)
            assert read(there).startswith("OPTIONS ")
            assert peer.asked == [name]
            assert f"X-Names: {name}\r\n" in world.talk(there)


def test_our_certificate_is_shown_to_those_who_ask(world):
    """Mutual TLS on the way out."""
    peer = Peer(world, world.authority.issue("peer", "peer.example"), mutual=True)
    with peer.server, world.connect() as phone:
        peer.called("peer.example", phone)
        with peer.accept() as there:
            assert read(there).startswith("OPTIONS ")
            assert there.getpeercert()["subjectAltName"][0] == ("DNS", "sip.example.org")


@pytest.mark.parametrize(
    ("name", "borne", "days", "why"),
    [
        ("peer.example", "other.example", 9, "is for other.example, not for peer.example"),
        ("peer.example", "*.example", 9, "not for peer.example"),
        ("strict.example", "*.wild.example", 9, "is for *.wild.example, not for sip.wild.example"),
        ("peer.example", "peer.example", -9, "has expired"),
        ("unknown.example", "unknown.example", 9, "not trusted"),
    ],
)
def test_whom_we_do_not_believe_we_do_not_talk_to(world, name, borne, days, why):
    """Another's name, a wildcard that nobody allowed, an expired certificate, one of an authority
    that the system does not know: not a byte of SIP is sent."""
    issued = world.authority.issue("peer", borne, good_for=timedelta(days=days))
    peer = Peer(world, issued)
    with peer.server, world.connect() as phone:
        peer.called(name, phone)
        assert peer.refuses()
        assert why in world.gone(peer.port)["reason"]
        assert world.talk(phone).startswith("SIP/2.0 200")


def test_a_self_signed_certificate_is_not_believed(world, tmp_path):
    """Who signs for himself is nobody."""
    stranger = Authority(tmp_path, "peer.example").issue("peer", "peer.example")
    peer = Peer(world, stranger)
    with peer.server, world.connect() as phone:
        peer.called("peer.example", phone)
        assert peer.refuses()
        assert "not trusted" in world.gone(peer.port)["reason"]


def test_an_inbound_connection_is_nobody_else_s(world):
    """Who has connected to us from an address is not called on that connection when somebody with a
    name is meant there: he has not proved to be that."""
    peer = Peer(world, world.authority.issue("peer", "peer.example"))
    impostor = socket.create_server((PHONE, 0))
    port = impostor.getsockname()[1]
    impostor.close()
    peer.server.close()
    with socket.socket() as plain, world.connect() as phone:
        plain.bind((PHONE, port))
        plain.settimeout(WAIT)
        plain.connect((SWITCH, world.child.ports["tls"]))
        with world.context().wrap_socket(plain, server_hostname="sip.example.org") as there:
            assert world.talk(there).startswith("SIP/2.0 200")
            world.talk(phone, f"X-Send: peer.example {PHONE} {port}")
            assert "refused" in world.gone(port)["reason"]
            there.settimeout(0.0)
            with pytest.raises(ssl.SSLWantReadError):
                there.recv(1)


def test_renewed_certificates_are_shown_after_a_reload(world):
    """To those who connect then; connections that stand go on."""
    with world.connect() as phone:
        before = phone.getpeercert()["serialNumber"]
        world.authority.issue("switch", "sip.example.org", SWITCH, "::1")
        with world.connect() as unaware:
            assert unaware.getpeercert()["serialNumber"] == before
        world.child.process.stdin.write("reload\n")
        world.child.process.stdin.flush()
        world.child.wait("reloaded")
        with world.connect() as aware:
            assert aware.getpeercert()["serialNumber"] != before
        assert world.talk(phone).startswith("SIP/2.0 200")


def test_a_websocket_within_tls(world):
    """The handshake of RFC 6455 within that of TLS; a message of any size that is allowed, and its
    answer, on the same connection."""
    address = (SWITCH, world.child.ports["wss"])
    with WebSocket(address, tls=world.context(), name="sip.example.org") as phone:
        assert phone.accepted
        port = phone.own_port
        for size in (0, 12_000):
            phone.send(request("WSS", 5061, PHONE, f"Subject: {'x' * size}"))
            assert phone.receive()[1].startswith(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/WSS ")
        phone.send(b"\r\n\r\n")
        assert phone.receive()[1] == b"\r\n"
    assert world.gone(port)


def test_a_websocket_of_who_shows_a_certificate(world):
    """It is known by the names in it; without one there is no WebSocket."""
    address = (SWITCH, world.child.ports["wss mutual"])
    world.authority.issue("page", "page.example")
    with WebSocket(address, tls=world.context(shows="page"), name="sip.example.org") as phone:
        phone.send(request("WSS", 5061, PHONE))
        assert b"X-Names: page.example\r\n" in phone.receive()[1]
    with pytest.raises((ssl.SSLError, OSError)):
        WebSocket(address, tls=world.context(), name="sip.example.org")


@pytest.mark.parametrize("greets", [True, False])
def test_a_websocket_that_is_not_opened(world, greets):
    """The deadline is for both handshakes together: who ends neither, or that of TLS alone, is cut
    off, and is forgotten."""
    plain = world.plain("wss")
    port = plain.getsockname()[1]
    if greets:
        plain = world.context().wrap_socket(plain, server_hostname="sip.example.org")
        plain.sendall(b"GET / HTTP/1.1\r\n")
    assert world.gone(port)["reason"] == "no WebSocket was opened"
    with suppress(OSError):
        assert plain.recv(1) == b""
    plain.close()


def test_what_is_no_tls_at_a_secure_websocket(world):
    """Ends its own connection."""
    with world.plain("wss") as plain:
        port = plain.getsockname()[1]
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
        assert world.gone(port)
