"""Forwarded calls: what came of the ringing, and who is told by whom. Pure.

Diversion (RFC 5806) and History-Info (RFC 7044) cross from leg to leg, and get an entry for each
forwarding of ours. Towards a peer that is not trusted the entries of those who wish so are
without a name (RFC 7044 10.1, RFC 5806).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import attrs

from softswitch.b2bua.crossing import ANONYMOUS
from softswitch.b2bua.identity import withheld
from softswitch.errors import SipSyntaxError
from softswitch.plugin.decisions import Diversion, DivertedFor, Outcome
from softswitch.plugin.profile import DEFAULT, Profile
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Request
from softswitch.sip.uri import Uri
from softswitch.trunk.group import escape_user

#: Entries of either field that go on; beyond them the oldest go but for the very first.
MOST: Final = 12


def outcome(status: int, rang: bool) -> Outcome | Literal[""]:
    """What came of one target, as forwarding sees it; "" for what forwards nothing.

    :param status: its failure, or that of our own time-out.
    :param rang: whether it had rung, or had been given its whole time to.
    """
    if status in (486, 600):
        return "busy"
    if rang and status in (408, 480, 487):
        return "no_answer"
    return "unreachable" if status in (404, 408, 410, 430, 480) or 500 <= status < 600 else ""


def weightier(one: str, other: str) -> str:
    """What came of several targets that stand for the same party."""
    return one if _WEIGHT.index(one) < _WEIGHT.index(other) else other


def fields(
    invite: Request,
    diversions: Sequence[Diversion],
    target: str,
    to: Profile,
    near: Profile = DEFAULT,
) -> list[Field]:
    """The Diversion and History-Info fields of an INVITE of ours.

    :param invite: the caller's.
    :param diversions: our own forwardings that led to this target, the first one first.
    :param target: URI of who is rung, as others know him.
    :param to: profile of the peer that gets them.
    :param near: the caller's, who may have sent some.
    """
    came = invite.get("Diversion"), invite.get("History-Info")
    if (not diversions and came == (None, None)) or to.diversion == "none":
        return []
    lines: list[Field] = []
    if to.diversion != "history":
        lines += _diverted(invite, diversions, to, near)
    if to.diversion != "diversion":
        lines += _history(invite, diversions, target, to.trusted)
    return lines


def _diverted(
    invite: Request, diversions: Sequence[Diversion], to: Profile, near: Profile
) -> list[Field]:
    """The newest first (RFC 5806), with numbers as the peer writes them."""
    entries = [
        NameAddr("", _uri(each.by), {"reason": each.reason, "counter": "1"})
        for each in reversed(diversions)
    ]
    entries += _read(invite.values("Diversion"))
    if len(entries) > MOST:
        entries = [*entries[: MOST - 1], entries[-1]]
    if to.numbering.shows:
        entries = [_renumbered(entry, to, near) for entry in entries]
    if not to.trusted:
        entries = [
            _nameless(entry) if (entry.params.get("privacy") or "off") in _FULL else entry
            for entry in entries
        ]
    return [("Diversion", str(entry)) for entry in entries]


def _renumbered(entry: NameAddr, to: Profile, near: Profile) -> NameAddr:
    number = to.numbering.shown(entry.uri.unquoted_user, near.numbering)
    if entry.uri.scheme == "tel" and not number.startswith("+"):
        return entry
    return attrs.evolve(entry, uri=attrs.evolve(entry.uri, user=escape_user(number)))


def _history(
    invite: Request, diversions: Sequence[Diversion], target: str, trusted: bool
) -> list[Field]:
    """The oldest first; each that was forwarded says why (RFC 7044 9, 10.3)."""
    entries = _read(invite.values("History-Info"))
    if diversions:
        last = entries[-1] if entries else None
        if last is None or not _same(last.uri, invite.request_uri):
            index = "1" if last is None else f"{_index(last)}.0.1"
            entries.append(NameAddr("", invite.request_uri, {"index": index}))
        goes_to = [*(each.by for each in diversions[1:]), target]
        for diversion, uri in zip(diversions, goes_to, strict=True):
            parent = entries[-1]
            entries[-1] = _blamed(parent, diversion.reason)
            index = _index(parent)
            entries.append(NameAddr("", _uri(uri), {"index": f"{index}.1", "mp": index}))
    if len(entries) > MOST:
        entries = [entries[0], *entries[1 - MOST :]]
    if not trusted:
        every = withheld(invite, _HISTORY)
        entries = [_nameless(entry) if every or _private(entry) else entry for entry in entries]
    return [("History-Info", str(entry)) for entry in entries]


def _read(values: Iterable[str]) -> list[NameAddr]:
    """Those that can be read."""
    found = []
    for value in values:
        try:
            found.append(NameAddr.parse(value))
        except SipSyntaxError:
            continue
    return found


def _uri(text: str) -> Uri:
    """A URI without what says how it is reached, or bears headers."""
    uri = Uri.parse(text)
    return attrs.evolve(uri, params={}, headers={}) if uri.params or uri.headers else uri


def _same(entry: Uri, called: Uri) -> bool:
    return attrs.evolve(entry, headers={}).same_as(called)


def _index(entry: NameAddr) -> str:
    return entry.params.get("index") or "1"


def _blamed(entry: NameAddr, reason: DivertedFor) -> NameAddr:
    """An entry with the reason for which the call has left it (RFC 7044 10.2); a TEL URI has no
    headers to hold one."""
    uri = entry.uri
    if uri.scheme == "tel":
        return entry
    headers = {name: value for name, value in uri.headers.items() if name.lower() != "reason"}
    headers["Reason"] = f"SIP%3Bcause%3D{_CAUSES.get(reason, 302)}"
    return attrs.evolve(entry, uri=attrs.evolve(uri, headers=headers))


def _private(entry: NameAddr) -> bool:
    """Whether an entry is marked as nobody's business (RFC 7044 10.1)."""
    headers = {name.lower(): value.lower() for name, value in entry.uri.headers.items()}
    return "history" in headers.get("privacy", "")


def _nameless(entry: NameAddr) -> NameAddr:
    """An entry with all but who it is."""
    headers = {
        name: value for name, value in entry.uri.headers.items() if name.lower() != "privacy"
    }
    return NameAddr("", Uri("sip", "anonymous", host=ANONYMOUS, headers=headers), entry.params)


_WEIGHT: Final = ("busy", "no_answer", "unreachable", "")
_FULL: Final = frozenset(("full", "uri", "name"))
#: Kinds of privacy that the history comes under (RFC 7044 10.1.2).
_HISTORY: Final = frozenset(("history", "header", "session"))
#: Why a call was diverted -> the status that says so (RFC 4458, RFC 7044 10.2); else 302.
_CAUSES: Final[Mapping[str, int]] = {
    "user-busy": 486,
    "no-answer": 408,
    "unavailable": 503,
    "out-of-service": 503,
    "deflection": 480,
    "unknown": 404,
}
