"""Pieces of decoded chunks to where they belong in boxes, all in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.kernels import copy_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.format.geometry import Shape

HALF = np.dtype(np.float16)


def by_way_of(dtype: np.dtype[Any], boxes: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """Return what :func:`copy_pieces` can fill in place of some boxes, with what they hold.

    They are the boxes themselves, but for halves that come from another dtype or become one: the
    loop knows halves only as they are, and what rounds to halves once.
    """
    wanted = boxes[0].dtype
    if dtype == wanted or HALF not in {dtype, wanted}:
        return boxes
    return [box.astype(HALF if dtype == HALF else np.float32) for box in boxes]


def copy_pieces(
    begins: np.ndarray,
    dtype: np.dtype[Any],
    chunk: Shape,
    pieces: np.ndarray,
    boxes: Sequence[np.ndarray],
) -> None:
    """Copy pieces of chunks to their places in boxes, converting the dtype on the way.

    Args:
        begins: (chunks,) int64, address of each decoded chunk, 0 for those that are not here. The
            caller holds on to the memory.
        dtype: Of their voxels.
        chunk: ``(cases, *block, channel)``.
        pieces: As :attr:`~niicache.patches.regions.Regions.pieces`.
        boxes: ``(*spatial, channel)`` each, C-contiguous, all of one dtype; of those that
            :func:`by_way_of` knows.
    """
    if dtype == HALF:  # numba has no half on the CPU, but bits are bits
        dtype, boxes = np.dtype(np.int16), [box.view(np.int16) for box in boxes]
    targets = np.array([[_begin(box), *_pitch(box.shape)] for box in boxes], np.int64)
    pitch = np.array(_pitch(chunk[1:]), np.int64)
    copy_rows(begins, np.empty(0, dtype), pitch, pieces, targets, np.empty(0, boxes[0].dtype))


def _begin(box: np.ndarray) -> int:
    begin: int = box.__array_interface__["data"][0]
    return begin


def _pitch(shape: Shape) -> tuple[int, int]:
    """Return how many elements apart slabs and rows of a box lie; a plane is one slab."""
    row = shape[-1] * shape[-2]
    return row * shape[-3], row
