"""``sips:``: what is asked for in such a URI goes over TLS on every hop that is ours (RFC 5630).
Pure.

Who calls a ``sips:`` URI reaches targets on protected flows, and addresses to which TLS leads; a
trunk only where it is configured for TLS, since nobody else knows whether it has any. What cannot
be had is refused with 480 and Warning 380, what came unprotected with 480 and Warning 381; where
there is no TLS at all, with 416 (RFC 5630 5.3).

We depart from it in one thing: a Contact that is no ``sips:`` URI is taken, for phones on TLS often
give one. What follows goes along the peer's connection, or over another with TLS, and what comes
within such a dialog without TLS is refused.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from softswitch.errors import SipSyntaxError
from softswitch.flow import SECURE, Flow
from softswitch.plugin.decisions import Target
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Request
from softswitch.sip.uri import Uri
from softswitch.transport.listener import Listener

#: URI schemes that a Request-URI may have.
SCHEMES: Final = frozenset(("sip", "sips", "tel"))
#: Why a ``sips:`` URI cannot be reached as it wants to be.
NOT_ALLOWED: Final[Field] = ("Warning", '380 softswitch "SIPS Not Allowed"')
#: Why a request for one is not served.
REQUIRED: Final[Field] = ("Warning", '381 softswitch "SIPS Required"')


def wants_protection(request: Request) -> bool:
    """Whether a request is for a ``sips:`` URI."""
    return request.uri[:5].lower() == "sips:"


def refusal(
    uri: Uri, flow: Flow, listeners: Iterable[Listener]
) -> tuple[int, Sequence[Field]] | None:
    """Why a request for a URI is not served that has come on a flow: status and fields; None where
    it may be (RFC 3261 8.2.2.1)."""
    if uri.scheme not in SCHEMES:
        return 416, ()
    if uri.scheme != "sips" or flow.secure:
        return None
    if any(each.transport in SECURE for each in listeners):
        return 480, (REQUIRED,)
    return 416, ()


def unprotected(secure: bool, flow: Flow) -> tuple[int, Sequence[Field]] | None:
    """Why a request within a dialog is refused that has come on a flow; None where it is not.

    :param secure: whether the dialog is protected.
    """
    return (480, (REQUIRED,)) if secure and not flow.secure else None


def secured(text: str) -> str:
    """A SIP URI as a ``sips:`` URI; others as they are. ``transport=tls`` goes without saying
    (RFC 5630 3.1.4)."""
    uri = Uri.parse(text)
    if uri.scheme != "sip":
        return text
    params = {
        name: value
        for name, value in uri.params.items()
        if name != "transport" or (value or "").lower() != "tls"
    }
    return str(attrs.evolve(uri, scheme="sips", params=params))


def over_tls(text: str) -> Uri:
    """Where a dialog that is protected goes on for a URI: a ``sip:`` one that its peer gives all
    the same is asked over TLS, at the usual place unless it speaks of TLS itself.

    :raises SipSyntaxError: it is no URI.
    """
    uri = Uri.parse(text)
    if uri.scheme != "sip":
        return uri
    params = {name: value for name, value in uri.params.items() if name != "transport"}
    port = uri.port if uri.transport == "TLS" else None
    return attrs.evolve(uri, scheme="sips", port=port, params=params)


def secured_contact(value: str) -> str:
    """A Contact value of ours whose URI is a ``sips:`` one."""
    named = NameAddr.parse(value)
    return str(attrs.evolve(named, uri=Uri.parse(secured(str(named.uri)))))


def protected(target: Target) -> Target:
    """A target as it is asked for a ``sips:`` URI; as it is, where it cannot be reached so."""
    if target.flow is not None:
        can = target.flow.secure
    else:
        can = target.trunk is None or _leads_to_tls(target.uri)
    return attrs.evolve(target, uri=secured(target.uri)) if can else target


def is_barred(request: Request, target: Target, flow: Flow) -> bool:
    """Whether a request must not go to a target on a flow: the request's URI, or the target's, is a
    ``sips:`` one, and not all is protected."""
    to_sips = target.uri[:5] == "sips:"
    return (to_sips or request.uri[:5].lower() == "sips:") and not (to_sips and flow.secure)


def reachable(request: Request, targets: Sequence[Target]) -> Sequence[Target]:
    """Those of the targets to which a request may go."""
    if wants_protection(request):
        made = [protected(each) for each in targets]
        return [each for each in made if each.uri.startswith("sips:")]
    return [
        each for each in targets if each.flow is None or not is_barred(request, each, each.flow)
    ]


def _leads_to_tls(text: str) -> bool:
    try:
        return Uri.parse(text).transport == "TLS"
    except SipSyntaxError:
        return False
