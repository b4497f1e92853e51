"""The file that says which process runs with a state directory, locked as long as it does.

The lock is what counts: a number that is left in the file by a process that was killed may be
another's by now.
"""

import fcntl
import os
from pathlib import Path

from softswitch.errors import ConfigError

#: In the state directory.
NAME = "softswitch.pid"


class PidFile:
    """The file of this process.

    :param path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def take(self) -> None:
        """Write this process's number, and lock the file.

        :raises ConfigError: another process holds it, or it cannot be written.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                # Whoever can open it can lock it, and keep the switch from its start.
                os.fchmod(descriptor, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                other = os.read(descriptor, 20).decode("ascii", "replace").strip()
                os.close(descriptor)
                raise ConfigError(
                    str(self._path),
                    f"process {other} runs with this state directory: stop it, or choose another"
                    " with switch.state_directory",
                ) from None
            os.truncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        except OSError as error:
            raise ConfigError(str(self._path), f"cannot be written: {error.strerror}") from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Remove the file; harmless when it was never taken."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def holder(path: Path) -> int | None:
    """The process that runs with that file; None where none does.

    :raises OSError: the file cannot be looked at.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        number = os.read(descriptor, 20)
        return int(number) if number.strip().isdigit() else None
    finally:
        os.close(descriptor)
    return None
