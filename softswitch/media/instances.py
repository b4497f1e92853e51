"""Several rtpengines: which of them answer, and which takes the next call. Pure.

Each is asked now and then whether it is there. One that is silent, to that or to anything else,
gets no calls until it has answered a ping. One of which nobody listens any more, or that has
forgotten a call, has lost its media for certain, and whoever wants to know is told.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final, Literal

import attrs

from softswitch.media.bencode import Value
from softswitch.media.ng import UNKNOWN, NgClient, Reply, Told
from softswitch.wheel import Clock, Timer

#: Seconds between two pings to one that is silent, and within which a ping is answered.
PATIENCE: Final = 1.0

#: Seconds after which one that refuses is asked again, to see whether that was a moment's.
SOON: Final = 0.25

#: Refusals in a row, with no answer between them, after which its process is gone.
GONE_AFTER: Final = 2

#: Calls that one may be owed the end of, when it is silent for long; it ends them by itself, too.
OWED: Final = 10_000

State = Literal["up", "silent", "gone"]


@attrs.frozen
class Place:
    """Where an rtpengine listens for NG.

    :ivar host: an address literal without brackets.
    :ivar weight: how many calls it takes, in proportion to the others; 0 for none.
    """

    host: str
    port: int
    weight: int = 1

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Instance:
    """One rtpengine.

    :ivar client: asks it.
    :ivar state: "up" until the contrary is known.
    :ivar calls: that are its: its name for each -> the session's.
    :ivar established: those of them of which it has said so.
    :ivar owed: calls that it was to end while it was silent.
    :ivar paying: whether it is being told of one of them.
    :ivar last_error: what it has said last of a question that it would not serve; "" for nothing.
    :ivar refusals: in a row, with no answer between them.
    """

    def __init__(self, place: Place, client: NgClient) -> None:
        self.place = place
        self.client = client
        self.state: State = "up"
        self.calls: dict[str, str] = {}
        self.established: set[str] = set()
        self.owed: set[str] = set()
        self.refusals = 0
        self.paying = False
        self.last_error = ""
        self.timer: Timer | None = None
        self.looked_at = ""

    def forget(self, call: str) -> str:
        """A call is not its any more; "" or the session's name."""
        self.established.discard(call)
        return self.calls.pop(call, "")


#: Told of an instance whose state is another.
Noted = Callable[[Instance], None]


class Instances:
    """All instances of a switch.

    :ivar lost: told the sessions whose media have gone; once there is an instance to go to.
    :param noted: told of ups and downs.
    :param check_seconds: between two checks of one that is up.
    """

    def __init__(
        self, instances: Collection[Instance], clock: Clock, noted: Noted, check_seconds: float
    ) -> None:
        self.lost: Callable[[list[str]], None] = _nobody_cares
        self.all = list(instances)
        self._clock = clock
        self._noted = noted
        self._check_seconds = check_seconds
        self._gone: list[str] = []
        self._running = False

    def start(self) -> None:
        """Begin to ask them whether they are there."""
        self._running = True
        for instance in self.all:
            self._check_in(instance, 0.0)

    def stop(self) -> None:
        """End all calls with the last word that is said, and ask nothing any more."""
        self._running = False
        for instance in self.all:
            for call in list(instance.calls):  # a refusal forgets them all
                instance.client.say(deletion(call))
            if instance.timer is not None:
                instance.timer.cancel()
            instance.client.stop()

    def candidates(self, tried: Collection[Instance]) -> list[Instance]:
        """Those that may take a call, the best first: the one with the fewest calls for its weight.
        None that is silent: it would keep the caller waiting."""
        able = [
            each
            for each in self.all
            if each.state == "up" and each.place.weight and each not in tried
        ]
        return sorted(able, key=lambda each: (len(each.calls) + 1) / each.place.weight)

    def ask(
        self, instance: Instance, message: Mapping[str, Value], seconds: float, tell: Told
    ) -> None:
        """Ask one; it is silent from now on where it does not answer."""
        instance.client.ask(message, seconds, partial(self._answered, instance, tell))

    def refused(self, instance: Instance) -> None:
        """Nobody listens there, says the network."""
        instance.refusals += 1
        self._note(instance, "gone" if instance.refusals >= GONE_AFTER else "silent")
        instance.client.refused()
        self._check_in(instance, PATIENCE if instance.state == "gone" else SOON)

    def _answered(self, instance: Instance, tell: Told, reply: Reply | None) -> None:
        if reply is not None:
            instance.refusals = 0
        elif instance.state == "up":
            self._note(instance, "silent")
            self._check_in(instance, PATIENCE)
        tell(reply)

    # Whether they are there.

    def _check_in(self, instance: Instance, seconds: float) -> None:
        if instance.timer is not None:
            instance.timer.cancel()
            instance.timer = None
        if self._running:
            instance.timer = self._clock.callLater(seconds, self._check, instance)

    def _check(self, instance: Instance) -> None:
        """Ask one that is up about a call that it should know, each time another one: it may have
        been started again in the meantime, or given that call up."""
        instance.timer = None
        call = self._next_call(instance) if instance.state == "up" else ""
        message = {"command": "query", "call-id": call} if call else {"command": "ping"}
        instance.client.ask(message, PATIENCE, partial(self._checked, instance, call))

    def _checked(self, instance: Instance, call: str, reply: Reply | None) -> None:
        if reply is None:
            if instance.state == "up":
                self._note(instance, "silent")
            if instance.timer is None:  # else ``refused`` has seen to it
                self._check_in(instance, PATIENCE if instance.refusals else 0.0)
            return
        instance.refusals = 0
        forgotten = reply.result == "error" and reply.reason == UNKNOWN
        if forgotten and call in instance.calls:
            self._lose([instance.forget(call)])
        back = instance.state != "up"
        self._note(instance, "up")
        if back:
            self._pay(instance)
        # What was forgotten once may be one of many.
        soon = forgotten or (back and bool(instance.established))
        self._check_in(instance, 0.0 if soon else self._check_seconds)

    def _next_call(self, instance: Instance) -> str:
        """The call that is looked at next; "" for none."""
        calls = sorted(instance.established)
        later = [call for call in calls if call > instance.looked_at]
        instance.looked_at = next(iter(later or calls), "")
        return instance.looked_at

    def _note(self, instance: Instance, state: State) -> None:
        if instance.state == "gone" and state == "silent":
            return
        if instance.state != state:
            instance.state = state
            self._noted(instance)
        if state == "gone":
            lost = list(instance.calls.values())
            instance.calls.clear()
            instance.established.clear()
            self._lose(lost)
        elif state == "up":
            self._lose([])

    def _lose(self, sessions: list[str]) -> None:
        """Tell whoever wants to know, as soon as the calls can go somewhere else."""
        self._gone += sessions
        if self._gone and self.candidates(()):
            gone, self._gone = self._gone, []
            self.lost(gone)

    # What they have been owed meanwhile.

    def owe(self, instance: Instance, call: str) -> None:
        """A call is over there, which it may not have heard: it is told as long as it takes."""
        if len(instance.owed) < OWED:
            instance.owed.add(call)
            if instance.state == "up":
                self._pay(instance)

    def _pay(self, instance: Instance) -> None:
        """One after the other."""
        if instance.owed and not instance.paying:
            instance.paying = True
            call = next(iter(instance.owed))
            self.ask(instance, deletion(call), PATIENCE, partial(self._paid, instance, call))

    def _paid(self, instance: Instance, call: str, reply: Reply | None) -> None:
        instance.paying = False
        if reply is not None:
            instance.owed.discard(call)
            self._pay(instance)


def deletion(call: str, leg: str = "") -> dict[str, Value]:
    """What ends a call at once, or takes one leg out of it."""
    message: dict[str, Value] = {"command": "delete", "call-id": call, "delete delay": 0}
    if leg:
        message["from-tag"] = leg
    return message


def _nobody_cares(sessions: list[str]) -> None:
    """Until somebody says that he wants to know."""
