"""The audit: one line of JSON for each change through the API, and for each who was turned away.

A thread of its own writes it, as it does call records.
"""

import json
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from softswitch.api.tokens import Caller
from softswitch.errors import ConfigError
from softswitch.store.lines import Lines, open_to_append
from softswitch.store.writer import Writer

#: Seconds between two writes, for which lines gather.
GATHER_SECONDS: Final = 0.25


class Audit:
    """Writes down who did what.

    :param path: of the file; it is made where it is missing, for its owner alone.
    :raises ConfigError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        except OSError as error:
            mend = f"a file to which the audit can be appended is needed here: {error}"
            raise ConfigError(str(path), mend) from error
        self._number = count()
        self._writer: Writer[dict[str, Any]] = Writer(
            "the audit", _Audited(path, open_to_append), gather=GATHER_SECONDS
        )

    def note(self, operation: str, caller: Caller, where: str, status: int, detail: str) -> None:
        """Have a line written; returns at once.

        :param operation: what was wanted.
        :param caller: by whom; his name is "" where it is not known.
        :param where: path and query.
        :param status: what came of it.
        :param detail: why it was refused; "" where it was not.
        """
        at = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        line = {
            "at": at,
            "who": caller.name,
            "role": caller.role if caller.name else "",
            "from": caller.source,
            "what": operation,
            "where": where,
            "status": status,
            "detail": detail,
        }
        self._writer.put(next(self._number), line)

    def close(self) -> None:
        """Write what waits and let go of the file."""
        self._writer.close()


class _Audited(Lines):
    """The file, as the writer's thread sees it."""

    def write(self, lines: Sequence[dict[str, Any]]) -> None:
        """Append all lines, and see them on the disk.

        :raises OSError: none of them was written.
        """
        self.append([json.dumps(line).encode() + b"\n" for line in lines])
