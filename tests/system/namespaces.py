"""Networks that a test has for itself: Linux network namespaces, and a NAT between two of them.

In each one is a loopback interface of its own, so that every address and port is free. What runs in
a namespace is started through it; what is made is taken away in the end, whatever has failed.
"""

import ctypes
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

#: Namespaces of ours begin so; then comes the number of the process that has made them.
PREFIX = "softswitch-"

#: By masquerading, as a home router does: the source port stays where it can.
MASQUERADE = """
table ip nat {
    chain out {
        type nat hook postrouting priority 100
        oifname "outside" masquerade
    }
}
"""


class Namespace:
    """A network of its own, with a loopback interface.

    :ivar prefix: begins a command that is to run in it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.prefix = ("ip", "netns", "exec", name)

    def run(self, *command: str, given: str = "") -> None:
        """Have a command run in it to its end.

        :param given: its standard input.
        :raises RuntimeError: it failed; says what it had to say.
        """
        run(*self.prefix, *command, given=given)

    def add(self, interface: str, *addresses: str) -> None:
        """Give an interface addresses, each with the length of its prefix, and put it up."""
        for address in addresses:
            alone = ["nodad"] if ":" in address else []
            run("ip", "-n", self.name, "addr", "add", address, "dev", interface, *alone)
        run("ip", "-n", self.name, "link", "set", interface, "up")

    def within(self, make: Callable[[], T]) -> T:
        """What ``make`` returns when it is called in it: a socket stays where it was made."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _enter(there)
            try:
                return make()
            finally:
                _enter(home)
        finally:
            os.close(there)
            os.close(home)


class World:
    """Namespaces, and what is between them.

    :param stack: takes away what is made here.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._made = 0

    def namespace(self) -> Namespace:
        """A new one."""
        self._made += 1
        name = f"{PREFIX}{os.getpid()}-{self._made}"
        run("ip", "netns", "add", name)
        self._stack.callback(run, "ip", "netns", "delete", name)
        namespace = Namespace(name)
        namespace.add("lo")
        return namespace

    def wire(self, one: Namespace, here: str, other: Namespace, there: str) -> None:
        """A wire from one's interface ``here`` to another's ``there``."""
        ends = ("link", "add", here, "type", "veth", "peer", "name", there, "netns", other.name)
        run("ip", "-n", one.name, *ends)

    def nat(self, public: Namespace, outside: str, inside: str) -> Namespace:
        """A namespace behind a NAT router, which has a namespace for itself.

        :param outside: the router's address in the public network, with its prefix length; the
            interface there is called "outside".
        :param inside: the same of who is behind it; the router's ends in .1.
        """
        router, private = self.namespace(), self.namespace()
        self.wire(public, "outside", router, "outside")
        self.wire(private, "inside", router, "inside")
        gateway = inside.rpartition(".")[0] + ".1"
        router.add("outside", outside)
        router.add("inside", f"{gateway}/{inside.partition('/')[2]}")
        private.add("inside", inside)
        run("ip", "-n", private.name, "route", "add", "default", "via", gateway)
        router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        router.run("nft", "-f", "-", given=MASQUERADE)
        return private


@contextmanager
def world() -> Iterator[World]:
    """Namespaces until the end of the block; those that a killed run has left go first."""
    for path in Path("/run/netns").glob(f"{PREFIX}*"):
        number = path.name.removeprefix(PREFIX).partition("-")[0]
        if not Path(f"/proc/{number}").exists():
            with suppress(RuntimeError):  # another run may have been quicker
                run("ip", "netns", "delete", path.name)
    with ExitStack() as stack:
        yield World(stack)


def hindrance() -> str:
    """Why there can be no namespaces here; "" where there can."""
    try:
        with world() as found:
            found.namespace().run("true")
    except (RuntimeError, OSError) as error:
        return f"no network namespaces can be made here, which takes root and iproute2: {error}"
    return ""


def run(*command: str, given: str = "") -> None:
    """Have a command run to its end.

    :raises RuntimeError: it failed; says what it had to say.
    """
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")


class Tap:
    """Hears what reaches some ports of a namespace, as it is on the wire: UDP that is RTP of
    payload type 0.

    :param ports: of whom it hears; the address does not matter, for a phone whose socket has none
        of its own is heard from, and sent to, where the kernel has put it.
    """

    def __init__(self, namespace: Namespace, ports: range) -> None:
        self._ports = ports
        self._socket = namespace.within(_raw_socket)

    def payloads(self) -> list[bytes]:
        """Those that have come since it was asked last, in order."""
        found = []
        with suppress(BlockingIOError):
            while True:
                frame, where = self._socket.recvfrom(4096)
                if where[2] != socket.PACKET_OUTGOING and (payload := self._payload(frame)):
                    found.append(payload)
        return found

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()

    def _payload(self, frame: bytes) -> bytes:
        """That of an RTP packet for one of the ports; empty for another."""
        kind, packet = frame[12:14], frame[14:]
        if kind == b"\x08\x00":
            protocol, datagram = packet[9], packet[4 * (packet[0] & 15) :]
        elif kind == b"\x86\xdd":
            protocol, datagram = packet[6], packet[40:]
        else:
            return b""
        port, rtp = int.from_bytes(datagram[2:4]), datagram[8:]
        spoken = protocol == socket.IPPROTO_UDP and port in self._ports and len(rtp) > 12
        return rtp[12:] if spoken and rtp[0] == 0x80 and rtp[1] & 0x7F == 0 else b""


#: All protocols (linux/if_ether.h), as a packet socket wants it.
_EVERYTHING = socket.htons(3)
#: Of its buffer: a minute of several voices.
_BYTES = 16 << 20


def _raw_socket() -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, _EVERYTHING)
    tap.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), _BYTES)
    tap.setblocking(False)
    return tap


def _enter(descriptor: int) -> None:
    """Go to the namespace of a descriptor (setns(2), which Python has from 3.12 on)."""
    if _LIBC.setns(descriptor, _NETWORK):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_LIBC = ctypes.CDLL(None, use_errno=True)
#: CLONE_NEWNET (linux/sched.h).
_NETWORK = 0x40000000
