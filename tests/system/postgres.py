"""A PostgreSQL of Debian's for a test: its own data, a Unix socket, and nobody's else."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

#: Whose process it is where we are root, whom it does not serve.
USER = "postgres"

#: Where Debian has its programs.
VERSIONS = Path("/usr/lib/postgresql")


def programs() -> Path | None:
    """The folder of the latest one's programs; None where there is none."""
    found = sorted(VERSIONS.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class Postgres:
    """A server, started and stopped by hand.

    :ivar connect: how it is reached, as libpq has it.
    """

    def __init__(self) -> None:
        found = programs()
        assert found is not None
        self._programs = found
        # Not below pytest's folder, into which no other user may look.
        self.folder = Path(tempfile.mkdtemp(prefix="softswitch-pg-"))
        self._as: dict[str, Any] = (
            {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
        )
        if self._as:
            shutil.chown(self.folder, USER, USER)
        self.connect = f"host={self.folder} dbname=postgres user=billing"
        self._run("initdb", "-D", str(self.folder / "data"), "-A", "trust", "-U", "billing", "-N")

    def start(self) -> None:
        """Serve, and return when it does."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder}"
        self._run(
            "pg_ctl", *self._data, "-w", "-l", str(self.folder / "log"), "-o", options, "start"
        )

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does; harmless where it does not run."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", *self._data, "-w", "-m", "immediate", "stop")

    def close(self) -> None:
        """End it, and forget everything."""
        self.kill()
        shutil.rmtree(self.folder)

    @property
    def _data(self) -> tuple[str, str]:
        return "-D", str(self.folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        """
        :raises AssertionError: it fails.
        """
        command = [str(self._programs / program), *arguments]
        with (self.folder / "said").open("w") as said:
            done = subprocess.run(
                command, cwd=self.folder, stdout=said, stderr=said, timeout=60, **self._as
            )
        assert done.returncode == 0, (self.folder / "said").read_text()
