"""Refuses new requests under overload without reading them: the answer is made of the request's own
bytes. Pure.

What is read costs ten times as much, and at twice the load that the switch can bear there would be
no time left for calls. So only what the answer needs is looked for: the fields that it repeats
(RFC 3261 8.2.6), whether To has a tag, where the top Via leads. Whatever is unusual, as a folded
line, a second Via on one line, another scheme than ``sip``, is left to the parser and to those who
ask it.

Of such a 503 nothing is kept (8.2.7). Its To tag begins with a mark, so that the ACK is known and
dropped as it comes.
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol
from zlib import crc32

from softswitch.errors import TransportError
from softswitch.flow import Flow
from softswitch.sip.message import Request
from softswitch.transport.door import Door
from softswitch.transport.feedback import Feedback
from softswitch.transport.overload import Overload

#: What makes an ordinary request that begins something, and whom it is for.
_START: Final = re.compile(
    rb"(INVITE|REGISTER|OPTIONS|SUBSCRIBE|MESSAGE|PUBLISH) "
    rb"sips?:(?:([^@% \r\n]*+)@)?+[^@% \r\n]++ SIP/2\.0\r\n"
)
#: The lines that go back. A name is followed by its colon at once, as nearly everywhere.
_KEPT: Final = re.compile(
    rb"\r\n(Via|v|From|f|To|t|Call-ID|i|CSeq):[ \t]*+([^\r\n]++)", re.IGNORECASE
)
_VIA: Final = re.compile(
    rb"SIP/2\.0/[A-Z]{2,4} ([\w.-]++|\[[0-9A-Fa-f:.]++\])(?::([1-9][0-9]{0,4}))?+"
    rb"((?:;(?:[^;,\"]|\"[^\";]*+\")++)*+)"
)
#: Parameters of a Via of which more has to be known: where else the answer goes.
_UNUSUAL: Final = re.compile(rb"(?:maddr|received|rport=)\b", re.IGNORECASE)
#: What a neighbour's Via has that wants to hear of the load (RFC 7339).
_OFFERED: Final = re.compile(rb";oc(?:[;=]|\Z)", re.IGNORECASE)
_OFFER: Final = re.compile(rb";oc(?:-algo|-validity|-seq)?(?:=[^;]*+)?(?=;|\Z)", re.IGNORECASE)
_RPORT: Final = re.compile(rb";rport(?=;|\Z)", re.IGNORECASE)
#: The To of a request within a dialog; where it stands in a URI, that is read first, too.
_TAGGED: Final = re.compile(rb";[ \t]*+tag\b", re.IGNORECASE)
#: RFC 3261's, whose branch tells the transaction.
_BRANCH: Final = re.compile(rb";branch=(z9hG4bK[^; \t]++)(?=;|\Z)")
#: Other control characters than a message of text lines has.
_CONTROLS: Final = bytes((at < 32 or at == 127) and at not in b"\t\r\n" for at in range(256))
#: Whole names of short ones.
_LONG: Final = {b"V": b"VIA", b"F": b"FROM", b"T": b"TO", b"I": b"CALL-ID"}


class Sender(Protocol):
    """The transport layer, as far as it is needed here."""

    overload: Overload
    counters: Counter[str]
    door: Door

    def send(self, data: bytes, flow: Flow, noted: bool = True) -> None:
        """Send a message on a flow.

        :param noted: whether it is recorded.
        :raises TransportError: it cannot leave.
        """


class Refusal:
    """What is said to new work while there is too much.

    :ivar retry_after: seconds that it names in Retry-After; 0 for none.
    :ivar spared: whether a request is served all the same: method, user part of its Request-URI as
        it came, the flow.
    :ivar under_way: whether the server transaction of a request stands: top Via's branch, host and
        port, and the method, as ``transaction.layer.server_key`` has them.
    :param sender: sends it.
    :ivar feedback: what neighbours hear of it that want to.
    :param mark: what To tags of ours begin with, and nobody else's: token characters.
    :param time: what time it is, seconds.
    """

    def __init__(self, sender: Sender, mark: str, time: Callable[[], float]) -> None:
        self._sender = sender
        self.feedback = Feedback(sender.overload, time)
        self.retry_after = 0
        self.spared: Callable[[str, str, Flow], bool] = lambda method, user, flow: False
        self.under_way: Callable[[str], bool] = lambda key: False
        self._tag = b";tag=" + mark.encode()

    def takes(self, data: bytes, flow: Flow) -> bool:
        """Whether a message that has come needs nobody's look: there is too much to do, and it has
        been refused, or is the ACK of that; neither is recorded. To be asked where ``Overload.on``
        is set.

        :param data: a datagram, or a whole message.
        """
        counters = self._sender.counters
        if self.answers(data):
            counters["ACK of a refusal"] += 1
            return True
        answer = self.of(data, flow) if self._sender.overload.now_on() else None
        if answer is None:
            self.feedback.admitted += _START.match(data) is not None
            return False
        self.feedback.refused += 1
        try:
            self._sender.send(*answer, noted=False)
        except TransportError:
            counters["refusal not delivered"] += 1
        counters["refused: overload"] += 1
        return True

    def tell_load(self, request: Request, flow: Flow) -> None:
        """Somebody wants to hear of the load: note it in his Via, if he is known.

        :param request: whose top Via has ``oc``.
        """
        if self._sender.door.knows(flow.remote_host, flow.remote_port):
            request.tell(self.feedback.params())

    def answers(self, ack: bytes) -> bool:
        """Whether a datagram, or message, is the ACK of a refusal."""
        return ack.startswith(b"ACK ") and self._tag in ack

    def of(self, data: bytes, flow: Flow) -> tuple[bytes, Flow] | None:
        """The refusal of a request, and where it goes; None where it has to be read first.

        It is not refused, either, when it belongs to a dialog or is to be spared.

        :param data: a datagram, or a whole message.
        """
        start = _START.match(data)
        if start is None:
            return None
        end = data.find(b"\r\n\r\n", start.end() - 2)
        if end < 0:
            return None
        head = data[start.end() - 2 : end]
        if b"\r\n " in head or b"\r\n\t" in head or 1 in head.translate(_CONTROLS):
            return None
        if head.count(b"\n") != head.count(b"\r\n") or head.count(b"\r") != head.count(b"\n"):
            return None
        lines: list[bytes] = []
        found: dict[bytes, bytes] = {}
        vias = 0
        for name, value in _KEPT.findall(head):
            upper = name.upper()
            upper = _LONG.get(upper, upper)
            if upper == b"VIA":
                vias += 1
                if vias > 1:
                    lines.append(b"Via: " + value)
                    continue
            elif upper in found:
                return None
            found[upper] = value
            lines.append(name + b": " + value)
        if len(found) != 5 or _TAGGED.search(found[b"TO"]):
            return None
        method, user = start.groups()
        if not found[b"CSEQ"].endswith(b" " + method):
            return None
        via = _VIA.fullmatch(found[b"VIA"])
        branch = via and _BRANCH.search(via[3])
        if via is None or branch is None:
            return None
        words = (branch[1], via[1].strip(b"[]"), via[2] or b"None", method)
        if self.under_way(b" ".join(words).decode("latin-1")):
            return None
        if self.spared(method.decode(), (user or b"").decode("latin-1"), flow):
            return None
        stamped = self._stamped(via, flow)
        if stamped is None:
            return None
        line, flow = stamped
        seed = found[b"CALL-ID"] + found[b"FROM"] + branch[1]
        tag = b"%b%08x" % (self._tag, crc32(seed))
        for at, each in enumerate(lines):
            if each[:1] in b"Tt":
                lines[at] = each.rstrip(b" \t") + tag
            elif each[:1] in b"Vv" and line:
                lines[at], line = line, b""
        if self.retry_after:
            lines.append(b"Retry-After: %d" % self.retry_after)
        return b"\r\n".join((b"SIP/2.0 503 Service Unavailable", *lines, _END)), flow

    def _stamped(self, via: "re.Match[bytes]", flow: Flow) -> tuple[bytes, Flow] | None:
        """The top Via as ``Request.stamp`` has it, as a line, and where the answer goes; None where
        more has to be known of it (RFC 3261 18.2, RFC 3581 4)."""
        host, port, params = via.groups()
        if _UNUSUAL.search(params):
            return None
        source = flow.remote_host.encode()
        rport = _RPORT.search(params)
        line = b"Via: " + via[0]
        if rport is not None:
            params = _RPORT.sub(b";rport=%d" % flow.remote_port, params, count=1)
            line = b"Via: " + via[0][: via.start(3)] + params
        if rport is not None or host.strip(b"[]") != source:
            line += b";received=" + source
        at = int(port or 5060)
        if not 0 < at < 65536:
            return None
        if _OFFERED.search(params) and self._sender.door.knows(flow.remote_host, flow.remote_port):
            told = "".join(f";{name}={value}" for name, value in self.feedback.params().items())
            line = _OFFER.sub(b"", line) + told.encode()
        if not flow.serial and rport is None and at != flow.remote_port:
            flow = flow._replace(remote_port=at)
        return line, flow


_END: Final = b"Content-Length: 0\r\n\r\n"
