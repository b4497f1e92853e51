"""The door of a running switch: floods, scanners, bans by command and in a firewall, slow peers."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import pytest
from namespaces import World
from phones import claimed_network
from processes import Process, Switch
from siege import Siege
from slow import Beside

#: Floods are measured beside good calls.
pytestmark = pytest.mark.alone

SOFTSWITCH = str(Path(sys.executable).with_name("softswitch"))

SCAN = (
    "OPTIONS sip:100@{host} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5061;branch=z9hG4bK1;rport\r\n"
    "From: <sip:100@{host}>;tag=1\r\nTo: <sip:100@{host}>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
    "Max-Forwards: 70\r\nUser-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n"
)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def network(stack: ExitStack) -> str:
    return stack.enter_context(claimed_network())


def ban(switch: Switch, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``softswitch ban`` at a switch."""
    file = str(switch.state.parent / "softswitch.toml")
    return subprocess.run(
        [SOFTSWITCH, "ban", *arguments, "--config", file],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.peer("sipp")
def test_a_flood_from_one_source(stack: ExitStack, tmp_path: Path, network: str):
    """5,000 INVITEs per second: banned within a second, and meanwhile all calls between trunks and
    between registered phones go on, and phones that were never seen before register."""
    siege = Siege(stack, tmp_path, network)
    outcome = siege.attacked((f"{network}.66", 1, 5000), seconds=4)
    assert outcome.attacker["sent"] > 5000
    assert outcome.attacker["answers"] > 0
    assert outcome.attacker["last"] < 1, outcome
    assert (outcome.failed, outcome.refused) == (0, 0), outcome
    assert outcome.registered > 3
    stats = siege.switch.stats()
    assert stats["bans"] == 1
    assert f"banned {network}.66 for 60 s: " in siege.switch.log.read_text()


@pytest.mark.peer("sipp")
def test_ten_thousand_sources(stack: ExitStack, tmp_path: Path, network: str):
    """Calls between trunks and between registered phones go on, and the memory does not grow with
    the sources."""
    siege = Siege(stack, tmp_path, network, phones=0)
    outcome = siege.attacked(("127.200.0.1", 10_000, 3000), seconds=5)
    assert outcome.attacker["sent"] > 10_000
    assert outcome.failed <= outcome.calls // 100, outcome
    assert outcome.talks > 3
    assert outcome.grown < 50 * 1024 * 1024, outcome


CRACK = ("svcrack", "-u", "alice", "-r", "100-2000", "-z", "4", "--maximumtime=3")
WAR = ("svwar", "--force", "-e", "100-2000", "--maximumtime=3")
NAMELESS = "[door]\nscanners = []\nsignatures = []\n"


def scan(stack: ExitStack, siege: Siege, folder: Path, command: tuple[str, ...]) -> Process:
    """Have a program of SIPVicious scan the switch."""
    scanner = Process([*command, "-t", "0.005", f"{siege.network}.1"], folder, "scanner")
    stack.callback(scanner.kill)
    return scanner


@pytest.mark.peer("svwar", "svcrack", "svmap")
@pytest.mark.parametrize(
    "command",
    [("svmap",), WAR, (*WAR, "-m", "INVITE"), (*WAR, "-m", "OPTIONS"), CRACK],
    ids=" ".join,
)
def test_sipvicious_is_banned(
    stack: ExitStack, tmp_path: Path, network: str, command: tuple[str, ...]
):
    """Each of its programs, with its first message, by what it calls itself."""
    siege = Siege(stack, tmp_path, network, phones=0)
    scan(stack, siege, tmp_path, command)
    log = siege.switch.log
    siege.switch.until(lambda: "s: scanner, unproven" in log.read_text(), 15)
    assert "answered with" not in str(siege.switch.stats()["counters"])


@pytest.mark.peer("svcrack")
def test_a_cracker_is_banned_by_what_it_does(stack: ExitStack, tmp_path: Path, network: str):
    """Where nobody looks at its name, its wrong passwords ban it, for the long time: they answer
    our challenges, so that it is real."""
    siege = Siege(stack, tmp_path, network, phones=0, further=NAMELESS)
    scan(stack, siege, tmp_path, CRACK)
    log = siege.switch.log
    siege.switch.until(lambda: "for 3600 s: failed logins, proven" in log.read_text(), 15)


@pytest.mark.peer("svwar")
def test_a_search_for_users_learns_nothing(stack: ExitStack, tmp_path: Path, network: str):
    """Where nobody looks at its name, it gives up: every user there may be is answered alike."""
    siege = Siege(stack, tmp_path, network, phones=0, further=NAMELESS)
    scanner = scan(stack, siege, tmp_path, ("svwar", "-D", "-e", "alice,100-2000"))
    scanner.wait(30)
    assert "alice" not in scanner.log.read_text()


def test_bans_by_command(stack: ExitStack, tmp_path: Path, network: str):
    """A host is banned and gets no answer, also after a restart; the list shows it; when the ban
    is lifted, it is answered again. A trunk cannot be banned."""
    siege = Siege(stack, tmp_path, network, phones=1)
    phone = siege.phone("new0", "40")
    assert ban(siege.switch, "add", f"{network}.40", "--seconds", "600").returncode == 0
    phone.send(phone.request("OPTIONS", f"sip:{network}.1"))
    listed = ban(siege.switch, "list")
    assert (listed.returncode, f"{network}.40/32" in listed.stdout) == (0, True), listed
    refused = ban(siege.switch, "add", f"{network}.0/24")
    assert refused.returncode == 0, "a wider network may be banned: the trunks come in all the same"
    assert ban(siege.switch, "lift", f"{network}.0/24").returncode == 0
    refused = ban(siege.switch, "add", f"{network}.2")
    assert (refused.returncode, "trusted" in refused.stderr) == (2, True), refused
    assert siege.switch.stop() == 0
    assert f"{network}.40/32" in ban(siege.switch, "list").stdout
    text = (tmp_path / "softswitch.toml").read_text()
    again = Switch(text, tmp_path)
    stack.callback(again.kill)
    with pytest.raises(TimeoutError):
        phone.receive(0.2)
    assert ban(again, "lift", f"{network}.40").returncode == 0
    assert phone.register().status == 200
    assert ban(again, "lift", f"{network}.40").returncode == 2
    assert ban(again, "add", "nonsense").returncode == 2
    assert again.stop() == 0
    assert ban(again, "lift", f"{network}.40").returncode == 1


def test_a_ban_is_in_a_set_of_nftables(networks: World, stack: ExitStack, tmp_path: Path):
    """One that is proven, as a connection proves it, with its time, and gone when it is lifted; the
    kernel then drops what comes from there. What a datagram has said of its source is not told."""
    home = networks.namespace()
    rules = (
        "table inet filter { set softswitch { type ipv4_addr; flags timeout, interval; }\n"
        "chain input { type filter hook input priority 0;\n"
        "ip saddr @softswitch counter drop\n}\n}\n"
    )
    home.run("nft", "-f", "-", given=rules)
    further = '[door.firewall]\ntable = "inet filter"\n'
    text = (
        '[switch]\nstate_directory = "@state@"\n[[listen]]\ntransport = "udp"\nbind = "127.0.0.1"\n'
        '[[listen]]\ntransport = "tcp"\nbind = "127.0.0.1"\n'
    )
    switch = Switch(text + further, tmp_path, prefix=home.prefix)
    stack.callback(switch.kill)
    scanner = home.within(lambda: socket.socket(type=socket.SOCK_DGRAM))
    stack.callback(scanner.close)
    scanner.bind(("127.0.0.66", 0))
    scan = SCAN.format(host="127.0.0.66").encode()
    scanner.sendto(scan, ("127.0.0.1", 5060))
    switch.until(lambda: "banned 127.0.0.66 for 60 s" in switch.log.read_text(), 10)

    def shown() -> str:
        done = subprocess.run(
            [*home.prefix, "nft", "list", "table", "inet", "filter"],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def dropped() -> int:
        return int(shown().partition("counter packets ")[2].split()[0])

    line = home.within(socket.socket)
    stack.callback(line.close)
    line.bind(("127.0.0.66", 0))
    line.connect(("127.0.0.1", 5060))
    assert "127.0.0.66" not in shown()
    line.sendall(scan)
    switch.until(lambda: "127.0.0.66 timeout 1h" in shown(), 10)
    before = dropped()
    scanner.sendto(scan, ("127.0.0.1", 5060))
    assert dropped() > before
    assert ban(switch, "lift", "127.0.0.66").returncode == 0
    switch.until(lambda: "127.0.0.66" not in shown(), 10)
    assert ban(switch, "add", "127.0.1.0/24").returncode == 0
    switch.until(lambda: "127.0.1.0/24" in shown(), 10)


def test_two_thousand_slow_connections(stack: ExitStack, tmp_path: Path, network: str):
    """Half messages and half handshakes, and messages of a byte a second, over TCP and TLS. They do
    not delay a good phone that connects over TLS, registers and asks by more than 200 ms, taking
    the median; when their time is over, the switch has the descriptors that it had before."""
    beside = Beside(stack, tmp_path, network, 30)
    alone = beside.measure(11)
    beside.slow_down(2000)
    slowed = beside.measure(21)
    assert beside.siege.switch.stats()["connections"] > 1000
    assert median(slowed) - median(alone) < 0.2, (alone, slowed)
    print(f"{median(alone):.4f} s alone, {median(slowed):.4f} s beside, {max(slowed):.4f} at most")
    beside.siege.switch.until(lambda: beside.descriptors() == beside.before, 120)
