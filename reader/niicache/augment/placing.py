"""Cases from where they were decoded into their places in a batch, resampled on the way."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from niicache.augment.arguments import checked_matrix
from niicache.augment.fit import HALF, Fit, fit
from niicache.augment.kernels.many import move_many, sweep_many
from niicache.augment.kernels.ways import SCRATCH_BYTES
from niicache.augment.resampling import is_whole
from niicache.augment.warp import STRAIGHT, filling, place

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    made = fit(cases.dtype, cases.shape, batch.dtype, batch.shape[1:], order, first.fill.mode)
    whole: list[int] = []  # whose bits stay, whatever is done to others
    scaled: list[int] = []
    turned: list[int] = []
    others: list[int] = []
    for i, plan in enumerate(plans):
        if made.stored is not None or batch.dtype == HALF or plan.displacement is not None:
            others.append(i)
        elif is_whole(checked_matrix(plan.matrix, len(cases.shape) - 1)):
            (whole if what == "mask" or lines[i] == STRAIGHT else scaled).append(i)
        else:
            (others if made.lone else turned).append(i)
    for picked in (whole, scaled, turned):
        if picked:
            some = Cases(cases.addresses[picked], cases.dtype, cases.shape)
            _run(
                made,
                some,
                _addresses(batch, slots[picked]),
                [plans[i] for i in picked],
                [lines[i] for i in picked] if what == "image" else [STRAIGHT] * len(picked),
                whole=picked is not turned,
                mask=what == "mask",
            )
    for i in others:
        line = lines[i] if what == "image" else STRAIGHT
        place(cases.array(i), batch[slots[i]], plans[i], line, what=what)


def _addresses(batch: np.ndarray, slots: np.ndarray) -> np.ndarray:
    begin: int = batch.__array_interface__["data"][0]
    return begin + slots * batch.strides[0]


def _run(
    made: Fit,
    cases: Cases,
    outs: np.ndarray,
    plans: Sequence[Plan],
    lines: Sequence[Line],
    *,
    whole: bool,
    mask: bool,
) -> None:
    """Call the compiled loops."""
    axes = len(plans[0].matrix)
    matrices = np.zeros((len(plans), 3, 4))
    matrices[:, 0, 0] = 1.0  # what a plane has as a volume of one slice; overwritten by volumes
    matrices[:, 3 - axes :, 3 - axes :] = [plan.matrix for plan in plans]
    fill = plans[0].fill
    scales = np.array([line.scale for line in lines], made.number)
    offsets = np.array([line.offset for line in lines], made.number)
    shown = [fill.label if mask else filling(fill, line) for line in lines]
    fills = np.array(shown, made.fill)
    still = (whole or made.kind[1] is None) and (scales == 1).all() and (offsets == 0).all()
    numbers = (made.mode, fills, None if still else scales, None if still else offsets)
    where = (cases.addresses, made.like, outs, made.out_like)
    if whole:
        room = np.empty(sum(made.target[:3]), np.int64)
        move_many(*where, matrices, made.shape, made.target, *numbers, room)
        return
    shapes = (matrices, made.shape, made.target, made.shape[2])
    sweep_many(*where, *made.kind, *shapes, *numbers, None, np.empty(SCRATCH_BYTES, np.uint8))
