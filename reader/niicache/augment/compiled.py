"""How loops over voxels are compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOSE = {"contract", "reassoc", "nsz", "arcp"}
"""Sums in any order, so that LLVM may vectorise them; NaN and infinity keep their meaning."""


def compiled(function: Callable[..., Any]) -> Any:
    """Compile on first use and keep the result on disk, where there is a place for it."""
    try:
        return numba.njit(nogil=True, cache=True, fastmath=_LOOSE)(function)
    except RuntimeError:  # numba found no writable folder for its cache
        return numba.njit(nogil=True, fastmath=_LOOSE)(function)
