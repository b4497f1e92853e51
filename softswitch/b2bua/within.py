"""Requests within a call that negotiate nothing: what the in-dialog table says of each. Pure.

``Profile`` holds the table; what is relayed gets the far peer's answer, not ours (RFC 6086,
RFC 3428 8, RFC 3261 11).
"""

from collections.abc import Callable
from functools import partial

from softswitch.b2bua import crossing
from softswitch.b2bua.bodies import DialogName, Translation
from softswitch.b2bua.leg import Leg
from softswitch.b2bua.shared import Shared
from softswitch.b2bua.transfer import Transfer
from softswitch.dialog.dialog import Dialog
from softswitch.dialog.usage import CAPABILITIES
from softswitch.plugin.profile import Profile
from softswitch.sip import compose
from softswitch.sip.events import check_notify
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.names import METHODS
from softswitch.sip.replaces import Replaces
from softswitch.sip.uri import Uri
from softswitch.transaction.invite_server import InviteServer
from softswitch.transaction.server import Server

#: Method -> what its peer is told when the table refuses it.
REFUSED = {"INFO": 415, "MESSAGE": 405, "OPTIONS": 405, "REFER": 603}

#: Method -> the fields that cross with it besides those that always do.
PASSING = {
    "INFO": frozenset(("Info-Package",)),
    "OPTIONS": frozenset(("Accept", "Allow", "Supported")),
    "REFER": frozenset(("Refer-To", "Referred-By", "Refer-Sub")),
    "NOTIFY": frozenset(("Event", "Subscription-State")),
}

_NOTHING: frozenset[str] = frozenset()


def treat(
    shared: Shared,
    leg: Leg,
    far: Leg | None,
    request: Request,
    transaction: InviteServer | Server,
    refer: Callable[[Leg, Request, Server], None],
    transfer: Transfer | None,
) -> None:
    """Do with a request what its sender's profile says.

    :param far: the leg that it would reach; None while there is none, or no single one.
    :param refer: takes a REFER that ends here.
    :param transfer: the one that the call has seen, whose transferor may be subscribed to it.
    """
    method = request.method
    assert isinstance(transaction, Server)
    treatment = treatment_of(leg, far, method)
    if treatment == "end" and method == "REFER":
        leg.data.refers += 1
        refer(leg, request, transaction)
    elif treatment == "end":
        fields = CAPABILITIES if method == "OPTIONS" else ()
        leg.session.answer(transaction, 200, fields=fields)
    elif treatment == "refuse":
        fields = [("Accept", "application/sdp")] if method == "INFO" else CAPABILITIES
        leg.session.answer(transaction, REFUSED[method], fields=fields)
    elif treatment == "relay" and (far is None or far.session.find_dialog() is None):
        leg.session.answer(transaction, 500, fields=[("Retry-After", "2")])
    elif treatment == "relay" and far is not None:
        relay(shared, leg, far, request, transaction)
    elif method == "NOTIFY":
        leg.session.answer(transaction, 481)
    elif method == "SUBSCRIBE":
        if transfer is None or not transfer.subscribed(leg, request, transaction):
            leg.session.answer(transaction, 489)
    else:
        leg.session.answer(transaction, 405 if method in METHODS else 501, fields=CAPABILITIES)


def treatment_of(leg: Leg, far: Leg | None, method: str) -> str:
    """What the table says: "relay", "end" or "refuse"; "" for what it does not know.

    A NOTIFY within a call answers a REFER that was relayed the other way.
    """
    if method == "NOTIFY":
        return "relay" if far is not None and far.profile.refer == "relay" else ""
    if method not in REFUSED:
        return ""
    treatment: str = getattr(leg.profile, method.lower())
    return treatment


def relay(shared: Shared, leg: Leg, far: Leg, request: Request, transaction: Server) -> None:
    """Send a request on, and its answer back.

    :raises SipSyntaxError: it speaks of dialogs, or of a subscription, in a way that cannot be
        read.
    """
    method = request.method
    if method == "NOTIFY":
        check_notify(request)
    fields, body = _crossing(request, method, far.profile), request.body
    fields += crossing.credentials(request, far.profile, shared.settings.realm)
    if method in ("REFER", "NOTIFY"):
        terms = _terms(shared, leg, far)
        fields = [terms.field(field) for field in fields]
        body = terms.body(request.get("Content-Type") or "", body)
    transaction.adopt(leg.scope, None)
    told = partial(_answered, transaction, method, leg, far.profile)
    far.session.request(method, fields, body, told, crossing.hops(request))


def _terms(shared: Shared, leg: Leg, far: Leg) -> Translation:
    """What one leg's peer says of addresses and dialogs, as the other's would: a dialog that leads
    to us goes by the name that its far end gives it."""

    def dialog(named: DialogName) -> DialogName | None:
        call_id, near_tag, far_tag = named
        found = shared.find_far(Replaces(call_id, far_tag, near_tag))
        if found is None:
            return None
        known: Dialog = found[1].session.data.dialog
        return (known.call_id, known.local_tag, known.remote_tag)

    source, target = leg.session.data.dialog, far.session.data.dialog
    here, there = shared.facing(source.flow), shared.facing(target.flow)
    hosts = {here.host, source.flow.remote_host, Uri.parse(source.remote_target).host.lower()}
    port = None if there.port == 5060 else there.port
    return Translation(frozenset(hosts), there.host, port, dialog)


def _answered(
    transaction: Server,
    method: str,
    to: Leg,
    source: Profile,
    status: int,
    reason: str,
    response: Response | None,
) -> None:
    if transaction.answered:
        return
    told = crossing.status(status, source)
    fields = _crossing(response, method, to.profile) if response is not None else []
    fields += crossing.challenges(response, source) + to.session.identified
    body = response.body if response is not None else b""
    transaction.respond(
        compose.response(
            transaction.request, told, reason if told == status else None, fields=fields, body=body
        )
    )


def _crossing(message: Message, method: str, to: Profile) -> list[Field]:
    names = PASSING.get(method, _NOTHING)
    own = [field for field in message.fields if field[0] in names] if names else []
    return [*own, *crossing.fields(message, to), *crossing.describing(message)]
