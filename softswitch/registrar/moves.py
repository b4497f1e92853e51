"""A PBX that registers from another place takes its calls along. Pure.

The target of a dialog changes by requests within it alone (RFC 3261 12.2); but what goes to a PBX
goes along the flow on which it registered, and one on which it is registered no more leads nowhere.
"""

from collections.abc import Callable, Collection
from typing import Protocol

from softswitch.flow import Flow
from softswitch.registrar.bindings import Binding, Bindings, Change


class Dialogs(Protocol):
    """The user agent, as far as it is concerned."""

    def moved(self, registered: str, left: Collection[Flow], flow: Flow) -> None:
        """The dialogs of a registered peer that go along the flows it has left go along another."""


class Moves:
    """Watches the registrations of those whose calls follow them.

    :param follows: whether a user name is one of theirs.
    """

    def __init__(
        self, bindings: Bindings, dialogs: Dialogs, follows: Callable[[str], bool]
    ) -> None:
        self._bindings = bindings
        self._dialogs = dialogs
        self._follows = follows
        self._flows: dict[str, set[Flow]] = {}
        bindings.observers.append(self._changed)

    def _changed(self, change: Change, binding: Binding) -> None:
        name = binding.aor.rpartition("@")[0]
        # What is gone is looked after once it is known where it went.
        if change is Change.REMOVED or not self._follows(name):
            return
        flows = {each.flow for each in self._bindings.contacts(binding.aor)}
        left = self._flows.get(name, flows) - flows
        self._flows[name] = flows
        if left:
            self._dialogs.moved(name, left, binding.flow)
