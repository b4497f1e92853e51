"""Large pages for what the switch has loaded.

At a hundred calls per second what a message costs is mostly that code and data have left the
processor's caches since the one before, and its table of pages with them: a Python process is
spread over thousands of small pages. Where the system offers large ones to those who ask (Linux,
``transparent_hugepage`` at "madvise", which is usual), the switch asks once, when all is loaded.
"""

import ctypes
import re
from pathlib import Path
from typing import Final

#: Of ``madvise``: let large pages be used; use them now (Linux 6.1).
_HUGEPAGE: Final = 14
_COLLAPSE: Final = 25

#: Bytes of a large page.
_LARGE: Final = 2 * 1024 * 1024

#: A mapping of memory that is the process's own: not of a file, and no stack.
_OWN: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw-p 00000000 00:00 0 *(?:\[heap\])?")


def use_large_pages(maps: Path = Path("/proc/self/maps")) -> int:
    """Have the memory in use put into large pages, as far as the system does that. Call it when
    everything is loaded; it takes some milliseconds, and nothing else changes.

    :param maps: what memory there is, as Linux tells it.
    :returns: bytes of memory for which it was asked; 0 where that cannot be asked.
    """
    try:
        mappings = maps.read_text().splitlines()
        advise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return 0
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    asked = 0
    for mapping in mappings:
        match = _OWN.fullmatch(mapping)
        if match is None:
            continue
        begin = -(-int(match[1], 16) // _LARGE) * _LARGE
        end = int(match[2], 16) // _LARGE * _LARGE
        if end > begin and advise(begin, end - begin, _HUGEPAGE) == 0:
            advise(begin, end - begin, _COLLAPSE)
            asked += end - begin
    return asked
