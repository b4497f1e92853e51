"""JSON files that other processes read."""

import json
import os
from pathlib import Path
from secrets import token_hex
from typing import Any

#: A file is made: one that is there, and a link that somebody has put there, are not written to.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_whole(path: Path, figures: dict[str, Any], like: Path | None = None) -> None:
    """Write JSON so that a reader finds the old file or the new one, never half of it, nor a
    mixture of what two have written at once; its owner alone may read it.

    :param like: a file whose owner is to read this one; what root writes is handed to him.
    :raises OSError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{token_hex(8)}.part")
    descriptor = os.open(part, _NEW, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            if like is not None and os.geteuid() == 0:
                owner = like.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(json.dumps(figures, indent=1) + "\n")
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
