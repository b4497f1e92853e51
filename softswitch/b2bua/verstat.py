"""What a caller's number says of itself: the parameter ``verstat`` (3GPP TS 24.229 7.2A.20). Pure.

It stands behind the number, in the user part of a SIP URI or as a parameter of a TEL URI. What a
peer writes there of himself is worth nothing; so it is taken off everything that crosses, and what
is known is written anew: our own verdict on the very number that was verified or, where there is
none, what a trusted peer says.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import attrs

from softswitch.errors import SipSyntaxError
from softswitch.plugin.profile import Profile
from softswitch.plugin.verification import Verification
from softswitch.plugin.views import Identity
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field
from softswitch.sip.passport import canonical_number
from softswitch.sip.uri import Uri
from softswitch.trunk.group import escape_user

NAME: Final = "verstat"


def bare(uri: Uri) -> Uri:
    """The same, and nothing about whether it was verified."""
    user, params = uri.user, uri.params
    if NAME in uri.unquoted_user.lower():
        user = escape_user(bare_user(uri.unquoted_user))
    if NAME in params:
        params = {name: value for name, value in params.items() if name != NAME}
    return (
        uri
        if (user, params) == (uri.user, uri.params)
        else attrs.evolve(uri, user=user, params=params)
    )


def bare_user(user: str) -> str:
    """The same of a user part without escapes: one that was escaped might be read by others."""
    number, *rest = user.split(";")
    return ";".join([number, *(each for each in rest if not _says(each))])


def worth(uri: Uri, who: Identity, near: Profile) -> str:
    """What may be said of the number of a URI that has come from somebody; "" for nothing."""
    verdict = who.verification
    if verdict is not None:
        read = near.numbering.read(uri.unquoted_user.partition(";")[0]).removeprefix("+")
        return _of(verdict, read or canonical_number(uri.unquoted_user))
    if not near.trusted:
        return ""
    found = uri.params.get(NAME) or ""
    for each in (uri.user or "").split(";")[1:]:
        if _says(each):
            found = each.partition("=")[2]
    return found if found in _KNOWN else ""


def said(uri: Uri, verstat: str) -> Uri:
    """The same, with what is to be said of it; only of a number anything is."""
    if not verstat or uri.is_anonymous or not canonical_number(uri.unquoted_user):
        return uri
    if uri.scheme == "tel":
        return attrs.evolve(uri, params={**uri.params, NAME: verstat})
    return attrs.evolve(uri, user=f"{uri.user};{NAME}={verstat}")


def taken_off(values: Iterable[str], who: Identity, near: Profile) -> tuple[list[str], list[str]]:
    """Identities without it, and what may be said of each."""
    found: list[str] = []
    worths: list[str] = []
    for value in values:
        worths.append("")
        with suppress(SipSyntaxError):
            named = NameAddr.parse(value)
            worths[-1] = worth(named.uri, who, near)
            value = str(attrs.evolve(named, uri=bare(named.uri)))
        found.append(value)
    return found, worths


def put_on(values: Iterable[str], worths: Iterable[str]) -> list[str]:
    """Identities with what is to be said of each."""
    return [with_verstat(value, each) for value, each in zip(values, worths, strict=True)]


def with_verstat(value: str, verstat: str) -> str:
    """An identity, or a From value, with what is to be said of it."""
    if not verstat:
        return value
    try:
        named = NameAddr.parse(value)
    except SipSyntaxError:
        return value
    return str(attrs.evolve(named, uri=said(named.uri, verstat)))


def attested(verdict: Verification | None) -> list[Field]:
    """How far the signer of a number that has passed vouches for it, for those who are trusted."""
    if verdict is None or not verdict.attestation:
        return []
    fields: list[Field] = [("Attestation-Info", verdict.attestation)]
    if verdict.origid:
        fields.append(("Origination-Id", verdict.origid))
    return fields


def _of(verdict: Verification, number: str) -> str:
    return verdict.verstat if not verdict.passed or verdict.number == number else ""


def _says(part: str) -> bool:
    return part.partition("=")[0].strip().lower() == NAME


_KNOWN: Final = frozenset(("TN-Validation-Passed", "TN-Validation-Failed", "No-TN-Validation"))
