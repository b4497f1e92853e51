"""How trunks call us, as the configuration has it: read, and looked at for contradictions. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from softswitch.ops.accounts import DIGEST_LENGTH
from softswitch.ops.tables import TrunkTable
from softswitch.settings import key_path
from softswitch.sip.digest import ha1
from softswitch.transport.hosts import is_address
from softswitch.trunk.inbound import Inbound


def inbound(table: TrunkTable, realm: str, algorithms: Sequence[str]) -> Inbound:
    """How a trunk calls us.

    :param algorithms: of our challenges; a password becomes a hash for each.
    """
    hashes: dict[str, str] = {name: digest.lower() for name, digest in table.inbound_ha1.items()}
    if table.inbound_password is not None:
        for name in algorithms:
            hashes[name] = ha1(table.inbound_username, realm, table.inbound_password, name)
    return Inbound(
        username=table.inbound_username,
        ha1=hashes,
        registers=table.registers,
        certificates=_certificates(table),
        hosts=table.inbound_hosts,
        dialled=table.inbound_numbers,
        called_from=table.called_from,
        owned=table.numbers,
        default_number=table.default_number,
    )


def _certificates(table: TrunkTable) -> frozenset[str]:
    """The names by which its certificate is known, with the wildcards that stand for them."""
    named = table.inbound_certificates
    wild = ["*." + name.partition(".")[2] for name in named] if table.tls.wildcard else []
    return frozenset((*named, *wild))


def contradictions(
    trunks: Mapping[str, TrunkTable],
    domains: Collection[str],
    users: Collection[str],
    algorithms: Sequence[str],
    policies: Collection[object],
) -> Iterator[tuple[str, str]]:
    """What is wrong between keys that are right by themselves: key path and what would be right.

    :param domains: names that are ours.
    :param users: names of the users of the configuration.
    :param algorithms: of our challenges.
    :param policies: names of those in use.
    """
    taken: dict[str, str] = {name: key_path("users", name) for name in users}
    for name, trunk in trunks.items():
        key, username = key_path("trunks", name), trunk.inbound_username
        yield from _credentials(key, trunk, algorithms)
        if username in taken:
            yield f"{key}.inbound_username", f"{username} is taken by {taken[username]}"
        if username:
            taken[username] = key
        if username and "users" not in policies:
            yield (
                f"{key}.inbound_username",
                'nobody is asked for a password: [[policy]] use = "users" is wanted, too',
            )
        for index, host in enumerate(trunk.inbound_hosts):
            if host not in domains and not is_address(host):
                yield f"{key}.inbound_hosts[{index}]", f"{host} is wanted in switch.domains, too"
        if trunk.registers and not username:
            yield f"{key}.registers", "inbound_username and a password are wanted, too"
        if trunk.registers and (trunk.addresses or trunk.members):
            yield f"{key}.addresses", "none is wanted: it is reached where it registers"
        if trunk.registers and not {"trunks", "registration"} <= set(policies):
            yield (
                f"{key}.registers",
                'it cannot: [[policy]] use = "trunks" and use = "registration" are wanted, too',
            )
        if trunk.default_number and not trunk.numbers:
            yield f"{key}.default_number", "stands for numbers that are not in numbers: list those"


def _credentials(
    key: str, trunk: TrunkTable, algorithms: Sequence[str]
) -> Iterator[tuple[str, str]]:
    hashed, clear = bool(trunk.inbound_ha1), trunk.inbound_password is not None
    if trunk.inbound_username and hashed == clear:
        yield key, "inbound_username wants either inbound_password or inbound_ha1"
    elif not trunk.inbound_username and (hashed or clear):
        yield key, "inbound_password and inbound_ha1 want inbound_username"
    for algorithm, digest in trunk.inbound_ha1.items():
        length = DIGEST_LENGTH[algorithm]
        if len(digest) != length or set(digest.lower()) - set("0123456789abcdef"):
            yield f"{key}.inbound_ha1.{algorithm}", f"{length} hex digits are wanted"
    for name in algorithms if hashed else ():
        if name not in trunk.inbound_ha1:
            yield f"{key}.inbound_ha1", f"a hash for {name} is wanted, since we offer it"
