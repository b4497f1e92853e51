"""What the tests of hostile input share: the modules ``hostile`` and ``reader``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
