"""Dry calls: each policy of a configuration is made and asked once, with nobody really calling.

It runs in a process of its own, for ``ops.check``: a plug-in may block for ever, or take the whole
process with it. What happens is told as lines of JSON, each ``{"policy": index, "place", "kind",
"text"}``; the kind "asking" comes before each call, so that it is known where the process has hung.
A hang ends with the stack on the standard error.

No reactor runs, so nothing that a policy only begins to send is sent; an answer that comes later is
not waited for. Observers are not told of a call that never was.
"""

import faulthandler
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter, time
from typing import Any

import attrs
from twisted.internet.task import Clock as StillClock
from twisted.python.failure import Failure

from softswitch.errors import ConfigError
from softswitch.flow import Flow
from softswitch.ops.config import Config, load
from softswitch.ops.house import House
from softswitch.plugin.decisions import Reject, Target
from softswitch.plugin.interfaces import (
    IAdmissionPolicy,
    ICallObserver,
    IRedirectPolicy,
    IRegistrationPolicy,
    IRouter,
)
from softswitch.plugin.views import CallView, Identity, RequestView
from softswitch.policy import load as loading
from softswitch.policy.budget import Asked
from softswitch.policy.chain import Policy, PolicyChain
from softswitch.sip.message import Field, Request
from softswitch.wheel import Wheel

#: Seconds for which a policy may hold up everybody else.
BRIEFLY = 0.05

#: Where the caller of a dry call stands (RFC 5737).
CALLER = "192.0.2.1"


class DryChain(PolicyChain):
    """Asks one policy, and says what was wrong with its answer.

    :ivar answer: in a word.
    :ivar fault: its kind and what it is; None for none.
    """

    answer: str = "nothing, the next is asked"
    fault: tuple[str, str] | None = None

    def checked(self, place: Any, policy: Asked, subject: Any, decision: Any) -> Any:
        """It answered something."""
        self.answer = type(decision).__name__
        return super().checked(place, policy, subject, decision)

    def failed(self, policy: Asked, kind: str, subject: Any, reason: str) -> Reject:
        """It answered rubbish."""
        self.fault = (kind, reason)
        return Reject(500)

    def raised(self, policy: Asked, subject: Any, failure: Failure) -> Reject:
        """It let an exception out."""
        assert failure.value is not None
        self.fault = ("raised", loading.told(failure.value))
        return Reject(500)


class DryCalls:
    """All that is asked.

    :param tell: takes each line.
    :param limit: seconds that each call may take before the process ends.
    """

    def __init__(self, config: Config, tell: Callable[[dict[str, Any]], None], limit: float):
        self._config = config
        self._tell = tell
        self._limit = limit
        still = StillClock()
        still.advance(time())
        self._clock = Wheel(still)
        # A house without policies, ports and people: what a policy may ask stands on it.
        bare = attrs.evolve(config, policy=())
        house = House(bare, self._clock, _nowhere, engine=None, report=_heedless)
        self._premises = house.premises
        self._listener = house.listeners[0]

    def play(self, index: int) -> None:
        """Make a policy, and ask it in each of its places."""
        table = self._config.policy[index]
        self._say(index, "start", "asking")
        faulthandler.dump_traceback_later(self._limit, exit=True)
        try:
            policy = loading.load(
                table["use"],
                {key: value for key, value in table.items() if key != "use"},
                self._premises,
                file=self._config.file,
                path=f"policy[{index}]",
            )
        except ConfigError as error:
            self._say(index, "start", "config", str(error))
            return
        finally:
            faulthandler.cancel_dump_traceback_later()
        for place, method, ask in self._questions():
            if place.providedBy(policy.plug_in):
                self._ask(index, policy, method, ask)
        if ICallObserver.providedBy(policy.plug_in):
            self._say(index, "observer", "passed", "not told of a call that never was")

    def _ask(self, index: int, policy: Policy, method: str, ask: "_Ask") -> None:
        self._say(index, method, "asking")
        faulthandler.dump_traceback_later(self._limit, exit=True)
        kind, text, seconds = self._asked(policy, ask)
        if kind == "answered" and seconds > BRIEFLY:
            # What it did for the first time, as importing, does not count.
            kind, text, seconds = self._asked(policy, ask)
        faulthandler.cancel_dump_traceback_later()
        where = _place_of(getattr(policy.plug_in, method))
        if kind == "answered" and seconds > BRIEFLY:
            kind = "slow"
            text = f"holds everybody up for {seconds * 1000:.0f} ms {where}"
        elif kind == "rubbish":
            text = f"{text} {where}"
        self._say(index, method, kind, text)

    def _asked(self, policy: Policy, ask: "_Ask") -> tuple[str, str, float]:
        chain = DryChain(
            [policy],
            self._clock,
            challenge_fields=lambda flow, challenge: [],
            known_trunk=lambda name: self._premises.trunk(name) is not None,
        )
        decisions: list[Any] = []
        began = perf_counter()
        ask(chain, decisions.append)
        seconds = perf_counter() - began
        if chain.fault is not None:
            return (*chain.fault, seconds)
        if not decisions:
            return "answered", "answers later", seconds
        return "answered", chain.answer, seconds

    def _questions(self) -> "list[tuple[Any, str, _Ask]]":
        domain = self._premises.domain
        invite = self._request("INVITE", f"sip:100@{_bracketed(domain)}", None)
        known = self._request("INVITE", f"sip:100@{_bracketed(domain)}", Identity("peer", "check"))
        register = self._request("REGISTER", f"sip:{_bracketed(domain)}", Identity("user", "check"))
        moved = CallView(
            "check", known, Target("sip:100@192.0.2.2"), 302, 0, ("sip:100@192.0.2.2",)
        )
        contacts = ["sip:100@192.0.2.3"]
        return [
            (IAdmissionPolicy, "admit", lambda chain, tell: chain.ask_admission(invite, tell)),
            (IRouter, "route", lambda chain, tell: chain.ask_route(known, tell)),
            (
                IRegistrationPolicy,
                "register",
                lambda chain, tell: chain.ask_registration(register, tell),
            ),
            (
                IRedirectPolicy,
                "redirected",
                lambda chain, tell: chain.ask_redirect(moved, contacts, tell),
            ),
        ]

    def _request(self, method: str, uri: str, identity: Identity | None) -> RequestView:
        listener = self._listener
        host = _bracketed(self._premises.domain)
        to = f"<sip:check@{host}>" if method == "REGISTER" else f"<{uri}>"
        fields: list[Field] = [
            ("Via", f"SIP/2.0/{listener.transport} {CALLER};branch=z9hG4bKcheck"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:check@{host}>;tag=check"),
            ("To", to),
            ("Call-ID", "softswitch-check"),
            ("CSeq", f"1 {method}"),
            ("Contact", f"<sip:check@{CALLER}>"),
        ]
        flow = Flow(
            listener.name, listener.transport, listener.bind_host, listener.port, CALLER, 5060
        )
        return RequestView(Request(method, uri, fields), flow, identity)

    def _say(self, index: int, place: str, kind: str, text: str = "") -> None:
        self._tell({"policy": index, "place": place, "kind": kind, "text": text})


_Ask = Callable[[PolicyChain, Callable[[Any], None]], None]


def _nowhere(name: str, tell: Callable[[list[str]], None]) -> None:
    """No name leads anywhere."""
    tell([])


def _heedless(scope: str, left: list[str]) -> None:
    """Nothing is left of what never was."""


def _place_of(method: Any) -> str:
    """Where a method stands, in parentheses."""
    try:
        found = inspect.unwrap(method)
        return f"({inspect.getsourcefile(found)}:{inspect.getsourcelines(found)[1]})"
    except (TypeError, OSError):
        return f"({method!r})"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def main(arguments: list[str]) -> None:
    """Play the policies of a configuration.

    :param arguments: the file, "" for the package's defaults; where relative paths start; the first
        policy's index; the limit, seconds.
    """
    file, directory, first, limit = arguments
    # What a plug-in prints is none of the lines.
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(line: Mapping[str, Any]) -> None:
        print(json.dumps(line), file=lines, flush=True)

    config = load(Path(file) if file else None, Path(directory))
    calls = DryCalls(config, tell, float(limit))
    for index in range(int(first), len(config.policy)):
        calls.play(index)


if __name__ == "__main__":
    main(sys.argv[1:])
