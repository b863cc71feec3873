"""One attack of the table: the seed says which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from breaks.hostile_metadata import TABLE, check
from breaks.resealing import base

if TYPE_CHECKING:
    from pathlib import Path


def once(seed: int, folder: Path) -> None:
    """Make an attack, and read the cache in every way.

    Raises:
        AssertionError: Something else came of it than the table says.
    """
    name = list(TABLE)[seed % len(TABLE)]
    hostile = TABLE[name]
    draft = base(hostile.codec).draft()
    hostile.change(draft)
    try:
        check(hostile, draft, folder)
    except Exception as error:
        told = f"{type(error).__name__}: {error!s:.300}"
        raise AssertionError(f"seed {seed}, {name}: {told}") from error
