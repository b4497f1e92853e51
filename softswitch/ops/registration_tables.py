"""The table of the configuration that says how registrations are kept. Pure."""

from collections.abc import Iterator
from typing import Final, Literal

import attrs

from softswitch.ops.values import Amount, Seconds
from softswitch.registrar.keepalive import KeepAliveSettings

#: Seconds between two keep-alives at least.
LEAST: Final = 5


@attrs.frozen
class RegistrationTable:
    """``[registration]``: see ``registrar.keepalive.KeepAliveSettings``.

    :ivar drop_dead: unanswered OPTIONS in a row before a binding is removed; 0 for never.
    """

    keep_alive: Literal["options", "crlf", "off"] = "options"
    keep_alive_seconds: Seconds = 25.0
    drop_dead: Amount = 0

    def settings(self) -> KeepAliveSettings:
        """What the registrar takes."""
        return KeepAliveSettings(self.keep_alive, self.keep_alive_seconds, self.drop_dead)


def contradictions(table: RegistrationTable) -> Iterator[tuple[str, str]]:
    """Key path, and what would be right."""
    if table.keep_alive_seconds < LEAST:
        yield "registration.keep_alive_seconds", f"{LEAST} seconds at least are wanted"
    if table.drop_dead and table.keep_alive != "options":
        yield (
            "registration.drop_dead",
            'who is dead is known by OPTIONS alone: registration.keep_alive = "options" is wanted',
        )
