"""Messages made from messages: responses, ACK and CANCEL; branches, tags and Call-IDs. Pure.

RFC 3261 sections 8.1.1, 8.2.6, 8.2.7, 9.1, 17.1.1.3 and 19.3.
"""

import hmac
import os
from collections.abc import Iterable
from io import BytesIO
from time import time
from typing import Final

from softswitch.errors import SipSyntaxError
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.names import REASONS

#: The methods served, for Allow (RFC 3261 20.5).
ALLOW: Final = (
    *("INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "PRACK", "UPDATE"),
    *("INFO", "MESSAGE", "REFER", "SUBSCRIBE", "NOTIFY", "PUBLISH"),
)


def response(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    fields: Iterable[Field] = (),
    body: bytes = b"",
    record_route: bool = False,
) -> Response:
    """Answer a request, also one that was refused as malformed (RFC 3261 8.2.6).

    :param reason: phrase; the RFC's when None.
    :param to_tag: put on To where it has no tag yet.
    :param fields: further header fields.
    :param record_route: copy Record-Route, for what may make a dialog (12.1.1).
    """
    copied = _COPIED_WITH_ROUTE if record_route else _COPIED
    if status == 100:
        copied = _COPIED_ON_TRYING
    kept = [field for field in request.fields if field[0] in copied]
    if to_tag is not None:
        _tag_to(request, kept, to_tag)
    kept.extend(fields)
    phrase = REASONS.get(status, "Unknown") if reason is None else reason
    return Response(status, phrase, kept, body)


def ack(invite: Request, response: Response) -> Request:
    """The ACK of a final response other than 2xx (RFC 3261 17.1.1.3)."""
    return _companion(invite, "ACK", response.get("To"), ())


def cancel(invite: Request, fields: Iterable[Field] = ()) -> Request:
    """The CANCEL of a request that was sent (RFC 3261 9.1).

    :param fields: further header fields, as Reason.
    """
    return _companion(invite, "CANCEL", None, fields)


def new_branch() -> str:
    """A branch, unique in space and time, with RFC 3261's magic cookie."""
    return f"z9hG4bK{random_digits(10)}"


def sealed_branch(call_id: str, host: str, now: int, secret: str) -> str:
    """A branch that nobody else can make, so that a response proves that we sent the request.

    :param host: to which the request goes.
    :param now: seconds, eight hex digits at most.
    """
    salt = f"{now:08x}{random_digits(4)}"
    return f"z9hG4bK{salt}{seal(f'{salt} {host} {call_id}', secret)}"


def is_sealed(branch: str, call_id: str, host: str, since: int, secret: str) -> bool:
    """Whether ``sealed_branch`` made this branch for a request with this Call-ID that went to this
    host, no earlier than that second."""
    salt = branch[7:23]
    made = branch == f"z9hG4bK{salt}{seal(f'{salt} {host} {call_id}', secret)}"
    return made and int(salt[:8], 16) >= since


def seal(text: str, secret: str) -> str:
    """What nobody else can make of a text, and we only while this process lives: the interpreter's
    own keyed hash (SipHash), since a message's way has no room for a cryptographic one."""
    return f"{hash(secret + text) & 0xFFFF_FFFF_FFFF_FFFF:016x}"


def new_tag() -> str:
    """A tag of 64 random bits (RFC 3261 19.3)."""
    return random_digits(8)


def new_call_id(host: str) -> str:
    """A Call-ID of our own at ``host``."""
    return f"{new_name()}@{host}"


def new_name() -> str:
    """A name that nothing else has: the second, and 64 random bits. Those that are made one after
    another come to stand together in an index of the records, which takes them in for less."""
    return f"{int(time()):08x}{random_digits(8)}"


def stateless_tag(request: Request, secret: bytes) -> str:
    """A To tag that is the same for each retransmission of a request (RFC 3261 8.2.7)."""
    try:
        branch = request.top_via.branch or ""
    except SipSyntaxError:
        branch = ""
    cseq = (request.get("CSeq") or "").partition(" ")[0]
    parts = (branch, cseq, request.get("Call-ID") or "", request.get("From") or "")
    identity = "\n".join(parts).encode("utf-8", "surrogateescape")
    return hmac.digest(secret, identity, "sha256")[:8].hex()


def random_digits(size: int) -> str:
    """So many random bytes as hex digits; the kernel is asked for a page of them at a time."""
    drawn = _pool.read(size)
    if len(drawn) < size:
        _pool.seek(0)
        _pool.write(os.urandom(4096))
        _pool.seek(0)
        drawn = _pool.read(size)
    return drawn.hex()


def _companion(invite: Request, method: str, to: str | None, further: Iterable[Field]) -> Request:
    """A request of the same transaction: one Via, the same Request-URI, Route and identity."""
    fields = [("Via", str(invite.top_via)), ("Max-Forwards", "70")]
    for name, value in invite.fields:
        if name == "To" and to is not None:
            fields.append(("To", to))
        elif name in _COMPANION:
            fields.append((name, value))
    fields.append(("CSeq", f"{invite.cseq.number} {method}"))
    return Request(method, invite.uri, [*fields, *further])


def _tag_to(request: Request, fields: list[Field], tag: str) -> None:
    try:
        if request.to.tag is not None:
            return
    except SipSyntaxError:
        return  # it is copied as it came: nobody could find the parameter
    to = request.get("To")
    fields[fields.index(("To", to or ""))] = ("To", f"{to};tag={tag}")


_pool: Final = BytesIO()
_COPIED: Final = frozenset(("Via", "From", "To", "Call-ID", "CSeq"))
_COPIED_ON_TRYING: Final = _COPIED | {"Timestamp"}
_COPIED_WITH_ROUTE: Final = _COPIED | {"Record-Route"}
_COMPANION: Final = frozenset(("From", "To", "Call-ID", "Route", "Session-ID"))
