"""The registrar: what a REGISTER becomes (RFC 3261 10.3, RFC 5626 6). Pure.

Who sent the request, whether he may register here, and Require have been looked at before.
"""

from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate
from math import ceil
from typing import Final

import attrs

from softswitch.errors import PeerError
from softswitch.flow import Flow
from softswitch.plugin.decisions import Accept
from softswitch.registrar.asked import Wish, read
from softswitch.registrar.bindings import Binding, Bindings
from softswitch.sip.compose import new_tag, response
from softswitch.sip.message import Field, Request, Response
from softswitch.transport.domains import Domains

#: Says that ``reg-id`` was heeded (RFC 5626 6).
OUTBOUND: Final[Sequence[Field]] = (("Require", "outbound"),)


class Registrar:
    """Answers REGISTER requests from the bindings, and changes them.

    :param now: wall-clock seconds, the same as the bindings'.
    :param default_expires: seconds granted to a phone that leaves it to us.
    """

    def __init__(
        self,
        bindings: Bindings,
        domains: Domains,
        now: Callable[[], float],
        default_expires: int = 3600,
    ) -> None:
        self._bindings = bindings
        self._domains = domains
        self._now = now
        self._default_expires = default_expires

    def process(self, request: Request, flow: Flow, accept: Accept) -> Response:
        """Carry out a REGISTER, wholly or not at all, and compose its answer."""
        now = self._now()
        try:
            asked = read(request, flow, self._domains, accept.min_expires)
            if asked.removes_all:
                self._bindings.remove_all(asked.aor, request.call_id, request.cseq.number)
            elif asked.wishes:
                wanted = [
                    attrs.evolve(
                        wish.binding(request, asked.aor, flow, now, self._granted(wish, accept)),
                        reg_id=wish.reg_id,
                    )
                    for wish in asked.wishes
                ]
                self._bindings.update(asked.aor, wanted, accept.max_contacts)
        except PeerError as error:
            return refusal(request, error, accept.min_expires)
        further = OUTBOUND if any(wish.reg_id for wish in asked.wishes) else ()
        return current(request, self._bindings.contacts(asked.aor), self._now(), further)

    def _granted(self, wish: Wish, accept: Accept) -> int:
        """Seconds that a contact gets (10.3 step 7)."""
        seconds = wish.seconds
        if seconds is None:
            seconds = max(self._default_expires, accept.min_expires)
        return min(seconds, accept.max_expires)


def refusal(request: Request, error: PeerError, min_expires: int) -> Response:
    """Why a REGISTER is not carried out.

    :param min_expires: seconds, for whoever has asked for fewer.
    """
    fields: list[Field] = []
    if error.status == 423:
        fields.append(("Min-Expires", str(min_expires)))
    return response(request, error.status, error.reason, to_tag=new_tag(), fields=fields)


def current(
    request: Request, bindings: Iterable[Binding], now: float, further: Iterable[Field] = ()
) -> Response:
    """The 200 that tells a phone which contacts there are (10.3 step 8).

    :param further: header fields besides.
    """
    fields: list[Field] = [
        ("Contact", _shown(binding, ceil(binding.expires_at - now))) for binding in bindings
    ]
    fields.append(("Date", formatdate(now, usegmt=True)))
    return response(request, 200, to_tag=new_tag(), fields=[*fields, *further])


def _shown(binding: Binding, expires: int) -> str:
    """A binding as a Contact value; the phone finds itself in it by URI or instance."""
    value = f"<{binding.contact}>;expires={expires}"
    if binding.q != 1.0:
        value += f";q={binding.q:g}"
    if binding.instance:
        value += f";+sip.instance={binding.instance}"
    if binding.reg_id:
        value += f";reg-id={binding.reg_id}"
    return value
