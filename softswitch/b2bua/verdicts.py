"""What the policies have decided about a call, in a few words, for its record. Pure."""

from softswitch.plugin.decisions import Proxy, Redirect, Route, Routing
from softswitch.plugin.record import CallRecord, Verdict
from softswitch.plugin.views import Identity
from softswitch.sip.names import REASONS


def admitted(policy: str, identity: Identity) -> Verdict:
    """Who somebody is.

    :param policy: which has said so.
    """
    name = identity.name or identity.number
    return Verdict("admission", policy, f"{identity.kind} {name}" if name else identity.kind)


def routed(policy: str, decision: Routing) -> Verdict:
    """Where a call goes; likewise."""
    if isinstance(decision, Route):
        said = _targets(len(decision.targets))
    elif isinstance(decision, Proxy):
        said = f"forwarded to {_targets(len(decision.targets))}"
    elif isinstance(decision, Redirect):
        said = f"{decision.status} to {', '.join(decision.contacts)}"
    else:
        said = f"{decision.status} {decision.reason or REASONS.get(decision.status, '')}".rstrip()
    return Verdict("routing", policy, said)


def join(one: CallRecord, other: CallRecord) -> None:
    """Two calls belong together from now on: under the name of those that did so already, else of
    the one that began first."""
    joined = [each for each in (one, other) if each.call_group != each.id]
    first = min(joined or (one, other), key=lambda each: each.invited)
    one.call_group = other.call_group = first.call_group


def _targets(count: int) -> str:
    return "1 target" if count == 1 else f"{count} targets"
