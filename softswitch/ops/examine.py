"""What ``softswitch doctor`` looks at: one small function for each thing that can be wrong.

Each takes a configuration, and where need be the place of the kernel's files, looks at the machine
as it is, changes nothing, and tells what it found: a ``Finding`` for each thing, with the remedy.
A media engine that is another process has an examination of its own.
"""

import errno
import os
import platform
import resource
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from math import ceil
from pathlib import Path
from typing import Literal

import attrs

from softswitch.errors import ConfigError
from softswitch.media.bencode import encode
from softswitch.ops.certificates import expiring, read_certificates
from softswitch.ops.config import Config
from softswitch.ops.listen_tables import ListenTable, bound
from softswitch.ops.pidfile import NAME, holder
from softswitch.sip.uri import Uri
from softswitch.transport.hosts import is_address
from softswitch.transport.routes import kernel_source
from softswitch.transport.sockets import RECEIVE_BUFFER
from twisted import __version__ as twisted_there

State = Literal["OK", "WARN", "FAIL", "?"]

#: Bytes that must be free on the disk of the state directory, and that had better be.
LEAST_FREE = 50 * 2**20
WELL_FREE = 500 * 2**20
#: Sockets of a call in the relay, and files that are open besides.
SOCKETS_OF_A_CALL = 4
OTHER_FILES = 200
#: An address outside, to find out which of ours leads there (RFC 5737); nothing is sent.
OUTSIDE = "192.0.2.1"

#: Seconds that an rtpengine has to answer.
PATIENCE = 1.0

PROC = Path("/proc")


@attrs.frozen
class Finding:
    """What was found.

    :ivar check: what was looked at, in one word.
    :ivar state: "OK", "WARN" for what may do harm, "FAIL" for what stops the switch or its calls,
        "?" for what cannot be found out.
    :ivar found: what there is, a sentence.
    :ivar remedy: what mends it, a sentence; "" where nothing is to be mended.
    """

    check: str
    state: State
    found: str
    remedy: str = ""


@attrs.frozen
class Patient:
    """What is looked at.

    :ivar calls: how many are wanted at once.
    :ivar proc: the kernel's files.
    """

    config: Config
    calls: int = 100
    proc: Path = PROC


def versions(patient: Patient) -> Iterator[Finding]:
    """Python and Twisted."""
    new = sys.version_info >= (3, 11)
    remedy = "" if new else "install 3.11 or later"
    yield Finding("python", "OK" if new else "FAIL", platform.python_version(), remedy)
    yield twisted_version(twisted_there)


def twisted_version(there: str) -> Finding:
    """Whether a version of Twisted is new enough."""
    numbers = [int(each) for each in there.split(".")[:2] if each.isdigit()]
    if numbers >= [26, 10]:
        return Finding("twisted", "OK", there)
    return Finding("twisted", "FAIL", there, "pip install 'Twisted>=26.10'")


def ports(patient: Patient) -> Iterator[Finding]:
    """Whether each port to be served is free, or served by us."""
    for _, table in bound(patient.config.listen, patient.config.api):
        what = f"{table.transport} port {table.port} of {table.bind}"
        try:
            with _socket(table) as probe:
                if table.below == "tcp":
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((table.bind, table.port))
        except OSError as error:
            yield _taken(patient, table, what, error)
        else:
            yield Finding("port", "OK", f"{what} is free")


def state_directory(patient: Patient) -> Iterator[Finding]:
    """Whether we may write where the state is kept, and others may not read it."""
    config, who = patient.config, f"the user {os.geteuid()}"
    folder = config.state_directory
    there = folder
    while not there.exists():
        there = there.parent
    if there.exists() and not there.is_dir():
        yield Finding("state", "FAIL", f"{there} is no directory", "move it away")
        return
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        mend = f"chown it to that user, or choose another switch.state_directory than {folder}"
        yield Finding("state", "FAIL", f"{there} cannot be written by {who}", mend)
        return
    if there == folder and folder.stat().st_mode & stat.S_IRWXO:
        yield Finding("state", "WARN", f"{folder} is open to everybody", f"chmod o= {folder}")
    records = config.records
    kept = [config.store.path, config.store.users, records.store, records.path]
    files = dict.fromkeys(folder / path for path in kept if path)
    for file in filter(Path.exists, files):
        if not os.access(file, os.R_OK | os.W_OK, effective_ids=True):
            yield Finding(
                "state", "FAIL", f"{file} cannot be written by {who}", f"chown {file} to that user"
            )
        elif file.stat().st_mode & stat.S_IROTH:
            yield Finding("state", "WARN", f"{file} can be read by everybody", f"chmod o-r {file}")
    yield Finding("state", "OK", f"{there} can be written")


def disk(patient: Patient) -> Iterator[Finding]:
    """Room for the store and the records."""
    there = patient.config.state_directory
    while not there.exists():
        there = there.parent
    yield room(shutil.disk_usage(there).free, there)


def room(free: int, there: Path) -> Finding:
    """Whether so many free bytes are enough."""
    found = f"{free / 2**20:.0f} MiB are free at {there}"
    if free < LEAST_FREE:
        return Finding("disk", "FAIL", found, "make room: registrations and records cannot be kept")
    if free < WELL_FREE:
        return Finding("disk", "WARN", found, "make room before records are lost")
    return Finding("disk", "OK", found)


def advertised(patient: Patient) -> Iterator[Finding]:
    """Whether peers can reach us at what they are told."""
    for index, table in enumerate(patient.config.listen):
        key = f"listen[{index}]"
        if table.advertise is not None:
            yield _shown(key, table.advertise.host)
        elif not table.local_networks and _is_inside(own := _own(table)):
            yield Finding(
                "address",
                "WARN",
                f"{key} tells everybody {own}, which nobody outside can reach",
                f"set {key}.advertise to the address under which the world knows it, with "
                f"{key}.local_networks; all is well where only {own}'s network calls",
            )
        else:
            yield Finding("address", "OK", f"{key} tells peers {_own(table)}")


def names(patient: Patient) -> Iterator[Finding]:
    """Whether the names of trunks lead anywhere."""
    hosts: dict[str, str] = {}
    for trunk in patient.config.trunk_groups():
        for member in trunk.members:
            host = Uri.parse(f"sip:{member.address}").host
            if not is_address(host.strip("[]")):
                hosts.setdefault(host, trunk.name)
    for host, name in hosts.items():
        found = _addresses(host)
        if found:
            yield Finding("dns", "OK", f"{host} is {', '.join(found)}")
        else:
            yield Finding(
                "dns",
                "FAIL",
                f"{host} of the trunk {name} leads nowhere",
                "correct the name, or see that /etc/resolv.conf names a server that answers",
            )


def certificates(patient: Patient) -> Iterator[Finding]:
    """Whether our certificates can be read, and for how long they are good."""
    try:
        there = read_certificates(patient.config)
    except ConfigError as error:
        yield Finding("tls", "FAIL", str(error), "mend the file, then `softswitch reload`")
        return
    about_to = list(expiring(there))
    for each in about_to:
        remedy = "renew it, then `softswitch reload`"
        yield Finding("tls", "FAIL" if each.over else "WARN", str(each), remedy)
    shown = there.proofs()
    if shown and not about_to:
        until = min(proof.expires for proof in shown)
        yield Finding("tls", "OK", f"our certificates are good until {until:%Y-%m-%d}")


def open_files(patient: Patient) -> Iterator[Finding]:
    """Whether there may be as many files open as the calls that are wanted need."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    media = patient.config.media
    of_each = SOCKETS_OF_A_CALL if media.engine == "relay" else 0
    # The limit is each process's, and the relay's processes share the calls.
    shares = max(1, media.processes)
    needed = ceil(patient.calls / shares) * of_each + OTHER_FILES
    if hard in (resource.RLIM_INFINITY, -1) or hard >= needed:
        yield Finding("files", "OK", f"{hard} files may be open, {needed} are needed")
    else:
        possible = max(0, hard - OTHER_FILES) // of_each * shares if of_each else 0
        yield Finding(
            "files",
            "FAIL",
            f"{hard} files may be open: enough for {possible} calls, not for {patient.calls}",
            f"LimitNOFILE={needed} in the unit, or ulimit -Hn {needed}",
        )


def media_ports(patient: Patient) -> Iterator[Finding]:
    """Whether the relay has ports for the calls that are wanted, and the kernel leaves them."""
    config = patient.config
    if config.media.engine != "relay":
        return
    wanted = config.media.ports
    possible = (wanted.high - wanted.low + 1) // SOCKETS_OF_A_CALL
    what = f"ports {wanted.low}-{wanted.high}"
    if possible < patient.calls:
        yield Finding(
            "media",
            "FAIL",
            f"{what} are enough for {possible} calls of one line each, not for {patient.calls}",
            "widen media.ports",
        )
        return
    low, high = _numbers(patient.proc / "sys/net/ipv4/ip_local_port_range", (32768, 60999))
    reserved = _text(patient.proc / "sys/net/ipv4/ip_local_reserved_ports")
    if low <= wanted.high and wanted.low <= high and not reserved:
        yield Finding(
            "media",
            "WARN",
            f"{what} overlap those that the kernel gives to anybody ({low}-{high})",
            f"sysctl -w net.ipv4.ip_local_reserved_ports={wanted.low}-{wanted.high}",
        )
        return
    yield Finding("media", "OK", f"{what} are enough for {possible} calls")


def rtpengines(patient: Patient) -> Iterator[Finding]:
    """Whether each rtpengine answers a ping."""
    for index, table in enumerate(patient.config.media.rtpengine):
        what = f"rtpengine {table.address}"
        remedy = f"start it there with --listen-ng, or correct media.rtpengine[{index}].address"
        cookie = b"doctor "
        family = socket.AF_INET6 if ":" in table.address.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.settimeout(PATIENCE)
            try:
                probe.connect((table.address.host, table.address.port or 0))
                probe.send(cookie + encode({"command": "ping"}))
                answer = probe.recv(65535)
            except OSError as error:
                found = "does not answer" if isinstance(error, TimeoutError) else error.strerror
                yield Finding("rtpengine", "FAIL", f"{what}: {found}", remedy)
                continue
        if answer == cookie + encode({"result": "pong"}):
            yield Finding("rtpengine", "OK", f"{what} answers")
        else:
            yield Finding("rtpengine", "FAIL", f"{what}: what is there is none", remedy)


def receive_buffer(patient: Patient) -> Iterator[Finding]:
    """Whether the kernel grants what a busy second needs."""
    (most,) = _numbers(patient.proc / "sys/net/core/rmem_max", (RECEIVE_BUFFER,))
    if most >= RECEIVE_BUFFER:
        yield Finding("buffers", "OK", f"net.core.rmem_max is {most}")
    else:
        yield Finding(
            "buffers",
            "WARN",
            f"net.core.rmem_max is {most}: datagrams may be lost in a busy second",
            f"sysctl -w net.core.rmem_max={RECEIVE_BUFFER}",
        )


def wisdom(patient: Patient) -> Iterator[Finding]:
    """What the configuration allows and had better not."""
    for warning in patient.config.warnings():
        found, _, remedy = warning.partition("; ")
        yield Finding("config", "WARN", found, remedy or "see etc/softswitch.toml")


def _socket(table: ListenTable) -> socket.socket:
    family = socket.AF_INET6 if ":" in table.bind else socket.AF_INET
    kind = socket.SOCK_DGRAM if table.below == "udp" else socket.SOCK_STREAM
    made = socket.socket(family, kind)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made


def _taken(patient: Patient, table: ListenTable, what: str, error: OSError) -> Finding:
    """Why a port cannot be had."""
    if error.errno == errno.EADDRNOTAVAIL:
        mend = "choose an address of this machine, 0.0.0.0 or ::"
        return Finding("port", "FAIL", f"{table.bind} is no address of this machine", mend)
    if error.errno == errno.EACCES:
        mend = "AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or a port from 1024"
        return Finding("port", "FAIL", f"{what} is for privileged users only", mend)
    if error.errno != errno.EADDRINUSE:
        return Finding("port", "FAIL", f"{what}: {error.strerror}", "see the kernel's log")
    pid, command = _holder(patient.proc, table)
    if pid and pid == _runs(patient.config):
        return Finding("port", "OK", f"{what} is served by us, process {pid}")
    who = f"process {pid}: {' '.join(command)[:60]}" if pid else "somebody else"
    if "softswitch" in command:
        who = f"another switch, process {pid}"
    return Finding("port", "FAIL", f"{what} is taken by {who}", "stop that, or choose another port")


def _runs(config: Config) -> int | None:
    """The process that runs with the state directory; None for none that can be seen."""
    try:
        return holder(config.state_directory / NAME)
    except OSError:
        return None


def _holder(proc: Path, table: ListenTable) -> tuple[int, Sequence[str]]:
    """Number and command line of the process that has a port; 0 where that cannot be seen."""
    six = "6" if ":" in table.bind else ""
    port = f":{table.port:04X}"
    inodes = set()
    for line in _text(proc / f"net/{table.below}{six}").splitlines()[1:]:
        cells = line.split()
        if cells[1].endswith(port) and (table.below == "udp" or cells[3] == "0A"):
            inodes.add(f"socket:[{cells[9]}]")
    for folder in proc.glob("[0-9]*"):
        try:
            if any(os.readlink(each) in inodes for each in (folder / "fd").iterdir()):
                command = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                return int(folder.name), [os.fsdecode(word) for word in command]
        except OSError:  # it has ended, or is not ours to see
            continue
    return 0, ()


def _shown(key: str, host: str) -> Finding:
    """Whether an advertised host leads to us, as far as that can be seen from here."""
    found = [host] if is_address(host) else _addresses(host)
    if not found:
        mend = "correct the name, or advertise an address"
        return Finding("address", "FAIL", f"{key}.advertise: {host} leads nowhere", mend)
    if all(_is_ours(each) for each in found):
        return Finding("address", "OK", f"{key}.advertise: {host} is an address of this machine")
    if all(_is_inside(each) for each in found):
        return Finding(
            "address",
            "WARN",
            f"{key}.advertise: {host} is neither ours nor reached from outside",
            "advertise the public address",
        )
    mend = "see that the router sends these ports, and those of media.ports, to this machine"
    return Finding(
        "address", "OK", f"{key}.advertise: {host} is not ours, a NAT's it seems; {mend}"
    )


def _own(table: ListenTable) -> str:
    if table.bind in ("0.0.0.0", "::"):
        return kernel_source("2001:db8::1" if ":" in table.bind else OUTSIDE) or table.bind
    return table.bind


def _is_inside(host: str) -> bool:
    """Whether an address means nothing outside its own network, loopback apart."""
    address = ip_address(host)
    return address.is_private and not address.is_loopback and not address.is_unspecified


def _is_ours(host: str) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def _addresses(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _numbers(path: Path, otherwise: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers in a file of the kernel's."""
    return tuple(map(int, _text(path).split())) or otherwise


#: In the order of telling.
EXAMINATIONS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    versions,
    wisdom,
    ports,
    state_directory,
    disk,
    advertised,
    names,
    open_files,
    certificates,
    media_ports,
    rtpengines,
    receive_buffer,
)
