"""Compiled loops that run without the GIL. The only module that imports numba."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def _compile(function: Callable[..., None]) -> Any:
    """Compile on first use and keep the result on disk, where there is a place for it."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no writable folder for its cache
        return numba.njit(nogil=True)(function)


@_compile
def _gather(source: Any, rows: Any, out: Any, slots: Any) -> None:
    for i in range(rows.size):
        voxels = source[rows[i]]
        target = out[slots[i]]
        for j in range(voxels.size):
            target[j] = voxels[j]


def gather(source: np.ndarray, rows: np.ndarray, out: np.ndarray, slots: np.ndarray) -> None:
    """Copy cases of a chunk into their places in a batch, converting the dtype on the way.

    Args:
        source: (cases, n) array, C-contiguous.
        rows: (k,) int64, which cases.
        out: (batch, n) array of any dtype, C-contiguous.
        slots: (k,) int64, where they go.
    """
    if np.float16 in {out.dtype.type, source.dtype.type}:  # numba has no half on the CPU
        out[slots] = source[rows]
    else:
        _gather(source, rows, out, slots)
