"""Samples of one shape, resampled in one call: a call costs as much as a thousand voxels.

The way in from Python; one sample is many too, so that nothing is compiled twice.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import overload

from niicache.augment.kernels.compiling import compiled, pointer, size_of
from niicache.augment.kernels.sweep import sweep
from niicache.augment.kernels.whole import move

PIECES = "f86db4290525b894"  # see compiling


def _of(numbers: Any, i: Any) -> Any:
    """Return a pointer to the numbers of a sample, or None where there are none."""


@overload(_of, strict=False)  # type: ignore[untyped-decorator]  # numba ships no types
def _numbers_of(numbers: Any, i: Any) -> Any:  # noqa: ARG001  # numba asks for one signature
    return _nothing if isinstance(numbers, types.NoneType) else _row


def _nothing(numbers: Any, i: Any) -> None:
    """Return None, which compiles what leaves bits as they are."""


def _row(numbers: Any, i: Any) -> Any:
    row = i * numbers.shape[1] * size_of(numbers.dtype)
    return pointer(numbers.ctypes.data + row, numbers.dtype)


@compiled
def sweep_many(
    sources: Any,
    like: Any,
    outs: Any,
    out_like: Any,
    cell: Any,
    smooth: Any,
    real: Any,
    matrices: Any,
    shape: Any,
    target: Any,
    pitch: Any,
    mode: Any,
    fills: Any,
    scales: Any,
    offsets: Any,
    bend: Any,
    scratch: Any,
) -> None:
    """Call :func:`~niicache.augment.kernels.sweep.sweep` for each sample.

    Args:
        sources: (k,) int64, addresses.
        like: As there, as all that is named as there.
        outs: (k,) int64, addresses.
        out_like: As there.
        cell: As there.
        smooth: As there.
        real: As there.
        matrices: (k, 3, 4) float64.
        shape: As there.
        target: As there.
        pitch: As there.
        mode: As there.
        fills: (k, C) of the type of the output, C-contiguous.
        scales: (k, C) of the type of ``real``, C-contiguous; None where the bits stay.
        offsets: The same.
        bend: As there, one for all.
        scratch: As there.
    """
    for i in range(sources.size):
        sweep(
            sources[i], like, outs[i], out_like, cell, smooth, real, matrices[i], shape, target,
            pitch, mode, _of(fills, i), _of(scales, i), _of(offsets, i), bend, scratch,
        )  # fmt: skip


@compiled
def move_many(
    sources: Any,
    like: Any,
    outs: Any,
    out_like: Any,
    matrices: Any,
    shape: Any,
    target: Any,
    mode: Any,
    fills: Any,
    scales: Any,
    offsets: Any,
    room: Any,
) -> None:
    """Call :func:`~niicache.augment.kernels.whole.move` for each sample.

    Args:
        sources: (k,) int64, addresses.
        like: As there, as all that is named as there.
        outs: (k,) int64, addresses.
        out_like: As there.
        matrices: (k, 3, 4) float64.
        shape: As there.
        target: As there.
        mode: As there.
        fills: (k, C) of the type of the output, C-contiguous.
        scales: (k, C) of the type to reckon in, C-contiguous; None where the bits stay.
        offsets: The same.
        room: As there.
    """
    for i in range(sources.size):
        move(
            sources[i], like, outs[i], out_like, matrices[i], shape, target, mode,
            _of(fills, i), _of(scales, i), _of(offsets, i), room,
        )  # fmt: skip
