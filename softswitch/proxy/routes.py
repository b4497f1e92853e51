"""What a proxy does to a message: hops, routes, and the marks by which it knows its own. Pure.

RFC 3261 16.3, 16.4, 16.6, 16.7 steps 3 and 8, and 16.11. Nothing here knows a transaction.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Final, NamedTuple

import attrs

from softswitch.flow import Flow, usual_port
from softswitch.sip.fields import NameAddr, split_values
from softswitch.sip.forks import FIELD
from softswitch.sip.message import Field, Request, Response
from softswitch.sip.uri import Uri

#: With this begins the user part of each Record-Route value of ours.
_MARK: Final = "px."

#: Methods that make no dialog, so that a Record-Route in them is of no use. Of a method that is
#: not known here one cannot know (16.6 step 4).
NO_DIALOG: Final = frozenset(
    ("MESSAGE", "OPTIONS", "PUBLISH", "REGISTER", "INFO", "UPDATE", "PRACK", "BYE", "ACK")
)


class Way(NamedTuple):
    """A flow, as briefly as it can be told.

    :ivar listener: its place among the listeners.
    :ivar host: the peer's.
    :ivar port: the peer's.
    :ivar serial: of the connection; 0 over UDP.
    :ivar only: whether the peer is reached along it alone, for its Contact shows no way, as
        behind a NAT.
    """

    listener: int
    host: str
    port: int
    serial: int
    only: bool


@attrs.frozen
class Path:
    """What our Record-Route value says about the dialog that it was made for.

    :ivar caller: digest of the From tag of the request that made the dialog.
    :ivar made: when, seconds by the clock.
    :ivar to_caller: the way that the request has come.
    :ivar to_callee: the way that it has gone.
    """

    caller: str
    made: int
    to_caller: Way
    to_callee: Way


class Marks:
    """Makes marks that nobody else can make.

    :param secret: of this switch; values that were made with another one mean nothing to us.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = blake2b(secret, person=b"proxy").digest()

    def path(self, request: Request, made: float, to_caller: Way, to_callee: Way) -> Path:
        """What is to be known about the dialog that ``request`` makes."""
        return Path(self._digest(4, request.from_.tag or ""), int(made), to_caller, to_callee)

    def by_caller(self, path: Path, request: Request) -> bool:
        """Whether a request within the dialog comes from who made it."""
        return path.caller == self._digest(4, request.from_.tag or "")

    def is_for_caller(self, path: Path, request: Request) -> bool:
        """Whether it is for who made it."""
        return path.caller == self._digest(4, request.to.tag or "")

    def user(self, path: Path, call_id: str) -> str:
        """The user part of a Record-Route value: good for this Call-ID only, so that whoever has
        been in one call has no open relay for others."""
        told = json.dumps(attrs.astuple(path, recurse=False), separators=(",", ":"))
        text = urlsafe_b64encode(told.encode()).decode().rstrip("=")
        return f"{_MARK}{self._digest(12, text, call_id)}.{text}"

    def read(self, uri: Uri, call_id: str) -> Path | None:
        """The path in a Route or Request-URI; None where it is none that we have made."""
        user = uri.user or ""
        if not user.startswith(_MARK):
            return None
        seal, _, text = user[len(_MARK) :].partition(".")
        if seal != self._digest(12, text, call_id):
            return None
        caller, made, *ways = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return Path(caller, made, *(Way(*way) for way in ways))

    def loop(self, request: Request) -> str:
        """The part of a branch that is the same each time a request runs in a circle, and another
        when anything has changed that decides where it goes (16.6 step 8).

        The topmost Via is left out: with it, which differs in each round, no circle that leads
        through another element would be found (RFC 5393 4.2).
        """
        return self._digest(
            8,
            request.call_id,
            request.from_.tag or "",
            request.to.tag or "",
            str(request.cseq.number),
            request.uri,
            *request.all("Route"),
            *request.all("Proxy-Require"),
            *request.all("Proxy-Authorization"),
        )

    def branch(self, ack: Request, loop: str) -> str:
        """The branch of a forwarded ACK: the same for each copy of it (16.11)."""
        return f"z9hG4bK{self._digest(10, str(ack.top_via), ack.call_id, loop)}.{loop}"

    def _digest(self, size: int, *parts: str) -> str:
        told = "\n".join(parts).encode("utf-8", "surrogateescape")
        return blake2b(told, key=self._secret, digest_size=size).hexdigest()


@attrs.frozen
class Arrived:
    """A request without what was meant for us alone (16.4).

    :ivar request: as it came, but for our own Route values, and a Request-URI that a strict
        router has moved.
    :ivar own: the Record-Route values of ours that were taken off, in their order.
    :ivar path: what the last of them says; None without any.
    """

    request: Request
    own: list[str]
    path: Path | None


def suspected(request: Request) -> bool:
    """Whether a request with a Route may follow a Record-Route of ours: a quick look."""
    mark = f":{_MARK}"
    return mark in request.uri or any(mark in line for line in request.all("Route"))


def arrived(request: Request, flow: Flow, marks: Marks, is_own: Callable[[Uri], bool]) -> Arrived:
    """Preprocess the routes of a request (16.4).

    :param is_own: whether a URI leads to a listener of ours.
    :raises SipSyntaxError: a Route cannot be read.
    """
    call_id, routes, own = request.call_id, request.values("Route"), []
    target = request.request_uri
    path = marks.read(target, call_id) if routes else None
    if path is not None:  # a strict router has sent it
        own.append(f"<{target}>")
        target = NameAddr.parse(routes.pop()).uri
    target = _without_maddr(target, flow, is_own)
    while routes:
        first = NameAddr.parse(routes[0]).uri
        found = marks.read(first, call_id)
        if found is not None:
            own.append(routes[0])
            path = found
        elif not is_own(first):
            break
        del routes[0]
    uri = request.uri if target is request.request_uri else str(target)
    fields = _with_routes(request.fields, routes)
    return Arrived(Request(request.method, uri, fields, request.body), own, path)


def next_hop(request: Request, uri: str) -> Uri:
    """Where a request goes that has ``uri`` for its target (16.6 step 7): to its first Route,
    whether that is a strict router or not, else to the target."""
    routes = request.routes
    return routes[0].uri if routes else Uri.parse(uri)


def forwarded(
    request: Request,
    uri: str,
    record_routes: Iterable[str],
    further: Iterable[Field] = (),
    breadth: int | None = None,
) -> Request:
    """The copy that is sent to one target, without its Via (16.6 steps 1 to 6).

    :param request: as it has ``arrived``.
    :param record_routes: ours, the one that faces the target first.
    :param further: header fields of the policy's.
    :param breadth: of the request's, the copy's share (RFC 5393 5.3.3); None for an ACK, which
        nobody forks.
    """
    left = request.max_forwards
    hops = 70 if left is None else left - 1
    uri = request_uri(uri)
    routes = request.values("Route")
    if routes and "lr" not in (first := NameAddr.parse(routes[0]).uri).params:
        routes = [*routes[1:], f"<{uri}>"]
        uri = request_uri(str(first))
    fields: list[Field] = [("Record-Route", value) for value in record_routes]
    for name, value in _with_routes(request.fields, routes):
        if name != FIELD or breadth is None:
            fields.append((name, str(hops) if name == "Max-Forwards" else value))
    if left is None:
        fields.append(("Max-Forwards", str(hops)))
    if breadth is not None:
        fields.append((FIELD, str(breadth)))
    return Request(request.method, uri, [*fields, *further], request.body)


def returned(response: Response) -> Response | None:
    """A response without its topmost Via (16.7 step 3); None when it was meant for us."""
    place = next(i for i, field in enumerate(response.fields) if field[0] == "Via")
    rest = split_values(response.fields[place][1])[1:]
    fields = list(response.fields)
    fields[place : place + 1] = [("Via", ", ".join(rest))] if rest else []
    if not any(name == "Via" for name, _ in fields):
        return None
    return Response(response.status, response.reason, fields, response.body)


def has_looped(request: Request, loop: str) -> bool:
    """Whether a request has been here before, and nothing about it has changed (16.3 step 4)."""
    return any(f".{loop}" in line for line in request.all("Via"))


def request_uri(text: str) -> str:
    """A URI without what must not stand in a Request-URI (19.1.1).

    :raises SipSyntaxError: it cannot be read.
    """
    uri = Uri.parse(text)
    if not uri.headers and "method" not in uri.params:
        return text
    params = {name: value for name, value in uri.params.items() if name != "method"}
    return str(attrs.evolve(uri, params=params, headers={}))


def _without_maddr(uri: Uri, flow: Flow, is_own: Callable[[Uri], bool]) -> Uri:
    """Take off an ``maddr`` that means the listener on which the request came."""
    maddr = uri.params.get("maddr")
    transport = uri.transport
    here = (flow.transport, flow.local_port)
    if not maddr or (transport, uri.port or usual_port(transport)) != here:
        return uri
    if not is_own(Uri("sip", host=maddr.strip("[]"), port=uri.port)):
        return uri
    params = {name: each for name, each in uri.params.items() if name not in _MADDR}
    return attrs.evolve(uri, port=None, params=params)


def _with_routes(fields: list[Field], routes: list[str]) -> list[Field]:
    """The fields with these Route values where those stood that were there, else at the end."""
    lines: list[Field] = [("Route", route) for route in routes]
    kept: list[Field] = []
    for field in fields:
        if field[0] != "Route":
            kept.append(field)
        else:
            kept += lines
            lines = []
    return kept + lines


_MADDR: Final = ("maddr", "transport")
