"""Whether what a policy answered can be acted upon. Pure.

Each check returns what is wrong in a few words, or "". What passes here may be put into a
message as it is: no line end hides in it, and no field that keeps the protocol right is touched.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import isfinite
from typing import Any, Final, get_args

from softswitch.errors import ConfigError, SipSyntaxError
from softswitch.flow import Flow
from softswitch.plugin.decisions import (
    Accept,
    Allow,
    Challenge,
    Diversion,
    DivertedFor,
    Follow,
    Front,
    Outcome,
    PassOn,
    Proxy,
    Redirect,
    Reject,
    Route,
    Target,
)
from softswitch.plugin.media import MediaProfile
from softswitch.plugin.profile import RESERVED, Profile
from softswitch.plugin.tolls import TollLimits
from softswitch.plugin.verification import Verification
from softswitch.plugin.views import CallLimits, Forwarded, Identity, User
from softswitch.settings import structure
from softswitch.sip.digest import ALGORITHMS
from softswitch.sip.fields import NameAddr
from softswitch.sip.names import canonical
from softswitch.sip.uri import Uri

#: Controls but for TAB, and surrogates that stand for no byte: neither may be sent.
_UNFIT: Final = re.compile("[\x00-\x08\n-\x1f\x7f\ud800-\udc7f\udd00-\udfff]")
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_DIALLED: Final = frozenset(("sip", "sips", "tel"))

#: How often a call may be forwarded.
FORWARDINGS: Final = 5


def fault(decision: object, known_trunk: Callable[[str], bool] | None = None) -> str:
    """What is wrong with a decision; "" when it is sound.

    :param known_trunk: whether a trunk of that name exists; None: any may be named.
    """
    if isinstance(decision, _LEADING):
        if not decision.targets and not isinstance(decision, _BY_TRUNKS):
            return "no targets"
        for target in decision.targets:
            if wrong := _target(target, known_trunk):
                return wrong
        further = _FURTHER.get(type(decision))
        return "" if further is None else further(decision, known_trunk)
    check = _CHECKS.get(type(decision))
    return "no decision" if check is None else check(decision)


def _allow(allow: Allow) -> str:
    identity = allow.identity
    fit = (
        isinstance(identity, Identity)
        and isinstance(identity.kind, str)
        and isinstance(identity.name, str)
        and isinstance(identity.domain, str)
        and isinstance(identity.verification, Verification | None)
    )
    return "" if fit else "no identity"


def _challenge(challenge: Challenge) -> str:
    realm = challenge.realm
    if realm is not None and (not _sendable(realm) or '"' in realm or "\\" in realm):
        return "unfit realm"
    return "" if all(name in ALGORITHMS for name in challenge.algorithms) else "unknown algorithm"


def _reject(reject: Reject) -> str:
    if not _within(reject.status, 400, 699):
        return f"status {reject.status!r} rejects nothing"
    if reject.reason is not None and not _sendable(reject.reason):
        return "unfit reason phrase"
    return _headers(reject.headers)


def _redirect(redirect: Redirect) -> str:
    if not _within(redirect.status, 300, 399):
        return f"status {redirect.status!r} redirects nobody"
    if not redirect.contacts:
        return "no contacts"
    return _first(_uri(contact) for contact in redirect.contacts)


def _accept(accept: Accept) -> str:
    if not _within(accept.min_expires, 0, 2**32 - 1):
        return "unfit min_expires"
    if not _within(accept.max_expires, max(1, accept.min_expires), 2**32 - 1):
        return "unfit max_expires"
    return "" if _within(accept.max_contacts, 1, 2**32 - 1) else "unfit max_contacts"


def _front(front: Front, known_trunk: Callable[[str], bool] | None) -> str:
    """All but whether there are targets, and what they are."""
    if any(target.trunk is None for target in front.targets):
        return "a registrar's target wants a trunk"
    if not _within(front.ask, 1, 2**32 - 1):
        return "unfit ask"
    if not isinstance(front.domain, str) or (front.domain and _uri(f"sip:{front.domain}")):
        return "unfit domain"
    if front.path not in ("auto", "always", "never"):
        return f"unfit path {front.path!r}"
    return _accept(Accept(front.max_expires, front.min_expires, front.max_contacts))


def _user(user: User) -> str:
    if not isinstance(user.name, str) or not user.name or not isinstance(user.ha1, _MAPPING):
        return "no user"
    fit = isinstance(user.display, str) and isinstance(user.group, str)
    if not fit or not all(isinstance(number, str) for number in user.numbers):
        return "unfit display, group or numbers"
    if user.do_not_disturb not in ("", "busy", "unavailable"):
        return f"unfit do_not_disturb {user.do_not_disturb!r}"
    if not isinstance(user.limits, CallLimits) or user.limits.status not in (480, 486):
        return "unfit limits"
    try:
        TollLimits(**user.fraud)
    except (TypeError, ValueError) as error:
        return f"unfit fraud: {error}"
    return "" if isinstance(user.forwarded, Forwarded) else "unfit forwarded"


def _pass_on(_: PassOn) -> str:
    return ""


def _route(route: Route, known_trunk: Callable[[str], bool] | None, before: int = 0) -> str:
    """All but the targets.

    :param before: how often the call has been forwarded before it goes here.
    """
    if not route.dialog and not route.forward and not route.diversions:
        return ""
    before += len(route.diversions)
    if before > FORWARDINGS:
        return f"forwarded more than {FORWARDINGS} times"
    if not isinstance(route.forward, Mapping):
        return "forward is no mapping"
    for outcome, further in route.forward.items():
        if outcome not in get_args(Outcome):
            return f"unfit outcome {outcome!r}"
        if not isinstance(further, Route) or not further.diversions:
            return "forward wants routes, with who diverts the call"
        if wrong := _first(_target(each, known_trunk) for each in further.targets):
            return wrong
        if wrong := _route(further, known_trunk, before):
            return wrong
    return _cells(route.dialog) or _first(map(_diversion, route.diversions))


def _diversion(diversion: object) -> str:
    if not isinstance(diversion, Diversion):
        return f"{type(diversion).__name__} is no diversion"
    if diversion.reason not in get_args(DivertedFor):
        return f"unfit reason {diversion.reason!r}"
    return _uri(diversion.by, _DIALLED)


def _cells(cells: object) -> str:
    """What is wrong with what overrides a profile."""
    if not isinstance(cells, _MAPPING):
        return "dialog is no mapping"
    if cells and "wants" in cells:
        if wrong := _wants(cells["wants"]):
            return wrong
        cells = {name: cell for name, cell in cells.items() if name != "wants"}
    try:
        return _judged(tuple(cells.items())) if cells else ""
    except TypeError:  # unhashable, as no cell's value is
        return "unfit dialog"


def _wants(cells: object) -> str:
    """What is wrong with what overrides what a peer wants its media to be."""
    if not isinstance(cells, _MAPPING):
        return "wants is no mapping"
    table = {name: list(cell) if isinstance(cell, tuple) else cell for name, cell in cells.items()}
    try:
        structure(table, MediaProfile, file="dialog", path="wants")
    except ConfigError as error:
        return str(error)
    return ""


@lru_cache
def _judged(cells: tuple[tuple[str, object], ...]) -> str:
    """The configuration's own look at a profile, which takes its time."""
    table = {name: list(cell) if isinstance(cell, tuple) else cell for name, cell in cells}
    try:
        structure(table, Profile, file="dialog")
    except ConfigError as error:
        return str(error)
    return ""


def _target(target: object, known_trunk: Callable[[str], bool] | None) -> str:
    if not isinstance(target, Target):
        return f"{type(target).__name__} is no target"
    if target.ring_seconds is not None and not _number(target.ring_seconds, 0.001, 86400):
        return "unfit ring_seconds"
    if not _number(target.q, 0, 1):
        return "unfit q"
    if type(target.group) is not int:
        return "unfit group"
    if target.flow is not None and not isinstance(target.flow, Flow):
        return "unfit flow"
    if target.trunk is not None and known_trunk is not None and not known_trunk(target.trunk):
        return f"no trunk {target.trunk!r}"
    if not _sendable(target.caller) or not isinstance(target.callee, str):
        return "unfit caller or callee"
    if target.attestation not in ("", "A", "B", "C"):
        return "unfit attestation"
    return (
        _uri(target.uri, _DIALLED)
        or _first(map(_hop, target.route))
        or (_uri(target.call_to, _DIALLED) if target.call_to is not None else "")
        or _headers(target.headers)
        or _cells(target.dialog)
    )


def _uri(uri: object, schemes: Iterable[str] = ()) -> str:
    if not isinstance(uri, str) or not _sendable(uri):
        return "unfit URI"
    try:
        parsed = Uri.parse(uri)
    except SipSyntaxError:
        return f"unfit URI {uri!r}"
    return f"unfit scheme {parsed.scheme!r}" if schemes and parsed.scheme not in schemes else ""


def _hop(route: object) -> str:
    """What is wrong with a Route field value."""
    if not isinstance(route, str) or not _sendable(route):
        return "unfit route"
    try:
        uri = NameAddr.parse(route).uri
    except SipSyntaxError:
        return f"unfit route {route!r}"
    return "" if uri.scheme == "sip" else f"unfit scheme {uri.scheme!r}"


def _headers(headers: object) -> str:
    if not isinstance(headers, _MAPPING):
        return "headers are no mapping"
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            return f"unfit header name {name!r}"
        if canonical(name).lower() in RESERVED:
            return f"header {name} is not a policy's to set"
        if not isinstance(value, str) or not _sendable(value):
            return f"unfit value of header {name}"
    return ""


def _sendable(text: object) -> bool:
    return isinstance(text, str) and _UNFIT.search(text) is None


def _within(value: object, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _number(value: object, low: float, high: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isfinite(value) and low <= value <= high


def _first(faults: Iterable[str]) -> str:
    return next(filter(None, faults), "")


#: What leads to targets.
_LEADING: Final = (Route, Proxy, Follow, Front)
#: Of those, what may have none: a trunk has none while no member of it is up.
_BY_TRUNKS: Final = (Route, Proxy)
#: What else is looked at in those.
_FURTHER: Final[dict[type, Callable[[Any, Callable[[str], bool] | None], str]]] = {
    Route: _route,
    Front: _front,
}
#: A dict is known for a mapping at once; whether anything else is one takes an ABC to find out.
_MAPPING: Final = (dict, Mapping)
_CHECKS: Final[dict[type, Callable[[Any], str]]] = {
    Allow: _allow,
    Challenge: _challenge,
    Reject: _reject,
    Redirect: _redirect,
    Accept: _accept,
    PassOn: _pass_on,
    User: _user,
}
