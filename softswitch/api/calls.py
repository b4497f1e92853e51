"""The calls that go on: listed, shown, hung up. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, TypeVar, get_args

from softswitch.api.house import House
from softswitch.api.operation import Answer, Asked, Operation, Parameter
from softswitch.api.paging import PAGING, read_cursor, write_cursor
from softswitch.api.problem import ProblemError
from softswitch.api.shapes import (
    CallPage,
    CallShown,
    CallState,
    CallSummary,
    state_of,
    summary,
    whole,
)
from softswitch.b2bua.call import Call
from softswitch.plugin.record import CallRecord

#: Calls that one page looks at, at most: the reactor also carries them.
LOOKED_AT: Final = 5000

#: What the other side of a call hears, and the record says, that an operator ends.
HUNG_UP: Final = "Hung up by the operator"
#: What its caller hears before the answer.
STATUS: Final = 480

_FILTERS: Final = (
    Parameter("id", "only the call of this id"),
    Parameter("state", "only calls in this state", choices=get_args(CallState)),
    Parameter("number", "only calls whose caller or called URI holds this"),
    Parameter("identity", "only calls of the user, trunk or phone of this name"),
    Parameter("trunk", "only calls that go out on this trunk"),
)


class Calls:
    """The operations on calls."""

    def __init__(self, house: House) -> None:
        self._house = house

    def operations(self) -> Iterable[Operation]:
        """Those that there are."""
        path = "/api/v1/calls"
        return (
            Operation(
                "list_calls",
                "GET",
                path,
                "The calls that go on, the newest first.",
                self.all,
                answers={200: CallPage},
                parameters=(*_FILTERS, *PAGING),
            ),
            Operation(
                "show_call",
                "GET",
                f"{path}/{{id}}",
                "One call that goes on, with its legs and all that was tried.",
                self.show,
                answers={200: CallShown},
                refusals=(404,),
            ),
            Operation(
                "hang_up",
                "DELETE",
                f"{path}/{{id}}",
                "End a call: both sides get a BYE, or the caller a 480 where nobody has answered.",
                self.hang_up,
                "operate",
                answers={204: None},
                refusals=(404, 409),
            ),
        )

    def all(self, asked: Asked) -> Answer:
        """See ``operations``."""
        query, limit = asked.query, asked.query["limit"]
        after = read_cursor(query["cursor"], bool, float, str)
        if query["id"] is not None:
            return Answer(body=CallPage(self._one(query), None, self._total))
        found: list[CallSummary] = []
        last: list[Any] = []
        for looked, (record, state) in enumerate(self._newest_first(after)):
            if len(found) == limit or looked == LOOKED_AT:
                return Answer(body=CallPage(found, write_cursor(last), self._total))
            last = [state == "forwarded", float(record.invited), record.id]
            if _is_wanted(record, state, query):
                found.append(summary(record, state))
        return Answer(body=CallPage(found, None, self._total))

    def _one(self, query: Mapping[str, Any]) -> list[CallSummary]:
        """The call of an id, where there is one that fits."""
        try:
            record, state, _ = self.find(query["id"])
        except ProblemError:
            return []
        return [summary(record, state)] if _is_wanted(record, state, query) else []

    def show(self, asked: Asked) -> Answer:
        """See ``operations``."""
        record, state, call = self.find(asked.path["id"])
        return Answer(body=whole(record, state, call))

    def hang_up(self, asked: Asked) -> Answer:
        """See ``operations``."""
        self.ours(asked.path["id"]).shut(HUNG_UP, STATUS)
        return Answer(204)

    def find(self, name: str) -> tuple[CallRecord, CallState, Call | None]:
        """A call that goes on; None instead of it where it is only forwarded.

        :raises ProblemError: 404.
        """
        call = self._house.switch.calls.get(name)
        if call is not None:
            return call.data.record, state_of(call), call
        for forwarded in self._house.proxy.ledger.calls():
            if forwarded.data.record.id == name:
                return forwarded.data.record, "forwarded", None
        raise ProblemError(404, "no call that goes on has this id", "id")

    def ours(self, name: str) -> Call:
        """A call that goes on and of which the switch is a party.

        :raises ProblemError: 404, or 409 for one that is only forwarded.
        """
        call = self.find(name)[2]
        if call is None:
            raise ProblemError(409, "this call is only forwarded: its two ends alone may", "id")
        return call

    @property
    def _total(self) -> int:
        return len(self._house.switch.calls) + len(self._house.proxy.ledger)

    def _newest_first(self, after: list[Any] | None) -> Iterator[tuple[CallRecord, CallState]]:
        """All calls, those that are only forwarded last, beyond the one that a cursor names."""
        if after is None or not after[0]:
            calls = reversed(self._house.switch.calls.values())
            for call in _beyond(calls, after):
                yield call.data.record, state_of(call)
            after = None
        forwarded = reversed(list(self._house.proxy.ledger.calls()))
        for each in _beyond(forwarded, after):
            yield each.data.record, "forwarded"


class _Recorded(Protocol):
    """A call of either kind: its data have a record."""

    data: Any


C = TypeVar("C", bound=_Recorded)


def _beyond(calls: Iterable[C], after: list[Any] | None) -> Iterator[C]:
    """Those that follow on one, the newest first; where that has ended, on its time."""
    rest = iter(calls)
    if after is None:
        yield from rest
        return
    _, invited, name = after
    for call in rest:
        record = call.data.record
        if record.id == name:
            break
        if record.invited < invited:
            yield call
            break
    yield from rest


def _is_wanted(record: CallRecord, state: CallState, query: Mapping[str, Any]) -> bool:
    if query["state"] is not None and state != query["state"]:
        return False
    number, identity, trunk = query["number"], query["identity"], query["trunk"]
    if number is not None and number not in record.caller and number not in record.called:
        return False
    if identity is not None and record.identity != identity:
        return False
    return trunk is None or bool(record.attempts and record.attempts[-1].trunk == trunk)
