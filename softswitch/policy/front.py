"""Fronting a PBX: outside phones register through us at it, call it, and are called by it. Pure.

Only what the PBX has proved lets a phone in: a request other than REGISTER is a phone's when it
comes on the very flow on which the PBX has accepted that phone's credentials, under its own address
in From. Over UDP a flow is an address and a port, which can be forged; so a PBX that takes our
calls without a password lets in whoever forges them. One that challenges the calls of phones, which
is the default here, does not.
"""

import re
from typing import Literal

import attrs
from zope.interface import implementer

from softswitch.flow import Flow
from softswitch.plugin.decisions import Admission, Allow, Front, Reject, Route, Target
from softswitch.plugin.interfaces import IAdmissionPolicy, IRegistrationPolicy, IRouter
from softswitch.plugin.views import BindingView, House, Identity, RequestView
from softswitch.policy.located import dialled
from softswitch.registrar.front import PREFIX, RETRY_SECONDS
from softswitch.sip.uri import Uri
from softswitch.trunk.group import escape_user


@implementer(IAdmissionPolicy, IRegistrationPolicy, IRouter)
@attrs.define
class Fronting:
    """The phones of a PBX, all but those of our own users.

    :ivar trunk: name of the PBX's trunk.
    :ivar match: regular expression of the user names that are the PBX's, each as a whole.
    :ivar min_expires: seconds; a phone that asks for fewer gets 423.
    :ivar max_expires: seconds that a phone gets at most: short, so that its NAT stays open.
    :ivar ask: seconds that the PBX is asked for, or more where it wants more.
    :ivar max_contacts: phones of one name; beyond it the oldest goes.
    :ivar domain: host of Request-URI, From and To in a REGISTER to the PBX; "" for what the phone
        wrote.
    :ivar path: see ``plugin.decisions.Front``.
    :ivar throttle: likewise.
    :ivar challenges: whether the PBX's challenges to what phones send reach them, or are answered
        with its trunk's credentials.
    """

    trunk: str
    match: str = ".*"
    min_expires: int = 60
    max_expires: int = 120
    ask: int = 600
    max_contacts: int = 10
    domain: str = ""
    path: Literal["auto", "always", "never"] = "auto"
    throttle: bool = True
    challenges: Literal["pass", "answer"] = "pass"
    _house: House = attrs.field(init=False, repr=False)
    _names: re.Pattern[str] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.min_expires <= self.max_expires or self.max_expires < 1:
            raise ValueError("0 <= min_expires <= max_expires is wanted")
        if self.ask < self.max_expires:
            raise ValueError("ask: at least max_expires is wanted")
        if self.max_contacts < 1:
            raise ValueError("max_contacts: at least 1 is wanted")
        try:
            self._names = re.compile(self.match)
        except re.error as error:
            raise ValueError(f"match: {self.match!r} is no regular expression: {error}") from None

    def start(self, house: House) -> None:
        """
        :raises ValueError: there is no such trunk.
        """
        if house.trunk(self.trunk) is None:
            raise ValueError(f"trunk: there is no trunk {self.trunk!r}")
        self._house = house

    def admit(self, request: RequestView) -> Admission | None:
        """A REGISTER for a name of the PBX, whoever sends it: the PBX will ask for the password.
        Anything else from where the PBX has accepted one."""
        if request.identity is not None:
            return Allow(request.identity) if self._is_phone(request.identity) else None
        if request.method != "REGISTER":
            return self._phone_on(request, request.source)
        uri = request.to.uri
        name = uri.unquoted_user
        at = self._house.trunk_at(request.source.remote_host)
        if (at is not None and at.name == self.trunk) or not self._serves(name):
            return None
        if not self._house.is_ours(uri.host, uri.port):
            return None
        return Allow(Identity("phone", name, self._house.domain, force_rport=True))

    def register(self, request: RequestView) -> Front | Reject | None:
        """Pass it on, unless no address of the PBX is up."""
        trunk = self._house.trunk(self.trunk)
        if request.identity is None or not self._is_phone(request.identity) or trunk is None:
            return None
        targets = trunk.targets(request.identity.name)
        if not targets:
            return Reject(503, headers={"Retry-After": str(RETRY_SECONDS)})
        return Front(
            targets,
            self.max_expires,
            self.min_expires,
            self.ask,
            self.max_contacts,
            self.domain,
            self.path,
            self.throttle,
        )

    def route(self, invite: RequestView) -> Route | Reject | None:
        """From the PBX to the phone whose token is called; from its phones to the PBX."""
        who = invite.identity
        if who is None:
            return None
        if who.kind == "trunk" and who.name == self.trunk:
            return self._to_phone(invite.called("request-uri"))
        trunk = self._house.trunk(self.trunk)
        number = dialled(invite.uri, self._house)
        if not self._is_phone(who) or not number or trunk is None:
            return None
        return Route(
            [
                attrs.evolve(target, dialog={**target.dialog, "challenges": self.challenges})
                for target in trunk.targets(number, invite)
            ]
        )

    def _to_phone(self, uri: Uri) -> Route | Reject | None:
        token = uri.unquoted_user
        if not token.startswith(PREFIX):
            return None
        found = self._house.fronted(token)
        if found is None or found.flow is None or found.registrar != self.trunk:
            return Reject(480)
        name, _, domain = found.aor.rpartition("@")
        address_of_record = str(Uri("sip", escape_user(name), host=domain))
        return Route([Target(found.contact, flow=found.flow, call_to=address_of_record)])

    def _phone_on(self, request: RequestView, flow: Flow) -> Allow | None:
        uri = request.from_.uri
        if not self._house.is_ours(uri.host, uri.port):
            return None
        claimed = uri.unquoted_user
        for binding in self._house.registered_on(flow):
            if self._is_proved(binding) and binding.aor.rpartition("@")[0] == claimed:
                identity = Identity(
                    "phone", claimed, self._house.domain, force_rport=True, registered=claimed
                )
                return Allow(identity)
        return None

    def _is_proved(self, binding: BindingView) -> bool:
        return binding.registrar == self.trunk and binding.proved

    def _is_phone(self, identity: Identity) -> bool:
        return identity.kind == "phone" and self._serves(identity.name)

    def _serves(self, name: str) -> bool:
        """Whether it is a name of the PBX; one of our own users never is."""
        if not name or self._names.fullmatch(name) is None:
            return False
        return self._house.find_user(name) is None
