"""What a resampling is the same in for all samples of a kind, decided and checked once. Pure."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from niicache.augment.arguments import MODES, check_kinds
from niicache.augment.kernels.rows import CONSTANT, NEAREST, REFLECT, WRAP

_MODES = dict(zip(MODES, (CONSTANT, NEAREST, REFLECT, WRAP), strict=True))
_FLOAT, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
HALF: Final = np.dtype(np.float16)
_SINGLE: Final = frozenset(map(np.dtype, ("i1", "u1", "i2", "u2", "f2", "f4")))
"""Types whose every value float32 holds."""
_PAIRS = {1: np.dtype(np.uint16), 2: np.dtype(np.uint32), 4: np.dtype(np.uint64)}
KEPT: Final = 512
"""Kinds that are remembered."""


class Fit(NamedTuple):
    """Arguments of the compiled loops; what tells them a dtype is an array of no voxels.

    Attributes:
        stored: Dtype that the source has to have, where it is half as wide.
        lone: Whether rows of one voxel have to be doubled to be interpolated.
        like: Of the source.
        out_like: Of the output.
        kind: Cell, way and float type of :func:`~niicache.augment.kernels.sweep.sweep`.
        shape: (X, Y, Z, C) of the source, a plane as a volume of one slice.
        target: (x, y, z, C).
        mode: One of the four of ``rows``.
        fill: Type of what fills.
        number: Type of a scale and an offset.
    """

    stored: np.dtype[Any] | None
    lone: bool
    like: np.ndarray
    out_like: np.ndarray
    kind: tuple[np.ndarray, bool | None, np.ndarray]
    shape: tuple[int, ...]
    target: tuple[int, ...]
    mode: int
    fill: type[np.generic]
    number: type[np.generic]


@lru_cache(maxsize=KEPT)
def fit(
    stored: np.dtype[Any],
    shape: tuple[int, ...],
    wanted: np.dtype[Any],
    target: tuple[int, ...],
    order: str,
    mode: str,
) -> Fit:
    """Return how a source of one dtype and shape becomes an output of another.

    Raises:
        OptionError: It does not.
    """
    check_kinds(stored, shape, wanted, target, order)
    if len(shape) == len(("rows", "columns", "channels")):
        shape, target = (1, *shape), (1, *target)
    narrow = stored == HALF
    stored = _FLOAT if narrow else stored
    real = _FLOAT if stored in _SINGLE and wanted in _SINGLE else _DOUBLE
    cell = _PAIRS.get(stored.itemsize, stored) if shape[3] == 1 else stored
    return Fit(
        stored=_FLOAT if narrow else None,
        lone=order == "linear" and shape[2] == 1,
        like=_example(stored),
        out_like=_example(wanted),
        kind=(_example(cell), True if order == "linear" else None, _example(real)),
        shape=shape,
        target=target,
        mode=_MODES[mode],
        fill=wanted.type,
        number=(wanted if wanted.kind in "iu" else real).type,
    )


@cache
def _example(dtype: np.dtype[Any]) -> np.ndarray:
    return np.empty(0, dtype)
