"""What is wrong between the keys that speak of TLS, each right by itself. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from softswitch.ops.listen_tables import ListenTable
from softswitch.ops.tables import TrunkTable
from softswitch.ops.tls_tables import TrunkTlsTable
from softswitch.settings import key_path

#: Transports of a listener that want a certificate.
ENCRYPTED = frozenset(("tls", "wss"))


def contradictions(
    listen: Sequence[ListenTable], trunks: Mapping[str, TrunkTable]
) -> Iterator[tuple[str, str]]:
    """Key path, and what would be right."""
    for index, table in enumerate(listen):
        for key, mend in _of_listener(table):
            yield f"listen[{index}].{key}", mend
    served = {table.transport for table in listen}
    ask = any(table.client_certificates != "none" for table in listen)
    known: dict[str, tuple[str, TrunkTlsTable]] = {}
    for name, trunk in trunks.items():
        path = key_path("trunks", name)
        wanted = {trunk.transport, *(each.transport for each in trunk.members)}
        if "tls" in wanted and "tls" not in served:
            yield f"{path}.transport", 'a [[listen]] with transport = "tls" is wanted, too'
        if bool(trunk.tls.certificate) != bool(trunk.tls.key):
            yield f"{path}.tls", "certificate and key go together"
        if trunk.tls.chain and not trunk.tls.certificate:
            yield f"{path}.tls.chain", "it belongs to a certificate, which is wanted, too"
        if trunk.inbound_certificates and not ask:
            mend = 'a [[listen]] with client_certificates = "wanted" or "required" is wanted, too'
            yield f"{path}.inbound_certificates", mend
        hosts = sorted({*trunk.group(name).hosts, *trunk.tls.names})
        for host in hosts if "tls" in wanted else ():
            other, terms = known.setdefault(host, (path, trunk.tls))
            if terms != trunk.tls:
                yield f"{path}.tls", f"{host} is a host of {other}, too: the same is wanted there"


def _of_listener(table: ListenTable) -> Iterator[tuple[str, str]]:
    if table.transport not in ENCRYPTED:
        for key in ("certificate", "key", "chain", "certificates", "client_ca"):
            if getattr(table, key):
                yield key, 'it is for listeners with transport = "tls" or "wss"'
        if table.client_certificates != "none":
            mend = 'it is for listeners with transport = "tls" or "wss"'
            yield "client_certificates", mend
        return
    for key in ("certificate", "key"):
        if not getattr(table, key):
            yield key, "the name of a PEM file is wanted"
    if table.client_certificates != "none" and not table.client_ca:
        yield "client_ca", "the PEM file of whoever vouches for clients' certificates is wanted"
    if table.client_ca and table.client_certificates == "none":
        yield "client_certificates", '"wanted" or "required" goes with client_ca'
