"""Phones that do whatever comes to mind, lawful or not, and a switch that has to bear it. Pure.

Each act takes small numbers that say who and what, so that a random source, or Hypothesis, chooses
and shortens them. Whatever happens: nothing the switch does raises, no machine meets an event that
its state does not know, all that calls know can be written down, and a while after the phones have
vanished nothing is left.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, ParamSpec

from softswitch.machine import unexpected
from softswitch.sip import compose
from softswitch.sip.message import Field
from softswitch.testing.line import Line
from softswitch.testing.media import SeeingEngine
from softswitch.testing.phone import ALL_ANSWERS, Phone
from softswitch.testing.stage import Stage
from softswitch.testing.worlds import (
    ABILITIES,
    ASKS,
    ENGINES,
    FINALS,
    FORMS,
    LIMIT,
    METHODS,
    MOODS,
    NUMBERS,
    PEERS_FAULT,
    PROVISIONALS,
    REFER_TO,
    STRANGER,
    WIRES,
    Whim,
    World,
    configuration,
)

P = ParamSpec("P")


class Chaos:
    """One run.

    :ivar steps: how many acts there have been.
    """

    def __init__(self, world: World) -> None:
        wires, whim = WIRES[world.wires], Whim(world.thinks)
        self.stage = Stage(
            configuration(world),
            engine=ENGINES[world.engine],
            transport=world.transport,
            plug_ins=[whim],
            seed=world.seed,
            split=world.transport == "TCP",
            **wires,
        )
        whim.clock = self.stage.clock
        self.steps = 0
        self._ending = world.ending
        self._before = unexpected.copy()
        self._numbers = count(2)
        self._ports = count(6000)
        network = self.stage.network
        network.loss, loss = 0.0, network.loss
        self.phones = [self.stage.phone(name) for name in ("alice", "bob", "carol")]
        self.phones.append(self.stage.phone("bob", host="127.88.0.21"))
        self.phones += [self.stage.phone(f"gateway{n}", host=f"127.88.0.10{n}") for n in (1, 2)]
        self.stage.run(5)
        network.loss = loss
        for number, phone in enumerate(self.phones):
            able = ABILITIES[world.abilities[number % len(world.abilities)]]
            if able is not None:
                phone.can(*able[0])
                phone.session_expires = able[1]

    @property
    def lines(self) -> list[Line]:
        """The latest lines of each phone."""
        return [line for phone in self.phones for line in phone.lines[-4:]]

    def step(self, act: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Have somebody do something, and look at the switch."""
        self.steps += 1
        act(*args, **kwargs)
        self.stage.settle()
        self._look()

    # What may happen. ``who`` picks a line or phone, the others what it does.

    def call(self, who: int, number: int, form: int, ask: int = 0) -> None:
        """A phone calls somebody."""
        phone = self._phone(who)
        fields = _of(ASKS, ask)
        phone.call(_of(NUMBERS, number), sdp=self.sdp(phone, form), fields=fields)

    def talk(self, who: int, number: int, first: int = 0) -> None:
        """A phone calls somebody who answers, after something else maybe: some acts in one."""
        self._phone(who).call(_of(NUMBERS, number))
        self.stage.run(1)
        if first:
            for line in self._asked():
                if first < 3:
                    line.respond(183, sdp=line.described, reliable=True)
                else:
                    line.respond(422 if first == 3 else 491, fields=[("Min-SE", "150")])
            if first != 2:
                self.stage.run(1)
        for line in self._asked():
            line.respond(200, sdp=b"" if first == 2 else line.described)
        self.stage.run(1)

    def renegotiate(self, who: int, form: int, status: int, update: bool) -> None:
        """One side of a call re-negotiates, and everybody who is asked says the same."""
        line = self._line(who, _stands)
        if line is None or not line.remote:
            return
        chosen, described = _of(FINALS, status), self.sdp(line.phone, form)
        for each in self.lines:
            each.answers["UPDATE"] = chosen
        (line.update if update else line.reinvite)(described)
        self.stage.run(0.4)
        for each in self._asked():
            answer = each.described if chosen == 200 else b""
            each.respond(chosen, sdp=answer, fields=[("Min-SE", "150")])
        self.stage.run(0.4)

    def clash(self, form: int, update: bool) -> None:
        """All sides of all calls re-negotiate at once."""
        for line in self.lines:
            if line.stands and line.remote:
                (line.update if update else line.reinvite)(self.sdp(line.phone, form))

    def replace(self, who: int, which: int, early: bool = False) -> None:
        """A phone would take the place of somebody in a call, or of one that rings (RFC 3891)."""
        replaced = self._line(which, _is_open if early else _stands)
        if replaced is not None and replaced.remote:
            flag = ";early-only" if early and which % 2 else ""
            phone = self._phone(who)
            phone.call("bob", fields=[("Replaces", f"{replaced.replaces}{flag}")])

    def provide(self, who: int, status: int, form: int, reliable: bool, fork: int) -> None:
        """A provisional response, maybe of another fork."""
        line = self._line(who, _is_open)
        if line is not None and line.invite is not None:
            described = self.sdp(line.phone, form)
            tag = f"fork{fork}{line.tag}" if fork else ""
            chosen = _of(PROVISIONALS, status)
            line.respond(chosen, sdp=described, tag=tag, reliable=reliable)

    def answer(self, who: int, status: int, form: int, fork: int = 0) -> None:
        """A final response, maybe to what was answered already."""
        line = self._line(who, _is_open)
        if line is None or line.invite is None:
            return
        chosen = _of(FINALS, status)
        fields: list[Field] = []
        if chosen == 302:
            fields = [("Contact", f"<{line.phone.uri(_of(NUMBERS, form))}>")]
        elif chosen == 422:
            fields = [("Min-SE", str(100 * form))]
        elif chosen in (401, 407):
            name = "WWW-Authenticate" if chosen == 401 else "Proxy-Authenticate"
            fields = [(name, 'Digest realm="x", nonce="1"')]
        described = self.sdp(line.phone, form) if chosen < 300 else b""
        tag = f"fork{fork}{line.tag}" if fork else ""
        line.respond(chosen, sdp=described, fields=fields, tag=tag)

    def prack(self, who: int, form: int, wrong: bool) -> None:
        """A PRACK of one's own making: again, with an offer, or for nothing."""
        line = self._line(who, _rang_reliably)
        if line is None or not line.remote:
            return
        reliable = [each for each in line.responses if each.get("RSeq")]
        line.reliable.body = self.sdp(line.phone, form)
        if reliable and line.sent is not None and not wrong:
            line.reliable.prack(reliable[-1])
        else:
            line.request("PRACK", [("RAck", f"{form} 1 INVITE")], line.reliable.body)
        line.reliable.body = b""

    def acknowledge(self, who: int, form: int) -> None:
        """An ACK, wanted or not, maybe with a description."""
        line = self._line(who, lambda line: line.sent is not None)
        if line is not None and line.sent is not None:
            ack = line.phone.request(
                "ACK",
                line.target,
                caller=line.local,
                to=line.remote,
                call_id=line.call_id,
                cseq=line.sent.cseq.number,
                body=self.sdp(line.phone, form),
            )
            line.phone.send(ack)

    def reinvite(self, who: int, form: int, ask: int = 0) -> None:
        """A re-INVITE, also where none is allowed."""
        line = self._line(who, _stands)
        if line is not None and line.remote:
            line.reinvite(self.sdp(line.phone, form), _of(ASKS, ask))

    def update(self, who: int, form: int, ask: int = 0) -> None:
        """An UPDATE, before the answer or after."""
        line = self._line(who, lambda line: bool(line.early) or line.stands)
        if line is not None and line.remote:
            line.update(self.sdp(line.phone, form), _of(ASKS, ask))

    def request(self, who: int, method: int, fork: bool = False) -> None:
        """Some other request, in any state; maybe in an early dialog, or from another fork."""
        line = self._line(who, _has_begun)
        if line is not None and line.remote:
            tags = [*line.early, *line.forks] if fork else []
            chosen = _of(METHODS, method)
            fields = _FIELDS.get(chosen, ())
            body = b"SIP/2.0 180 Ringing\r\n" if chosen == "NOTIFY" else b""
            line.request(chosen, fields, body, fork=tags[-1] if tags else "")

    def hang_up(self, who: int, early: bool = False) -> None:
        """A BYE, also before the answer."""
        line = self._line(who, _is_open if early else _stands)
        if line is not None and line.remote:
            line.request("BYE")

    def cancel(self, who: int) -> None:
        """A CANCEL, also after the answer."""
        line = self._line(who, _is_ringing)
        if line is not None and line.sent is not None:
            line.cancel()

    def refer(self, who: int, whom: int, which: int, ask: int) -> None:
        """A transfer: blind, attended, or nonsense."""
        line = self._line(who, _stands)
        if line is None or not line.remote:
            return
        asked: Sequence[Field] = (("Refer-Sub", "false"),) if ask == 1 else ()
        chosen = _of(REFER_TO, whom)
        if which:
            replaced = self._line(which, _stands)
            line.refer(line.phone.uri("bob"), replaced, *asked)
        elif not chosen:
            line.request("REFER", asked)
        elif chosen.isalnum():
            line.refer(line.phone.uri(chosen), None, *asked)
        else:
            line.request("REFER", [("Refer-To", f"<{chosen}>"), *asked])

    def again(self, who: int, which: int) -> None:
        """A phone sends once more what it has sent before."""
        phone = self._phone(who)
        sent = [each.data for each in self.stage.network.log if each.source[0] == phone.host]
        if sent:
            phone.send(sent[-1 - which % len(sent)])

    def disorder(self, who: int, jump: int, method: int) -> None:
        """A request whose CSeq is too low, or far too high."""
        line = self._line(who, _has_begun)
        if line is not None and line.remote:
            line.cseq = max(0, line.cseq + jump)
            line.request(("INFO", "UPDATE", "BYE", "OPTIONS")[method % 4])

    def stray(self, who: int, method: int, known: bool) -> None:
        """A request for a dialog with a tag that nobody knows."""
        line = self._line(who, _has_begun)
        if line is None or not line.remote:
            return
        caller = line.local if known else line.local.replace(line.tag, "unknown")
        to = line.remote if not known else f"{line.remote.partition(';')[0]};tag=unknown"
        method_name = (*METHODS, "INVITE", "ACK", "CANCEL", "PRACK", "REFER")[method % 14]
        line.phone.send(
            line.phone.request(method_name, line.target, caller=caller, to=to, call_id=line.call_id)
        )

    def respond(self, who: int, which: int, status: int, foreign: bool) -> None:
        """A response to something that was answered long ago, or that was never asked."""
        line = self._line(who, lambda line: bool(line.requests))
        if line is None or not line.requests:
            return
        request = line.requests[-1 - which % len(line.requests)]
        if request.method == "ACK":
            return
        if foreign:
            request.top_via.params["branch"] = compose.new_branch()
        line.phone.send(
            compose.response(
                request,
                _of((*FINALS, *PROVISIONALS), status),
                to_tag="strange" if foreign else line.tag,
                fields=[("Contact", line.phone.contact)],
            )
        )

    def mood(self, who: int, method: int, status: int) -> None:
        """A phone answers a kind of request otherwise from now on, in calls that stand too."""
        phone = self._phone(who)
        chosen = ("INVITE", *ALL_ANSWERS)[method % (1 + len(ALL_ANSWERS))]
        for answers in (phone.answers, *(line.answers for line in phone.lines)):
            answers[chosen] = _of(MOODS, status)

    def habit(self, who: int, which: int) -> None:
        """A phone stops to do what a phone does by itself, or goes on with it."""
        phone = self._phone(who)
        if which == 0:
            phone.tries = not phone.tries
        elif which == 1:
            phone.heeds_cancel = not phone.heeds_cancel
        elif which == 2:
            phone.lost_acks = 0 if phone.lost_acks else 3
        else:
            for line in phone.lines:
                line.reliable.pracks = not line.reliable.pracks

    def vanish(self, who: int) -> None:
        """A phone is dead from now on; or comes back to life."""
        phone = self._phone(who)
        phone.silent = not phone.silent
        silent = self.stage.network.silent
        (silent.add if phone.silent else silent.discard)(phone.host)

    def fall_silent(self, which: int) -> None:
        """The media engine has heard nothing of a side for too long."""
        calls, engine = list(self.stage.house.switch.calls), self.stage.engine
        if calls and isinstance(engine, SeeingEngine):
            engine.time_out(calls[which % len(calls)])

    def move(self, who: int, register: bool) -> None:
        """A phone goes on from another port, and over TCP from another connection."""
        phone = self._phone(who)
        phone.move(next(self._ports))
        if register and phone.password:
            phone.register()

    def garbage(self, who: int, which: int) -> None:
        """Something that is no SIP, or a message that is cut off."""
        network, phone = self.stage.network, self._phone(who)
        sent = [each.data for each in network.log if each.source[0] == phone.host]
        if sent:
            data = sent[-1][: len(sent[-1]) * (which + 1) // 10]
            network.carry(data, STRANGER, self.stage.address)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.stage.run(seconds)

    # How it ends.

    def end(self) -> None:
        """The phones hang up, if that is how it ends, or the switch stops; then they vanish, and
        nothing may be left.

        :raises AssertionError: something is.
        """
        stage = self.stage
        if self._ending == "shut":
            stage.house.switch.shut()
        elif self._ending == "polite":
            for line in self.lines:
                if line.open:
                    line.respond(486)
                elif line.remote and not line.over:
                    line.request("BYE")
            stage.run(20)
        for phone in self.phones:
            phone.vanish()
        begun = stage.clock.seconds()
        while stage.clock.seconds() < begun + LIMIT:
            stage.run(10)
            self._look()
        stage.close()
        engine = getattr(stage.engine, "_engine", stage.engine)
        assert not getattr(engine, "sessions", None), "media sessions are left"

    def sdp(self, phone: Phone, form: int) -> bytes:
        """A session description of some form, of a version that no other has."""
        name = _of(FORMS, form)
        version = next(self._numbers)
        if name == "none":
            return b""
        if name in ("sendonly", "inactive"):
            return phone.sdp(name, version)
        own = phone.sdp(version=version)
        where = f"c=IN IP4 {phone.host}".encode()
        changes = {
            "new": (b"RTP/AVP 0", b"RTP/AVP 8 0 101"),
            "zero": (where, b"c=IN IP4 0.0.0.0"),
            "video": (b"a=sendrecv\r\n", b"a=sendrecv\r\nm=video 4002 RTP/AVP 31\r\n"),
            "fewer": (b"audio 4000", b"audio 0"),
            "rubbish": (b"m=audio", b"m=rubbish"),
        }
        return own.replace(*changes[name]) if name in changes else own

    # Helpers.

    def _asked(self) -> list[Line]:
        """The lines that have an INVITE to answer."""
        return [line for line in self.lines if line.open]

    def _look(self) -> None:
        """What holds after every act."""
        stage = self.stage
        stage.house.auditor.sweep()
        assert not stage.leaks, f"left behind: {stage.leaks}"
        strange = {key for key in unexpected - self._before if key not in PEERS_FAULT}
        assert not strange, f"not known in that state: {strange}"

    def _phone(self, who: int) -> Phone:
        return self.phones[who % len(self.phones)]

    def _line(self, who: int, fit: Callable[[Line], bool]) -> Line | None:
        """A line that fits, or any, where none does."""
        lines = self.lines
        fitting = [line for line in lines if fit(line)] or lines
        return fitting[-1 - who % len(fitting)] if fitting else None


def _of(choices: Sequence[Any], which: int) -> Any:
    return choices[which % len(choices)]


def _is_open(line: Line) -> bool:
    return line.open


def _stands(line: Line) -> bool:
    return line.stands


def _has_begun(line: Line) -> bool:
    return bool(line.remote)


def _is_ringing(line: Line) -> bool:
    return line.sent is not None and all(status < 200 for status in line.statuses)


def _rang_reliably(line: Line) -> bool:
    return any(response.get("RSeq") for response in line.responses)


_FRAGMENT: Field = ("Content-Type", "message/sipfrag;version=2.0")
_FIELDS: Mapping[str, Sequence[Field]] = {
    "INFO": (("Info-Package", "x"),),
    "NOTIFY": (("Event", "refer"), ("Subscription-State", "active;expires=60"), _FRAGMENT),
    "SUBSCRIBE": (("Event", "refer"), ("Expires", "60")),
    "PUBLISH": (("Event", "presence"),),
}
