"""Requests outside of a call: MESSAGE, SUBSCRIBE, NOTIFY, PUBLISH and REFER. Pure.

RFC 3428, 6665, 3903 and 3515.

A SUBSCRIBE to a user of ours and to an event of which we are the notifier ends here. Everything
else goes where the routers say, as an errand, and what nobody is responsible for is refused: an
event with 489 and the events that would be right.
"""

from collections import Counter
from collections.abc import Callable, Iterable

import attrs

from softswitch.b2bua import identity
from softswitch.b2bua.errand import EVENT_METHODS, Errand, ErrandData
from softswitch.b2bua.shared import Shared
from softswitch.b2bua.subscribing import Crossed, CrossedData, Subscribing, wants_no_news
from softswitch.dialog.stateagent import StateAgent, SubscriptionSettings, WatchData, refusal
from softswitch.dialog.usage import EVENTS
from softswitch.errors import PeerError, SipSyntaxError
from softswitch.plugin.decisions import Reject
from softswitch.plugin.views import REGISTERED, Identity
from softswitch.sip.events import check_notify, event_of
from softswitch.sip.fields import NameAddr
from softswitch.sip.forks import breadth
from softswitch.sip.message import Request
from softswitch.sip.uri import Uri
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server

#: Methods served outside of a call, REGISTER and OPTIONS apart.
METHODS = ("MESSAGE", "SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER")


@attrs.define
class PassageData:
    """Everything outside of calls that is not over; plain data.

    :ivar errands: requests on their way across.
    :ivar subscriptions: those that stand, across the switch.
    :ivar watches: those to events of ours.
    """

    errands: list[ErrandData]
    subscriptions: list[CrossedData]
    watches: list[WatchData]


class Passage:
    """Serves requests outside of a call.

    :ivar counters: "MESSAGE" and the like -> how many have come.
    :ivar draining: whether subscriptions are refused because the switch is about to stop.
    :param user_of: the name of the user of ours whom a URI means, "" for others.
    :param agents: of each event that is ours.
    """

    def __init__(
        self,
        shared: Shared,
        user_of: Callable[[Uri], str],
        agents: Iterable[StateAgent],
        settings: SubscriptionSettings,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.draining = False
        self._shared = shared
        self._user_of = user_of
        self._agents = {agent.package.name: agent for agent in agents}
        self._settings = settings
        self._errands: set[Errand] = set()
        self._crossed: set[Crossed] = set()
        self._held: Counter[Identity] = Counter()
        for method in METHODS:
            shared.agent.handlers[method] = self.received

    @property
    def data(self) -> PassageData:
        """All that is known; plain data."""
        watches = [data for agent in self._agents.values() for data in agent.data]
        return PassageData(
            [errand.data for errand in self._errands],
            [crossed.data for crossed in self._crossed],
            watches,
        )

    @property
    def busy(self) -> bool:
        """Whether anything is not over."""
        return bool(self._errands) or bool(self.subscriptions)

    @property
    def subscriptions(self) -> int:
        """How many stand, at us and across us."""
        return len(self._crossed) + sum(len(agent.data) for agent in self._agents.values())

    def received(
        self, request: Request, transaction: InviteServer | Server, sender: Identity
    ) -> None:
        """A request outside of any dialog, from somebody known."""
        assert isinstance(transaction, Server)
        self.counters[request.method] += 1
        try:
            self._serve(request, transaction, sender)
        except SipSyntaxError:
            raise
        except PeerError as error:
            transaction.respond(refusal(request, error, self._settings))

    def renew(self, shared: Shared, settings: SubscriptionSettings) -> None:
        """What comes from now on is served by this; what is under way, by what it began with."""
        self._shared, self._settings = shared, settings
        for agent in self._agents.values():
            agent.settings = settings

    def shut(self) -> None:
        """The switch stops: every subscription is to be made anew, elsewhere or later."""
        self.draining = True
        for agent in self._agents.values():
            agent.shut()
        for crossed in list(self._crossed):
            crossed.near.notifier.terminate("deactivated")

    def _serve(self, request: Request, transaction: Server, sender: Identity) -> None:
        """
        :raises PeerError: with the status of a refusal.
        """
        shared, method = self._shared, request.method
        nowhere = Reject(404)
        if method in EVENT_METHODS:
            package = event_of(request)[0]
            agent = self._agents.get(package)
            user = self._user_of(request.request_uri)
            if method == "SUBSCRIBE":
                self._admit(request, sender)
                if agent is not None and user:
                    agent.subscribe(request, transaction, sender, user)
                    return
            if method == "NOTIFY":
                check_notify(request)
            if agent is None:
                nowhere = Reject(489, headers={"Allow-Events": EVENTS})
        if method == "REFER":
            self._admit(request, sender)
            if len(request.values("Refer-To")) != 1:
                raise SipSyntaxError("Not One Refer-To", header="Refer-To")
            NameAddr.parse(request.values("Refer-To")[0])
            if shared.profile(sender.kind, sender.name).refer == "refuse":
                raise PeerError("Decline", 603)
        if request.max_forwards == 0:
            raise PeerError("Too Many Hops", 483)
        if shared.is_marked(request):
            raise PeerError("Loop Detected", 482)
        if not breadth(request):
            raise PeerError("Max-Breadth Exceeded", 440)
        critical = identity.refusal(request)
        if critical is not None:
            raise PeerError(critical[1], critical[0])
        errand: Errand
        if method == "SUBSCRIBE" or (method == "REFER" and not wants_no_news(request)):
            errand = Subscribing(
                shared,
                request,
                transaction,
                sender,
                self._errands.discard,
                nowhere,
                self._settings,
                self._made,
                self._gone,
            )
        else:
            errand = Errand(shared, request, transaction, sender, self._errands.discard, nowhere)
        self._errands.add(errand)
        errand.start()

    def _admit(self, request: Request, sender: Identity) -> None:
        """
        :raises PeerError: when the sender may not subscribe to anything.
        """
        if self.draining:
            raise PeerError("Switch Stops", 503)
        if not request.contacts:
            raise SipSyntaxError("Missing Contact", header="Contact")
        held = self._held[sender] if sender.kind in REGISTERED else 0
        if held >= self._settings.per_user:
            raise PeerError("Too Many Subscriptions", 403)

    def _made(self, crossed: Crossed) -> None:
        self._crossed.add(crossed)
        self._held[crossed.data.identity] += 1

    def _gone(self, crossed: Crossed) -> None:
        self._crossed.discard(crossed)
        holder = crossed.data.identity
        self._held[holder] -= 1
        if not self._held[holder]:
            del self._held[holder]
