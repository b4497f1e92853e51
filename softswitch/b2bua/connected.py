"""Who a peer is told that it talks to when a transfer or a pick-up has moved its call: by UPDATE
(RFC 3311) with what ``identity`` says (RFC 3325). Pure.
"""

from softswitch.b2bua import crossing, identity
from softswitch.b2bua.bridge import Bridge
from softswitch.b2bua.leg import Leg
from softswitch.b2bua.shared import Shared
from softswitch.sip.fields import NameAddr
from softswitch.sip.uri import Uri


def tell_both(shared: Shared, bridge: Bridge) -> None:
    """Two legs have come together that did not call each other: each is told of the other, where
    its profile says how, and so are the lamps."""
    for leg in (bridge.a, bridge.b):
        _tell(bridge, leg, bridge.other(leg), shared)


def _tell(bridge: Bridge, leg: Leg, other: Leg, shared: Shared) -> None:
    """By UPDATE, or by re-INVITE where the peer knows none."""
    host = NameAddr.parse(leg.session.data.dialog.contact).uri.host
    named = NameAddr.parse(other.session.data.dialog.remote)
    _, number = other.party
    private = named.uri.host.lower() == crossing.ANONYMOUS
    leg.data.talks_to = str(NameAddr(named.display, Uri("sip", user=number or None, host=host)))
    if leg.data.kind == "user":
        shared.lamps.leg_changed(leg.data)
    party: identity.Party = "calling" if leg.session.data.calling else "called"
    fields = identity.connected(leg.profile, named.display, number, host, party, private)
    if fields and leg.session.allows("UPDATE"):
        leg.session.inform(fields)
    elif fields:
        leg.data.unsaid = fields
        bridge.restore(leg)
