"""A running switch registers at a carrier: one that a test plays by hand, and Kamailio."""

import signal
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from phones import SDP, Phone, claimed_network, talk
from processes import Process, Switch, is_bound

from softswitch.sip import compose, digest
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.parser import Framer, Ping, parse

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[[listen]]
transport = "tcp"
bind = "{network}.1"

[users]
100.password = "secret"

[trunks.carrier]
addresses = ["{network}.2"]
transport = "{transport}"
username = "acme"
password = "secret"

[trunks.carrier.register]
registrars = ["{network}.2", "{network}.3"]
expires = 60
retry_seconds = 1

[[policy]]
use = "trunks"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = "0.*"
callers = "users"
trunk = "carrier"

[[policy.rules]]
match = "441234"
user = "100"

[[policy]]
use = "located"

[media]
engine = "bypass"
"""

REALM = "carrier.example"


class Registrar:
    """A carrier at an address, with one socket, or one connection.

    :ivar granted: seconds that it grants by itself; 0 to leave every REGISTER to the test.
    """

    def __init__(self, host: str, transport: str) -> None:
        self.host = host
        self.granted = 0
        self._transport = transport
        udp = transport == "udp"
        self._socket = socket.socket(type=socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, 5060))
        if not udp:
            self._socket.listen()
        self._connection: socket.socket | None = None
        self._framer = Framer()
        self._waiting: list[bytes] = []
        self._switch = ("", 0)
        self._seen: set[bytes] = set()

    def close(self) -> None:
        """Be gone."""
        self._socket.close()
        if self._connection is not None:
            self._connection.close()

    def receive(self) -> Message:
        """The next message that is no retransmission, but for a REGISTER that is granted.

        :raises TimeoutError: none came.
        """
        while True:
            data = self._next()
            if data in self._seen:
                continue
            self._seen.add(data)
            message = parse(data, stream=self._transport == "tcp")
            proven = message.get("Authorization") is not None
            if not (self.granted and proven and isinstance(message, Request)):
                return message
            self.accept(message, self.granted)

    def registers(self, expires: int) -> Request:
        """The next message: a REGISTER that asks for so many seconds."""
        message = self.receive()
        assert isinstance(message, Request), message
        assert (message.method, message.expires) == ("REGISTER", expires), message.encode()
        return message

    def answer(self, request: Request, status: int, fields: Iterable[Field] = ()) -> None:
        """Answer a request."""
        self._send(compose.response(request, status, to_tag="t", fields=fields))

    def accept(self, request: Request, granted: int) -> None:
        """Grant so many seconds to a REGISTER that has proven the password."""
        proof = digest.Credentials.parse(request.get("Authorization") or "")
        assert digest.verify(proof, digest.ha1("acme", REALM, "secret"), "REGISTER")
        contact = ("Contact", f"<{request.contacts[0].uri}>;expires={granted}")
        self.answer(request, 200, [contact] if granted else [])

    def challenge(self, request: Request) -> None:
        """Ask for the password."""
        asked = str(digest.Challenge(REALM, compose.new_tag()))
        self.answer(request, 401, [("WWW-Authenticate", asked)])

    def call(self, uri: str) -> Request:
        """Call our number, at a Contact."""
        via = f"SIP/2.0/{self._transport.upper()} {self.host}:5060;rport"
        fields = [
            ("Via", f"{via};branch={compose.new_branch()}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:+49@{self.host}>;tag=carrier"),
            ("To", "<sip:441234@carrier.example>"),
            ("Call-ID", compose.new_call_id(self.host)),
            ("CSeq", "1 INVITE"),
            ("Contact", f"<sip:{self.host}>"),
            ("Content-Type", "application/sdp"),
        ]
        invite = Request("INVITE", uri, fields, SDP.format(family="IP4", host=self.host).encode())
        self._send(invite)
        return invite

    def response(self, status: int) -> Response:
        """The next message but for a 100: a response of that status."""
        message = self.receive()
        while isinstance(message, Response) and message.status == 100:
            message = self.receive()
        assert isinstance(message, Response), message
        assert message.status == status, message
        return message

    def acknowledge(self, invite: Request, response: Response) -> None:
        """Send the ACK of a refusal."""
        self._send(compose.ack(invite, response))

    def _send(self, message: Message) -> None:
        if self._connection is not None:
            self._connection.sendall(message.encode())
        else:
            self._socket.sendto(message.encode(), self._switch)

    def _next(self) -> bytes:
        if self._transport == "udp":
            self._socket.settimeout(10)
            data, self._switch = self._socket.recvfrom(65536)
            return data
        if self._connection is None:
            self._socket.settimeout(10)
            self._connection = self._socket.accept()[0]
        self._connection.settimeout(10)
        while not self._waiting:
            data = self._connection.recv(65536)
            assert data, "closed"
            frames = self._framer.feed(data)
            self._waiting += [each for each in frames if not isinstance(each, Ping)]
        return self._waiting.pop(0)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def state(switch: Switch) -> tuple[str, str]:
    """Of our only registration, and where it is."""
    (figures,) = switch.stats()["registered_at"]
    return figures["state"], figures["registrar"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_registration_lives(stack: ExitStack, tmp_path: Path, transport: str):
    """Challenged, told to ask for more, granted four seconds, refreshed before they are over; a
    call arrives on the Contact; the registrar goes, out of order or by its connection, and another
    takes over; on SIGTERM the switch un-registers before it ends (RFC 3261 10.2)."""
    network = stack.enter_context(claimed_network())
    first, second = (Registrar(f"{network}.{host}", transport) for host in (2, 3))
    stack.callback(second.close)
    stack.callback(first.close)
    text = CONFIGURATION.format(network=network, transport=transport)
    switch = Switch(text, tmp_path)
    stack.callback(switch.kill)

    first.challenge(first.registers(60))
    first.answer(first.registers(60), 423, [("Min-Expires", "120")])
    first.accept(first.registers(120), 4)
    first.accept(first.registers(120), 4)
    first.accept(asked := first.registers(120), 4)
    switch.until(lambda: state(switch) == ("registered", f"{network}.2"), 5)
    contact = str(asked.contacts[0].uri)

    first.granted = 4
    phone = Phone("100", f"{network}.10", (f"{network}.1", 5060))
    assert phone.register().status == 200
    invite = first.call(contact)
    offered = phone.request_received("INVITE")
    assert offered.request_uri.user == "100"
    phone.answer(offered, 603)
    phone.request_received("ACK")
    first.acknowledge(invite, first.response(603))
    (record,) = switch.records(1)
    assert (record["identity_kind"], record["identity"]) == ("trunk", "carrier")

    if transport == "udp":
        first.granted = 0
        first.answer(first.registers(120), 503, [("Retry-After", "600")])
    first.close()
    asked = second.registers(60)
    if asked.get("Authorization") is None:
        second.challenge(asked)
        asked = second.registers(60)
    second.accept(asked, 60)
    switch.until(lambda: state(switch) == ("registered", f"{network}.3"), 5)
    assert str(asked.contacts[0].uri) == contact

    switch.send_signal(signal.SIGTERM)
    second.accept(second.registers(0), 0)
    assert switch.wait(10) == 0
    log = switch.log.read_text()
    assert "stopped, 0 leaks" in log
    assert "Traceback" not in log
    assert f"registered at trunk carrier: {network}.3" in log
    assert "no longer registered at trunk carrier" in log


def test_the_contact_outlives_a_crash(stack: ExitStack, tmp_path: Path):
    """A switch that is started anew registers the same Contact: calls that the carrier sends to
    the one from before find their trunk."""
    network = stack.enter_context(claimed_network())
    registrar = Registrar(f"{network}.2", "udp")
    stack.callback(registrar.close)
    contacts = []
    for _ in range(2):
        text = CONFIGURATION.format(network=network, transport="udp")
        switch = Switch(text, tmp_path)
        stack.callback(switch.kill)
        contacts.append(str(registrar.registers(60).contacts[0].uri))
        switch.kill()
    assert contacts[0] == contacts[1]


def test_a_registrar_that_is_gone_holds_nobody_up(stack: ExitStack, tmp_path: Path):
    """The switch ends without its answer."""
    network = stack.enter_context(claimed_network())
    registrar = Registrar(f"{network}.2", "udp")
    stack.callback(registrar.close)
    switch = Switch(CONFIGURATION.format(network=network, transport="udp"), tmp_path)
    stack.callback(switch.kill)
    registrar.challenge(registrar.registers(60))
    registrar.accept(registrar.registers(60), 60)
    switch.until(lambda: state(switch)[0] == "registered", 5)
    switch.send_signal(signal.SIGTERM)
    registrar.registers(0)
    assert switch.wait(5) == 0
    assert "stopped, 0 leaks" in switch.log.read_text()


KAMAILIO = """
debug=1
log_stderror=yes
children=1
listen=udp:{network}.2:5060
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "textops.so"
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 8)

request_route {{
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("carrier.example", "secret", "0")) {{
            www_challenge("carrier.example", "1");
            exit;
        }}
        if (!save("location")) sl_reply_error();
        exit;
    }}
    if ($rU == "441234") {{
        $ru = "sip:acme@{network}.2";
        if (!lookup("location")) {{
            sl_send_reply("404", "Not Registered");
            exit;
        }}
    }} else if ($si == "{network}.1") {{
        sl_send_reply("486", "Busy Here");
        exit;
    }}
    t_relay();
}}
"""


@pytest.mark.peer("kamailio")
def test_kamailio(stack: ExitStack, tmp_path: Path):
    """A real registrar accepts us, refreshes us within the eight seconds that it grants, sends a
    call to our Contact, takes one of ours, and forgets us when we stop."""
    network = stack.enter_context(claimed_network())
    file = tmp_path / "kamailio.cfg"
    file.write_text(KAMAILIO.format(network=network))
    kamailio = Process(
        [
            *("kamailio", "-DD", "-E", "-f", str(file), "-m", "32", "-M", "4"),
            *("-Y", str(tmp_path), "-w", str(tmp_path), "-P", str(tmp_path / "pid")),
        ],
        tmp_path,
        "kamailio",
    )
    stack.callback(kamailio.stop)
    kamailio.until(lambda: is_bound(f"{network}.2", 5060, "udp"), 10)
    switch = Switch(CONFIGURATION.format(network=network, transport="udp"), tmp_path)
    stack.callback(switch.kill)
    switch.until(lambda: state(switch)[0] == "registered", 5)

    def granted() -> float:
        (figures,) = switch.stats()["registered_at"]
        assert figures["status"] == 200, figures
        return float(figures["expires_at"])

    before = granted()
    switch.until(lambda: granted() > before, 10)

    phone = Phone("100", f"{network}.10", (f"{network}.1", 5060))
    assert phone.register().status == 200
    outside = Phone("outside", f"{network}.20", (f"{network}.2", 5060))
    talk(outside, phone, f"sip:441234@{network}.2")
    assert phone.ask(phone.invite(f"sip:0123@{network}.1"))[1].status == 486
    inbound, outbound = switch.records(2)
    assert (inbound["identity"], inbound["status"]) == ("carrier", 200)
    assert (outbound["identity"], outbound["status"]) == ("100", 486)

    switch.send_signal(signal.SIGTERM)
    assert switch.wait(10) == 0
    assert "no longer registered at trunk carrier" in switch.log.read_text()
    assert outside.ask_once(outside.invite(f"sip:441234@{network}.2")).status == 404
