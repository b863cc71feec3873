"""Whether this machine has room for a build."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING

from niicache.errors import DiskError, NoMemoryError
from niicache_builder.grid_plan import prepared_shape
from niicache_builder.memory import memory_bytes
from niicache_builder.resume import finished
from niicache_builder.room import disk_bytes, padded_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from niicache_builder.plan import Plan
    from niicache_builder.scan import CaseScan

SPARE_BYTES = 16 * 1024 * 1024
"""Room that metadata and the file system's own needs may take beside the shards."""


def check_memory(plan: Plan) -> None:
    """Refuse cases of which this machine cannot hold one.

    Raises:
        NoMemoryError: The padded cases of one chunk are larger than its memory.
    """
    needed, image = padded_bytes(plan.recipe), plan.recipe.image
    there = memory_bytes()
    if needed > there:
        what = f"{image.chunk[0]:,} padded cases" if image.chunk[0] > 1 else "a padded case"
        raise NoMemoryError(
            f"shape: got {what} of {image.shape} {image.dtype}, {needed:,} bytes with labels, "
            f"expected at most the {there:,} bytes of memory of this machine; give a smaller "
            f"--shape, or leave out the largest images{_largest(plan)}. Nothing was written"
        )


def _largest(plan: Plan) -> str:
    """Return which image makes the cases so large, in words for the user."""
    dims, recipe = plan.recipe.spatial_dims, plan.recipe

    def size(case: CaseScan) -> tuple[int, int]:
        prepared = math.prod(prepared_shape(case.image, dims, recipe))
        return (prepared if recipe.spacing else 0), case.voxels_nbytes

    case = max(plan.scan.cases, key=size)
    return f", such as {plan.scan.layout.root / case.files.image}"


def check_disk(plan: Plan, target: Path) -> None:
    """Refuse a build that cannot fit, before its first byte.

    Raises:
        DiskError: There is less room than the units to do and the metadata need.
    """
    units = [unit for unit in plan.todo if not finished(unit, plan, target)]
    if not units:
        return
    needed = sum(disk_bytes(unit, plan.recipe) for unit in units) + SPARE_BYTES
    there = next(folder for folder in (target, *target.resolve().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise DiskError(
            f"{target}: got {free:,} bytes free on the disk of {there}, expected about {needed:,} "
            f"for {len(units):,} shards; make room, or choose another target. Nothing was written"
        )
