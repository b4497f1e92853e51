"""Where registered phones are, as policies see it: bindings that can be reached now. Pure."""

from collections.abc import Callable

import attrs

from softswitch.flow import Flow
from softswitch.plugin.views import BindingView
from softswitch.registrar.bindings import Binding, Bindings
from softswitch.sip.uri import addressed


class Whereabouts:
    """Shows bindings.

    :param is_alive: whether something can be sent on a flow.
    """

    def __init__(self, bindings: Bindings, is_alive: Callable[[Flow], bool]) -> None:
        self._bindings = bindings
        self._is_alive = is_alive

    def locate(self, user: str, domain: str) -> list[BindingView]:
        """Where a user can be reached now, the preferred contact first."""
        found = self._bindings.lookup(f"{user}@{domain}")
        return [self._seen(binding) for binding in found if self._is_alive(binding.flow)]

    def _seen(self, binding: Binding) -> BindingView:
        view = _view(binding)
        if not binding.reg_id:
            return view
        others = self._bindings.spare(binding)
        spare = [
            (addressed(each.contact), each.flow) for each in others if self._is_alive(each.flow)
        ]
        return attrs.evolve(view, spare=tuple(spare))

    def registered_on(self, flow: Flow) -> list[BindingView]:
        """Who has registered on a flow."""
        return [_view(binding) for binding in self._bindings.on_flow(flow)]

    def fronted(self, token: str) -> BindingView | None:
        """The contact that a PBX knows by this user part of a Contact of ours; one that cannot be
        reached has no flow."""
        binding = self._bindings.with_token(token)
        if binding is None:
            return None
        alive = binding.reachable and self._is_alive(binding.flow)
        return _view(binding) if alive else attrs.evolve(_view(binding), flow=None)


def _view(binding: Binding) -> BindingView:
    """A binding as policies see it."""
    grant = binding.grant
    return BindingView(
        binding.aor,
        addressed(binding.contact),
        binding.flow,
        binding.q,
        binding.expires_at,
        binding.user_agent,
        binding.instance,
        grant.registrar if grant is not None else "",
        grant is not None and bool(grant.username),
    )
