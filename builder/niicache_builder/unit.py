"""The unit of work: one shard of one class, known before any voxel is read. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from niicache.format.manifest import canonical

if TYPE_CHECKING:
    from niicache.format.manifest import Recipe
    from niicache_builder.scan import CaseScan


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One shard of one class, image and label together: what a worker does at once.

    Attributes:
        class_name: The class.
        index: Number of the shard.
        slots: The case of each slot, None where vacant; shorter in the last shard.
        id: Digest of the recipe and of what is to be read, known before any voxel is.
        nbytes: Decoded bytes, padded.
    """

    class_name: str
    index: int
    slots: tuple[CaseScan | None, ...]
    id: str
    nbytes: int

    @property
    def cases(self) -> int:
        """Cases in it."""
        return sum(case is not None for case in self.slots)


def make_unit(name: str, index: int, slots: tuple[CaseScan | None, ...], recipe: Recipe) -> Unit:
    """Return the unit of a shard.

    Args:
        name: The class.
        index: Number of the shard.
        slots: What it shall hold.
        recipe: How voxels become bytes.
    """
    what = [None if case is None else _fingerprint(case) for case in slots]
    per_case = recipe.image.case_nbytes + (recipe.label.case_nbytes if recipe.label else 0)
    return Unit(
        class_name=name,
        index=index,
        slots=slots,
        id=hashlib.sha256(canonical([recipe.digest, name, index, what])).hexdigest(),
        nbytes=per_case * len(slots),
    )


def _fingerprint(case: CaseScan) -> list[str | int | None]:
    label = case.label
    images = zip(case.files.images, case.images, strict=True)
    return [
        case.files.name,
        *(one for path, header in images for one in (path, header.size, header.mtime_ns)),
        *((case.files.label, label.size, label.mtime_ns) if label else (None, None, None)),
    ]
