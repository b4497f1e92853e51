"""An offer of our own to a peer that refuses INVITEs without one. Pure.

Somebody invites without a description, and wants the offer of whom he calls (RFC 3261 13.2.1, a
late offer). A peer whose profile says ``late_offer = "offer"`` gets one all the same: of the codecs
that its profile lists, or in a re-INVITE of what the other holds to, with the relay's ports. Its
answer goes back as the offer that was asked for. What is then answered in the ACK is told to the
relay, and to the peer by a re-INVITE where that has to know: it takes less than was agreed with it.
"""

import attrs

from softswitch.b2bua.bodies import SDP, Located, find_sdp
from softswitch.b2bua.crossing import undescribed
from softswitch.b2bua.leg import Leg
from softswitch.b2bua.steps import DESCRIBED, BridgeData, Kind, MadeOffer, Step
from softswitch.sdp.early import led, offer_of, takes_all
from softswitch.sdp.places import Place
from softswitch.sdp.rewrite import fully_open
from softswitch.sdp.session import SessionDescription
from softswitch.sip.message import Request


def make(data: BridgeData, step: Step, source: Leg, target: Leg) -> Located | None:
    """Put an offer into an INVITE that has none, where the target wants one.

    :returns: where it lies; None where the INVITE goes as it is.
    """
    asks = target.profile.late_offer == "offer" and not source.session.idle
    if not asks or step.body or target.data.invitation:
        return None
    agreed = source.data.media.state.remote
    if agreed:
        sdp = fully_open(SessionDescription.parse(agreed)).encode()
    else:
        sdp = offer_of(target.profile.offer_codecs)
    data.made = MadeOffer(step.source)
    step.fields = [*step.fields, DESCRIBED]
    step.body = sdp
    step.located = Located(SDP, sdp)
    return step.located


def heard(made: MadeOffer | None, step: Step) -> Step:
    """What the target says, as it crosses: its answer is told with its 2xx, for only that can bear
    an offer to whoever asked for one."""
    if made is None:
        return step
    located = step.located
    if step.kind is Kind.PROVISIONAL and located is not None:
        made.answer = located.sdp
        return attrs.evolve(step, fields=undescribed(step.fields), body=b"", located=None)
    if step.kind is Kind.ACCEPT and located is not None:
        made.answer = located.sdp
    elif step.kind is Kind.ACCEPT and made.answer:
        fields, sdp = [*undescribed(step.fields), DESCRIBED], made.answer
        return attrs.evolve(step, fields=fields, body=sdp, located=Located(SDP, sdp))
    return step


def described(data: BridgeData, step: Step, target: Leg, sdp: bytes, place: Place) -> bytes:
    """What a leg is told of what the relay has made of a step: an offer each time.

    :param place: where the relay has the media.
    :raises SdpSyntaxError: it cannot be read.
    """
    if step.kind is Kind.SETTLE:
        return b""
    address = target.data.network.advertise
    if step.kind is Kind.INVITE:
        sdp = led(sdp, place.hosts[0])
    else:
        data.offerer = step.source
    return target.data.media.outgoing(sdp, address, place)


def settling(made: MadeOffer, ack: Request, far: str) -> list[Step]:
    """The steps that tell the relay what was agreed in the end: the answer in the ACK, as if it had
    been the offer to which the target has given its answer. None without one.

    :param far: name of the target's leg.
    """
    located = find_sdp(ack)
    if located is None:
        return []
    settled = Step.of_sdp(Kind.SETTLE, far, made.answer)
    return [Step.of_sdp(Kind.SETTLE, made.leg, located.sdp), settled]


def is_whole(leg: Leg) -> bool:
    """Whether a leg has taken all that it was offered, so that the target need not be told.

    :raises SdpSyntaxError: a description cannot be read.
    """
    state = leg.data.media.state
    return takes_all(state.remote, state.local)
