"""niicache's builder, as its users call it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

# What the console script `niicache` runs, so that the bench needs no installed one.
COMMAND = "import sys; from niicache_builder.cli.main import main; sys.exit(main())"


def build_cache(source: Path, cache: Path, *words: str) -> Path:
    """Build a cache with the command line, and return its path.

    Raises:
        CalledProcessError: If the build fails; what it said is on stderr.
    """
    _run(source, cache, *words)
    return cache


def plan_of(source: Path, cache: Path, *words: str) -> dict[str, Any]:
    """Return the plan of a build.

    Raises:
        CalledProcessError: If there is none; what it said is on stderr.
    """
    plan: dict[str, Any] = json.loads(_run(source, cache, "--dry-run", *words))
    return plan


def _run(source: Path, cache: Path, *words: str) -> bytes:
    command = [sys.executable, "-c", COMMAND, "build", str(source), str(cache), "--json", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
