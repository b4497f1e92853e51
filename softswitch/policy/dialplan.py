"""Calls by the number that was dialled. Pure.

::

    [[policy]]
    use = "dialplan"

    [[policy.rules]]
    match = "0[1-9][0-9]+"     # the whole number, as a regular expression;
    callers = "users"
    strip = 1                  # 0441234 loses its first digit
    prepend = "+"              # and becomes +441234,
    trunk = "carrier"          # which is dialled there
"""

import re
from functools import partial
from typing import Literal

import attrs
from zope.interface import implementer

from softswitch.plugin.decisions import Redirect, Reject, Route, Routing
from softswitch.plugin.interfaces import Answer, IRouter
from softswitch.plugin.views import House, Identity, InviteView
from softswitch.policy.callees import Callees, Way
from softswitch.policy.located import dialled, ring
from softswitch.policy.waiting import once_known

#: What a rule's ``callers`` says -> the kind of identity it means.
_KINDS = {"users": "user", "trunks": "trunk"}


@attrs.define
class Rule:
    """One line of the plan: what was dialled, by whom, and what becomes of it.

    Exactly one of ``trunk``, ``user``, ``redirect`` and ``refuse`` is given.

    :ivar match: regular expression for the whole number, or name, that was dialled.
    :ivar callers: to whom the rule applies.
    :ivar strip: characters to take off the front.
    :ivar prepend: text to put there then.
    :ivar trunk: name of the trunk over which the number is dialled.
    :ivar user: name of the user or ring group that is rung; "*" for the one whose name the number
        is.
    :ivar redirect: URIs to which the caller is sent.
    :ivar status: of the redirection.
    :ivar refuse: status of a refusal, 400 to 699.
    :ivar ring_seconds: how long it may ring; None for the switch's default.
    """

    match: str
    callers: Literal["anyone", "users", "trunks"] = "anyone"
    strip: int = 0
    prepend: str = ""
    trunk: str = ""
    user: str = ""
    redirect: tuple[str, ...] = ()
    status: Literal[300, 301, 302, 305, 380] = 302
    refuse: int = 0
    ring_seconds: float | None = None
    _pattern: re.Pattern[str] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        try:
            self._pattern = re.compile(self.match)
        except re.error as error:
            raise ValueError(f"match is no regular expression: {error}") from None
        given = [name for name in ("trunk", "user", "redirect", "refuse") if getattr(self, name)]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"one of trunk, user, redirect, refuse is wanted, not {found}")
        if self.strip < 0:
            raise ValueError("strip: 0 or more is wanted")
        if self.refuse and not 400 <= self.refuse <= 699:
            raise ValueError("refuse: a status from 400 to 699 is wanted")

    def applies(self, number: str, caller: Identity | None) -> bool:
        """Whether the rule is for this number and this caller."""
        return is_for(self.callers, caller) and self._pattern.fullmatch(number) is not None

    def rewritten(self, number: str) -> str:
        """The number after strip and prepend."""
        return self.prepend + number[self.strip :]


@implementer(IRouter)
@attrs.define
class Dialplan:
    """The first rule that applies says what becomes of a call; with none, the next policy does.

    Only what was dialled in our domain is looked at.

    :ivar rules: in the order of looking.
    """

    rules: tuple[Rule, ...]
    _house: House = attrs.field(init=False, repr=False)
    _callees: Callees = attrs.field(init=False, repr=False)

    def start(self, house: House) -> None:
        """Take note of what knows trunks and users.

        :raises ValueError: when a rule names a trunk that does not exist.
        """
        self._house = house
        self._callees = Callees(house)
        for index, rule in enumerate(self.rules):
            if rule.trunk and house.trunk(rule.trunk) is None:
                raise ValueError(f"rules[{index}].trunk: there is no [trunks.{rule.trunk}]")

    def route(self, invite: InviteView) -> Answer[Routing]:
        """What the first rule that applies says."""
        number = dialled(invite.uri, self._house)
        if number:
            for rule in self.rules:
                if rule.applies(number, invite.identity):
                    return self._follow(rule, rule.rewritten(number), invite)
        return None

    def explained(self, invite: InviteView) -> str:
        """Which rule applies, for ``softswitch explain``."""
        number = dialled(invite.uri, self._house)
        for index, rule in enumerate(self.rules) if number else ():
            if rule.applies(number, invite.identity):
                return (
                    f"rules[{index}], match = {rule.match!r}: {number} is {rule.rewritten(number)}"
                )
        return f"no rule applies to {number}" if number else "not dialled in our domain"

    def _follow(self, rule: Rule, number: str, invite: InviteView) -> Answer[Routing]:
        if rule.refuse:
            return Reject(rule.refuse)
        if rule.redirect:
            return Redirect(rule.redirect, rule.status)
        if rule.user:
            name = number if rule.user == "*" else rule.user
            group = self._house.ring_group(name)
            if group is not None:
                return once_known(partial(self._callees.group, group, Way.of(invite)))
            return once_known(
                lambda: ring(name, self._house, rule.ring_seconds, invite) or Reject(404),
            )
        trunk = self._house.trunk(rule.trunk)
        if trunk is None:
            return Reject(404)
        targets = trunk.targets(number, invite)
        if rule.ring_seconds is not None:
            targets = [attrs.evolve(each, ring_seconds=rule.ring_seconds) for each in targets]
        return Route(targets)


def is_for(callers: str, caller: Identity | None) -> bool:
    """Whether what is for "anyone", "users" or "trunks" is for this caller."""
    kind = _KINDS.get(callers)
    return kind is None or (caller is not None and caller.kind == kind)
