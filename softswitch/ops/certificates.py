"""Certificates as the configuration has them: what is wrong between the keys, and the files read.

The files are read once at the start and again at each reload, whether or not the configuration has
changed: that is how a renewed certificate comes into force.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import attrs

from softswitch.errors import ConfigError
from softswitch.ops.config import Config
from softswitch.ops.listen_tables import ListenTable
from softswitch.ops.stir import read_stir
from softswitch.ops.tls_tables import CertificateTable, TrunkTlsTable
from softswitch.settings import key_path
from softswitch.transport.certificates import (
    Certificates,
    Client,
    Paths,
    Proof,
    Server,
    UnfitFileError,
)

#: What stands for a listener's name where the API shows a certificate; none can be called so.
API: Final = "[api]"

#: A certificate that is good for less than that is spoken of.
SOON: Final = timedelta(days=30)


@attrs.frozen
class Expiry:
    """A certificate of ours that soon is good no more, or is not any more.

    :ivar file: where it stands.
    :ivar at: when.
    :ivar over: whether that is past.
    """

    file: Path
    at: datetime
    over: bool

    def __str__(self) -> str:
        day = self.at.strftime("%Y-%m-%d %H:%M UTC")
        return f"{self.file} {'has expired' if self.over else 'expires'} on {day}"


def read_certificates(config: Config) -> Certificates:
    """Read every file that the configuration names.

    :raises ConfigError: one is missing or broken; names the key.
    """
    servers = {
        table.called: _server(config, index, table)
        for index, table in enumerate(config.listen)
        if table.certificate
    }
    if config.api.certificate:
        table = config.api
        own = CertificateTable(table.certificate, table.key, table.chain)
        servers[API] = Server([_proof(config, "api", own)])
    clients: dict[str, Client] = {}
    for name, trunk in config.trunks.items():
        if trunk.tls != TrunkTlsTable():
            client = _client(config, key_path("trunks", name) + ".tls", trunk.tls)
            # Its names, too: a Route or Contact may lead to one.
            clients.update(dict.fromkeys((*trunk.group(name).hosts, *trunk.tls.names), client))
    signer = read_stir(config).proof
    return Certificates(servers, clients, () if signer is None else (signer,))


def expiring(certificates: Certificates, now: datetime | None = None) -> Iterator[Expiry]:
    """Those of ours that are good for less than ``SOON``.

    :param now: with its zone; None for what the clock says.
    """
    now = now or datetime.now(UTC)
    for proof in certificates.proofs():
        if proof.expires - now < SOON:
            yield Expiry(proof.paths.certificate, proof.expires, proof.expires <= now)


def _server(config: Config, index: int, table: ListenTable) -> Server:
    key = f"listen[{index}]"
    own = CertificateTable(table.certificate, table.key, table.chain)
    proofs = [_proof(config, key, own)]
    for number, each in enumerate(table.certificates):
        proofs.append(_proof(config, f"{key}.certificates[{number}]", each))
    authority = config.directory / table.client_ca if table.client_ca else None
    try:
        return Server(proofs, table.client_certificates, authority)
    except UnfitFileError as error:
        where = "client_ca" if error.key == "ca" else error.key
        raise ConfigError(f"{config.file}: {key}.{where}", error.mend) from None


def _client(config: Config, key: str, table: TrunkTlsTable) -> Client:
    proof = None
    if table.certificate:
        proof = _proof(config, key, CertificateTable(table.certificate, table.key, table.chain))
    authority = config.directory / table.ca if table.ca else None
    try:
        return Client(table.names, table.wildcard, authority, proof)
    except UnfitFileError as error:
        raise ConfigError(f"{config.file}: {key}.{error.key}", error.mend) from None


def _proof(config: Config, key: str, table: CertificateTable) -> Proof:
    chain = config.directory / table.chain if table.chain else None
    paths = Paths(config.directory / table.certificate, config.directory / table.key, chain)
    try:
        return Proof.read(paths)
    except UnfitFileError as error:
        raise ConfigError(f"{config.file}: {key}.{error.key}", error.mend) from None
