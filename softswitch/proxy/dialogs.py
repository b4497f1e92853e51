"""The dialogs that are forwarded: who is in one, and where its requests may go. Pure.

RFC 3261 12 and 16.12, RFC 6665 4.4.1. A proxy that forwards whatever bears its Record-Route is an
open relay for all who have ever been in a call. So what a dialog's own messages have said is kept
for as long as it lives: tags, Contacts as remote targets, Record-Routes as route sets. A side
counts as heard where it is: what comes from elsewhere in the name of somebody at a trunk is
forwarded, but teaches nothing and ends nothing.
"""

import re
from collections.abc import Callable, Collection
from itertools import islice
from typing import Final, TypeVar

import attrs

from softswitch.errors import SipSyntaxError
from softswitch.proxy.routes import request_uri
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Request, Response
from softswitch.sip.uri import Uri

#: Seconds for which a dialog is known beyond its end, for what is on its way (64*T1).
LINGER_SECONDS: Final = 32

#: Seconds that a subscription lasts where nobody says how long, and at most.
USUAL_SECONDS: Final = 3600
MOST_SECONDS: Final = 7 * 86_400

#: Contacts, or routes, of one side that are remembered: a refresh may fail, or cross with others.
_LATEST: Final = 8
#: Callees of one request.
_MOST_CALLEES: Final = 64

#: Methods whose Contact says where a side is to be reached from now on (3261, 3311, 3515, 6665).
_REFRESH: Final = frozenset(("INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"))
_SUBSCRIBING: Final = frozenset(("SUBSCRIBE", "REFER"))
_EXPIRES: Final = re.compile(r";[ \t]*expires[ \t]*=[ \t]*([0-9]{1,10})", re.IGNORECASE)

_T = TypeVar("_T")

#: Tells a value of ours from others, given the Call-ID.
IsOwn = Callable[[Uri, str], bool]


@attrs.define
class Side:
    """One side of a dialog, as its own messages show it; plain data.

    :ivar host: address at which it was heard first.
    :ivar trunk: name of the trunk that it is at; "" for none.
    :ivar targets: URIs of its Contacts, the latest last.
    :ivar routes: what may follow behind our values in a Route that leads to it.
    """

    host: str
    trunk: str = ""
    targets: list[str] = attrs.Factory(list)
    routes: list[list[str]] = attrs.Factory(list)

    def is_at(self, host: str, trunks: Collection[str]) -> bool:
        """Whether it may be it that is heard from an address.

        :param trunks: names of those at that address.
        """
        if host == self.host or (self.trunk in trunks if self.trunk else not trunks):
            return True
        return any(Uri.parse(target).host == host for target in self.targets)

    def takes(self, host: str, trunks: Collection[str]) -> bool:
        """Whether what is for it may go to an address: to no trunk's but its own."""
        return host == self.host or not trunks or self.trunk in trunks

    def is_meant(self, uri: Uri, routes: list[str]) -> bool:
        """Whether a request leads to it.

        :param routes: what follows behind our own values.
        """
        return any(_same_route(routes, known) for known in self.routes) and any(
            uri.same_as(Uri.parse(target)) for target in self.targets
        )

    def is_there(self, uri: Uri) -> bool:
        """Whether it has named that URI last."""
        return bool(self.targets) and uri.same_as(Uri.parse(self.targets[-1]))

    def named(self, message: Request | Response) -> None:
        """It says where it is to be reached; what cannot be read says nothing."""
        try:
            contact = next(iter(message.contacts), None)
            if contact is not None:
                _note(self.targets, request_uri(str(contact.uri)))
        except SipSyntaxError:
            return


@attrs.define
class Dialog:
    """What one request has made: a dialog of its sender's with each who answers; plain data.

    :ivar caller: its sender.
    :ivar callees: by their tags.
    :ivar subscribes: whether a NOTIFY may make one as well.
    :ivar calls: how many of the ledger's go on in it.
    :ivar until: when it is forgotten, once there are none.
    """

    caller: Side
    subscribes: bool
    until: float
    calls: int = 0
    callees: dict[str, Side] = attrs.Factory(dict)

    def may_begin(self, request: Request) -> bool:
        """Whether a request may come from a callee whose 2xx has not come yet (RFC 6665 4.4.1)."""
        return self.subscribes and request.method == "NOTIFY"


class Dialogs:
    """Those that are known.

    :param now: seconds.
    :param is_own: whether a Record-Route is ours.
    """

    def __init__(self, now: Callable[[], float], is_own: IsOwn) -> None:
        self._now = now
        self._is_own = is_own
        # Call-ID and the sender's tag -> what his request has made.
        self._known: dict[tuple[str, str], Dialog] = {}

    def __len__(self) -> int:
        return len(self._known)

    def open(self, request: Request, host: str, trunk: str, trunks: Collection[str]) -> Dialog:
        """A request that makes a dialog is forwarded.

        :param host: address that it has come from.
        :param trunk: name of the trunk that has sent it; "" for none.
        :param trunks: names of those at that address.
        """
        self._forget()
        tag = request.from_.tag or ""
        dialog = self.find(request.call_id, tag)
        if dialog is None:
            side, until = Side(host, trunk), self._now() + LINGER_SECONDS
            dialog = Dialog(side, request.method != "INVITE", until)
            self._known[request.call_id, tag] = dialog
        if dialog.caller.is_at(host, trunks):
            values = request.values("Record-Route")
            for route in (values, *self._behind(values, request.call_id)):
                _note(dialog.caller.routes, route)
            dialog.caller.named(request)
        return dialog

    def find(self, call_id: str, tag: str) -> Dialog | None:
        """What the request with that From tag has made; None where it is not known, or no more."""
        dialog = self._known.get((call_id, tag))
        return dialog if dialog is not None and self._lives(dialog) else None

    def answered(
        self, dialog: Dialog, response: Response, host: str, trunk: str, trunks: Collection[str]
    ) -> None:
        """A 1xx or 2xx to the request that has made a dialog; the rest as in ``open``."""
        callee = self._callee(dialog, response.to.tag or "", host, trunk)
        if callee is None or not callee.is_at(host, trunks):
            return
        for route in self._behind(response.values("Record-Route")[::-1], response.call_id):
            _note(callee.routes, route)
        callee.named(response)
        if response.status >= 200:
            self.stays(dialog, response if dialog.subscribes else None)

    def notified(self, dialog: Dialog, notify: Request, host: str, trunk: str) -> Side | None:
        """One that may begin comes from somebody who is not known yet: his side."""
        callee = self._callee(dialog, notify.from_.tag or "", host, trunk)
        if callee is not None:
            _note(callee.routes, notify.values("Record-Route"))
        return callee

    def passed(self, dialog: Dialog, side: Side, method: str, message: Request | Response) -> None:
        """A request within a dialog, or a 1xx or 2xx to one, comes from a side, where it is."""
        if method in _REFRESH:
            side.named(message)
        told = method == "NOTIFY"
        if isinstance(message, Response):
            told = method in _SUBSCRIBING and message.status >= 200
        if told:
            self.stays(dialog, message)

    def stays(self, dialog: Dialog, message: Request | Response | None = None) -> None:
        """A dialog is known for what a message of a subscription says; without, for the grace."""
        seconds = 0 if message is None else min(_expires(message), MOST_SECONDS)
        dialog.until = max(dialog.until, self._now() + seconds + LINGER_SECONDS)

    def _callee(self, dialog: Dialog, tag: str, host: str, trunk: str) -> Side | None:
        callee = dialog.callees.get(tag)
        if callee is None and tag and len(dialog.callees) < _MOST_CALLEES:
            callee = dialog.callees[tag] = Side(host, trunk)
        return callee

    def _lives(self, dialog: Dialog) -> bool:
        return dialog.calls > 0 or self._now() < dialog.until

    def _forget(self) -> None:
        """Whenever one is begun, look at two that have not been looked at for longest."""
        for key in list(islice(self._known, 2)):
            dialog = self._known.pop(key)
            if self._lives(dialog):
                self._known[key] = dialog

    def _behind(self, values: list[str], call_id: str) -> list[list[str]]:
        """What is left of a route behind each value of ours, of which there are several where a
        call passes us twice."""
        found: list[list[str]] = []
        rest: list[str] = []
        last = False
        for value in reversed(values):
            try:
                own = self._is_own(NameAddr.parse(value).uri, call_id)
            except SipSyntaxError:
                own = False
            if own and not last:
                found.append(rest)
            rest, last = [value, *rest], own
        return found


def _note(known: list[_T], new: _T) -> None:
    """Remember it as the latest."""
    if new in known:
        known.remove(new)
    known.append(new)
    del known[:-_LATEST]


def _same_route(one: list[str], other: list[str]) -> bool:
    return one == other or (
        len(one) == len(other)
        and all(
            NameAddr.parse(a).uri == NameAddr.parse(b).uri for a, b in zip(one, other, strict=True)
        )
    )


def _expires(message: Request | Response) -> int:
    """Seconds that a subscription lasts by what a 2xx or NOTIFY says."""
    match = _EXPIRES.search(message.get("Subscription-State") or "")
    try:
        said = int(match[1]) if match is not None else message.expires
    except SipSyntaxError:
        said = None
    return USUAL_SECONDS if said is None else said
