"""Stages on which a policy has requests forwarded."""

from collections.abc import Callable, Iterable

import attrs
import pytest
from zope.interface import implementer

from softswitch.machine import unexpected
from softswitch.plugin.decisions import Allow, Proxy, Target
from softswitch.plugin.interfaces import IAdmissionPolicy, IRouter
from softswitch.plugin.views import Identity
from softswitch.testing.stage import Stage


@implementer(IRouter, IAdmissionPolicy)
@attrs.define
class Forwarding:
    """Forwards what it is asked about; "bob" is wherever bob has registered.

    :ivar targets: in order; a plain name is a user.
    :ivar strangers: whether everybody is let in, without a password.
    :ivar asked: the requests.
    """

    targets: list[str | Target]
    record_route: bool = True
    strangers: bool = False
    asked: list[str] = attrs.Factory(list)
    locate: Callable[..., Iterable] = lambda user, domain: ()

    def admit(self, request):
        stranger = self.strangers and request.method != "REGISTER"
        return Allow(Identity("peer", "somebody")) if stranger else None

    def route(self, request):
        self.asked.append(request.method)
        return Proxy(
            [each for target in self.targets for each in self.found(target)], self.record_route
        )

    def found(self, target):
        if isinstance(target, Target) and ":" in target.uri:
            return [target]
        if isinstance(target, str) and ":" in target:
            return [Target(target)]
        template = target if isinstance(target, Target) else Target(target)
        return [
            attrs.evolve(template, uri=binding.contact, flow=binding.flow)
            for binding in self.locate(template.uri, "")
        ]


@pytest.fixture
def proxying():
    """Makes stages whose policy forwards to these targets. Each must be left empty."""
    stages = []

    def make(*targets, record_route=True, strangers=False, **options):
        policy = Forwarding(list(targets), record_route, strangers)
        made = Stage(plug_ins=[policy], **options)
        policy.locate = lambda user, domain: made.house.whereabouts.locate(user, made.house.domain)
        made.policy = policy
        stages.append(made)
        return made

    yield make
    for made in stages:
        print(made.ladder())
        made.close()
        assert not len(made.house.proxy.ledger)


@pytest.fixture(autouse=True)
def nothing_is_unexpected():
    """No state machine meets an event that its state does not know."""
    before = unexpected.copy()
    yield
    assert unexpected - before == {}
