"""The registrar front: REGISTERs of outside phones are passed on to the PBX behind us. Pure.

The PBX knows the passwords: challenges and credentials cross untouched. It knows a phone by a
Contact of ours, whose user part is a token; the phone's own contact and flow stand in our bindings
together with what the PBX has granted (``bindings.Grant``). The phone is to come back often, which
keeps its NAT open, the PBX seldom: a refresh is answered here while the grant lasts, from the flow
on which the PBX has accepted the phone's credentials, and only where it changes nothing. So it can
prolong what the PBX has granted within that grant, and nothing more; neither can who forges the
source address of a datagram.

The PBX sees none but us, so that whoever guesses at its passwords is ours to keep out: the door
hears what becomes of each REGISTER, as of those that end here.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import Final

import attrs

from softswitch.errors import PeerError
from softswitch.flow import Flow
from softswitch.plugin.decisions import Front, Target
from softswitch.plugin.profile import Profile
from softswitch.registrar.asked import Asked, Wish, read
from softswitch.registrar.bindings import Binding, Bindings, Grant
from softswitch.registrar.grantor import (
    Grantor,
    is_denied,
    listed,
    number,
    proofs,
    refused,
    username,
)
from softswitch.registrar.passing import FindFlow, Passing
from softswitch.registrar.registrar import current, refusal
from softswitch.scope import Auditor
from softswitch.sip import compose
from softswitch.sip.fields import NameAddr, format_params
from softswitch.sip.message import Field, Request, Response
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.layer import TransactionLayer
from softswitch.transaction.server import Server
from softswitch.transport.domains import Domains
from softswitch.transport.door import Door

#: A token begins so, lest one that is no more be taken for a number that somebody dials.
PREFIX: Final = "front-"

#: Seconds after which a phone is to try again whose PBX cannot be reached.
RETRY_SECONDS: Final = 30

#: REGISTERs that may be on their way at once; beyond it a phone is told to come back.
MOST: Final = 2000

#: Seconds that a grant must last beyond a refresh that is answered here.
_MARGIN: Final = 5

#: Fields of a phone's REGISTER that go on whatever the PBX's profile says.
_GOING_ON: Final = frozenset(("Authorization", "Proxy-Authorization", "User-Agent", "Allow"))

#: Contact parameters that are ours to set, or that promise what we do not do (RFC 5626, 5627).
_NOT_PASSED: Final = frozenset(("expires", "q", "reg-id", "pub-gruu", "temp-gruu"))


@attrs.define
class _Case:
    """A REGISTER that is being dealt with.

    :ivar request: as it came.
    :ivar asked: what it asks for.
    :ivar tokens: of each of its wishes.
    """

    request: Request
    transaction: InviteServer | Server
    asked: Asked
    decision: Front
    grantor: Grantor
    tokens: list[str] = attrs.Factory(list)


class Fronts:
    """Passes REGISTERs on, and keeps what came of it.

    :ivar counters: "REGISTER passed on", "REGISTER answered for the PBX" -> how many.
    :param door: hears what comes of credentials.
    :param find_flow: finds the way to an address of the PBX.
    :param contact: our Contact value, for a user part, towards a flow's peer.
    :param profile: how the "trunk" of that name is treated.
    :param now: wall-clock seconds, the same as the bindings'.
    :param outages: how often the trunk of that name has been found out.
    :param patience: seconds for which an address of the PBX may be silent while it has others.
    """

    def __init__(
        self,
        bindings: Bindings,
        domains: Domains,
        transactions: TransactionLayer,
        door: Door,
        auditor: Auditor,
        find_flow: FindFlow,
        contact: Callable[[str, Flow], str],
        profile: Callable[[str, str], Profile],
        now: Callable[[], float],
        patience: Callable[[Target], float],
        outages: Callable[[str], int],
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._bindings = bindings
        self._domains = domains
        self._transactions = transactions
        self._door = door
        self._auditor = auditor
        self._find_flow = find_flow
        self._contact = contact
        self._profile = profile
        self._now = now
        self._patience = patience
        self._outages = outages
        self._secret = os.urandom(32)
        self._cseq = 0
        self._under_way: set[Passing] = set()
        self._grantors: dict[str, Grantor] = {}

    def renew(self, registrar: str) -> None:
        """The PBX may have forgotten what it has granted: each phone's next refresh goes to it.

        :param registrar: name of the trunk.
        """
        self._grantor(registrar).renewed_at = self._now()

    def received(
        self, request: Request, transaction: InviteServer | Server, decision: Front
    ) -> None:
        """A REGISTER that is for a PBX."""
        grantor = self._grantor(decision.targets[0].trunk or "")
        grantor.noted(self._outages(grantor.name), self._now())
        try:
            asked = read(request, transaction.flow, self._domains, decision.min_expires)
            self._check_order(request, asked)
        except PeerError as error:
            transaction.respond(refusal(request, error, decision.min_expires))
            return
        case = _Case(request, transaction, asked, decision, grantor)
        if decision.throttle and self._refresh(case):
            return
        if self._is_guessed(case):
            answer = compose.response(request, 403, to_tag=compose.new_tag())
            transaction.respond(answer)
        elif len(self._under_way) >= MOST:
            _unreached(case, None)
        else:
            self._pass_on(case)

    def _is_guessed(self, case: _Case) -> bool:
        """Whether so many logins have failed that the PBX shall not have to judge one more, of
        somebody who is known: strangers are banned."""
        flow, name = case.transaction.flow, username(case.request)
        known = self._door.knows(flow.remote_host, flow.remote_port)
        if not (known and self._door.doubts(flow, name)):
            return False
        return self._door.turns_down(
            flow, name, case.grantor.came_back(case.request, flow.remote_host)
        )

    # What the PBX need not hear of.

    def _refresh(self, case: _Case) -> bool:
        """Answer a refresh that changes nothing, if it may be answered here."""
        now, asked, decision = self._now(), case.asked, case.decision
        wanted = []
        for wish in asked.wishes:
            found = self._same(asked.aor, wish.uri)
            if found is None or not wish.seconds:
                return False
            grant = found.grant
            seconds = min(wish.seconds, decision.max_expires)
            holds = case.grantor.holds(grant, now + seconds + _MARGIN)
            if not holds or grant is None or not grant.username:
                return False
            binding = wish.binding(case.request, asked.aor, case.transaction.flow, now, seconds)
            if _standing(binding) != _standing(found):
                return False
            if username(case.request) not in ("", grant.username):
                return False
            wanted.append(attrs.evolve(binding, grant=grant))
        if not wanted:
            return False
        self._bindings.update(asked.aor, wanted, decision.max_contacts)
        self.counters["REGISTER answered for the PBX"] += 1
        self._tell(case)
        return True

    # What it is to hear of.

    def _pass_on(self, case: _Case) -> None:
        flow, asked = case.transaction.flow, case.asked
        case.tokens = [
            self._token(wish.binding(case.request, asked.aor, flow, 0, 0), wish.seconds != 0)
            for wish in asked.wishes
        ]
        passing = Passing(
            self._transactions,
            self._find_flow,
            self._auditor,
            case.request,
            case.grantor.name,
            case.decision.targets,
            partial(self._outgoing, case),
            partial(self._answered, case),
            self._patience,
        )
        case.transaction.adopt(passing.scope, None)
        self._under_way.add(passing)
        self.counters["REGISTER passed on"] += 1
        passing.start()

    def _outgoing(self, case: _Case, flow: Flow) -> Request:
        """What the PBX gets: a REGISTER of ours for the phone's address of record."""
        self._cseq += 1
        request, decision, grantor = case.request, case.decision, case.grantor
        profile = self._profile("trunk", grantor.name)
        uri = f"sip:{decision.domain}" if decision.domain else request.uri
        left = request.max_forwards
        fields: list[Field] = [
            ("Max-Forwards", "69" if left is None else str(max(0, left - 1))),
            ("From", f"{_named(request.from_, decision.domain)};tag={compose.new_tag()}"),
            ("To", _named(request.to, decision.domain)),
            ("Call-ID", self._sealed(f"{case.asked.aor} {request.call_id}")),
            ("CSeq", f"{self._cseq} REGISTER"),
        ]
        if case.asked.removes_all:
            fields += [("Contact", "*"), ("Expires", "0")]
        fields += [
            ("Contact", self._contact(token, flow) + self._params(case, wish))
            for token, wish in _last_wishes(case).items()
        ]
        if decision.path == "always" or (decision.path == "auto" and grantor.knows_path):
            hop = self._contact("", flow).removesuffix(">")
            fields += [("Path", f"{hop};lr>"), ("Supported", "path")]
        fields += [
            field for field in request.fields if field[0] in _GOING_ON or profile.crosses[field[0]]
        ]
        return Request("REGISTER", uri, fields)

    def _params(self, case: _Case, wish: Wish) -> str:
        """What follows a Contact of ours: what the phone says of itself, for longer."""
        said = wish.contact.params.items()
        seconds = case.grantor.interval(wish.seconds, case.decision.ask)
        return format_params(
            {
                "expires": str(seconds),
                **({} if wish.q == 1.0 else {"q": f"{wish.q:g}"}),
                **{name: value for name, value in said if name not in _NOT_PASSED},
            }
        )

    def _answered(self, case: _Case, passing: Passing, response: Response | None) -> None:
        self._under_way.discard(passing)
        grantor = case.grantor
        if response is None or response.status in (408, 503):
            grantor.silent = True
            _unreached(case, response)
            return
        flow = case.transaction.flow
        came_back = grantor.came_back(case.request, flow.remote_host)
        led_elsewhere = "maddr" in case.request.top_via.params
        grantor.heard(response, self._now(), "" if led_elsewhere else flow.remote_host)
        if response.status < 300:
            self._granted(case, response)
        elif response.status == 423 and grantor.wants_longer(response, case.decision.ask):
            self._pass_on(case)
        else:
            status, fields = refused(response)
            if is_denied(case.request, response):
                self._door.failed(flow, username(case.request), came_back)
            else:
                self._door.refused(flow, status)
            tag = compose.new_tag()
            answer = compose.response(case.request, status, to_tag=tag, fields=fields)
            case.transaction.respond(answer)

    # What came of it.

    def _granted(self, case: _Case, response: Response) -> None:
        """The PBX has accepted: so do we what it lists."""
        request, asked = case.request, case.asked
        if case.grantor.asked_for(request):
            self._door.proved(case.transaction.flow)
        known = listed(response)
        try:
            if asked.removes_all:
                self._bindings.remove_all(asked.aor, request.call_id, request.cseq.number)
            elif asked.wishes:
                pairs = zip(case.tokens, asked.wishes, strict=True)
                wanted = [self._accepted(case, *pair, known, response) for pair in pairs]
                self._bindings.update(asked.aor, wanted, case.decision.max_contacts)
        except PeerError as error:
            case.transaction.respond(refusal(request, error, case.decision.min_expires))
            return
        if known:
            still = partial(_still_granted, case.grantor.name, known, self._now())
            self._bindings.change(asked.aor, still)
        self._tell(case, proofs(response))

    def _accepted(
        self,
        case: _Case,
        token: str,
        wish: Wish,
        known: dict[str, NameAddr],
        response: Response,
    ) -> Binding:
        """The binding of a contact that the PBX has accepted; one that has expired already where it
        lists others without it, or was asked to remove it."""
        now, most = self._now(), case.decision.max_expires
        granted = case.grantor.interval(wish.seconds, case.decision.ask)
        if known and token not in known:
            granted = 0
        elif wish.seconds != 0:
            said = known[token].expires if token in known else None
            said = response.expires if said is None else said
            granted = granted if said is None else said
        seconds = min(wish.seconds or most, most, granted)
        binding = wish.binding(case.request, case.asked.aor, case.transaction.flow, now, seconds)
        proved = self._proved(case, binding)
        grant = Grant(case.grantor.name, token, now, now + granted, proved)
        return attrs.evolve(binding, grant=grant)

    def _proved(self, case: _Case, binding: Binding) -> str:
        """Name of the credentials that the PBX has accepted on this flow, "" for none.

        They count where the PBX had asked for them, or has accepted them on this flow before: one
        that lets everybody in proves nothing by it.
        """
        name = username(case.request)
        old = self._same(binding.aor, binding.contact)
        if old is not None and old.grant is not None and old.flow == binding.flow:
            before = old.grant.username
            if before and name in ("", before):
                return before
        return name if case.grantor.asked_for(case.request) else ""

    def _tell(self, case: _Case, further: Sequence[Field] = ()) -> None:
        """Tell a phone of its contacts that the PBX knows by tokens of ours, and of no others."""
        contacts = [
            binding
            for binding in self._bindings.contacts(case.asked.aor)
            if binding.grant is not None and binding.grant.registrar == case.grantor.name
        ]
        case.transaction.respond(current(case.request, contacts, self._now(), further))

    # Helpers.

    def _grantor(self, name: str) -> Grantor:
        return self._grantors.setdefault(name, Grantor(name))

    def _check_order(self, request: Request, asked: Asked) -> None:
        """:raises PeerError: 500 for a REGISTER that is older than a binding (10.3 step 7)."""
        for binding in self._bindings.contacts(asked.aor):
            if binding.call_id == request.call_id and request.cseq.number <= binding.cseq:
                raise PeerError("CSeq out of order", 500)

    def _same(self, aor: str, uri: str) -> Binding | None:
        found = self._bindings.contacts(aor)
        return next((binding for binding in found if binding.contact == uri), None)

    def _token(self, binding: Binding, stays: bool) -> str:
        """The user part by which the PBX knows a contact: the one that it knows already, where it
        or another contact of the same phone is being refreshed."""
        for old in self._bindings.contacts(binding.aor):
            same = binding.same_contact(old) or (stays and binding.same_phone(old))
            if same and old.grant is not None:
                return old.grant.token
        return PREFIX + self._sealed(f"{binding.aor} {binding.instance or binding.contact}")

    def _sealed(self, text: str) -> str:
        """The same for the same text, and of nobody else's making."""
        data = text.encode("utf-8", "surrogateescape")
        return blake2b(data, key=self._secret, digest_size=8).hexdigest()


def _last_wishes(case: _Case) -> dict[str, Wish]:
    """Token -> what is wished for it: one contact of a phone may take another's place."""
    pairs = list(zip(case.tokens, case.asked.wishes, strict=True))
    return dict(sorted(pairs, key=lambda pair: pair[1].seconds != 0))


def _standing(binding: Binding) -> tuple[Flow, float, str, str]:
    """What of a binding a refresh that is answered here leaves as it was."""
    return binding.flow, binding.q, binding.instance, binding.call_id


def _still_granted(
    registrar: str, known: dict[str, NameAddr], now: float, binding: Binding
) -> Binding:
    """A binding whose contact the PBX does not list any more is to be passed on next time."""
    grant = binding.grant
    if grant is None or grant.registrar != registrar or grant.token in known:
        return binding
    return attrs.evolve(binding, grant=attrs.evolve(grant, until=min(grant.until, now)))


def _unreached(case: _Case, response: Response | None) -> None:
    """Nobody there has answered: what stands, stands until it expires."""
    after = number(response, "Retry-After") if response is not None else 0
    fields = [("Retry-After", str(after or RETRY_SECONDS))]
    tag = compose.new_tag()
    case.transaction.respond(compose.response(case.request, 503, to_tag=tag, fields=fields))


def _named(address: NameAddr, domain: str) -> str:
    """From or To without its tag, at another host where one is wanted."""
    uri = address.uri
    if domain:
        uri = attrs.evolve(uri, host=domain, port=None)
    return str(NameAddr(address.display, uri))
