"""Whose signature about callers counts: certificates, and the authorities that vouch for them.

RFC 8226 and its profile in SHAKEN. A certificate of a signer need not be one of a web server, so
neither its names nor its purpose is looked at, but: a key of the curve P-256, a chain to one of the
configured authorities, the time, hashes of today, what its TNAuthList allows, and nothing that is
critical and unknown. Lists of revoked certificates are not looked at. Pure.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.x509.oid import ExtensionOID
from OpenSSL import crypto

from softswitch.errors import IdentityError
from softswitch.policy import tnauthlist
from softswitch.policy.tnauthlist import TnAuthList

#: Certificates in one answer.
MOST_CERTIFICATES: Final = 10

_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_KNOWN: Final = frozenset(
    (
        ExtensionOID.BASIC_CONSTRAINTS.dotted_string,
        ExtensionOID.KEY_USAGE.dotted_string,
        ExtensionOID.CERTIFICATE_POLICIES.dotted_string,
        tnauthlist.OID,
    )
)


@attrs.frozen
class Signer:
    """Somebody whose signature counts.

    :ivar subject: of his certificate.
    :ivar key: with which his signatures are verified.
    :ivar until: when the first certificate of his chain is good no more, Unix time, seconds.
    :ivar lists: the numbers that his chain speaks for; where there is none, all.
    """

    subject: str
    key: EllipticCurvePublicKey
    until: float
    lists: tuple[TnAuthList, ...] = ()

    def may_sign(self, number: str) -> bool:
        """Whether his certificate, and those above it, speak for a number."""
        return all(each.covers(number) for each in self.lists)


class Authorities:
    """Those who vouch for signers.

    :param trusted: their certificates; without any, nobody's signature counts.
    :param now: Unix time, seconds.
    """

    def __init__(self, trusted: Iterable[x509.Certificate], now: Callable[[], float]) -> None:
        self._trusted = [crypto.X509.from_cryptography(each) for each in trusted]
        self._now = now

    def signer(self, data: bytes) -> Signer:
        """Who is meant by what was found where a certificate was said to be.

        :param data: PEM, the signer's first, or one certificate in DER.
        :raises IdentityError: 437: his signature does not count.
        """
        try:
            return self._signer(_certificates(data))
        except (
            ValueError,
            TypeError,
            UnsupportedAlgorithm,
            x509.DuplicateExtension,
            crypto.Error,
            crypto.X509StoreContextError,
        ):
            raise IdentityError("Unsupported Credential", 437) from None

    def _signer(self, certificates: Sequence[x509.Certificate]) -> Signer:
        first, *others = certificates
        chain = self._chain(first, others)
        key = first.public_key()
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
            raise ValueError("its key is of another kind")
        lists = []
        for index, each in enumerate(chain):
            for extension in each.extensions:
                oid = extension.oid.dotted_string
                if extension.critical and oid not in _KNOWN:
                    raise ValueError("something critical in it is unknown")
                if oid == tnauthlist.OID:
                    assert isinstance(extension.value, x509.UnrecognizedExtension)
                    lists.append(TnAuthList.parse(extension.value.value))
                usage = extension.value
                signs = not isinstance(usage, x509.KeyUsage) or usage.digital_signature
                if index == 0 and not signs:
                    raise ValueError("it is not there to sign with")
            trusted = index == len(chain) - 1
            if not trusted and not isinstance(each.signature_hash_algorithm, _HASHES):
                raise ValueError("it is signed with a weak hash")
        until = min(each.not_valid_after_utc for each in chain).timestamp()
        return Signer(first.subject.rfc4514_string()[:200], key, until, tuple(lists))

    def _chain(
        self, first: x509.Certificate, others: Sequence[x509.Certificate]
    ) -> list[x509.Certificate]:
        """From a certificate to an authority.

        :raises crypto.X509StoreContextError: there is no such chain that is good now.
        """
        store = crypto.X509Store()
        for each in self._trusted:
            store.add_cert(each)
        # An authority need not be its own; what is critical is looked at afterwards.
        flags = crypto.X509StoreFlags.PARTIAL_CHAIN | crypto.X509StoreFlags.IGNORE_CRITICAL
        store.set_flags(flags)
        store.set_time(datetime.fromtimestamp(self._now(), UTC))
        between = [crypto.X509.from_cryptography(each) for each in others]
        context = crypto.X509StoreContext(store, crypto.X509.from_cryptography(first), between)
        return [each.to_cryptography() for each in context.get_verified_chain()]


def _certificates(data: bytes) -> list[x509.Certificate]:
    if b"-----BEGIN" not in data:
        return [x509.load_der_x509_certificate(data)]
    found = x509.load_pem_x509_certificates(data)
    if len(found) > MOST_CERTIFICATES:
        raise ValueError("there are too many")
    return found
