"""Ways to break niicache on purpose, each in a module with ``once(seed, folder)``."""

from __future__ import annotations

import sys
from pathlib import Path

# What the tests of the builder share is of use here too.
sys.path.insert(0, str(Path(__file__).parents[1] / "builder"))
