"""Lets the tests here import ``processes``, which they share with the benchmark."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
