"""Mutations of real files: refused by name, or read as nibabel reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz import fuzz

if TYPE_CHECKING:
    from pathlib import Path

MUTATIONS = 100


def once(seed: int, folder: Path) -> None:
    """Read a hundred mutated files.

    Raises:
        AssertionError: A crash, a hang, or voxels that are not nibabel's.
    """
    fuzz(folder, seed=seed, count=MUTATIONS)
