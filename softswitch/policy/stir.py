"""Verifies who calls by what was signed about him: RFC 8224 6, RFC 8225, RFC 8588. Pure.

A signature is looked at in the order of what it costs: its time and its numbers first, then where
its certificate would be, then the certificate, and the signature itself last. Only for a
certificate that is not at hand anybody waits, so a certificate is never fetched for a call about
which nothing is signed, or something that is old or about others.

What was signed must be about the number that we believe to call: that of P-Asserted-Identity where
its sender is trusted and says one, else that of From; and about the number that is called. The RFC
compares To. But a signature about a call to one number must not vouch for a call to another one
whose To repeats the first, so a Request-URI that has another number does not pass.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import attrs
from twisted.internet.defer import gatherResults

from softswitch.errors import IdentityError, SipSyntaxError
from softswitch.plugin.verification import Attestation, Verification, unverified
from softswitch.plugin.views import RequestView
from softswitch.policy.authorities import Signer
from softswitch.policy.certificatecache import CertificateCache, Known
from softswitch.policy.certificatehosts import CertificateHosts, Place
from softswitch.sip.fields import NameAddr, split_values
from softswitch.sip.passport import (
    SHAKEN,
    Claims,
    Identity,
    Passport,
    canonical_number,
    canonical_uri,
)
from softswitch.sip.uri import Uri

#: Identity values that are looked at.
MOST_VALUES: Final = 8
#: Certificates that a call may wait for.
MOST_ASKED: Final = 2

_NONE: Final = unverified(428, "Use Identity Header")
#: As Date is written in SIP (RFC 3261 20.17).
_DATE: Final = "%a, %d %b %Y %H:%M:%S GMT"


@attrs.frozen
class Numbers:
    """How whoever sends a request writes numbers, and which field of his we believe.

    :ivar read: a number as he writes it, in E.164; "" for what is none.
    :ivar asserted: whether his P-Asserted-Identity is believed.
    """

    read: Callable[[str], str] = lambda user: ""
    asserted: bool = False

    def number(self, uri: Uri) -> str:
        """The digits of the number that a URI means; "" for none."""
        user = uri.unquoted_user.partition(";")[0]
        return self.read(user).removeprefix("+") or canonical_number(user)

    def caller(self, request: RequestView) -> Uri:
        """Whom we believe to call."""
        for line in request.headers("P-Asserted-Identity") if self.asserted else ():
            for value in split_values(line):
                with suppress(SipSyntaxError):
                    named = NameAddr.parse(value).uri
                    if self.number(named):
                        return named
        return request.from_.uri


@attrs.frozen
class _Candidate:
    """What is signed about a call, and holds but for the signature, which was not looked at."""

    passport: Passport
    place: Place


class Verifier:
    """Says what is to be thought of the numbers that call.

    :ivar counters: verdict -> how often.
    :param hosts: where certificates may be fetched.
    :param certificates: those that were.
    :param now: Unix time, seconds.
    :param fresh_seconds: for which what was signed holds (RFC 8224 6.2).
    """

    def __init__(
        self,
        hosts: CertificateHosts,
        certificates: CertificateCache,
        now: Callable[[], float],
        fresh_seconds: float = 60.0,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.certificates = certificates
        self._hosts = hosts
        self._now = now
        self._fresh_seconds = fresh_seconds

    def verify(
        self, request: RequestView, numbers: Numbers, called: Uri
    ) -> Verification | Awaitable[Verification]:
        """The verdict on who calls; an awaitable where a certificate has to be fetched first.

        :param called: who is called, as its sender says it.
        """
        candidates, verdict = self._candidates(request, numbers, called)
        places = list(dict.fromkeys(each.place for each in candidates))
        missing = [each for each in places if self.certificates.at_hand(each) is None]
        if missing:
            return self._once_known(missing[:MOST_ASKED], candidates, verdict)
        found = {each: self.certificates.at_hand(each) for each in places}
        return self._judged(candidates, found, verdict)

    def figures(self) -> dict[str, int]:
        """For an operator."""
        certificates = {
            f"certificates {what}": count for what, count in self.certificates.counters.items()
        }
        return {**self.counters, **certificates}

    async def _once_known(
        self, missing: Sequence[Place], candidates: Sequence[_Candidate], verdict: Verification
    ) -> Verification:
        answers = await gatherResults(
            [self.certificates.ask(each) for each in missing], consumeErrors=True
        )
        found: dict[Place, Known | None] = dict(zip(missing, answers, strict=True))
        for each in candidates:
            if each.place not in found:
                found[each.place] = self.certificates.at_hand(each.place)
        return self._judged(candidates, found, verdict)

    def _judged(
        self,
        candidates: Iterable[_Candidate],
        found: dict[Place, Known | None],
        verdict: Verification,
    ) -> Verification:
        """The first that holds; else what was wrong with the first."""
        faults: list[Verification] = []
        for each in candidates:
            judged = _signed_by(each.passport, found.get(each.place))
            if judged.passed:
                self.counters[f"passed {judged.attestation}".rstrip()] += 1
                return judged
            faults.append(judged)
        verdict = faults[0] if faults else verdict
        self.counters[verdict.reason] += 1
        return verdict

    def _candidates(
        self, request: RequestView, numbers: Numbers, called: Uri
    ) -> tuple[list[_Candidate], Verification]:
        """What may be looked at further, SHAKEN's first; and the verdict where nothing is left."""
        lines = request.headers("Identity")
        if not lines:
            return [], _NONE
        values = [value for line in lines for value in split_values(line)][:MOST_VALUES]
        read: list[Identity] = []
        verdict: Verification | None = None
        for value in values:
            try:
                read.append(Identity.parse(value))
            except IdentityError as error:
                verdict = verdict or unverified(error.status, error.reason)
        known = [each for each in read if each.ppt in ("", SHAKEN)]
        known.sort(key=lambda each: each.ppt != SHAKEN)
        candidates: list[_Candidate] = []
        for each in known:
            try:
                candidates.append(self._candidate(each, request, numbers, called))
            except IdentityError as error:
                verdict = verdict or unverified(error.status, error.reason)
        # One of kinds that we do not know is as none (RFC 8224 6.2).
        return candidates, verdict or _NONE

    def _candidate(
        self, found: Identity, request: RequestView, numbers: Numbers, called: Uri
    ) -> _Candidate:
        """
        :raises IdentityError: it is old, about others, or its certificate may not be fetched.
        """
        caller = numbers.caller(request)
        if found.compact:
            passport = found.completed(_said(request, numbers, caller))
        else:
            passport = found.passport()
        claims = passport.claims
        if abs(self._now() - claims.iat) > self._fresh_seconds:
            raise IdentityError("Stale Date", 403)
        orig = canonical_uri(caller) if claims.by_uri else numbers.number(caller)
        if claims.orig != orig or not _is_meant(claims, request.to.uri, called, numbers):
            raise IdentityError("Invalid Identity Header", 438)
        place = self._hosts.place(found.info)
        if place is None:
            raise IdentityError("Bad Identity Info", 436)
        return _Candidate(passport, place)


def _signed_by(passport: Passport, known: Known | None) -> Verification:
    """The verdict when it is known whose certificate it names."""
    claims = passport.claims
    if known is None:
        return unverified(436, "Bad Identity Info")
    if not isinstance(known, Signer):
        return unverified(known.status, known.reason)
    if not claims.by_uri and not known.may_sign(claims.orig):
        return unverified(437, "Unsupported Credential")
    if not passport.is_signed_by(known.key):
        return unverified(438, "Invalid Identity Header")
    return Verification(
        "TN-Validation-Passed",
        _ATTESTATIONS.get(claims.attest, ""),
        claims.origid,
        "" if claims.by_uri else claims.orig,
        known.subject,
    )


def _is_meant(claims: Claims, to: Uri, called: Uri, numbers: Numbers) -> bool:
    """Whether the call is to one of those about whom something is signed."""
    if numbers.number(called) in claims.numbers or canonical_uri(called) in claims.uris:
        return True
    if numbers.read(called.unquoted_user.partition(";")[0]):
        return False
    return numbers.number(to) in claims.numbers or canonical_uri(to) in claims.uris


def _said(request: RequestView, numbers: Numbers, caller: Uri) -> Claims:
    """What the compact form leaves out: From, To and Date (RFC 8224 4.1).

    :raises IdentityError: there is no Date.
    """
    try:
        date = datetime.strptime(request.header("Date") or "", _DATE).replace(tzinfo=UTC)
    except ValueError:
        raise IdentityError("Invalid Identity Header", 438) from None
    orig, dest = numbers.number(caller), numbers.number(request.to.uri)
    return Claims(
        orig or canonical_uri(caller),
        (dest,) if dest else (),
        int(date.timestamp()),
        () if dest else (canonical_uri(request.to.uri),),
        not orig,
    )


_ATTESTATIONS: Final[dict[str, Attestation]] = {"A": "A", "B": "B", "C": "C"}
