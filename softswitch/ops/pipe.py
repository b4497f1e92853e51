"""What a command does when nobody reads what it writes any more: ``softswitch cdr | head``."""

import os
import signal
import sys
from typing import Final

#: What a shell says of a process that this has ended.
STATUS: Final = 128 + signal.SIGPIPE


def reader_gone() -> int:
    """Write nothing more, not at the exit either.

    :returns: the exit status.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return STATUS
