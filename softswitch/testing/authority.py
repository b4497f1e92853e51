"""A certificate authority for tests, made anew each time: no key ever stands in a repository.

::

    authority = Authority(tmp_path)
    mine = authority.issue("switch", "sip.example.org")
    mine.certificate, mine.key, authority.certificate    # paths of PEM files
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from softswitch.transport.hosts import is_address

#: How long a certificate is good.
USUAL = timedelta(days=365)


@attrs.frozen
class Issued:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates.

    :ivar certificate: its own, as a PEM file.
    :param folder: where all files go.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        built = (
            _begun(self._name, self._name, self._key, USUAL)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = folder / f"{name}.pem"
        self.certificate.write_bytes(built.public_bytes(Encoding.PEM))

    def issue(
        self,
        file: str,
        *names: str,
        good_for: timedelta = USUAL,
        extensions: Iterable[x509.ExtensionType] = (),
    ) -> Issued:
        """A certificate for the names, as ``file``.pem and ``file``.key; older ones are replaced.

        :param names: DNS names, address literals without brackets, URIs.
        :param good_for: from now; less than 0 for one that has expired.
        :param extensions: further ones, none of them critical.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file)])
        builder = _begun(subject, self._name, key, good_for)
        if names:
            there = x509.SubjectAlternativeName([_general(name) for name in names])
            builder = builder.add_extension(there, critical=False)
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        built = builder.sign(self._key, hashes.SHA256())
        issued = Issued(self._folder / f"{file}.pem", self._folder / f"{file}.key")
        issued.certificate.write_bytes(built.public_bytes(Encoding.PEM))
        issued.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        issued.key.chmod(0o600)
        return issued


def _begun(
    subject: x509.Name, issuer: x509.Name, key: Any, good_for: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + good_for) - timedelta(days=1))
        .not_valid_after(now + good_for)
    )


def _general(name: str) -> x509.GeneralName:
    if is_address(name):
        return x509.IPAddress(ip_address(name))
    if ":" in name:
        return x509.UniformResourceIdentifier(name)
    return x509.DNSName(name)
