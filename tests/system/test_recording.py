"""A recorded call, as tshark reads it: both voices, whole; and nobody else is to read it."""

import json
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from engines import kill_relays
from talks import Place, Talk

if shutil.which("tshark") is None:
    pytest.skip("Debian's tshark reads the recordings", allow_module_level=True)

#: Packets that each side says.
SAID = 200


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Nothing of it is left in the end."""
    with ExitStack() as stack:
        place = Place(stack, tmp_path)
        yield place
        kill_relays(tmp_path)


def read_by_tshark(path: Path, *columns: str) -> list[list[str]]:
    """What tshark finds in the RTP packets of a file; it complains of nothing."""
    command = ["tshark", "-n", "-r", str(path), "--enable-heuristic", "rtp_udp"]
    command += ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    broken = subprocess.run(
        [*command, "-Y", "_ws.malformed or ip.checksum.status == 0"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert broken.stdout == b""
    fields = [word for column in columns for word in ("-e", column)]
    found = subprocess.run(
        [*command, "-Y", "rtp", "-T", "fields", *fields],
        capture_output=True,
        check=True,
        timeout=60,
        text=True,
    )
    return [line.split("\t") for line in found.stdout.splitlines()]


@pytest.mark.parametrize("processes", [0, 1])
def test_tshark_reads_a_recorded_call(place: Place, processes: int):
    """Two streams, with the addresses that they had, each packet of each in its order; the record
    names the file, which is its owner's alone. A call whose rule does not say so has none."""
    switch = place.start(processes, media='recordings = "tapes"', rule="record = true")
    talk = Talk(place, 1)
    # The relay hears of the answer a moment after the caller does.
    tapes = switch.folder / "state" / "tapes"
    place.until(lambda: any(each.stat().st_size for each in tapes.glob("*")))
    for number in range(SAID):
        assert talk.is_heard(b"%03d" % number + b"\xff" * 157)
    assert talk.hang_up_at_both_ends()
    records = switch.folder / "state" / "calls.jsonl"
    place.until(lambda: records.exists() and records.stat().st_size)
    record = json.loads(records.read_text().splitlines()[0])
    path = tapes / record["recording"]
    assert record["id"] in path.name
    place.until(lambda: path.stat().st_size >= 24 + 2 * SAID * (16 + 28 + 12 + 160))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    found = read_by_tshark(path, "ip.src", "udp.srcport", "udp.dstport", "rtp.seq", "rtp.payload")
    for ear, words in zip(talk.ears, (b"to ", b"from "), strict=True):
        host, port = ear.socket.getsockname()
        own = [each for each in found if each[:2] == [host, str(port)]]
        assert [each[2:4] for each in own] == [
            [str(ear.there[1]), str(number + 1)] for number in range(SAID)
        ]
        voice = [words + b"%03d" % number + b"\xff" * 157 for number in range(SAID)]
        assert [bytes.fromhex(each[4].replace(":", "")) for each in own] == voice
    streams = {each["leg"]: each for each in record["media"]}
    assert {leg: each["packets"] for leg, each in streams.items()} == {"a": SAID, "b1": SAID}
    assert record["silences"] == []


def test_a_folder_that_is_none(place: Place):
    """The switch does not start, and says what would be right."""
    (place.folder / "tapes").write_text("no folder")
    wrong = "media.recordings: a folder in which files can be made is needed here"
    with pytest.raises(RuntimeError, match=f"ended with 2: .*{wrong}"):
        place.start(media=f'recordings = "{place.folder}/tapes"')
