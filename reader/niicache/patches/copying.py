"""Pieces of decoded chunks to where they belong in boxes, all in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.halves import as_bits
from niicache.kernels import copy_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.format.geometry import Shape


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
        boxes: ``(*spatial, channel)`` each, C-contiguous, all of one dtype.
    """
    targets = np.array([[_begin(box), *_pitch(box.shape)] for box in boxes], np.int64)
    pitch = np.array(_pitch(chunk[1:]), np.int64)
    like, out, kind = as_bits(dtype, np.empty(0, boxes[0].dtype))
    copy_rows(begins, np.empty(0, like), pitch, pieces, targets, out, kind)


def _begin(box: np.ndarray) -> int:
    begin: int = box.__array_interface__["data"][0]
    return begin


def _pitch(shape: Shape) -> tuple[int, int]:
    """Return how many elements apart slabs and rows of a box lie; a plane is one slab."""
    row = shape[-1] * shape[-2]
    return row * shape[-3], row
