"""What a reload may change, and what takes a restart. Pure."""

from operator import attrgetter
from typing import Final

import attrs

from softswitch.errors import ConfigError
from softswitch.ops.config import Config

#: What is read once, at the start: sockets, files and the media engine hang on it, and whose the
#: registrations are.
FIXED: Final = (
    *("listen", "media", "metrics", "store", "switch.domains", "switch.state_directory"),
    *("flight.recorder", "api.unix", "api.bind", "api.port", "api.audit"),
    *("records.store", "hep"),
)


def check_reloadable(old: Config, new: Config) -> None:
    """See that nothing differs that only a restart can change.

    :raises ConfigError: names the key.
    """
    old, new = _without_certificates(old), _without_certificates(new)
    for key in FIXED:
        read = attrgetter(key)
        if read(old) != read(new):
            where = f"{new.file}: {key}" if new.file else key
            raise ConfigError(where, "a change here takes a restart of the switch")


def _without_certificates(config: Config) -> Config:
    """The same but for what a listener shows and wants to be shown, which is read anew."""
    listen = tuple(
        attrs.evolve(
            table,
            certificate="",
            key="",
            chain="",
            certificates=(),
            client_certificates="none",
            client_ca="",
        )
        for table in config.listen
    )
    return attrs.evolve(config, listen=listen)
