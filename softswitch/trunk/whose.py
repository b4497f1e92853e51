"""Whose an inbound request is, of the trunks. Pure.

Who may call as a trunk is said by what nobody else can show: credentials that prove to be the
trunk's (RFC 3261 22), the name in the certificate that the peer has shown (RFC 5922 7), or the
address from which the request really came. What a request says of itself, in From, Contact or Via,
never makes it a trunk's.

Trunks that one certificate names share it; where it names none, of the trunks whose networks hold
the address those of the narrowest network share that. Among them the Request-URI chooses:

1. the trunk at which we have registered, when it bears the token of our Contact there;
2. else, of the trunks whose conditions it fulfils, every one that they state: one that names hosts,
   then one that names numbers, then one that states nothing; the first in the file among equals.
3. When it fulfils nobody's, the request is refused with 404.

A request to no user at all, as an OPTIONS that only asks whether we live, is the first one's.
"""

from collections.abc import Collection, Mapping, Sequence

from softswitch.flow import Flow
from softswitch.plugin.decisions import Reject
from softswitch.plugin.views import RequestView
from softswitch.trunk.group import Trunk, Trunks
from softswitch.trunk.upstream import token_in

#: The answer to what comes from a trunk's address and is no trunk's call.
NOBODYS = Reject(404)


def sharing(trunks: Trunks, flow: Flow, names: Collection[str] = ()) -> Sequence[Trunk]:
    """The trunks that a peer may call as, by who and where it is, in the order of the file.

    :param names: in its certificate.
    """
    proved = trunks.certified(names, flow.remote_host) if names else ()
    return proved or trunks.sharing(flow.remote_host)


def whose(
    trunks: Trunks,
    request: RequestView,
    tokens: Mapping[str, str] | None = None,
    names: Collection[str] = (),
) -> Trunk | Reject | None:
    """The trunk to which a request belongs that bears no proof itself.

    :param tokens: in a Contact that we have registered -> name of the trunk there.
    :param names: in the certificate of whoever sent it.
    :returns: a refusal where its address is a trunk's and its Request-URI nobody's; None for
        strangers.
    """
    found = sharing(trunks, request.source, names)
    if not found:
        return None
    first, uri = found[0], request.uri
    if len(found) == 1 and not (first.inbound.hosts or first.inbound.dialled):
        return first
    if not uri.user:
        return first
    if tokens and (name := tokens.get(token_in(uri))):
        registered = [trunk for trunk in found if trunk.name == name]
        if registered:
            return registered[0]
    fitting = [trunk for trunk in found if trunk.inbound.fits(request)]
    return max(fitting, key=_told_apart_by) if fitting else NOBODYS


def _told_apart_by(trunk: Trunk) -> tuple[bool, bool]:
    return bool(trunk.inbound.hosts), bool(trunk.inbound.dialled)
