"""Signed numbers: the files that the configuration names, and what is made of them (RFC 8224).

The files are read at the start and at each reload, so that a renewed certificate, or another
authority, comes into force; what was fetched stays known where the same authorities are asked about
the same hosts. Who fetches is told by the service; without it nothing is to be had.
"""

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING
from uuid import UUID

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.defer import Deferred, fail

from softswitch.errors import ConfigError, TransportError
from softswitch.ops.stir_tables import StirTable, host_places
from softswitch.plugin.views import Identity, User
from softswitch.policy.authorities import Authorities
from softswitch.policy.certificatecache import CertificateCache, Fetch, Fetched, Keeping
from softswitch.policy.certificatehosts import CertificateHosts, Place
from softswitch.policy.stir import Verifier
from softswitch.sip.message import Field
from softswitch.sip.passport import SHAKEN, Claims, canonical_number, identity
from softswitch.transport.certificates import Paths, Proof, UnfitFileError, certificates_in
from softswitch.trunk.stir import Form

if TYPE_CHECKING:
    from softswitch.ops.config import Config


@attrs.frozen
class StirFiles:
    """What the files of ``[stir]`` hold.

    :ivar proof: our certificate and key; None where we do not sign.
    :ivar authorities: who vouches for signers.
    :ivar https_authorities: who vouches for the hosts of their certificates.
    """

    proof: Proof | None = None
    authorities: tuple[x509.Certificate, ...] = ()
    https_authorities: tuple[x509.Certificate, ...] = ()


#: Makes what fetches, for the settings and files of one configuration.
Fetching = Callable[[StirTable, StirFiles], Fetch]


def read_stir(config: "Config") -> StirFiles:
    """Read every file that ``[stir]`` names.

    :raises ConfigError: one is missing, broken, or does not fit; names the key.
    """
    table, directory = config.stir, config.directory
    try:
        proof = None
        if table.certificate:
            proof = Proof.read(Paths(directory / table.certificate, directory / table.key))
            if not isinstance(proof.key, EllipticCurvePrivateKey) or not isinstance(
                proof.key.curve, SECP256R1
            ):
                mend = f"{proof.paths.key}: a key of the curve P-256 is wanted (ES256)"
                raise UnfitFileError("key", mend)
        return StirFiles(
            proof,
            *(
                tuple(certificates_in(directory / name, key)) if name else ()
                for key, name in (
                    ("authorities", table.authorities),
                    ("https_authorities", table.https_authorities),
                )
            ),
        )
    except UnfitFileError as error:
        raise ConfigError(f"{config.file}: stir.{error.key}", error.mend) from None


def check_stir(config: "Config", now: datetime | None = None) -> None:
    """See that calls can be signed with the files that ``[stir]`` names.

    :raises ConfigError: not; a certificate that has expired is an error here, for nothing is signed
        with it.
    """
    proof = read_stir(config).proof
    if proof is not None and proof.expires <= (now or datetime.now(UTC)):
        day = proof.expires.strftime("%Y-%m-%d %H:%M UTC")
        mend = f"{proof.paths.certificate} has expired on {day}: renew it"
        raise ConfigError(f"{config.file}: stir.certificate", mend)


class Signer:
    """Signs calls with our key.

    :param url: where others find our certificate.
    :param now: Unix time, seconds.
    :param find_user: by name or number.
    """

    def __init__(
        self,
        proof: Proof,
        url: str,
        now: Callable[[], float],
        find_user: Callable[[str], User | None],
    ) -> None:
        self._key = proof.key
        self._until = proof.expires.timestamp()
        self._url = url
        self._find_user = find_user
        self.now = now
        raw = proof.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        self._secret = hmac.digest(raw, b"origid", "sha256")

    def may_use(self, who: Identity, number: str, read: Callable[[str], str]) -> bool:
        """Whether a number is that of a user of ours."""
        user = self._find_user(who.name) if who.kind == "user" else None
        if user is None:
            return False
        own = (user.name, *user.numbers)
        return any(number in (read(each).removeprefix("+"), canonical_number(each)) for each in own)

    def origid(self, who: Identity) -> str:
        """What stands for whoever calls: the same as long as our key is, and tells nobody else who
        that is."""
        found = hmac.digest(self._secret, f"{who.kind}:{who.name}".encode(), "sha256")
        return str(UUID(bytes=found[:16], version=4))

    def sign(self, claims: Claims, form: Form) -> list[Field]:
        """The fields that say so; none where our certificate is good no more."""
        if claims.iat >= self._until:
            return []
        ppt = SHAKEN if form == "shaken" else ""
        value = identity(claims, self._url, self._key, ppt, compact=form == "compact")
        return [("Identity", value), ("Date", formatdate(claims.iat, usegmt=True))]


class Stir:
    """What one configuration says of signed numbers.

    :ivar verifier: of calls from trunks.
    :ivar signer: of calls to trunks; None where nothing is signed.
    :param now: Unix time, seconds.
    :param find_user: by name or number.
    :param previous: what this takes the place of; None at the start.
    """

    def __init__(
        self,
        table: StirTable,
        files: StirFiles,
        now: Callable[[], float],
        find_user: Callable[[str], User | None],
        previous: "Stir | None" = None,
    ) -> None:
        self._table = table
        self._files = files
        self._now = now
        self._fetching: Fetching = _nothing if previous is None else previous._fetching
        if previous is not None and previous._asks_the_same(table, files):
            certificates = previous.verifier.certificates
        else:
            certificates = self._certificates()
        self.verifier: Verifier = self._verifier(certificates)
        if previous is not None:
            self.verifier.counters = previous.verifier.counters
        self.signer = None
        if files.proof is not None:
            self.signer = Signer(files.proof, table.certificate_url, now, find_user)

    def fetch_with(self, fetching: Fetching) -> None:
        """Have certificates fetched so, from now on and after each reload."""
        self._fetching = fetching
        self.verifier = self._verifier(self._certificates())

    def _asks_the_same(self, table: StirTable, files: StirFiles) -> bool:
        mine, its = self._files, files
        return self._table == table and (mine.authorities, mine.https_authorities) == (
            its.authorities,
            its.https_authorities,
        )

    def _verifier(self, certificates: CertificateCache) -> Verifier:
        hosts = CertificateHosts(host_places(self._table.hosts))
        return Verifier(hosts, certificates, self._now, self._table.fresh_seconds)

    def _certificates(self) -> CertificateCache:
        table = self._table
        keeping = Keeping(
            table.keep_least_seconds,
            table.keep_most_seconds,
            table.keep_seconds,
            table.fail_seconds,
        )
        judge = Authorities(self._files.authorities, self._now).signer
        fetch = self._fetching(table, self._files)
        return CertificateCache(fetch, judge, self._now, keeping)


def _nothing(table: StirTable, files: StirFiles) -> Fetch:
    def fetch(place: Place) -> Deferred[Fetched]:
        return fail(TransportError("nobody fetches"))

    return fetch
