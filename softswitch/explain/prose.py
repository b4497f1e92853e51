"""A rehearsal as a person reads it. Pure.

The messages stand in it byte for byte; everything else is told in words.
"""

from collections.abc import Iterator
from typing import Any

from softswitch.explain import difference
from softswitch.explain.diary import Decided, LookedUp, Verdict, told
from softswitch.explain.rehearsal import Rehearsal, Try
from softswitch.explain.report import outcome, target_of, targets
from softswitch.flow import Flow
from softswitch.plugin.decisions import Challenge, Proxy, Route
from softswitch.sip.message import Request

#: What a place asks.
_QUESTIONS = {
    "admission": "Who calls?",
    "route": "Where does it go?",
    "registration": "May it be registered?",
    "redirect": "What becomes of the redirection?",
    "user": "Who is the user of that name?",
}


def written(rehearsal: Rehearsal) -> bytes:
    """All of it; lines end with LF but for those of messages."""
    return b"".join(_parts(rehearsal))


def _parts(rehearsal: Rehearsal) -> Iterator[bytes]:
    invite, flow = rehearsal.invite, rehearsal.flow
    what = invite.start_line() if invite is not None else "What is no INVITE that can be read"
    yield _line(f"{what}")
    yield _line(f"  from {_place(flow)}, at the listener {flow.listener}")
    for sentence in rehearsal.diary.assumed:
        yield _line(f"  assumed: {sentence}")
    place = ""
    for entry in rehearsal.diary.entries:
        if isinstance(entry, LookedUp):
            how = " (stands in for them: --resolve asks)" if entry.stand_in else ""
            yield _line(f"\nAddresses of {entry.name}: {told(entry.addresses)}{how}")
            continue
        if entry.place != place:
            place = entry.place
            yield _line(f"\n{_QUESTIONS[place]}")
        if isinstance(entry, Verdict):
            yield from _verdict(entry)
        else:
            yield from _decided(entry, rehearsal)
    if invite is not None:
        for number, tried in enumerate(rehearsal.tries, 1):
            yield from _tried(rehearsal, invite, number, tried)
    if limit := rehearsal.limit:
        yield _line(f"\nTurned away by a limit: {limit}")
    for response, data in rehearsal.answers:
        yield _line(f"\nThe caller is told {response.status} {response.reason}, {_size(data)}")
        yield data
    if outcome(rehearsal) == "silent":
        yield _line("\nNothing leaves, and the caller is told nothing.")


def _verdict(verdict: Verdict) -> Iterator[bytes]:
    if verdict.fault:
        said = verdict.fault
    elif verdict.passed:
        said = "nothing, asks the next"
    else:
        said = told(verdict.answer)
    later = " (later)" if verdict.later else ""
    yield _line(f"  {verdict.policy:<14}{said}{later}")
    if verdict.because:
        yield _line(f"  {'':<14}  {verdict.because}")
    for each in verdict.consulted:
        yield _line(f"  {'':<14}  {each.question}: {each.answer}")


def _decided(entry: Decided, rehearsal: Rehearsal) -> Iterator[bytes]:
    leads = isinstance(entry.decision, Route | Proxy)
    said = type(entry.decision).__name__ if leads else told(entry.decision)
    yield _line(f"  {'so:':<14}{said}")
    if isinstance(entry.decision, Challenge):
        yield _line(f"  {'':<14}  (--as-user NAME takes a user's password as proved)")
    yield from _targets(entry.decision, rehearsal, "  ")


def _targets(decision: Any, rehearsal: Rehearsal, indent: str) -> Iterator[bytes]:
    for target in targets(decision, rehearsal):
        known = [f"step {target['step']}"]
        known += [f"trunk {target['trunk']}"] if target["trunk"] else []
        known += [f"at {target['flow']}"] if target["flow"] else []
        known += [target["health"]] if target["health"] else []
        if target["ring_seconds"] is not None:
            known.append(f"rings {target['ring_seconds']:g} s")
        yield _line(f"{indent}  -> {target['uri']} ({', '.join(known)})")
    for came_of_it, route in getattr(decision, "forward", {}).items():
        yield _line(f"{indent}  when {came_of_it}, forwarded to")
        yield from _targets(route, rehearsal, f"{indent}  ")


def _tried(rehearsal: Rehearsal, invite: Request, number: int, tried: Try) -> Iterator[bytes]:
    uri, trunk = target_of(rehearsal, tried)
    over = f" over the trunk {trunk}" if trunk else ""
    when = f", after {tried.seconds:g} s" if tried.seconds else ""
    yield _line(f"\nINVITE {number}: {uri}{over}{when}")
    yield _line(f"  to {_place(tried.flow)}, by the listener {tried.flow.listener}")
    for key, (before, after) in difference.numbers(invite, tried.invite).items():
        yield _line(f"  {key:<9}{before}" + (f" -> {after}" if after != before else ""))
    found = difference.fields(invite, tried.invite)
    for name, value in found.added:
        yield _line(f"  added    {name}: {value}")
    for name, value in found.dropped:
        yield _line(f"  dropped  {name}: {value}")
    for name, came, leaves in found.changed:
        yield _line(f"  changed  {name}: {' | '.join(came)}")
        yield _line(f"       to  {name}: {' | '.join(leaves)}")
    yield _line(f"  kept     {', '.join(found.kept)}")
    lines = difference.bodies(invite.body, tried.invite.body)
    if lines:
        yield _line("  body")
        for line in lines:
            yield _line(f"    {line}".rstrip())
    elif invite.body:
        yield _line("  body     as it came")
    if tried.fate is not None:
        yield _line(f"  then     {tried.fate or 'silence'}")
    yield _line(f"  {_size(tried.data)}:")
    yield tried.data
    if not tried.data.endswith(b"\n"):
        yield b"\n"


def _place(flow: Flow) -> str:
    host = f"[{flow.remote_host}]" if ":" in flow.remote_host else flow.remote_host
    return f"{host}:{flow.remote_port} over {flow.transport}"


def _size(data: bytes) -> str:
    return f"{len(data)} bytes"


def _line(line: str) -> bytes:
    return f"{line}\n".encode("utf-8", "surrogateescape")
