"""Signed numbers between two running switches, and a web server that has the certificate: RFC 8224,
RFC 8588. And 1,000 hostile addresses of certificates: every connection that the switch opens is
noted by the interpreter itself."""

import ssl
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from phones import Phone, claimed_network, pick_up
from processes import Switch

from softswitch.policy.tnauthlist import OID
from softswitch.sip.passport import SHAKEN, Claims, identity
from softswitch.testing.authority import Authority

CALLER, CALLED = "12155551212", "12155551213"
#: Provider 709J (RFC 8226 9).
PROVIDER = bytes.fromhex("3008a00616043730394a")

SIGNING = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[stir]
certificate = "{folder}/signer.pem"
key = "{folder}/signer.key"
certificate_url = "https://{network}.5:8443/signer.pem"

[trunks.pbx]
addresses = ["{network}.3"]
numbers = ["+{caller}"]

[trunks.carrier]
addresses = ["{network}.2"]
stir.sign = true

[[policy]]
use = "trunks"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = "[+].*"
trunk = "carrier"

[media]
engine = "bypass"
"""

VERIFYING = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.2"

[stir]
authorities = "{folder}/authority.pem"
hosts = ["{network}.5:8443", "localhost:8443", "{network}.8:8443"]
networks = ["{network}.5"]
https_authorities = "{folder}/web.pem"
fetch_seconds = 0.5

[users.200]
password = "secret"
numbers = ["+{called}"]

[trunks.other]
addresses = ["{network}.1"]
stir.verify = "require"

[trunks.direct]
addresses = ["{network}.6"]
stir.verify = "require"

[[policy]]
use = "trunks"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "located"

[media]
engine = "bypass"
"""

#: Has the interpreter note each connection over TCP, whoever opens it.
NOTING = """
import os, socket, sys
file = os.open(os.environ["CONNECTIONS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def note(event, args):
    if event == "socket.connect" and args[0].type == socket.SOCK_STREAM:
        os.write(file, f"{args[1][0]}:{args[1][1]}\\n".encode())
sys.addaudithook(note)
"""


class Web(BaseHTTPRequestHandler):
    """A web server with a certificate, and with much else."""

    certificate = b""
    host = ""
    asked: list[str]
    broken_off: threading.Event

    def do_GET(self) -> None:
        """As the path says."""
        self.asked.append(self.path)
        if self.path == "/signer.pem":
            self._answer(200, {"Cache-Control": "max-age=60"}, self.certificate)
        elif self.path == "/moved":
            self._answer(302, {"Location": "/signer.pem"})
        elif self.path == "/circle":
            self._answer(302, {"Location": "/circle"})
        elif self.path == "/elsewhere":
            self._answer(302, {"Location": f"https://{self.host}.7:8443/signer.pem"})
        elif self.path == "/plain":
            self._answer(302, {"Location": f"http://{self.host}.5:8443/signer.pem"})
        elif self.path in ("/large", "/slow"):
            self._endless(b"x" * 16384 if self.path == "/large" else b"x")
        else:
            self._answer(404, {})

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, fields: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**fields, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _endless(self, crumb: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        self.connection.settimeout(0.05)
        try:
            while not self.broken_off.is_set():
                self.wfile.write(crumb)
                with suppress(TimeoutError):
                    if not self.connection.recv(1):
                        break
        except OSError:
            pass
        self.broken_off.set()


class World:
    """Two switches, a PBX, a phone, and the web server."""

    def __init__(self, folder: Path, network: str, stack: ExitStack) -> None:
        self.network = network
        self.connections = folder / "connections"
        authority, web = Authority(folder), Authority(folder, "web")
        listed = x509.UnrecognizedExtension(x509.ObjectIdentifier(OID), PROVIDER)
        signer = authority.issue("signer", extensions=[listed])
        self.key = load_pem_private_key(signer.key.read_bytes(), None)
        shown = web.issue("server", f"{network}.5")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(shown.certificate, shown.key)
        self.web = type(
            "ThisWeb",
            (Web,),
            {
                "certificate": signer.certificate.read_bytes(),
                "host": network,
                "asked": [],
                "broken_off": threading.Event(),
            },
        )
        server = ThreadingHTTPServer((f"{network}.5", 8443), self.web)
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        noting = folder / "noting"
        noting.mkdir()
        (noting / "sitecustomize.py").write_text(NOTING)
        words = {"network": network, "folder": folder, "caller": CALLER, "called": CALLED}
        self.signing = Switch(SIGNING.format(**words), folder / "signing")
        stack.callback(self.signing.stop)
        self.verifying = Switch(
            VERIFYING.format(**words),
            folder / "verifying",
            environment={"PYTHONPATH": str(noting), "CONNECTIONS": str(self.connections)},
        )
        stack.callback(self.verifying.stop)
        here, there = (f"{network}.1", 5060), (f"{network}.2", 5060)
        self.pbx = Phone(f"+{CALLER}", f"{network}.3", here)
        self.callee = Phone("200", f"{network}.4", there)
        self.direct = Phone(f"+{CALLER}", f"{network}.6", there)
        assert self.callee.register().status == 200

    def signed(self, url: str, age: float = 0, called: str = CALLED) -> str:
        """What the signer says of a call now, with its certificate at that address."""
        claims = Claims(CALLER, (called,), int(time.time() - age), attest="A", origid="x")
        return identity(claims, url, self.key, SHAKEN)

    def status(self, *identities: str) -> int:
        """What comes of a call straight to the one that verifies."""
        invite = self.direct.invite(f"sip:+{CALLED}@{self.network}.2")
        for each in identities:
            invite.fields.append(("Identity", each))
        invite.fields.append(("Date", formatdate(usegmt=True)))
        return self.direct.ask_once(invite).status

    def connected(self) -> list[str]:
        """Where the switch that verifies has connected to."""
        return self.connections.read_text().split() if self.connections.exists() else []


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        network = stack.enter_context(claimed_network())
        yield World(tmp_path, network, stack)


def test_a_call_signed_by_one_switch_is_verified_by_another(world: World):
    """With a test authority: the number passes, records of both say so, the certificate is fetched
    once; another number, or what is stale, does not pass (issue 6)."""
    for _ in range(2):
        invite = world.pbx.send(world.pbx.invite(f"sip:+{CALLED}@{world.network}.1"))
        offered = world.callee.request_received("INVITE")
        assert len(offered.all("Identity")) == 0, "the phone is nobody whom we trust"
        world.callee.answer(offered, 200, world.callee.sdp)
        answer = world.pbx.response_received(200)
        world.pbx.send(world.pbx.within(invite, answer, "ACK"))
        world.callee.request_received("ACK")
        world.pbx.send(world.pbx.within(invite, answer, "BYE"))
        world.callee.answer(world.callee.request_received("BYE"), 200)
        world.pbx.response_received(200)
    assert world.web.asked == ["/signer.pem"]
    verified, signed = world.verifying.records(2)[-1], world.signing.records(2)[-1]
    assert (verified["verstat"], verified["attestation"]) == ("TN-Validation-Passed", "A")
    assert signed["attempts"][0]["attestation"] == "A"
    assert signed["attempts"][0]["origid"] == verified["origid"]

    url = f"https://{world.network}.5:8443/signer.pem"
    assert world.status() == 428
    assert world.status(world.signed(url, age=62)) == 403
    assert world.status(world.signed(url, called="12155551299")) == 438
    honest = world.signed(url)
    head, _, rest = honest.split(".", 2)
    claims = Claims("12155559999", (CALLED,), int(time.time()), attest="A", origid="x")
    forged = urlsafe_b64encode(claims.payload()).rstrip(b"=").decode()
    assert world.status(f"{head}.{forged}.{rest}") == 438
    world.direct.user = "+12155559999"
    assert world.status(f"{head}.{forged}.{rest}") == 438, "the number is changed in both places"
    assert world.web.asked == ["/signer.pem"]


#: Hosts that are none of those allowed, or not at that port.
HOSTS = (
    *(
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ),
    *("[::127.0.0.1]", "[64:ff9b::7f00:1]", "169.254.169.254", "10.0.0.1", "192.168.0.1", "0", ""),
    *("localhost", "localhost:22", "LOCALHOST.", "evil.example", "@.5:8443", "user@@.5:8443"),
    *("@.5:8443@evil.example", "evil.example:8443@@.5:8443", "@.5:8443#@evil.example", "@.5"),
    *("@.5:443", "@.5:22", "@.5:08443x", "@.5.:8443", "@.5:8443\\@evil.example", "@.5%2e:8443"),
    *("@.5\uff0eevil.example", "@\u30025:8443", "\uff11\uff12\uff17.0.0.1", "@.5\u200b:8443"),
    *("@.5:8443.evil.example", "evil.example?@.5:8443", "@.5 :8443", "@.5\t:8443", "[@.5]:8443"),
    *("@.2:5060", "@.7:8443", "unix:/run/x", "@.5:99999", "@.5:-1", "@.5:"),
)
SCHEMES = (
    "https://",
    "http://",
    "file://",
    "file:///",
    "ftp://",
    "gopher://",
    "https:/",
    "//",
    "ws://",
)
PATHS = ("/signer.pem", "", "/../signer.pem")


def test_1000_hostile_addresses_cause_no_connection(world: World):
    """What is signed is fresh and about this very call; only the address of the certificate is not
    one that the operator allows. Nothing but refusals comes of it (issue 6)."""
    hosts = [host.replace("@.", f"{world.network}.") for host in HOSTS]
    urls = [scheme + host + path for scheme, host, path in product(SCHEMES, hosts, PATHS)]
    urls += [f"https://{host}/{'a' * 600}" for host in hosts]
    allowed = f"https://{world.network}.5:8443"
    urls = [each for each in dict.fromkeys(urls) if f"{each}/".partition(f"{allowed}/")[0]]
    assert len(urls) >= 1000
    for url in urls[:1000]:
        assert world.status(world.signed(url)) in (436, 438), url
    assert world.connected() == []
    assert world.web.asked == []


def test_an_allowed_host_is_believed_in_nothing_else(world: World):
    """Where it sends us, how much and how slowly it answers; a name that is allowed and leads to
    this machine, an address that is allowed and private."""
    here = f"https://{world.network}.5:8443"
    for path, asked in (
        ("/none", 1),
        ("/elsewhere", 1),
        ("/plain", 1),
        ("/circle", 3),
    ):
        world.web.asked.clear()
        assert world.status(world.signed(here + path)) == 436
        assert world.web.asked == [path] * asked
    for path in ("/large", "/slow"):
        world.web.broken_off.clear()
        assert world.status(world.signed(here + path)) == 436
        assert world.web.broken_off.wait(5), "the connection is closed at once"
    for host in ("localhost", f"{world.network}.8"):
        assert world.status(world.signed(f"https://{host}:8443/signer.pem")) == 436
    assert set(world.connected()) == {f"{world.network}.5:8443"}
    world.web.asked.clear()
    assert world.status(world.signed(here + "/none")) == 436
    assert world.web.asked == [], "who had none is not asked again"
    invite = world.direct.invite(f"sip:+{CALLED}@{world.network}.2")
    invite.fields.append(("Identity", world.signed(here + "/moved")))
    world.direct.send(invite)
    pick_up(world.direct, world.callee, invite, world.callee.request_received("INVITE"))
    assert world.web.asked == ["/moved", "/signer.pem"]
