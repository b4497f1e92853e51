"""Large pages: what is asked for, and that nothing is broken by asking."""

import mmap
from pathlib import Path

import pytest

from softswitch.ops.pages import use_large_pages

LARGE = 2 * 1024 * 1024


def test_own_memory_is_asked_for_and_keeps_what_it_holds():
    """Memory in use is put into large pages, and is the same as before."""
    held = mmap.mmap(-1, 4 * LARGE)
    held[:] = bytes(range(256)) * (4 * LARGE // 256)
    copies = [bytes([number]) * 300_000 for number in range(20)]
    assert use_large_pages() >= 3 * LARGE
    assert held[:] == bytes(range(256)) * (4 * LARGE // 256)
    assert copies == [bytes([number]) * 300_000 for number in range(20)]


@pytest.mark.parametrize(
    "mapping",
    [
        "7f0000000000-7f0000800000 r-xp 00000000 00:00 0",
        "7f0000000000-7f0000800000 rw-p 00000000 fe:00 42   /usr/lib/libc.so",
        "7ff000000000-7ff000800000 rw-p 00000000 00:00 0    [stack]",
        "7f0000001000-7f00001ff000 rw-p 00000000 00:00 0",
        "no mapping at all",
    ],
)
def test_what_is_not_asked_for(mapping: str, tmp_path: Path):
    """Code, files, the stack, and what no large page fits into are left alone."""
    maps = tmp_path / "maps"
    maps.write_text(mapping + "\n")
    assert use_large_pages(maps) == 0


def test_a_system_that_cannot(tmp_path: Path):
    """Where there is no list of mappings, as on other systems, nothing happens."""
    assert use_large_pages(tmp_path / "none") == 0
