"""Where the patches of a batch lie: a pure function of (seed, epoch, step) and the place in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from niicache.format.geometry import Box
from niicache.real import valid_box
from niicache.words import PATCH, philox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.format.geometry import Shape
    from niicache.patches.foreground import Foreground
    from niicache.real import Extents
    from niicache.sampling import Draw
    from niicache.transform import Key

_WORD = 2**64


class Spots(NamedTuple):
    """Voxels of one class that hold foreground: a bounded number of each value and case.

    Attributes:
        starts: (slots, values + 1) int64: the voxels of value v in the case of a slot are
            ``voxels[starts[slot, v] : starts[slot, v + 1]]``.
        voxels: (n,) unsigned, flat position in the padded grid, C order.
    """

    starts: np.ndarray
    voxels: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatchSampler:
    """Draws patches. Immutable, safe to share between threads.

    A patch lies anywhere in the real voxels of its case, each place as likely; along an axis on
    which they are shorter than the patch it holds all of them, in its middle.

    Attributes:
        shape: Of a patch, one number a spatial axis.
        grid: Spatial shape of a padded case.
        batch_size: Samples in a batch.
        extents: Of each class.
        spots: Of each class, where ``foreground`` is given.
        foreground: How many samples hold foreground.
        weights: (values,) float64: how often each label value is drawn.
    """

    shape: Shape
    grid: Shape
    batch_size: int
    extents: Sequence[Extents]
    spots: Sequence[Spots] = ()
    foreground: Foreground | None = None
    weights: np.ndarray = field(default_factory=lambda: np.empty(0))

    def boxes(self, draw: Draw, slots: np.ndarray, key: Key) -> list[Box]:
        """Return the patch of each sample, in voxels of the padded grid; it may reach beyond.

        Args:
            draw: The samples.
            slots: (k,) int64, their places in the batch.
            key: Of the batch.
        """
        samples = zip(draw.classes.tolist(), draw.rows.tolist(), slots.tolist(), strict=True)
        return [self._box(number, row, slot, key) for number, row, slot in samples]

    def valid(self, draw: Draw, boxes: Sequence[Box]) -> list[Box]:
        """Return where in each patch of a draw real voxels lie, in voxels of the patch."""
        samples = zip(draw.classes.tolist(), draw.rows.tolist(), boxes, strict=True)
        return [
            valid_box(box, self.extents[k].start[row].tolist(), self.extents[k].stop[row].tolist())
            for k, row, box in samples
        ]

    def describe(self) -> dict[str, Any]:
        """Return what patches depend on, in JSON's types."""
        return {"patch": list(self.shape), "foreground": repr(self.foreground)}

    def _box(self, number: int, row: int, slot: int, key: Key) -> Box:
        seed, epoch, step = key
        words = philox(seed, PATCH, (0, epoch, step, slot)).random_raw(len(self.shape) + 3)
        drawn = words.tolist()
        extents = self.extents[number]
        low, high = extents.start[row].tolist(), extents.stop[row].tolist()
        voxel = None
        if self.foreground is not None and self._forced(slot, drawn[-1]):
            voxel = self._voxel(self.spots[number], row, drawn[-2], drawn[-3])
        if voxel is None:
            sides = zip(low, high, self.shape, drawn, strict=False)
            start = [_between(*_limits(a, b, n), word) for a, b, n, word in sides]
        else:
            start = [at - word % n for at, n, word in zip(voxel, self.shape, drawn, strict=False)]
            if self.foreground is not None and self.foreground.border == "shift":
                limits = [_limits(a, b, n) for a, b, n in zip(low, high, self.shape, strict=True)]
                start = [min(max(s, a), b) for s, (a, b) in zip(start, limits, strict=True)]
        return Box(tuple(start), tuple(a + n for a, n in zip(start, self.shape, strict=True)))

    def _forced(self, slot: int, word: int) -> bool:
        foreground = self.foreground
        assert foreground is not None  # noqa: S101 - the caller asked
        if foreground.exact:
            return slot >= foreground.forced(self.batch_size)
        return word < foreground.share * _WORD

    def _voxel(self, spots: Spots, row: int, which: int, where: int) -> list[int] | None:
        """Return a voxel of the foreground of a case, None where there is none."""
        starts = spots.starts[row]
        counts = np.diff(starts)
        shares = np.where(counts > 0, self.weights, 0.0).cumsum()
        if not shares[-1]:
            return None
        value = int(np.searchsorted(shares, which / _WORD * shares[-1], side="right"))
        value = min(value, int(np.flatnonzero(np.diff(shares, prepend=0.0))[-1]))
        flat = int(spots.voxels[starts[value] + where % int(counts[value])])
        return [int(n) for n in np.unravel_index(flat, self.grid)]


def _limits(low: int, high: int, extent: int) -> tuple[int, int]:
    """Return the first and the last place of a patch along an axis."""
    spare = high - low - extent
    return (low, low + spare) if spare >= 0 else (low - -spare // 2,) * 2


def _between(first: int, last: int, word: int) -> int:
    return first + word % (last - first + 1)
