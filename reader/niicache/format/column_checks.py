"""What is wrong with the values of a column: whether a case can have such facts. Pure.

Only what a reader relies on. A vacant slot holds zeros, or an empty string.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from niicache.format.grid import is_prepared

if TYPE_CHECKING:
    from niicache.format.manifest import ClassEntry, Recipe


_LONGEST: Final = 2**31 - 1
_CODE: Final = 2**15 - 1


def column_problems(name: str, values: np.ndarray, entry: ClassEntry, recipe: Recipe) -> list[str]:
    """Return what is wrong with a column.

    Args:
        name: Of the column.
        values: One entry a slot.
        entry: The class.
        recipe: How its cases are stored.
    """
    problems = []
    if name == "name":
        names = [one for one in values.tolist() if one]
        if len(names) != entry.cases or len({*names}) != entry.cases:
            problems.append(f"{len({*names}):,} names for {entry.cases:,} cases")
        if any("\0" in one for one in names):
            problems.append("a name with a zero byte")
    if name in {"image_size", "source_shape"}:
        held = values.reshape(len(values), -1) != 0  # of a case all, of a vacant slot none
        count = np.count_nonzero(held.all(axis=1))
        if count != entry.cases or count != np.count_nonzero(held.any(axis=1)):
            problems.append(f"{count:,} sizes for {entry.cases:,} cases")
    if name == "spacing" and not np.isfinite(values).all():
        problems.append("spacing that is not finite")
    if name == "affine" and not np.isfinite(values).all():
        problems.append("an affine that is not finite")
    most = _most(name, recipe)
    if most is not None and bool(((values < 0) | (values > most)).any()):
        problems.append(f"{name} outside of 0 to {np.array(most).tolist()}")
    return problems


def spot_problems(stops: np.ndarray, voxels: np.ndarray, recipe: Recipe) -> list[str]:
    """Return what is wrong with coordinates of the foreground.

    Args:
        stops: (slots, values) int64, where those of each slot and value end.
        voxels: (n,) their flat positions.
        recipe: How cases are stored.
    """
    ends = stops.ravel()
    problems = []
    if (np.diff(ends, prepend=0) < 0).any() or (ends[-1] if ends.size else 0) != len(voxels):
        problems.append(f"ends that do not part {len(voxels):,} spots")
    if voxels.size and int(voxels.max()) >= math.prod(recipe.image.shape[:-1]):
        problems.append("a spot outside of the padded grid")
    return problems


def _most(name: str, recipe: Recipe) -> np.ndarray | None:
    """Return the largest entries of a column that counts something, None for any other."""
    image, label = recipe.image.shape, recipe.label
    found: dict[str, tuple[int, ...]] = {
        "image_size": (2**63 - 1,),
        "label_size": (2**63 - 1,),
        # What is turned, cut or resampled may have been longer than what it is padded to.
        "source_shape": (*[_LONGEST] * (len(image) - 1), image[-1])
        if is_prepared(recipe)
        else image,
        "crop_start": (_LONGEST,),
        "crop_stop": (_LONGEST,),
        "sform_code": (_CODE,),
        "qform_code": (_CODE,),
        "box_start": image[:-1],
        "box_stop": image[:-1],
        "nonfinite": (math.prod(image[:-1]),),
        "label_count": (math.prod(image if label is None else label.shape),),
    }
    if name == "spacing":
        return np.array(np.inf)
    return np.array(found[name], np.int64) if name in found else None
