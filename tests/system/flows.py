"""What is played inside calls: scenarios for both sides, made of steps that are written once.

``OPENINGS`` is how a call may come to be, ``MIDDLES`` what may happen within an answered one,
``TRANSFERS`` how one side may leave it to others, ``TIMERS`` how it is kept alive or ended. They
are made into ``FLOWS``. In a scenario ``@switch@`` stands for the address of the switch, ``@flow@``
for the name under which the flow is called.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple

from scenario import ALL, BASIC, Scenario, Step, sdp

AUDIO: Final = {"body": "m=audio [1-9][0-9]* RTP/AVP 0"}
NO_SDP: Final = {"body": "m=audio"}
RELIABLE: Final = {"Require": "100rel", "RSeq": "[1-9][0-9]*"}
#: Milliseconds between the steps of a call, for what crosses the switch to come to rest; and for
#: which it has to last at least.
BREATH, LASTS = 100, 500


class Sides(NamedTuple):
    """The steps of who acts, or calls, and of the other.

    :ivar target: of whom a call is transferred to.
    :ivar allow: the methods that the other says he knows.
    :ivar dialog: how the switch treats both within the call, as TOML.
    :ivar engine: of the media, where it matters.
    :ivar forwards: key of a user who is called, whose value is where the callee is.
    """

    one: Step
    other: Step
    target: Step | None = None
    allow: str = ALL
    dialog: str = ""
    engine: str = ""
    forwards: str = ""


# The usual call.


def nothing(scenario: Scenario) -> None:
    """Does nothing."""


def invites(scenario: Scenario, *fields: str, body: str | None = None) -> None:
    """Calls, and hears that it rings."""
    scenario.request("INVITE", sdp() if body is None else body, *fields)
    scenario.hears(100, optional=True).hears(180, optional=True)


def is_answered(scenario: Scenario) -> None:
    """Calls and is answered."""
    invites(scenario)
    scenario.hears(200, AUDIO).ack()


def answers(scenario: Scenario) -> None:
    """Is called and answers."""
    scenario.hears("INVITE", AUDIO).respond(180).respond(200, sdp()).hears("ACK")


def hangs_up(scenario: Scenario) -> None:
    """Ends the call, when it has lasted as long as -d says."""
    scenario.pause().request("BYE").hears(200)


def is_hung_up_on(scenario: Scenario) -> None:
    """Hears of the call's end."""
    scenario.hears("BYE").answer()


# Within a call.


def offers(
    scenario: Scenario, method: str, offer: str, wanted: Mapping[str, str], status: int = 200
) -> None:
    """A re-INVITE or an UPDATE, and its answer."""
    scenario.pause(BREATH).request(method, offer)
    scenario.hears(100, optional=True).hears(status, wanted)
    if method == "INVITE":
        scenario.plus(Scenario.ack if status == 200 else Scenario.ack_refusal)


def agrees(scenario: Scenario, method: str, wanted: Mapping[str, str], answer: str) -> None:
    """Gets one and answers it."""
    scenario.hears(method, wanted).answer(200, answer)
    if method == "INVITE":
        scenario.hears("ACK")


def held(
    offered: str,
    answered: str,
    host: str = "[local_ip]",
    methods: tuple[str, str] = ("INVITE", "INVITE"),
    allow: str = ALL,
) -> Sides:
    """A call that is held and resumed.

    :param offered: direction.
    :param answered: direction.
    :param host: in the ``c=`` of whoever holds.
    :param methods: by which it is asked for, and by which it arrives.
    """
    asked, arrives = methods
    in_sdp = {"body": f"a={offered}" if host == "[local_ip]" else f"c=IN IP4 {host}"}

    def one(scenario: Scenario) -> None:
        offers(scenario, asked, sdp(2, offered, host), {"body": f"a={answered}"})
        offers(scenario, asked, sdp(3), {"body": "a=sendrecv"})

    def other(scenario: Scenario) -> None:
        agrees(scenario, arrives, in_sdp, sdp(2, answered))
        agrees(scenario, arrives, {"body": "a=sendrecv"}, sdp(3))

    return Sides(one, other, allow=allow)


def _asks_for_an_offer(scenario: Scenario) -> None:
    scenario.pause(BREATH).request("INVITE")
    scenario.hears(100, optional=True).hears(200, AUDIO).ack(sdp())


def _makes_an_offer(scenario: Scenario) -> None:
    scenario.hears("INVITE", lacks=NO_SDP).answer(200, sdp()).hears("ACK", AUDIO)


def _refuses(scenario: Scenario) -> None:
    scenario.hears("INVITE", {"body": "a=sendonly"}).answer(488).hears("ACK")


def _refreshes_its_target(scenario: Scenario) -> None:
    scenario.pause(BREATH).request("UPDATE").hears(200, lacks=NO_SDP)


#: What may happen within an answered call; then the caller hangs up.
MIDDLES: Final = {
    "holds": held("sendonly", "recvonly"),
    "holds_inactive": held("inactive", "inactive"),
    "holds_by_address": held("sendrecv", "sendrecv", "0.0.0.0"),
    "asks_for_an_offer": Sides(_asks_for_an_offer, _makes_an_offer),
    "is_refused": Sides(
        partial(offers, method="INVITE", offer=sdp(2, "sendonly"), wanted={}, status=488), _refuses
    ),
    "updates": held("sendonly", "recvonly", methods=("UPDATE", "UPDATE")),
    "updates_who_cannot": held("sendonly", "recvonly", methods=("UPDATE", "INVITE"), allow=BASIC),
    "refreshes_its_target": Sides(_refreshes_its_target, nothing),
}


# How a call comes to be.


def _offers_late(scenario: Scenario) -> None:
    invites(scenario, body="")
    scenario.hears(200, AUDIO).ack(sdp())


def _is_asked_for_an_offer(scenario: Scenario) -> None:
    scenario.hears("INVITE", lacks=NO_SDP).respond(180).respond(200, sdp()).hears("ACK", AUDIO)


def _early(
    scenario: Scenario,
    knows: str = "Supported: 100rel",
    then: Step = nothing,
    late: bool = False,
) -> None:
    """Calls, takes a reliable 183 with SDP, does something, and is answered."""
    scenario.request("INVITE", "" if late else sdp(), knows)
    scenario.hears(100, optional=True).hears(183, {**RELIABLE, **AUDIO}, keeps={"RSeq": "rseq"})
    scenario.request("PRACK", sdp() if late else "", "RAck:[$rseq] 1 INVITE").hears(200)
    scenario.plus(then).hears(200).ack()


def _hears_early_media(scenario: Scenario) -> None:
    scenario.request("INVITE", sdp())
    scenario.hears(100, optional=True).hears(183, AUDIO, lacks={"Require": "100rel"})
    scenario.hears(200, AUDIO).ack()


def _reliably(scenario: Scenario, then: Step = nothing, late: bool = False) -> None:
    """Is called, sends a reliable 183 with SDP, does something, and answers."""
    scenario.hears("INVITE", {"Supported": "100rel", **({} if late else AUDIO)})
    scenario.respond(183, sdp(), "Require: 100rel", "RSeq: 4711")
    scenario.hears("PRACK", {"RAck": "4711 [0-9]+ INVITE", **(AUDIO if late else {})}).answer()
    scenario.plus(then).pause(BREATH).respond(200).hears("ACK")


def _unreliably(scenario: Scenario) -> None:
    scenario.hears("INVITE").respond(183, sdp()).pause(BREATH).respond(200, sdp()).hears("ACK")


_TIMED: Final = "Supported: timer"


def _of_90_seconds(refresher: str) -> dict[str, str]:
    return {"Session-Expires": f"90;refresher={refresher}"}


def _timed(interval: int, refresher: str) -> tuple[str, str]:
    return (_TIMED, f"Session-Expires: {interval};refresher={refresher}")


def _wants_too_little(scenario: Scenario) -> None:
    scenario.request("INVITE", sdp(), *_timed(30, "uac")).hears(100, optional=True)
    scenario.hears(422, {"Min-SE": "90"}).ack_refusal()
    invites(scenario, *_timed(90, "uac"))
    scenario.hears(200, _of_90_seconds("uac")).ack()


def _wants_more(scenario: Scenario) -> None:
    scenario.hears("INVITE", {"Session-Expires": "90"}).respond(422, "", "Min-SE: 120").hears("ACK")
    scenario.hears("INVITE", {"Session-Expires": "120", "Min-SE": "120"})
    scenario.respond(200, sdp(), "Require: timer", *_timed(120, "uac")).hears("ACK")


def _is_forwarded(scenario: Scenario) -> None:
    scenario.request("INVITE", sdp()).hears(100, optional=True).hears(181)
    scenario.hears(180, optional=True).hears(200, AUDIO).ack()


def _is_forwarded_to(scenario: Scenario, reason: str) -> None:
    entries = {"Diversion": f"sip:@flow@@.*reason={reason}", "History-Info": "@flow@@.*index=1"}
    scenario.hears("INVITE", {**entries, **AUDIO}).respond(180).respond(200, sdp()).hears("ACK")


_EARLY: Final = held("sendonly", "recvonly", methods=("UPDATE", "UPDATE"))

#: How a call may come to be; then the caller hangs up.
OPENINGS: Final = {
    "plain": Sides(is_answered, answers),
    "late_offer": Sides(_offers_late, _is_asked_for_an_offer),
    "prack": Sides(partial(_early, knows="Require: 100rel"), _reliably),
    "prack_of_caller": Sides(partial(_early, knows="Require: 100rel"), _unreliably, allow=BASIC),
    "prack_of_callee": Sides(_hears_early_media, _reliably),
    "prack_late_offer": Sides(partial(_early, late=True), partial(_reliably, late=True)),
    "early_update_of_caller": Sides(
        partial(_early, then=_EARLY.one), partial(_reliably, then=_EARLY.other)
    ),
    "early_update_of_callee": Sides(
        partial(_early, then=_EARLY.other), partial(_reliably, then=_EARLY.one)
    ),
    "forwarded": Sides(
        _is_forwarded,
        partial(_is_forwarded_to, reason="unconditional"),
        forwards="forward_always",
    ),
    "unreachable": Sides(
        _is_forwarded,
        partial(_is_forwarded_to, reason="unavailable"),
        forwards="forward_unreachable",
    ),
    "wants_too_little": Sides(_wants_too_little, answers),
    "wants_more": Sides(is_answered, _wants_more, dialog="session_expires = 90"),
}


# Transfers.


def _told(scenario: Scenario, status: str, state: str) -> None:
    """Hears how far the transfer has come (RFC 3515 2.4.5)."""
    has = {"Event": "refer", "Subscription-State": state, "body": f"SIP/2.0 {status}"}
    scenario.hears("NOTIFY", {**has, "Content-Type": "message/sipfrag"}).answer()


def _tells(scenario: Scenario, status: str, state: str) -> None:
    fields = ("Event: refer", f"Subscription-State: {state}", "Content-Type: message/sipfrag")
    scenario.request("NOTIFY", f"SIP/2.0 {status}", *fields).hears(200)


def _refers(scenario: Scenario) -> None:
    scenario.pause(BREATH).request("REFER", "", "Refer-To: <sip:@flow@-target@@switch@>").hears(202)
    _told(scenario, "100", "active")


def _transfers(scenario: Scenario) -> None:
    scenario.plus(_refers)
    _told(scenario, "180", "active")
    _told(scenario, "200", "terminated")
    is_hung_up_on(scenario)


def _transfers_in_vain(scenario: Scenario) -> None:
    scenario.plus(_refers)
    _told(scenario, "486", "terminated")
    hangs_up(scenario)


def _has_it_transferred(scenario: Scenario) -> None:
    scenario.plus(_refers)
    _told(scenario, "200", "terminated")
    hangs_up(scenario)


def _is_transferred(scenario: Scenario) -> None:
    agrees(scenario, "INVITE", AUDIO, sdp(2))
    hangs_up(scenario)


def _transfers_itself(scenario: Scenario) -> None:
    scenario.hears("REFER", {"Refer-To": "@flow@-target@"}).answer(202)
    _tells(scenario, "100 Trying", "active;expires=60")
    _tells(scenario, "200 OK", "terminated;reason=noresource")
    is_hung_up_on(scenario)


def _is_target(scenario: Scenario) -> None:
    """Makes the offer, since where the media go past the switch nobody keeps the transferee's."""
    scenario.hears("INVITE", {"Referred-By": "sip:"}, lacks=NO_SDP).respond(180).pause(BREATH)
    scenario.respond(200, sdp()).hears("ACK", AUDIO).plus(is_hung_up_on)


def _is_target_at_relay(scenario: Scenario) -> None:
    scenario.hears("INVITE", {"Referred-By": "sip:", **AUDIO}).respond(180).pause(BREATH)
    scenario.respond(200, sdp()).hears("ACK", lacks=NO_SDP).plus(is_hung_up_on)


def _notices_nothing(scenario: Scenario) -> None:
    scenario.pause(10 * BREATH)
    hangs_up(scenario)


def _is_busy(scenario: Scenario) -> None:
    scenario.hears("INVITE").respond(486).hears("ACK")


#: How one side of an answered call transfers the other, or tries to. Whoever still talks hangs up.
TRANSFERS: Final = {
    "transfers": Sides(_transfers, _is_transferred, _is_target, engine="bypass"),
    "transfers_unnoticed": Sides(_transfers, _notices_nothing, _is_target_at_relay, engine="relay"),
    "transfers_in_vain": Sides(_transfers_in_vain, is_hung_up_on, _is_busy),
    "has_it_transferred": Sides(_has_it_transferred, _transfers_itself, dialog='refer = "relay"'),
}


# Session timers: no interval is under 90 s (RFC 4028 5).


def _is_kept_alive(scenario: Scenario) -> None:
    """The switch is to refresh, and does so by UPDATE."""
    invites(scenario, *_timed(90, "uas"))
    scenario.hears(200, _of_90_seconds("uas")).ack()
    scenario.hears("UPDATE", _of_90_seconds("uac"), lacks=NO_SDP)
    scenario.answer(200, "", *_timed(90, "uac")).pause(20 * BREATH)
    hangs_up(scenario)


def _is_left(scenario: Scenario) -> None:
    answers(scenario)
    is_hung_up_on(scenario)


def _is_left_by_callee(scenario: Scenario) -> None:
    is_answered(scenario)
    is_hung_up_on(scenario)


def _is_kept_alive_by_invite(scenario: Scenario) -> None:
    """The switch is to refresh, and does so by re-INVITE, since this peer knows no UPDATE."""
    scenario.hears("INVITE", {"Supported": "timer"})
    scenario.respond(200, sdp(), "Require: timer", *_timed(90, "uac")).hears("ACK")
    scenario.hears("INVITE", {**_of_90_seconds("uac"), **AUDIO})
    scenario.answer(200, sdp(), "Require: timer", *_timed(90, "uac")).hears("ACK")
    is_hung_up_on(scenario)


def _falls_silent(scenario: Scenario) -> None:
    """Promises to refresh, and does not."""
    invites(scenario, *_timed(90, "uac"))
    scenario.hears(200, _of_90_seconds("uac")).ack()
    is_hung_up_on(scenario)


def _falls_silent_when_called(scenario: Scenario) -> None:
    scenario.hears("INVITE").respond(200, sdp(), *_timed(90, "uas")).hears("ACK")
    is_hung_up_on(scenario)


#: Sessions that are refreshed after 45 s, and those that end after 60 s since nobody does.
TIMERS: Final = {
    "refreshed": Sides(_is_kept_alive, _is_kept_alive_by_invite, allow=BASIC),
    "dead_caller": Sides(_falls_silent, _is_left),
    "dead_callee": Sides(_is_left_by_callee, _falls_silent_when_called),
}


USER: Final = """
[users.{name}]
password = "never told"
{forwards} = "sip:{name}@{name}"
"""


class Flow(NamedTuple):
    """A call as SIPp is to play it.

    :ivar sides: name of a side, "caller", "callee" and perhaps "target" -> its scenario.
    :ivar hung_up: who does, as the record has it.
    :ivar dialog: how the switch treats caller and callee within the call, as TOML.
    :ivar engine: of the media, where it matters.
    :ivar user: in the configuration: whose calls are forwarded; "" without such a one.
    """

    sides: Mapping[str, Scenario]
    hung_up: str
    dialog: str
    engine: str
    user: str


def _flow(name: str, sides: Sides, hung_up: str, caller: list[Step], callee: list[Step]) -> Flow:
    allows = (sides.allow, ALL) if sides.one in callee else (ALL, sides.allow)
    played = {
        "caller": Scenario(True, allows[0]).plus(*caller),
        "callee": Scenario(False, allows[1]).plus(*callee),
    }
    if sides.target is not None:
        played["target"] = Scenario(False).plus(sides.target)
    user = sides.forwards and USER.format(name=name, forwards=sides.forwards)
    return Flow(played, hung_up, sides.dialog, sides.engine, user)


def _all() -> dict[str, Flow]:
    flows = {}
    for name, sides in OPENINGS.items():
        ends = [sides.one, hangs_up], [sides.other, is_hung_up_on]
        flows[name] = _flow(name, sides, "caller", *ends)
    for name, sides in MIDDLES.items():
        for who, one, other in (("caller", *sides[:2]), ("callee", *sides[1::-1])):
            ends = [is_answered, one, hangs_up], [answers, other, is_hung_up_on]
            flows[f"{who}_{name}"] = _flow(f"{who}_{name}", sides, "caller", *ends)
    for name, sides in TRANSFERS.items():
        leaves = sides.one is _transfers
        for who, one, other in (("caller", *sides[:2]), ("callee", *sides[1::-1])):
            hung_up = {"caller": "callee", "callee": "caller"}[who] if leaves else who
            ends = [is_answered, one], [answers, other]
            flows[f"{who}_{name}"] = _flow(f"{who}_{name}", sides, hung_up, *ends)
    for name, sides in TIMERS.items():
        hung_up = "caller" if name == "refreshed" else "switch"
        flows[name] = _flow(name, sides, hung_up, [sides.one], [sides.other])
    return flows


#: Name -> the call.
FLOWS: Final = _all()
