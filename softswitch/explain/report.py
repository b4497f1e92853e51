"""A rehearsal as JSON, whose keys are stable. Pure.

``json_of`` gives, all of it plain data; text that came or goes over the wire is decoded as UTF-8,
octets of no encoding as lone surrogates (``.encode("utf-8", "surrogateescape")`` takes it back):

========== ========================================================================
key        what it holds
========== ========================================================================
version    1; a key that changes its meaning makes it 2, one that is added does not
source     ``listener``, ``transport``, ``host``, ``port``
invite     the INVITE that came
assumed    what was taken for granted, sentences
steps      what happened, in order: ``kind`` is one of those below
caller     who it is: ``kind``, ``name``; null where nobody was admitted
targets    of the route, in the order of ringing: ``uri``, ``trunk``, ``step`` (those of
           one step ring at once), ``ring_seconds``, ``q``, ``call_to``, ``flow``,
           ``headers``, ``health``
forward    outcome -> ``diversions``, ``targets``, ``forward``: where it goes on
tries      the INVITEs that leave: ``seconds`` after the one that came, ``listener``,
           ``transport``, ``host``, ``port``, ``target``, ``trunk``, ``invite``,
           ``numbers``, ``fields``, ``sdp``, ``fate``
answers    what the caller is told, but for 100: ``status``, ``reason``, ``response``
limit      the first limit by which it was turned away, as in the record; "" for none
outcome    "leaves", "refused", "redirected", or "silent" where nothing came of it
========== ========================================================================

Steps: ``policy`` (``place``, ``policy``, ``answer``, ``passed``, ``later``, ``fault``,
``because``, ``consulted``: ``question`` and ``answer``), ``decision`` (``place``,
``decision``), ``name`` (``name``, ``addresses``, ``stand_in``). ``numbers``: ``called``, ``to``
and ``caller``, each what came and what leaves. ``fields``: ``added`` and ``dropped`` (name,
value), ``changed`` (name, values that came, values that leave), ``kept`` (names). ``sdp``:
``came`` and ``leaves``, whole bodies.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from softswitch.explain import difference
from softswitch.explain.diary import Decided, Entry, LookedUp, Verdict, told
from softswitch.explain.rehearsal import Rehearsal, Try
from softswitch.plugin.decisions import Allow, Proxy, Route, Target, steps
from softswitch.sip.message import Request

#: Of what ``json_of`` gives.
VERSION = 1


def json_of(rehearsal: Rehearsal) -> dict[str, Any]:
    """What happened, as plain data; see above."""
    diary, flow = rehearsal.diary, rehearsal.flow
    admitted, routed = diary.decision("admission"), diary.decision("route")
    caller = None
    if isinstance(admitted, Allow):
        caller = {"kind": admitted.identity.kind, "name": admitted.identity.name}
    return {
        "version": VERSION,
        "source": {
            "listener": flow.listener,
            "transport": flow.transport,
            "host": flow.remote_host,
            "port": flow.remote_port,
        },
        "invite": text(rehearsal.came),
        "assumed": list(diary.assumed),
        "steps": list(map(_entry, diary.entries)),
        "caller": caller,
        "targets": list(targets(routed, rehearsal)),
        "forward": _forward(routed, rehearsal),
        "tries": [_try(rehearsal, each) for each in rehearsal.tries],
        "answers": [
            {"status": response.status, "reason": response.reason, "response": text(data)}
            for response, data in rehearsal.answers
        ],
        "limit": rehearsal.limit,
        "outcome": outcome(rehearsal),
    }


def outcome(rehearsal: Rehearsal) -> str:
    """What came of it, in a word."""
    if rehearsal.tries:
        return "leaves"
    statuses = [response.status for response, _ in rehearsal.answers]
    if statuses:
        return "redirected" if 300 <= statuses[-1] < 400 else "refused"
    return "silent"


def targets(decision: object, rehearsal: Rehearsal) -> Iterator[dict[str, Any]]:
    """Those of a decision, in the order of ringing; none where it has none."""
    if isinstance(decision, Route | Proxy):
        for step, together in enumerate(steps(decision.targets), 1):
            for target in together:
                health = "registered" if target.flow is not None else ""
                if target.trunk is not None:
                    health = rehearsal.health.get((target.trunk, target.member), "")
                yield _target(target, step, health)


def target_of(rehearsal: Rehearsal, tried: Try) -> tuple[str, str | None]:
    """URI and trunk of the target for which an INVITE left."""
    record = rehearsal.diary.record
    for attempt in record.attempts if record is not None else ():
        if attempt.call_id_b and attempt.call_id_b == tried.invite.call_id:
            return attempt.target, attempt.trunk
    return tried.invite.uri, None


def text(data: bytes) -> str:
    """What came or goes over the wire."""
    return data.decode("utf-8", "surrogateescape")


def _entry(entry: Entry) -> dict[str, Any]:
    if isinstance(entry, Verdict):
        return {
            "kind": "policy",
            "place": entry.place,
            "policy": entry.policy,
            "answer": told(entry.answer),
            "passed": entry.passed,
            "later": entry.later,
            "fault": entry.fault,
            "because": entry.because,
            "consulted": [
                {"question": each.question, "answer": each.answer} for each in entry.consulted
            ],
        }
    if isinstance(entry, Decided):
        return {"kind": "decision", "place": entry.place, "decision": told(entry.decision)}
    assert isinstance(entry, LookedUp)
    return {
        "kind": "name",
        "name": entry.name,
        "addresses": list(entry.addresses),
        "stand_in": entry.stand_in,
    }


def _target(target: Target, step: int, health: str) -> dict[str, Any]:
    flow = target.flow
    return {
        "uri": target.uri,
        "trunk": target.trunk,
        "step": step,
        "ring_seconds": target.ring_seconds,
        "q": target.q,
        "call_to": target.call_to,
        "flow": None if flow is None else f"{flow.transport} {flow.remote_host}:{flow.remote_port}",
        "headers": dict(target.headers),
        "health": health,
    }


def _forward(decision: object, rehearsal: Rehearsal) -> dict[str, Any]:
    further: Mapping[str, Route] = {}
    if isinstance(decision, Route):
        further = {str(outcome): route for outcome, route in decision.forward.items()}
    return {
        outcome: {
            "diversions": [{"by": each.by, "reason": each.reason} for each in route.diversions],
            "targets": list(targets(route, rehearsal)),
            "forward": _forward(route, rehearsal),
        }
        for outcome, route in further.items()
    }


def _try(rehearsal: Rehearsal, tried: Try) -> dict[str, Any]:
    came, leaves = rehearsal.invite, tried.invite
    assert isinstance(came, Request), "nothing follows from what cannot be read"
    found = difference.fields(came, leaves)
    uri, trunk = target_of(rehearsal, tried)
    return {
        "seconds": tried.seconds,
        "listener": tried.flow.listener,
        "transport": tried.flow.transport,
        "host": tried.flow.remote_host,
        "port": tried.flow.remote_port,
        "target": uri,
        "trunk": trunk,
        "invite": text(tried.data),
        "numbers": {key: list(pair) for key, pair in difference.numbers(came, leaves).items()},
        "fields": {
            "added": [list(field) for field in found.added],
            "dropped": [list(field) for field in found.dropped],
            "changed": [list(change) for change in found.changed],
            "kept": found.kept,
        },
        "sdp": {"came": text(came.body), "leaves": text(leaves.body)},
        "fate": tried.fate,
    }
