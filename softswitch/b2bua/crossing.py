"""What crosses from one leg to the other: header fields, bodies, status codes. Pure.

Everything that is not named here stays on its own side: each leg is a dialog of its own, and
what one peer says about its network is not the other's business.
"""

from collections.abc import Iterable, Mapping

from softswitch.b2bua import verstat
from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.plugin.decisions import Redirect, Reject
from softswitch.plugin.profile import DEFAULT, Profile
from softswitch.sip import digest
from softswitch.sip.compose import seal
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Message, Request, Response
from softswitch.sip.uri import Uri
from softswitch.trunk.group import escape_user

#: Fields that describe a body and go where it goes.
DESCRIBING = frozenset(("Content-Type", "Content-Disposition", "Content-Language", "MIME-Version"))

#: Host of a caller who wants to stay unknown.
ANONYMOUS = "anonymous.invalid"

#: From, without a tag, of a caller who stays unknown (RFC 3323 4.1).
NOBODY = f'"Anonymous" <sip:anonymous@{ANONYMOUS}>'

#: Marks an INVITE of ours, so that one that comes back is known (see ``mark``).
MARK = "X-Softswitch-Mark"

_CHALLENGES = frozenset(("WWW-Authenticate", "Proxy-Authenticate"))
_CREDENTIALS = frozenset(("Authorization", "Proxy-Authorization"))

#: A far final status -> what the caller is told; what is not here passes unchanged. 401 and 407
#: ask for credentials that the caller cannot have, unless the peer's profile passes them; a far
#: 503 must not make the caller give up on us (RFC 3261 16.7); 420 to 422 and 491 speak of our own
#: leg's request.
STATUS: Mapping[int, int] = {
    401: 403,
    407: 403,
    420: 500,
    421: 500,
    422: 500,
    491: 500,
    503: 500,
}


def fields(message: Message, to: Profile = DEFAULT) -> list[Field]:
    """The fields of a message that the other leg may see, as its profile says."""
    crosses = to.crosses
    return [field for field in message.fields if crosses[field[0]]]


def reasons(message: Message | None, to: Profile = DEFAULT) -> list[Field]:
    """The Reason fields (RFC 3326), with whatever cause, of what ends one leg, for the other's
    BYE or CANCEL; none where no message said so."""
    if message is None or not to.crosses["Reason"]:
        return []
    return [("Reason", value) for value in message.all("Reason")]


def contacts(uris: Iterable[str]) -> list[Field]:
    """The Contact fields of a redirection."""
    return [("Contact", f"<{uri}>") for uri in uris]


def refusal(decision: Redirect | Reject) -> tuple[str | None, list[Field]]:
    """The reason phrase and the fields by which a policy turns a caller away."""
    if isinstance(decision, Redirect):
        return None, contacts(decision.contacts)
    return decision.reason, list(decision.headers.items())


def describing(message: Message) -> list[Field]:
    """The fields that describe a message's body; none without a body."""
    if not message.body:
        return []
    return [field for field in message.fields if field[0] in DESCRIBING]


def status(far: int, source: Profile = DEFAULT) -> int:
    """The status that the caller is told when a far leg failed with ``far``.

    :param source: of whoever refused: his challenges may be the caller's to answer.
    """
    return far if is_passed(far, source) else STATUS.get(far, far)


def is_passed(far: int, source: Profile) -> bool:
    """Whether a status is a challenge that whoever sent the request is to answer."""
    return source.challenges == "pass" and far in (401, 407)


def challenges(response: Response | None, source: Profile) -> list[Field]:
    """The challenges of a refusal that its ``source`` has passed to whoever sent the request,
    without the names of the challenger's servers; none otherwise."""
    if response is None or not is_passed(response.status, source):
        return []
    return [
        (name, digest.without_domain(value))
        for name, value in response.fields
        if name in _CHALLENGES
    ]


def credentials(request: Request, to: Profile, realm: str) -> list[Field]:
    """What a request proves to a peer that passes its challenges; nothing to any other.

    :param realm: our own: what is proved to us is nobody else's business.
    """
    if to.challenges != "pass":
        return []
    return [
        (name, value)
        for name, value in request.fields
        if name in _CREDENTIALS
        and any(given.realm != realm for given in digest.parse_credentials([value]))
    ]


def mark(uri: Uri, secret: str) -> str:
    """Our own mark for a call to ``uri``: meaningless to others, the same each time.

    A call that comes back bearing it, to the same Request-URI, runs in a circle through
    somebody else's back-to-back agent, where neither Via nor Max-Forwards may have survived.
    """
    return seal(f"{uri.scheme}:{uri.user}@{uri.host}".lower(), secret)


def is_anonymous(request: Request) -> bool:
    """Whether the caller wants to stay unknown (RFC 3323 4.1.1.3)."""
    return request.from_.uri.is_anonymous


def undescribed(fields: list[Field]) -> list[Field]:
    """The fields of a message whose body is left behind."""
    return [field for field in fields if field[0] not in DESCRIBING]


def warnings(error: MediaError | SdpSyntaxError) -> list[Field]:
    """What says what is wrong with a description that gets 488 (RFC 3261 20.43)."""
    if not isinstance(error, SdpSyntaxError) or error.status != 488:
        return []
    return [("Warning", f'{error.warning} softswitch "{error.reason}"')]


def hops(request: Request) -> int:
    """Max-Forwards of what follows from ``request`` on the other leg (RFC 7332); one that may go no
    further within a dialog, where there is no circle, goes on with none."""
    left = request.max_forwards
    return 69 if left is None else max(0, left - 1)


def caller(request: Request, host: str, number: str = "", display: str = "") -> str:
    """The From value, without a tag, that the far leg sees: the caller's name and number at
    ``host``, an address or name of ours, and nothing about whether that was verified. Who is
    anonymous stays so (RFC 3323 4.1.1.3).

    :param number: stands for the caller's own, and then with no name but
    :param display: which goes with it.
    """
    source = request.from_
    if is_anonymous(request):
        return NOBODY
    if number:
        return str(NameAddr(display, Uri("sip", user=escape_user(number), host=host)))
    user = source.uri.user or "anonymous"
    if ";" in user or "%" in user:
        user = verstat.bare(source.uri).user or "anonymous"
    return str(NameAddr(source.display, Uri("sip", user=user, host=host)))
