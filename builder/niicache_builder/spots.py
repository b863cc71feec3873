"""Where the foreground of a case lies: a bounded sample of the voxels of each label value. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from niicache.format import paths
from niicache.format.manifest import SpotRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from niicache.format.geometry import Box, Shape

RULE: Final = SpotRule(least=1000, share=0.01, most=10_000)
"""As many as nnU-Net keeps where there are many, and enough of a small lesion."""


def spot_dtype(grid: Shape) -> np.dtype:
    """Return the dtype of flat positions in a padded grid."""
    return np.dtype(paths.spot_dtype(grid)).newbyteorder("<")


def find_spots(
    mask: np.ndarray, values: Iterable[float], box: Box, grid: Shape, *, key: str, rule: SpotRule
) -> Mapping[float, bytes]:
    """Return where the voxels of each label value but 0 lie.

    Args:
        mask: ``(*spatial, channel)``, not padded.
        values: Those that it holds.
        box: Where it lies in the padded grid.
        grid: Spatial shape of the padded case.
        key: Of the case: what is kept follows from it.
        rule: How many are kept.

    Returns:
        Value to flat positions in the padded grid, in C order and ascending, as the bytes of
        :func:`spot_dtype`. Where not all are kept, each was as likely to be.
    """
    rng = np.random.Philox(key=int(key[:32], 16))
    spots = {}
    for value in sorted(values):
        if value == 0:
            continue
        held = (mask == value).any(axis=-1)
        found = np.flatnonzero(held)
        count = min(rule.most, max(rule.least, int(np.ceil(len(found) * rule.share))))
        if count < len(found):
            words = rng.random_raw(len(found))
            found = found[np.sort(np.argpartition(words, count)[:count])]
        at = np.unravel_index(found, held.shape)
        padded = tuple(axis + start for axis, start in zip(at, box.start, strict=True))
        flat = np.ravel_multi_index(padded, grid)
        spots[value] = flat.astype(spot_dtype(grid)).tobytes()
    return spots


def spot_arrays(
    cases: Sequence[Mapping[float, bytes] | None], values: Sequence[float], grid: Shape
) -> tuple[np.ndarray, np.ndarray]:
    """Return the spots of a class as they are stored.

    Args:
        cases: Of each slot, None where it is vacant.
        values: Label values of the manifest.
        grid: Spatial shape of a padded case.

    Returns:
        (slots, values) int64, where in the other array those of a slot and value end; and (n,)
        flat positions.
    """
    parts = [(spots or {}).get(value, b"") for spots in cases for value in values]
    dtype = spot_dtype(grid)
    ends = np.cumsum([len(part) // dtype.itemsize for part in parts], dtype=np.int64)
    return ends.reshape(len(cases), len(values)), np.frombuffer(b"".join(parts), dtype)


def count_spots(spots: Mapping[float, bytes], values: Sequence[float], grid: Shape) -> int:
    """Return how many spots of a case are stored: those of the manifest's label values."""
    return sum(len(spots.get(value, b"")) for value in values) // spot_dtype(grid).itemsize


def spots_of(
    starts: np.ndarray, voxels: np.ndarray, values: Sequence[float]
) -> Mapping[float, bytes]:
    """Return the spots of one slot of a cache.

    Args:
        starts: (values + 1,) int64, as :meth:`niicache.view.ClassView.spots` has it.
        voxels: (n,) flat positions, likewise.
        values: Label values of the manifest.
    """
    bounds = zip(values, starts.tolist(), starts[1:].tolist(), strict=False)
    return {value: voxels[a:b].tobytes() for value, a, b in bounds if b > a}
