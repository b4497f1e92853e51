"""The chain of policies with a note of what each has said about a call. Pure.

Calls see the decision alone; whose it was, only the chain knows.
"""

from typing import Any

from softswitch.journal import DECIDED, Note
from softswitch.plugin.decisions import (
    Allow,
    Challenge,
    Follow,
    PassOn,
    Proxy,
    Redirect,
    Reject,
    Route,
)
from softswitch.plugin.views import CallView, RequestView
from softswitch.policy.budget import Asked
from softswitch.policy.chain import PolicyChain


class RecordedChain(PolicyChain):
    """Asks as ``PolicyChain`` does.

    :ivar note: takes what was decided about calls; None where nobody wants to look.
    """

    note: Note | None = None

    def checked(self, place: Any, policy: Asked, subject: Any, decision: Any) -> Any:
        """As there."""
        decided = super().checked(place, policy, subject, decision)
        if self.note is not None and decided is not None and _is_about_a_call(subject):
            at = self.clock.seconds()
            self.note((at, DECIDED, (policy.label, decided), subject.call_id))
        return decided

    def failed(self, policy: Asked, kind: str, subject: Any, reason: str) -> Reject | None:
        """As there."""
        if self.note is not None and _is_about_a_call(subject):
            at = self.clock.seconds()
            self.note((at, DECIDED, (policy.label, f"failed: {reason}"), subject.call_id))
        return super().failed(policy, kind, subject, reason)


def _is_about_a_call(subject: Any) -> bool:
    if isinstance(subject, RequestView):
        return subject.method == "INVITE"
    return isinstance(subject, CallView)


def in_words(decision: Any) -> str:
    """A decision as somebody reads it beside the messages."""
    match decision:
        case Allow(identity):
            return f"admits {identity.kind} {identity.name}".rstrip()
        case Challenge():
            return "asks for a password"
        case Reject(status, reason):
            return f"refuses: {status} {reason or ''}".rstrip()
        case Redirect(contacts, status):
            return f"redirects: {status} to {', '.join(contacts)}"
        case Route(targets):
            return f"routes to {', '.join(map(_target, targets)) or 'nobody'}"
        case Proxy(targets):
            return f"has it forwarded to {', '.join(map(_target, targets)) or 'nobody'}"
        case Follow(targets):
            return f"follows to {', '.join(map(_target, targets)) or 'nobody'}"
        case PassOn():
            return "passes the redirection on"
    return str(decision)


def _target(target: Any) -> str:
    trunk = getattr(target, "trunk", None)
    uri = str(getattr(target, "uri", target))
    return f"{uri} (trunk {trunk})" if trunk else uri
