"""State machines as tables, and their pictures. Pure.

A machine is a class with a ``state`` and a ``TABLE`` from (state, event) to (next state,
action), read as a figure of an RFC is read. An event that a state does not know is counted and
ignored; nothing raises because a peer chose an odd moment.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from operator import attrgetter
from typing import Any, ClassVar

Table = Mapping[tuple[StrEnum, StrEnum], tuple[StrEnum, Callable[..., None] | None]]

#: (machine, state, event) -> how often that event met a state that does not know it.
unexpected: Counter[tuple[str, str, str]] = Counter()


class Machine:
    """Base of every state machine.

    An action runs after the state has changed, and may fire further events. StrEnum members
    serve as states and events: their hash is cached, and they are plain data when written down.

    :ivar state: where the machine stands.
    """

    __slots__ = ("state",)

    TABLE: ClassVar[Table]

    state: StrEnum

    def fire(self, event: StrEnum, *args: Any) -> None:
        """Take one step: look up (state, event), change the state, run the action.

        :param args: handed to the action.
        """
        step = self.TABLE.get((self.state, event))
        if step is None:
            unexpected[type(self).__name__, self.state, event] += 1
            return
        self.state, action = step
        if action is not None:
            action(self, *args)


class DataMachine(Machine):
    """A machine whose state stands in its data, so that it is written down with it.

    :ivar data: what the machine knows.
    """

    __slots__ = ("data",)

    data: Any
    state: Any = property(attrgetter("data.state"))

    def fire(self, event: StrEnum, *args: Any) -> None:
        """The same."""
        data = self.data
        step = self.TABLE.get((data.state, event))
        if step is None:
            unexpected[type(self).__name__, data.state, event] += 1
            return
        data.state, action = step
        if action is not None:
            action(self, *args)


def mermaid(table: Table) -> str:
    """The picture of a table, as a Mermaid state diagram.

    Events that lead from one state to the same next state share an arrow.
    """
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, event), (following, _) in table.items():
        arrows.setdefault((state, following), []).append(event)
    first = next(iter(table))[0]
    lines = ["stateDiagram-v2", f"    [*] --> {_node(first)}"]
    lines += [
        f"    {_node(state)} --> {_node(following)}: {', '.join(events)}"
        for (state, following), events in arrows.items()
    ]
    leaving = {state for state, _ in arrows}
    final = dict.fromkeys(following for _, following in arrows if following not in leaving)
    lines += [f"    {_node(state)} --> [*]" for state in final]
    return "\n".join(lines) + "\n"


def _node(state: str) -> str:
    """A state's name as Mermaid takes it: one word."""
    return state.replace(" ", "_").replace("-", "_")
