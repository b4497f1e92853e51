"""The tables of the configuration that speak of certificates. Pure."""

import attrs

from softswitch.ops.values import Host


@attrs.frozen
class CertificateTable:
    """``[[listen.certificates]]``: one more certificate of a listener.

    :ivar certificate: PEM file, seen from where the switch runs; ours first, then its chain.
    :ivar key: PEM file of the key, without a password.
    :ivar chain: PEM file of more of the chain; "" for none.
    """

    certificate: str
    key: str
    chain: str = ""


@attrs.frozen
class TrunkTlsTable:
    """``[trunks.NAME.tls]``: whom we believe where we connect to it, and what we show there.

    :ivar ca: PEM file of the authorities that may vouch for it; "" for those of the system.
    :ivar names: one of them must stand in its certificate; empty for the host of its address.
    :ivar wildcard: whether a certificate for ``*.example.org`` stands for ``sip.example.org``.
    :ivar certificate: what we show; "" for nothing.
    :ivar key: goes with it.
    :ivar chain: likewise; "" for none beyond what ``certificate`` holds.
    """

    ca: str = ""
    names: tuple[Host, ...] = ()
    wildcard: bool = False
    certificate: str = ""
    key: str = ""
    chain: str = ""
