"""Calls by the number that was dialled, or by who calls. Pure.

::

    [[policy]]
    use = "dialplan"
    read_as = "plus"               # 02071838750 is +442071838750, where [numbering] says how

    [[policy.rules]]
    begins = ["+44900", "+4487"]   # premium numbers: never
    refuse = 403

    [[policy.rules]]
    match = "0[1-9][0-9]+"         # the whole number, as a regular expression;
    callers = "users"
    strip = 1                      # 0441234 loses its first digit
    prepend = "+"                  # and becomes +441234,
    trunk = "carrier"              # which is dialled there
"""

import re
from typing import Literal

import attrs
from zope.interface import implementer

from softswitch.plugin.decisions import Redirect, Reject, Route, Routing
from softswitch.plugin.interfaces import Answer, IRouter
from softswitch.plugin.views import House, Identity, InviteView
from softswitch.policy.callees import Callees, Way
from softswitch.policy.located import dialled, ring
from softswitch.policy.numbers import Calling, Rewriting, Which, pattern
from softswitch.policy.waiting import once_known

#: What a rule's ``callers`` says -> the kind of identity it means.
_KINDS = {"users": "user", "trunks": "trunk"}


@attrs.define
class Rule:
    """One line of the plan: what was dialled, by whom, and what becomes of it.

    Of ``trunk``, ``user``, ``redirect`` and ``refuse`` one is given; without any the rule only
    rewrites, and the next ones look at what has become of the numbers.

    :ivar match: regular expression for the whole number, or name, that was dialled; or
    :ivar begins: what it begins with; or
    :ivar ranges: numbers from the first to the last, as "+4420000-+4420999"; or
    :ivar numbers: the numbers themselves. Any of these is enough.
    :ivar callers: to whom the rule applies.
    :ivar caller: regular expression for the whole number of who calls; "" for anybody.
    :ivar anonymous: whether he must, or must not, withhold it; None for either.
    :ivar strip: characters to take off the front of what was dialled.
    :ivar prepend: text to put there then.
    :ivar replace: or what becomes of it, as ``re.sub`` has it, with the groups of ``match``.
    :ivar caller_strip: likewise for the number of who calls,
    :ivar caller_prepend: as it is shown,
    :ivar caller_replace: with the groups of ``caller``.
    :ivar trunk: name of the trunk over which the number is dialled.
    :ivar user: name of the user or ring group that is rung; "*" for the one whose name the number
        is.
    :ivar redirect: URIs to which the caller is sent.
    :ivar status: of the redirection.
    :ivar refuse: status of a refusal, 400 to 699.
    :ivar ring_seconds: how long it may ring; None for the switch's default.
    :ivar record: whether the call is recorded, from the answer on.
    """

    match: str = ""
    callers: Literal["anyone", "users", "trunks"] = "anyone"
    strip: int = 0
    prepend: str = ""
    trunk: str = ""
    user: str = ""
    redirect: tuple[str, ...] = ()
    status: Literal[300, 301, 302, 305, 380] = 302
    refuse: int = 0
    ring_seconds: float | None = None
    begins: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    replace: str = ""
    caller: str = ""
    anonymous: bool | None = None
    caller_strip: int = 0
    caller_prepend: str = ""
    caller_replace: str = ""
    record: bool = False
    called_becomes: Rewriting = attrs.field(init=False, repr=False)
    caller_becomes: Rewriting = attrs.field(init=False, repr=False)
    decides: bool = attrs.field(init=False, repr=False)
    _which: Which = attrs.field(init=False, repr=False)
    _calling: re.Pattern[str] | None = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._which = Which.of(self.match, self.begins, self.ranges, self.numbers)
        self.called_becomes = Rewriting.of(
            self._which.match, self.replace, self.strip, self.prepend
        )
        calling = pattern("caller", self.caller) if self.caller else None
        self.caller_becomes = Rewriting.of(
            calling, self.caller_replace, self.caller_strip, self.caller_prepend, "caller_"
        )
        self._calling = calling
        given = [name for name in ("trunk", "user", "redirect", "refuse") if getattr(self, name)]
        if len(given) > 1 or not (given or self.called_becomes or self.caller_becomes):
            found = " and ".join(given) or "none"
            raise ValueError(f"one of trunk, user, redirect, refuse is wanted, not {found}")
        self.decides = bool(given)
        if self.refuse and not 400 <= self.refuse <= 699:
            raise ValueError("refuse: a status from 400 to 699 is wanted")

    @property
    def asks_who_calls(self) -> bool:
        """Whether it has anything to do with the number of who calls."""
        return self.caller != "" or self.anonymous is not None or bool(self.caller_becomes)

    @property
    def said(self) -> str:
        """Which numbers it is for, as the configuration says."""
        lists = {key: list(getattr(self, key)) for key in ("begins", "ranges", "numbers")}
        given = {"match": self.match, **lists}
        return ", ".join(f"{key} = {value!r}" for key, value in given.items() if value)

    def rewritten(self, number: str) -> str:
        """What becomes of what was dialled."""
        return self.called_becomes.applied(number)

    def applies(self, number: str, who: Identity | None, calling: Calling) -> bool:
        """Whether the rule is for this number and this caller."""
        if not is_for(self.callers, who) or not self._which.has(number):
            return False
        if self._calling is not None and not self._calling.fullmatch(calling.number):
            return False
        return self.anonymous is None or self.anonymous is calling.anonymous


@implementer(IRouter)
@attrs.define
class Dialplan:
    """The first rule that applies says what becomes of a call; with none, the next policy does.

    Only what was dialled in our domain is looked at.

    :ivar rules: in the order of looking.
    :ivar read_as: how they see telephone numbers, of those who are called and who call: as they
        were "dialled", in E.164 with a "plus", or in "digits" without.
    """

    rules: tuple[Rule, ...]
    read_as: Literal["dialled", "plus", "digits"] = "dialled"
    _asks_who_calls: bool = attrs.field(init=False, repr=False)
    _house: House = attrs.field(init=False, repr=False)
    _callees: Callees = attrs.field(init=False, repr=False)

    def start(self, house: House) -> None:
        """Take note of what knows trunks and users.

        :raises ValueError: when a rule names a trunk that does not exist.
        """
        self._house = house
        self._callees = Callees(house)
        self._asks_who_calls = any(rule.asks_who_calls for rule in self.rules)
        for index, rule in enumerate(self.rules):
            if rule.trunk and house.trunk(rule.trunk) is None:
                raise ValueError(f"rules[{index}].trunk: there is no [trunks.{rule.trunk}]")

    def route(self, invite: InviteView) -> Answer[Routing]:
        """What the first rule that applies says."""
        found = self._find(invite)
        return None if found is None else self._follow(found, invite)

    def explained(self, invite: InviteView) -> str:
        """Which rule applies, for ``softswitch explain``."""
        number = dialled(invite.uri, self._house)
        found = self._find(invite)
        if found is None:
            return f"no rule applies to {number}" if number else "not dialled in our domain"
        by = ", by ".join([found.rule.said, *(f"rules[{index}]" for index in found.rewritten)])
        shown = f", shown as {found.shown}" if found.shown else ""
        return f"rules[{found.index}], {by}: {number} is {found.number}{shown}"

    def _find(self, invite: InviteView) -> "_Found | None":
        """The rule that decides, and what has become of the numbers by then."""
        number = dialled(invite.uri, self._house)
        if not number:
            return None
        who, calling = invite.identity, _UNASKED
        if self._asks_who_calls:
            calling = Calling.of(invite)
        if self.read_as != "dialled":
            number = self._read(number, who)
            calling = attrs.evolve(calling, number=self._read(calling.number, who))
        shown = ""
        rewritten: list[int] = []
        for index, rule in enumerate(self.rules):
            if rule.applies(number, who, calling):
                number = rule.rewritten(number)
                if rule.caller_becomes:
                    shown = rule.caller_becomes.applied(calling.number)
                    calling = attrs.evolve(calling, number=shown)
                if rule.decides:
                    return _Found(index, rule, number, shown, rewritten)
                rewritten.append(index)
        return None

    def _read(self, number: str, who: Identity | None) -> str:
        """A telephone number as the rules have it; what is none as it is."""
        found = self._house.e164(number, who)
        return (found if self.read_as == "plus" else found[1:]) or number

    def _follow(self, found: "_Found", invite: InviteView) -> Answer[Routing]:
        rule, number = found.rule, found.number
        if rule.refuse:
            return Reject(rule.refuse)
        if rule.redirect:
            return Redirect(rule.redirect, rule.status)
        if rule.user:
            name = number if rule.user == "*" else rule.user
            group = self._house.ring_group(name)
            if group is not None:
                return once_known(lambda: found.showing(self._callees.group(group, Way.of(invite))))
            return once_known(
                lambda: found.showing(
                    ring(name, self._house, rule.ring_seconds, invite) or Reject(404)
                ),
            )
        trunk = self._house.trunk(rule.trunk)
        if trunk is None:
            return Reject(404)
        targets = trunk.targets(number, invite)
        if rule.ring_seconds is not None:
            targets = [attrs.evolve(each, ring_seconds=rule.ring_seconds) for each in targets]
        return found.showing(Route(targets))


@attrs.frozen
class _Found:
    """A rule that applies.

    :ivar index: its place.
    :ivar number: what is dialled.
    :ivar shown: number that is shown as the caller's; "" for his own.
    :ivar rewritten: places of the rules that have had a hand in it before.
    """

    index: int
    rule: Rule
    number: str
    shown: str
    rewritten: list[int]

    def showing(self, routing: Routing) -> Routing:
        """The same with the number that is shown, and recorded where the rule says so."""
        if not (self.shown or self.rule.record) or not isinstance(routing, Route):
            return routing
        if self.rule.record:
            routing = attrs.evolve(routing, record=True)
        if not self.shown:
            return routing
        targets = [attrs.evolve(each, caller=self.shown) for each in routing.targets]
        return attrs.evolve(routing, targets=targets)


def is_for(callers: str, caller: Identity | None) -> bool:
    """Whether what is for "anyone", "users" or "trunks" is for this caller."""
    kind = _KINDS.get(callers)
    return kind is None or (caller is not None and caller.kind == kind)


#: Who calls, where no rule asks.
_UNASKED = Calling("", False)
