"""The diary of one INVITE: what was asked, what was answered, in the order in which it happened.
Pure.

It is written by the witnesses of ``house`` while the real engine runs, and read by ``report``.
"""

from collections.abc import Awaitable, Sequence
from typing import Any, Literal

import attrs

from softswitch.plugin.decisions import Allow, Challenge, Proxy, Redirect, Reject, Route, Target
from softswitch.plugin.record import CallRecord
from softswitch.plugin.verification import Verification
from softswitch.plugin.views import BindingView, Identity, RequestView, User

#: What the policies are asked.
Place = Literal["admission", "route", "registration", "redirect", "user"]


@attrs.define
class Consulted:
    """A policy asked the house something.

    :ivar question: the method and its arguments, as Python writes them.
    :ivar answer: in a few words.
    """

    question: str
    answer: str


@attrs.define
class Verdict:
    """What one policy said.

    :ivar policy: the name by which the configuration uses it.
    :ivar answer: as it gave it; None asks the next one.
    :ivar later: whether it answered an awaitable.
    :ivar waits: whether that has not come to an end.
    :ivar fault: what is wrong with it, or "".
    :ivar because: why, in its own words; "" where it has none.
    :ivar consulted: what it asked the house meanwhile.
    """

    place: Place
    policy: str
    answer: Any = None
    later: bool = False
    waits: bool = False
    fault: str = ""
    because: str = ""
    consulted: list[Consulted] = attrs.field(factory=list)

    @property
    def passed(self) -> bool:
        """Whether the next one was asked."""
        return self.answer is None and not self.fault


@attrs.define
class Decided:
    """What came of asking: a policy's answer, or what holds where none has one."""

    place: Place
    decision: Any


@attrs.define
class LookedUp:
    """A name was looked up.

    :ivar stand_in: whether the addresses only take the place of real ones.
    """

    name: str
    addresses: Sequence[str]
    stand_in: bool


Entry = Verdict | Decided | LookedUp


@attrs.define
class Diary:
    """Everything that was noted.

    :ivar entries: in their order.
    :ivar record: of the call, where there is one; it grows while the engine runs.
    :ivar assumed: what was taken for granted, a sentence each.
    """

    entries: list[Entry] = attrs.field(factory=list)
    record: CallRecord | None = None
    assumed: list[str] = attrs.field(factory=list)

    def verdicts(self) -> list[Verdict]:
        """What the policies said."""
        return [each for each in self.entries if isinstance(each, Verdict)]

    @property
    def waits(self) -> bool:
        """Whether a policy has not answered yet."""
        return any(each.waits for each in self.verdicts())

    def decision(self, place: Place) -> Any:
        """What was decided last in a place; None where nobody was asked."""
        found = [
            each.decision
            for each in self.entries
            if isinstance(each, Decided) and each.place == place
        ]
        return found[-1] if found else None

    def assume(self, sentence: str) -> None:
        """Note what is taken for granted, once."""
        if sentence not in self.assumed:
            self.assumed.append(sentence)


def told(value: object) -> str:
    """What a policy or the house answered, in a few words."""
    for shape, teller in _TELLERS:
        if isinstance(value, shape):
            return str(teller(value))
    if isinstance(value, list | tuple):
        return ", ".join(map(told, value)) or "nothing"
    name = getattr(value, "name", None)
    return name if isinstance(name, str) else repr(value)


def _identity(identity: Identity) -> str:
    return f"{identity.kind} {identity.name}".rstrip()


def _target(target: Target) -> str:
    return target.uri if target.trunk is None else f"{target.uri} over {target.trunk}"


def _targets(word: str, decision: Route | Proxy) -> str:
    return f"{word} {', '.join(map(_target, decision.targets))}"


_TELLERS: Sequence[tuple[Any, Any]] = (
    (type(None), lambda _: "nothing"),
    (str, str),
    (bool, lambda value: "yes" if value else "no"),
    (Verification, lambda value: f"{value.verstat} {value.attestation or value.reason}".rstrip()),
    (Allow, lambda value: f"Allow {_identity(value.identity)}"),
    (Challenge, lambda value: "Challenge" + (" (stale)" if value.stale else "")),
    (Reject, lambda value: f"Reject {value.status}"),
    (Redirect, lambda value: f"Redirect {value.status} {', '.join(value.contacts)}"),
    (Route, lambda value: _targets("Route", value)),
    (Proxy, lambda value: _targets("Proxy", value)),
    (Target, _target),
    (User, lambda value: f"user {value.name}"),
    (BindingView, lambda value: value.contact),
    (Awaitable, lambda _: "an answer that comes later"),
    (RequestView, lambda value: f"a request from {value.source.remote_host}"),
)
