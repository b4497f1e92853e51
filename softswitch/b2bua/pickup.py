"""A call taken over by an INVITE with Replaces (RFC 3891): pick-up, ringing or answered. Pure."""

from softswitch.b2bua import crossing
from softswitch.b2bua.bodies import find_sdp
from softswitch.b2bua.leg import Leg
from softswitch.b2bua.legs import Legs
from softswitch.b2bua.steps import Kind, Step
from softswitch.dialog.usage import Life
from softswitch.errors import SdpSyntaxError
from softswitch.sdp.match import match
from softswitch.sip.message import Request


def take_over(legs: Legs, caller: Leg, invite: Request, lender: Legs, far: Leg) -> None:
    """Have whoever sent ``invite`` talk to the far leg of another call.

    Where that is in a session already it is re-invited. Where it has invited us itself, and
    somebody else's phone rings, both are answered out of each other's offers.

    :raises SdpSyntaxError: they cannot be.
    """
    legs.borrow(lender, far)
    bridge = legs.bridge(caller, far)
    theirs = far.session.data.invite
    if far.session.data.life is Life.EARLY and theirs is not None:
        near, far_offer = _offer(invite), _offer(theirs)
        answer = match(near, far_offer)
        caller.data.invitation, far.data.invitation = near, far_offer
        bridge.carry(Step.of_sdp(Kind.INVITE, caller.name, near))
        bridge.carry(Step.of_sdp(Kind.ACCEPT, far.name, answer))
    else:
        bridge.invite(crossing.describing(invite), invite)


def _offer(invite: Request) -> bytes:
    located = find_sdp(invite)
    if located is None:
        raise SdpSyntaxError("No Offer")
    return located.sdp
