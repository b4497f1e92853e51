"""JSON files that other processes read."""

import json
import os
from pathlib import Path
from typing import Any


def write_whole(path: Path, figures: dict[str, Any]) -> None:
    """Write JSON so that a reader finds the old file or the new one, never half of it."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(figures, indent=1) + "\n")
    os.replace(part, path)
