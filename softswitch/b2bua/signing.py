"""Signs who calls, when the INVITE of a leg is composed: RFC 8224 4.1, RFC 8588. Pure.

What is signed is what the INVITE says in the end: the number that its peer is shown, which is that
of P-Asserted-Identity where it has one, and the number that it calls. Retransmissions repeat it. A
signature of somebody else that crosses to the peer stays the only one.

How far we vouch for a number is known from who calls. "A": a user of ours under a number of his, a
trunk under one of its ``numbers``, or anybody of these under a number that the configuration or a
policy shows for him. "B": they under others. "C": everybody else, whose calls only come through us.
A trunk's ``attest``, or a policy by ``Target.attestation``, may say otherwise.
"""

from typing import Final

import attrs

from softswitch.plugin.decisions import Target
from softswitch.plugin.profile import Profile
from softswitch.plugin.views import REGISTERED, Identity
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field
from softswitch.sip.passport import Claims, canonical_number, canonical_uri
from softswitch.sip.uri import Uri
from softswitch.trunk.group import Trunk

#: Digits of a number that cannot be an extension, where nobody knows how long numbers are.
_WHOLE: Final = 7


@attrs.frozen
class Signed:
    """What was signed.

    :ivar fields: that say so; none where nothing could be.
    :ivar attestation: "A", "B", "C", or "signed" without SHAKEN; "" for nothing.
    :ivar origid: whom we have called so; "" for nobody.
    """

    fields: list[Field] = attrs.Factory(list)
    attestation: str = ""
    origid: str = ""


#: Where nothing was signed.
UNSIGNED: Final = Signed()


def sign(
    trunk: Trunk,
    caller: Trunk | None,
    target: Target,
    who: Identity,
    near: Profile,
    far: Profile,
    shown: tuple[str, list[Field]],
    called: str,
) -> Signed:
    """Sign a call.

    :param trunk: to which it goes; it has a signer.
    :param caller: the trunk from which it has come; None for others.
    :param near: the caller's profile; ``far`` is the trunk's.
    :param shown: the caller as the trunk sees him: From value, and further fields.
    :param called: URI of To.
    """
    signer, form = trunk.signer, trunk.stir.passport
    from_, fields = shown
    if signer is None or any(name == "Identity" for name, _ in fields):
        return UNSIGNED
    asserted = [value for name, value in fields if name == "P-Asserted-Identity"]
    uri = NameAddr.parse(asserted[0] if asserted else from_).uri
    number = _number(uri, far)
    dest = Uri.parse(called)
    dialled = _number(dest, far, 1)
    uris = () if dialled else (canonical_uri(dest),)
    numbers = (dialled,) if dialled else ()
    now = int(signer.now())
    if form != "shaken":
        if uri.is_anonymous:
            return UNSIGNED
        orig = number or canonical_uri(uri)
        claims = Claims(orig, numbers, now, uris, by_uri=not number)
        found = signer.sign(claims, form)
        return Signed(found, "signed") if found else UNSIGNED
    if not number:
        return UNSIGNED
    own = signer.may_use(who, number, near.numbering.read) or _was_given(
        number, who, target, trunk, far
    )
    attest = target.attestation or attestation(who, caller, number, own)
    origid = signer.origid(who)
    claims = Claims(number, numbers, now, uris, attest=attest, origid=origid)
    found = signer.sign(claims, form)
    return Signed(found, attest, origid) if found else UNSIGNED


def attestation(who: Identity, caller: Trunk | None, number: str, own: bool) -> str:
    """How far we vouch for a number.

    :param number: digits.
    :param own: whether it is known to be the caller's, or was given to him.
    """
    if caller is not None:
        inbound = caller.inbound
        if caller.stir.attest:
            return caller.stir.attest
        if not (inbound.owned or inbound.username):
            return "C"
        own = own or inbound.owns(number) or inbound.owns(f"+{number}")
        return "A" if own else "B"
    if who.kind not in REGISTERED:
        return "C"
    return "A" if own else "B"


def _was_given(number: str, who: Identity, target: Target, trunk: Trunk, far: Profile) -> bool:
    """Whether the operator, or a policy of his, shows that number for the caller's own."""
    shape = trunk.shape
    given = (
        target.caller,
        who.number,
        far.numbering.caller_id,
        "" if shape is None else shape.from_user,
    )
    return any(each and _digits(each, far) == number for each in given)


def _number(uri: Uri, far: Profile, least: int = _WHOLE) -> str:
    """The digits of a number as its peer writes it; "" for what is none."""
    user = uri.unquoted_user.partition(";")[0]
    if uri.is_anonymous:
        return ""
    found = _digits(user, far)
    return found if len(found) >= least else ""


def _digits(user: str, far: Profile) -> str:
    return far.numbering.read(user).removeprefix("+") or canonical_number(user)
