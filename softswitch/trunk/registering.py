"""What a registration of ours knows, what can happen to it, and what it stands in. Pure.

``register`` does what stands here.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from random import Random
from typing import Protocol

import attrs

from softswitch.dialog.dialog import Dialog
from softswitch.dialog.requester import Sender
from softswitch.dialog.useragent import Resolver
from softswitch.flow import Flow
from softswitch.scope import Auditor
from softswitch.sip.message import Field
from softswitch.transport.layer import Destination
from softswitch.transport.listener import Facing
from softswitch.wheel import Clock


class State(StrEnum):
    """How far a registration has come."""

    IDLE = "idle"
    RESOLVING = "resolving"
    REGISTERING = "registering"
    REGISTERED = "registered"
    WAITING = "waiting"
    STOPPING = "stopping"
    LEAVING = "un-registering"


class Event(StrEnum):
    """What can happen to it."""

    START = "start"
    FOUND = "address found"
    ACCEPTED = "2xx"
    TOO_BRIEF = "423"
    NEXT_ADDRESS = "failed, another address is left"
    NEXT_REGISTRAR = "failed, another registrar is left"
    EXHAUSTED = "failed, nobody is left"
    DUE = "time has come"
    FLOW_LOST = "connection lost"
    STOP = "stop"
    OVER = "failed while we stop"


@attrs.define
class RegistrationData:
    """What a registration knows; plain data. Times are the clock's.

    :ivar trunk: name of the trunk.
    :ivar token: in our Contact.
    :ivar state: how far it has come.
    :ivar registrar: the one that is being asked, or was last.
    :ivar untried: those that are still to be asked in this round.
    :ivar destinations: addresses of ``registrar`` that are still to be asked.
    :ivar tried: addresses that have been asked in this round.
    :ivar dialog: Call-ID, CSeq, flow and challenges; None before the first REGISTER.
    :ivar accepted_by: the registrar that has accepted us last.
    :ivar flow: on which it did; None before, and when that is gone.
    :ivar bound_until: when what was granted ends; None before.
    :ivar since: since when it is registered without a break; None while it is not.
    :ivar service_route: the Service-Route of the registrar (RFC 3608), Route field values.
    :ivar asked: seconds that the last REGISTER has asked for.
    :ivar min_expires: the least that the registrar takes, seconds; 0 where it has not said.
    :ivar briefs: how often it has said so in a row.
    :ivar not_before: registrar -> until when it is not to be asked, by the clock's
        ``monotonic``.
    :ivar failures: rounds in a row in which everybody has failed.
    :ivar next_at: when the next REGISTER is sent; None where that is not known.
    :ivar wait: seconds until then, when that was decided.
    :ivar status: of the last answer, 408 where none came, 503 where none could; 0 before.
    :ivar reason: in words.
    :ivar question: number of the last look-up.
    """

    trunk: str
    token: str
    state: State = State.IDLE
    registrar: str = ""
    untried: list[str] = attrs.Factory(list)
    destinations: list[Destination] = attrs.Factory(list)
    tried: list[Destination] = attrs.Factory(list)
    dialog: Dialog | None = None
    accepted_by: str = ""
    flow: Flow | None = None
    bound_until: float | None = None
    since: float | None = None
    service_route: list[str] = attrs.Factory(list)
    asked: int = 0
    min_expires: int = 0
    briefs: int = 0
    not_before: dict[str, float] = attrs.Factory(dict)
    failures: int = 0
    next_at: float | None = None
    wait: float = 0.0
    status: int = 0
    reason: str = ""
    question: int = 0


class Transport(Protocol):
    """The part of the transport layer that a registration needs."""

    def flow_to(self, transport: str, host: str, port: int, name: str = "") -> Flow:
        """A flow to an address.

        :param name: that a certificate must bear there.

        :raises TransportError: none leads there.
        """

    def facing(self, flow: Flow) -> Facing:
        """What the flow's peer sees of us."""

    def is_alive(self, flow: Flow) -> bool:
        """Whether something can be sent on the flow."""


@attrs.frozen
class World:
    """What all registrations share.

    :ivar own_fields: header fields of every REGISTER.
    :ivar changed: told of a registration that has come about, failed or ended.
    """

    clock: Clock
    agent: Sender
    transport: Transport
    resolver: Resolver
    auditor: Auditor
    own_fields: Sequence[Field]
    random: Random
    changed: Callable[[RegistrationData], None]
