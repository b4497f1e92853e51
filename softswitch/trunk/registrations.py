"""All registrations of ours, at carriers and PBXs: started and stopped together. Pure."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import attrs

from softswitch.flow import Flow
from softswitch.sip.uri import Uri
from softswitch.trunk.group import Trunk
from softswitch.trunk.register import Registration
from softswitch.trunk.registering import RegistrationData, World
from softswitch.trunk.upstream import Accepted, Upstream, new_token, token_in


class UpstreamRegistrations:
    """Our registrations, by the tokens in their Contacts.

    :ivar tokens: token -> name of the trunk at which we register it; only while we do.
    :param secret: of which the tokens are made; the same each time that the switch starts, so that
        calls which a registrar sends to the Contact from before a crash find their trunk.
    """

    def __init__(self, secret: bytes) -> None:
        self.tokens: dict[str, str] = {}
        self._secret = secret
        self._world: World | None = None
        self._registrations: dict[str, Registration] = {}

    def __iter__(self) -> Iterator[Registration]:
        return iter(self._registrations.values())

    def known_to(self, trunks: Iterable[Trunk]) -> list[Trunk]:
        """The trunks, of which those that we register at know where they have accepted us."""
        return [
            trunk
            if trunk.upstream is None
            else attrs.evolve(
                trunk,
                registered=partial(self.accepted, trunk.name),
                tokens=frozenset(token for token, *_ in self._wanted(trunk)),
            )
            for trunk in trunks
        ]

    def start(self, trunks: Iterable[Trunk], world: World) -> None:
        """Register at all that say so, and stay registered."""
        self._world = world
        self.renew(trunks)

    def renew(self, trunks: Iterable[Trunk]) -> None:
        """The configuration has been read anew: what is not wanted any more is un-registered, what
        is new is registered, and what has changed is registered over again."""
        world = self._world
        if world is None:
            return
        older, self._registrations = self._registrations, {}
        for trunk in trunks:
            for token, upstream, registrars in self._wanted(trunk):
                known = older.get(token)
                if known is not None and known.can_become(upstream, registrars):
                    del older[token]
                    known.become(trunk, upstream, registrars)
                else:
                    known = Registration(trunk, upstream, registrars, token, world)
                self._registrations[token] = known
        for gone in older.values():
            gone.stop()
        self.tokens = {each.data.token: each.data.trunk for each in self}
        for registration in self:
            registration.start()

    def stop(self) -> None:
        """Un-register everywhere; from now on nothing that comes on our Contacts is a trunk's."""
        self._world = None
        self.tokens = {}
        for registration in self:
            registration.stop()

    def flow_closed(self, flow: Flow) -> None:
        """A connection has ended."""
        for registration in self:
            registration.flow_closed(flow)

    def accepted(self, trunk: str) -> list[Accepted]:
        """Where we are registered at a trunk now."""
        return [
            Accepted(each.data.accepted_by, each.data.flow, tuple(each.data.service_route))
            for each in self
            if each.data.trunk == trunk and each.is_bound and each.data.flow is not None
        ]

    def whose(self, uri: Uri, host: str) -> str | None:
        """The name of the trunk that calls a Contact of ours from where we have registered it.

        :param uri: the Request-URI.
        :param host: address from which the request came.
        """
        registration = self._registrations.get(token_in(uri))
        if registration is None or registration.data.token not in self.tokens:
            return None
        flow = registration.data.flow
        return registration.data.trunk if flow is not None and flow.remote_host == host else None

    def _wanted(self, trunk: Trunk) -> Iterator[tuple[str, Upstream, tuple[str, ...]]]:
        """The registrations that a trunk wants: token, settings, registrars."""
        upstream = trunk.upstream
        if upstream is not None:
            for registrars in upstream.groups:
                token = new_token(self._secret, trunk.name, upstream, registrars)
                yield token, upstream, registrars

    def figures(self) -> list[dict[str, Any]]:
        """For an operator: how each of them is; times in Unix seconds."""
        return [_figures(each.data) for each in self]


def _figures(data: RegistrationData) -> dict[str, Any]:
    flow = data.flow
    return {
        "trunk": data.trunk,
        "registrar": data.registrar,
        "address": "" if flow is None else f"{flow.remote_host} {flow.remote_port}",
        "state": str(data.state),
        "status": data.status,
        "reason": data.reason,
        "failures": data.failures,
        "expires_at": data.bound_until,
        "next_at": data.next_at,
    }
