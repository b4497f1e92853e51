"""What is wrong in ``[trunks.NAME.register]`` between keys that are right by themselves. Pure."""

from collections.abc import Iterator

from softswitch.errors import SipSyntaxError
from softswitch.ops.tables import TrunkTable
from softswitch.sip.uri import Uri


def contradictions(table: TrunkTable) -> Iterator[tuple[str, str]]:
    """Key within the trunk's table, and what would be right."""
    register = table.register
    if register is None:
        return
    if register.aor:
        if not _is_aor(register.aor):
            yield (
                "register.aor",
                'a SIP URI such as "sip:me@carrier.example" is wanted',
            )
    elif not table.username:
        yield "register.aor", "it is wanted where the trunk has no username"
    if register.retry_seconds < 1:
        yield "register.retry_seconds", "1 second at least is wanted"
    if register.retry_max_seconds < register.retry_seconds:
        yield "register.retry_max_seconds", "no fewer than retry_seconds are wanted"
    twice = {each for each in register.registrars if register.registrars.count(each) > 1}
    for registrar in sorted(map(str, twice)):
        yield "register.registrars", f"{registrar} is there twice"


def _is_aor(text: str) -> bool:
    try:
        uri = Uri.parse(text)
    except SipSyntaxError:
        return False
    return uri.scheme == "sip" and bool(uri.user) and not uri.params and not uri.headers
