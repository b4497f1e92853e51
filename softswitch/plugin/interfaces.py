# ruff: noqa: N805 -- the methods of an Interface have no self
"""Every place where a plug-in fits: policies, observers, and back ends. Pure.

(Where a media engine fits is told in ``media``, with what it is asked.)

A policy is asked in the order of the configuration's ``[[policy]]`` tables. It answers a
decision, or None to have the next one asked, or an awaitable of these (a Deferred, or simply an
``async def``). What a policy answers at once costs no Deferred.
"""

from collections.abc import Awaitable, Sequence
from typing import Any, TypeAlias, TypeVar

from zope.interface import Attribute, Interface

from softswitch.plugin.decisions import Admission, Redirection, Registration, Routing
from softswitch.plugin.record import CallRecord
from softswitch.plugin.views import CallView, InviteView, RequestView, User

Decision = TypeVar("Decision")

#: What a policy may answer.
Answer: TypeAlias = Decision | Awaitable[Decision | None] | None


class IPolicyMaker(Interface):
    """What ``twisted.plugin`` finds: the name of a policy and where its class is."""

    name = Attribute("what ``use`` in a ``[[policy]]`` table says: text")
    factory = Attribute("where the class is, as ``package.module:Class``: text")
    description = Attribute("one sentence for the operator: text")
    api = Attribute("version of the interfaces that it was written for: text; empty for any")


class IAdmissionPolicy(Interface):
    """Says who sent a request. What nobody allows goes nowhere (403)."""

    def admit(request: RequestView) -> Answer[Admission]:
        """Asked for each request from outside that belongs to no dialog, ACK and CANCEL apart.

        Asked too whether somebody may transfer a call, with the INVITE that his REFER wants; its
        ``identity`` says then who that is, and needs no further proof.
        """


class IRouter(Interface):
    """Says where a call goes, or another request outside a dialog. Nobody knows: 404."""

    def route(invite: InviteView) -> Answer[Routing]:
        """Asked once per request, after admission."""


class IRegistrationPolicy(Interface):
    """Says who may register what. Nobody says so: 403."""

    def register(request: RequestView) -> Answer[Registration]:
        """Asked for each REGISTER, after admission; the To field holds the address of record."""


class IRedirectPolicy(Interface):
    """Says what becomes of a 3xx that came back. Nobody says: it is passed on to the caller."""

    def redirected(call: CallView, contacts: Sequence[str]) -> Answer[Redirection]:
        """Asked per 3xx; ``contacts`` are its Contact URIs in descending q."""


class ICallObserver(Interface):
    """Is told of facts, in order; answers nothing and delays nothing.

    The record is the call's own and grows while the call lives: take out what is to be kept.
    """

    def call_started(record: CallRecord) -> None:
        """An INVITE was admitted."""

    def call_ringing(record: CallRecord) -> None:
        """The first 180 or 183 went to the caller."""

    def call_answered(record: CallRecord) -> None:
        """The first 2xx went to the caller."""

    def call_ended(record: CallRecord) -> None:
        """The call is over, answered or not: told once per call, last."""


class IPriceList(Interface):
    """Knows what calls cost: asked for each that goes out over a trunk at somebody's expense."""

    def price(number: str, trunk: str) -> float | None:
        """What a minute to a number, in E.164 with a plus, costs over a trunk; None where it is not
        known. Answered at once."""


class IUserDirectory(Interface):
    """Knows users besides those of the configuration and the store, who come first."""

    def find(name: str) -> Answer[User]:
        """The user of a name, or of a number of his: asked for each request that bears credentials,
        and for each name that is called. What is answered at once costs nothing more; an answer
        that had to be waited for is remembered for ``auth.remember_seconds``."""


class IBindingStore(Interface):
    """Keeps registrations over a restart. Memory is the truth while the process lives."""

    def load() -> dict[str, list[dict[str, Any]]]:
        """All that was saved: address of record -> its bindings as plain data. Asked once, before
        the first message."""

    def save(aor: str, bindings: list[dict[str, Any]]) -> None:
        """Replace what is kept of an address of record; an empty list forgets it. Returns at
        once; written in the order of the calls."""
