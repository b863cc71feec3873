"""niicache's builder, as its users call it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# What the console script `niicache` runs, so that the bench needs no installed one.
COMMAND = "import sys; from niicache_builder.cli.main import main; sys.exit(main())"


def build_cache(source: Path, cache: Path, *words: str) -> Path:
    """Build a cache with the command line, and return its path.

    Raises:
        CalledProcessError: If the build fails; what it said is on stderr.
    """
    command = [sys.executable, "-c", COMMAND, "build", str(source), str(cache), "--json", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return cache
