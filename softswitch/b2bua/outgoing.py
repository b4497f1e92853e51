"""What begins a dialog with a target: the dialog, and who we say that is there. Pure.

The INVITE of a call and every other request that crosses the switch begin alike; a trunk may want
them to look otherwise (``trunk.shape``).
"""

import attrs

from softswitch.b2bua.identity import Presented, present
from softswitch.b2bua.shared import Shared
from softswitch.b2bua.signing import UNSIGNED, Signed, sign
from softswitch.dialog import sips
from softswitch.dialog.dialog import Dialog
from softswitch.flow import Flow
from softswitch.plugin.decisions import Target
from softswitch.plugin.profile import Profile
from softswitch.plugin.views import Identity
from softswitch.sip import compose
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Request
from softswitch.sip.uri import Uri


@attrs.define
class Outgoing:
    """A dialog that is about to begin.

    :ivar dialog: with the target, which has said nothing yet.
    :ivar shown: how the sender is shown to it.
    :ivar called: URI of To.
    :ivar signed: what we have signed about the sender; it is among what is shown.
    """

    dialog: Dialog
    shown: Presented
    called: str
    signed: Signed = UNSIGNED


def begin(
    shared: Shared,
    target: Target,
    flow: Flow,
    request: Request,
    who: Identity,
    near: Profile,
    far: Profile,
    relayed: bool = True,
) -> Outgoing:
    """The dialog in which a request crosses to a target.

    :param request: as it came.
    :param who: who has sent it; ``near`` is his profile.
    :param far: the target's profile.
    :param relayed: whether the media, of a call, goes through us.
    """
    if target.caller:
        who = attrs.evolve(who, number=target.caller)
    trunk = shared.traffic.named(target.trunk)
    shape = None if trunk is None else trunk.shape
    here = host = shared.facing(flow).host
    uri, called, routes = target.uri, target.call_to or target.uri, list(target.route)
    if shape is not None:
        uri, called = shape.request_uri(uri), shape.request_uri(called)
        host = shape.from_domain or host
        routes = routes or (shape.route_set if target.flow is None else [])
    shown = present(request, who, near, far, host, called, relayed)
    contact = shared.contact(shown.contact_user, flow)
    if shape is not None:
        shown.say(shape.from_(shown.from_))
        contact = shape.contact(contact)
    if uri.startswith("sips:"):
        contact = sips.secured_contact(contact)
    tag = compose.new_tag()
    dialog = Dialog(
        call_id=compose.new_call_id(here),
        local_tag=tag,
        remote_tag="",
        local=f"{shown.from_};tag={tag}",
        remote=str(NameAddr("", Uri.parse(called))),
        contact=contact,
        remote_target=uri,
        flow=flow,
        symmetric=shared.goes_along(target),
        registered=shared.registered(target),
        route_set=routes,
        secure=uri.startswith("sips:"),
        large_over_tcp=target.flow is None and shared.traffic.large_over_tcp(target.trunk),
    )
    if trunk is None or trunk.signer is None or request.method != "INVITE":
        return Outgoing(dialog, shown, called)
    caller = shared.traffic.named(who.name) if who.kind == "trunk" else None
    signed = sign(trunk, caller, target, who, near, far, (shown.from_, shown.fields), called)
    if signed.fields:
        # Date is part of what is signed.
        shown.fields = [field for field in shown.fields if field[0] != "Date"] + signed.fields
    return Outgoing(dialog, shown, called, signed)
