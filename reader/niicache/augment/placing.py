"""Cases from where they were decoded into their places in a batch, resampled on the way."""

from __future__ import annotations

import ctypes
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from niicache.augment.arguments import checked_matrices
from niicache.augment.fit import HALF, fit
from niicache.augment.resampling import is_whole, run
from niicache.augment.warp import STRAIGHT, filling, place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from niicache.augment.plan import Plan
    from niicache.augment.warp import Line


class Cases(NamedTuple):
    """Cases somewhere in memory, which whoever made this holds on to.

    Attributes:
        addresses: (k,) int64, of the first voxel of each; C-contiguous.
        dtype: Of the voxels.
        shape: Of one case, ``(*spatial, channel)``.
    """

    addresses: np.ndarray
    dtype: np.dtype
    shape: tuple[int, ...]

    def array(self, position: int) -> np.ndarray:
        """Return one case, without a copy."""
        nbytes = int(np.prod(self.shape)) * self.dtype.itemsize
        memory: Any = (ctypes.c_char * nbytes).from_address(int(self.addresses[position]))
        voxels: np.ndarray = np.frombuffer(memory, self.dtype)
        return voxels.reshape(self.shape)


def place_cases(
    cases: Cases,
    batch: np.ndarray,
    slots: np.ndarray,
    plans: Sequence[Plan],
    lines: Sequence[Line],
    *,
    what: Literal["image", "mask"],
) -> None:
    """Resample each case once, as :func:`~niicache.augment.warp.place` does, all in one call.

    Args:
        cases: All of one shape.
        batch: ``(batch, *spatial, channel)``, C-contiguous, memory of its own, written. Of a float
            dtype for images, of an integer dtype for masks.
        slots: (k,) int64, where they go.
        plans: What to do with each; shapes and what fills are the same for all.
        lines: What is done to the voxels of each image.
        what: An image is interpolated, a mask is not.

    Raises:
        OptionError: A matrix holds a number that is not finite: it would lead out of the memory.
    """
    order: Literal["linear", "nearest"] = "linear" if what == "image" else "nearest"
    first = plans[0]
    rows = checked_matrices([plan.matrix for plan in plans], len(cases.shape) - 1)
    even = (rows == np.floor(rows)).all(axis=(1, 2)).tolist()
    made = fit(cases.dtype, cases.shape, batch.dtype, batch.shape[1:], order, first.fill.mode)
    whole: list[int] = []  # whose bits stay, whatever is done to others
    scaled: list[int] = []
    turned: list[int] = []
    others: list[int] = []
    for i, plan in enumerate(plans):
        if made.stored is not None or batch.dtype == HALF or plan.displacement is not None:
            others.append(i)
        elif even[i] and is_whole(rows[i]):
            (whole if what == "mask" or lines[i] == STRAIGHT else scaled).append(i)
        else:
            (others if made.lone else turned).append(i)
    for picked in (whole, scaled, turned):
        if not picked:
            continue
        where = cases.addresses[picked], _addresses(batch, slots[picked])
        numbers: tuple[ArrayLike, ...] = first.fill.label, 1.0, 0.0
        if what == "image":
            scales = _table([lines[i].scale for i in picked], cases.shape[-1])
            offsets = _table([lines[i].offset for i in picked], cases.shape[-1])
            numbers = filling(first.fill, scales, offsets), scales, offsets
        run(made, where, rows[picked], numbers, whole=picked is not turned, pitch=made.shape[2])
    for i in others:
        line = lines[i] if what == "image" else STRAIGHT
        place(cases.array(i), batch[slots[i]], plans[i], line, what=what)


def _table(rows: list[tuple[float, ...]], channels: int) -> np.ndarray:
    """Return (k, channels) numbers, of rows of so many or of one for all channels."""
    each = (row if len(row) == channels else row * channels for row in rows)
    return np.fromiter(chain.from_iterable(each), np.float64).reshape(-1, channels)


def _addresses(batch: np.ndarray, slots: np.ndarray) -> np.ndarray:
    begin: int = batch.__array_interface__["data"][0]
    return begin + slots * batch.strides[0]
