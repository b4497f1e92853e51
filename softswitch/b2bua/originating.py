"""Calls that the switch begins itself: it calls one, and then connects him with another. Pure.

Each has a caller within the process, on a flow that does not leave it: a phone that offers audio
which is switched off (RFC 3725, flow IV), and transfers whoever answers with a REFER (RFC 3515). So
it is a call like any other: policies are asked, on behalf of whom it is made, it can be listed, is
recorded, and has one record. Whom is called first hears nothing until the other answers.
"""

from collections.abc import Callable
from typing import Final

from softswitch.dialog.useragent import UserAgent
from softswitch.flow import Flow
from softswitch.plugin.views import Identity
from softswitch.sip import compose
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.parser import parse
from softswitch.transport.connection import Connection
from softswitch.transport.layer import TransportLayer
from softswitch.wheel import Clock

#: Where the caller within is, as its messages say; nobody asks for that name.
_HERE: Final = "operator.invalid"

#: Its audio: it is there, and switched off.
_SDP: Final = (
    b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    b"m=audio 9 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=inactive\r\n"
)

#: Seconds for which the flow stays when the call is over: the last answers may be asked for again.
LINGER: Final = 40.0


class Originated:
    """The caller within, of one call.

    :ivar call_id: Call-ID of its leg.
    :ivar refused: final status and phrase of its INVITE; None while there is none, or for a 2xx.
    :param listener: name of the one through which it sees the switch.
    :param identity: on whose behalf it calls.
    :param first: URI of whom is called, then
    :param second: of whom he is connected with.
    :param caller: From field value without a tag.
    :param told: called once, when the INVITE is refused.
    """

    def __init__(
        self,
        transport: TransportLayer,
        agent: UserAgent,
        clock: Clock,
        listener: str,
        identity: Identity,
        first: str,
        second: str,
        caller: str,
        told: Callable[["Originated"], None],
    ) -> None:
        self.call_id = compose.new_call_id(_HERE)
        self.refused: tuple[int, str] | None = None
        self._clock = clock
        self._agent = agent
        self._second = second
        self._told = told
        self._cseq = 0
        self._over = False
        self._from = f"{caller};tag={compose.new_tag()}"
        self._to = f"<{first}>"
        self._target = first
        self._transferred = False
        self._connection: Connection = transport.inner(listener, self)
        agent.inner[self.flow] = identity
        self._invite = self._request(
            "INVITE", [("Content-Type", "application/sdp"), ("Contact", f"<sip:{_HERE}>")], _SDP
        )

    @property
    def flow(self) -> Flow:
        """On which it speaks to the switch."""
        return self._connection.flow

    def start(self) -> None:
        """Call."""
        self._send(self._invite)

    # What its connection calls; never answered from within that call.

    def write(self, data: bytes) -> None:
        """The switch says something."""
        self._clock.callLater(0.0, self._received, data)

    def unsent(self) -> int:
        """All has arrived."""
        return 0

    def close(self) -> None:
        """The switch stops."""

    def abort(self) -> None:
        """Likewise."""

    # What the switch says.

    def _received(self, data: bytes) -> None:
        message = parse(data, stream=True)
        if isinstance(message, Request):
            self._requested(message)
        elif isinstance(message, Response) and message.status >= 200:
            self._answered(message)

    def _answered(self, response: Response) -> None:
        method, good = response.cseq.method, response.status < 300
        if method == "INVITE" and not good:
            self._send(compose.ack(self._invite, response))
            self.refused = response.status, response.reason
            self._end()
            self._told(self)
        elif method == "INVITE":
            self._to, self._target = str(response.to), str(response.contacts[0].uri)
            self._send(self._request("ACK", [], cseq=self._invite.cseq.number))
            if not self._transferred:
                self._transferred = True
                refer = [("Refer-To", f"<{self._second}>"), ("Contact", f"<sip:{_HERE}>")]
                self._send(self._request("REFER", refer))
        elif method == "REFER" and not good:
            self._hang_up()

    def _requested(self, request: Request) -> None:
        if request.method == "ACK":
            return
        status = {"BYE": 200, "NOTIFY": 200, "OPTIONS": 200, "INFO": 200}.get(request.method, 488)
        fields = [("Contact", f"<sip:{_HERE}>")]
        self._send(compose.response(request, status, fields=fields))
        if request.method == "BYE":
            self._end()
        elif request.method == "NOTIFY" and _came_to_nothing(request):
            self._hang_up()

    # What it says.

    def _hang_up(self) -> None:
        if not self._over:
            self._send(self._request("BYE", []))
            self._end()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._clock.callLater(LINGER, self._leave)

    def _leave(self) -> None:
        self._agent.inner.pop(self.flow, None)
        self._connection.lost("the call is over")

    def _request(
        self, method: str, further: list[Field], body: bytes = b"", cseq: int = 0
    ) -> Request:
        if not cseq:
            self._cseq += 1
        fields: list[Field] = [
            ("Via", f"SIP/2.0/TCP {_HERE};branch={compose.new_branch()};rport"),
            ("Max-Forwards", "70"),
            ("From", self._from),
            ("To", self._to),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq or self._cseq} {method}"),
            *further,
        ]
        return Request(method, self._target, fields, body)

    def _send(self, message: Message) -> None:
        self._connection.data_received(message.encode())


def _came_to_nothing(notify: Request) -> bool:
    """Whether the transfer is over, and has failed (RFC 3515 2.4.5)."""
    state = (notify.get("Subscription-State") or "").partition(";")[0].strip().lower()
    line = notify.body.split(b"\r\n")[0].split(b" ")
    status = int(line[1]) if len(line) > 1 and line[1].isdigit() else 0
    return status >= 300 or (state == "terminated" and status < 200)
