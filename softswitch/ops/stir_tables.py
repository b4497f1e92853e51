"""The tables of the configuration that speak of signed numbers (RFC 8224). Pure."""

from collections.abc import Iterator, Mapping
from typing import Literal

import attrs

from softswitch.ops.values import HostPort, Network, Seconds
from softswitch.policy.certificatehosts import USUAL_PORT, place
from softswitch.settings import key_path
from softswitch.trunk.stir import Form, TrunkStir


@attrs.frozen
class StirTable:
    """``[stir]``: with what calls are signed, and who is believed about those of others.

    :ivar certificate: PEM file of ours, seen from where the switch runs; its chain after it.
    :ivar key: PEM file of the key, without a password.
    :ivar certificate_url: where others find that certificate.
    :ivar authorities: PEM file of those who may vouch for certificates of signers.
    :ivar hosts: from which certificates are fetched; port 443 where none is named.
    :ivar networks: in which these may be, though they are private.
    :ivar https_authorities: PEM file of those who vouch for these hosts; "" for whom the system
        believes.
    :ivar fresh_seconds: for which what was signed holds.
    :ivar fetch_seconds: within which a certificate has come.
    :ivar keep_seconds: that a certificate is kept of which its host does not say for how long.
    :ivar keep_least_seconds: that it is kept whatever its host says;
        ``keep_most_seconds`` likewise.
    :ivar fail_seconds: that nobody is asked again who had none.
    """

    certificate: str = ""
    key: str = ""
    certificate_url: str = ""
    authorities: str = ""
    hosts: tuple[HostPort, ...] = ()
    networks: tuple[Network, ...] = ()
    https_authorities: str = ""
    fresh_seconds: Seconds = 60.0
    fetch_seconds: Seconds = 1.0
    keep_seconds: Seconds = 3600.0
    keep_least_seconds: Seconds = 60.0
    keep_most_seconds: Seconds = 86400.0
    fail_seconds: Seconds = 60.0


@attrs.frozen
class TrunkStirTable:
    """``[trunks.NAME.stir]``: see ``trunk.stir.TrunkStir``."""

    verify: Literal["off", "tag", "require"] = "off"
    sign: bool = False
    passport: Form = "shaken"
    attest: Literal["", "A", "B", "C"] = ""

    @property
    def meant(self) -> TrunkStir:
        """What is meant."""
        return TrunkStir(self.verify, self.sign, self.passport, self.attest)


def contradictions(
    stir: StirTable, trunks: Mapping[str, TrunkStirTable], policy_seconds: float
) -> Iterator[tuple[str, str]]:
    """What is wrong between keys that are right by themselves: key path and what would be right.

    :param policy_seconds: that a policy has to answer.
    """
    if bool(stir.certificate) != bool(stir.key):
        yield "stir", "certificate and key go together"
    if stir.certificate_url and place(stir.certificate_url) is None:
        yield "stir.certificate_url", 'a URL such as "https://sip.example.org/stir.pem" is wanted'
    if not 0 < stir.fetch_seconds < policy_seconds:
        yield (
            "stir.fetch_seconds",
            f"less than switch.policy_seconds, {policy_seconds:g}, is wanted",
        )
    if stir.fresh_seconds <= 0:
        yield "stir.fresh_seconds", "more than 0 seconds are wanted"
    if stir.keep_least_seconds > stir.keep_most_seconds:
        yield "stir.keep_most_seconds", "keep_least_seconds or more are wanted"
    for name, table in trunks.items():
        key = f"{key_path('trunks', name)}.stir"
        if table.sign and not (stir.certificate and stir.certificate_url):
            yield f"{key}.sign", "[stir] certificate, key and certificate_url are wanted, too"
        if table.verify != "off" and not (stir.authorities and stir.hosts):
            yield f"{key}.verify", "[stir] authorities and hosts are wanted, too"


def host_places(hosts: tuple[HostPort, ...]) -> list[tuple[str, int]]:
    """Hosts with their ports."""
    return [(each.host.lower(), each.port or USUAL_PORT) for each in hosts]
