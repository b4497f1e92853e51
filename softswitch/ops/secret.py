"""The switch's own secret, which outlives a restart: what is made of it stays the same."""

import os
from pathlib import Path

from softswitch.errors import ConfigError

#: Bytes.
LENGTH = 32


def kept_secret(file: Path) -> bytes:
    """The secret in a file; made, and readable to nobody else, where there is none.

    :raises ConfigError: it cannot be read or written, or somebody has cut it.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            secret = file.read_bytes()
        else:
            secret = os.urandom(LENGTH)
            with open(made, "wb") as output:
                output.write(secret)
    except OSError as error:
        raise ConfigError(str(file), f"cannot be read or written: {error.strerror}") from None
    if len(secret) != LENGTH:
        raise ConfigError(str(file), f"{LENGTH} bytes are wanted; once removed it is made anew")
    return secret
