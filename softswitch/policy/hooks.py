"""The JSON of the webhook: what is asked and told, and how an answer is read. Pure.

``docs/plugins.md`` has it for those who write the other side. An answer is read as strictly as the
configuration: a key that is not known, or a word where a number is wanted, is a mistake that is
told with its place.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

from softswitch.errors import ConfigError
from softswitch.plugin.decisions import (
    Diversion,
    DivertedFor,
    Proxy,
    Redirect,
    Reject,
    Route,
    Target,
)
from softswitch.plugin.record import CallRecord
from softswitch.plugin.version import API
from softswitch.plugin.views import InviteView
from softswitch.settings import key_path, reader, shown


class AnswerError(ValueError):
    """An answer that cannot be acted upon; its text says where and why."""


@attrs.frozen
class Place:
    """A target, as an answer has it: one of ``uri``, ``user``, or ``trunk`` with ``number``.

    :ivar user: name or number of a user of ours: every contact of his.
    :ivar number: dialled over the trunk: every member of it that is up. A ``uri`` may have a
        ``trunk``, too.
    """

    uri: str = ""
    user: str = ""
    trunk: str = ""
    number: str = ""
    ring_seconds: float | None = None
    group: int = 0
    q: float = 1.0
    headers: Mapping[str, str] = attrs.field(factory=dict)
    call_to: str = ""
    dialog: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def fault(self) -> str:
        """What is wrong with it, or ""."""
        ways = [bool(self.uri), bool(self.user), bool(self.number)]
        if sum(ways) != 1:
            return "one of uri, user and number is wanted"
        if self.number and not self.trunk:
            return "number goes with a trunk"
        return "user goes without a trunk" if self.user and self.trunk else ""

    def own(self, target: Target, index: int) -> Target:
        """A target to which this leads, with what this says of it.

        :param index: its place in the answer, so that one user's contacts, which ring at once, do
            not ring with the next one's.
        """
        return attrs.evolve(
            target,
            ring_seconds=target.ring_seconds if self.ring_seconds is None else self.ring_seconds,
            group=self.group or -(index * _GROUPS + target.group) * bool(target.group),
            q=min(self.q, target.q),
            headers={**target.headers, **self.headers},
            call_to=self.call_to or target.call_to,
            dialog={**target.dialog, **self.dialog},
        )


@attrs.frozen
class _Diverted:
    by: str
    reason: DivertedFor = "unconditional"


@attrs.frozen
class Way:
    """A ``Route`` whose targets are not looked up yet."""

    targets: tuple[Place, ...]
    dialog: Mapping[str, Any] = attrs.field(factory=dict)
    forward: Mapping[str, Any] = attrs.field(factory=dict)
    diversions: tuple[_Diverted, ...] = ()
    record: bool = False

    def route(self, targets: Iterable[Target], forward: Mapping[Any, Route]) -> Route:
        """The route, once they are."""
        return Route(
            tuple(targets),
            dialog=self.dialog,
            forward=forward,
            diversions=[Diversion(each.by, each.reason) for each in self.diversions],
            record=self.record,
        )


@attrs.frozen
class Forwarded:
    """A ``Proxy`` whose targets are not looked up yet."""

    targets: tuple[Place, ...]
    record_route: bool = True

    def proxy(self, targets: Iterable[Target]) -> Proxy:
        """The decision, once they are."""
        return Proxy(tuple(targets), self.record_route)


@attrs.frozen
class _Redirected:
    contacts: tuple[str, ...]
    status: int = 302


@attrs.frozen
class _Rejected:
    status: int
    reason: str = ""
    headers: Mapping[str, str] = attrs.field(factory=dict)


#: What an answer may be.
Said: TypeAlias = Way | Forwarded | Redirect | Reject | None

_WAY: Final = reader(Way)
_FORWARDED: Final = reader(Forwarded)
_REDIRECTED: Final = reader(_Redirected)
_REJECTED: Final = reader(_Rejected)

_DECISIONS: Final = ("route", "proxy", "redirect", "reject", "none")

#: More contacts than a user has.
_GROUPS: Final = 10_000

#: The name of what is read, in an error.
_NAME: Final = "answer"


def answered(body: bytes) -> Said:
    """What an answer says; None has the next policy asked.

    :param body: JSON in UTF-8.
    :raises AnswerError: it says nothing that can be understood.
    """
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"is no JSON: {error}") from None
    if found is None:
        return None
    if not isinstance(found, dict):
        raise AnswerError("a JSON object is wanted")
    decision = found.pop("decision", None)
    if decision not in _DECISIONS:
        words = " or ".join(map(shown, _DECISIONS))
        raise AnswerError(f"decision: {words} is wanted, not {shown(decision)}")
    try:
        return _said(decision, found)
    except ConfigError as error:
        raise AnswerError(str(error).removeprefix(f"{_NAME}: ")) from None


def _said(decision: str, found: dict[str, Any]) -> Said:
    if decision == "route":
        return way(found, "")
    if decision == "proxy":
        forwarded = _FORWARDED(_with_places(found), _NAME, "")
        _check(forwarded.targets, "")
        return forwarded
    if decision == "redirect":
        redirected = _REDIRECTED(found, _NAME, "")
        return Redirect(redirected.contacts, redirected.status)
    if decision == "reject":
        rejected = _REJECTED(found, _NAME, "")
        return Reject(rejected.status, rejected.reason or None, rejected.headers)
    if found:
        raise AnswerError(f'{min(found)}: goes with no decision "none"')
    return None


def way(found: object, path: str) -> Way:
    """A route, as it stands in an answer.

    :param path: where in it, for errors.
    :raises AnswerError: it cannot be read.
    """
    try:
        read = _WAY(_with_places(found), _NAME, path)
    except ConfigError as error:
        raise AnswerError(str(error).removeprefix(f"{_NAME}: ")) from None
    _check(read.targets, path)
    return read


def _with_places(found: object) -> object:
    """A URI alone stands for a target with defaults."""
    if not isinstance(found, dict) or not isinstance(found.get("targets"), list):
        return found
    targets = [{"uri": each} if isinstance(each, str) else each for each in found["targets"]]
    return {**found, "targets": targets}


def _check(places: Sequence[Place], path: str) -> None:
    for index, place in enumerate(places):
        if place.fault:
            raise AnswerError(f"{key_path(key_path(path, 'targets'), index)}: {place.fault}")


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def question(invite: InviteView, names: Iterable[str], now: float) -> dict[str, Any]:
    """What the other side is asked.

    :param names: of the header fields that it sees.
    """
    identity, source = invite.identity, invite.source
    headers = {name: invite.headers(name) for name in names}
    return {
        "version": API,
        "ask": "route",
        "at": now,
        "request": {
            "method": invite.method,
            "uri": str(invite.uri),
            "dialled": invite.uri.unquoted_user,
            "from": str(invite.from_.uri),
            "from_display": invite.from_.display,
            "caller": invite.from_.uri.unquoted_user,
            "to": str(invite.to.uri),
            "call_id": invite.call_id,
            "headers": {name: lines for name, lines in headers.items() if lines},
        },
        "identity": {
            "kind": identity.kind if identity is not None else "",
            "name": identity.name if identity is not None else "",
            "domain": identity.domain if identity is not None else "",
        },
        "source": {
            "listener": source.listener,
            "transport": source.transport,
            "host": source.remote_host,
            "port": source.remote_port,
        },
    }


def event(fact: str, record: CallRecord, number: int, now: float) -> dict[str, Any]:
    """What the other side is told of a call, as it is now.

    :param fact: "started", "ringing", "answered" or "ended".
    :param number: how many facts this call's observers have been told, this one included.
    """
    return {
        "id": f"{record.id}-{number}",
        "event": fact,
        "at": now,
        "call": attrs.asdict(record),
    }
