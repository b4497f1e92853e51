"""What a reload may change, and what takes a restart. Pure."""

from operator import attrgetter
from typing import Final

from softswitch.errors import ConfigError
from softswitch.ops.config import Config

#: What is read once, at the start: sockets, files and the media engine hang on it, and whose the
#: registrations are.
FIXED: Final = ("listen", "media", "store", "switch.domains", "switch.state_directory")


def check_reloadable(old: Config, new: Config) -> None:
    """See that nothing differs that only a restart can change.

    :raises ConfigError: names the key.
    """
    for key in FIXED:
        read = attrgetter(key)
        if read(old) != read(new):
            where = f"{new.file}: {key}" if new.file else key
            raise ConfigError(where, "a change here takes a restart of the switch")
