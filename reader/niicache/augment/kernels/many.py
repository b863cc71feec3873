"""Samples of one shape, resampled in one call: a call costs as much as a thousand voxels.

The way in from Python; one sample is many too, so that nothing is compiled twice.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import overload

from niicache.augment.kernels.compiling import compiled
from niicache.augment.kernels.sweep import sweep
from niicache.augment.kernels.whole import move

PIECES = "2faac57d32c088c5"  # see compiling


def _at(values: Any, i: Any) -> Any:
    """Return one of the values, or None where there are none."""


@overload(_at, strict=False)  # type: ignore[untyped-decorator]  # numba ships no types
def _number_at(values: Any, i: Any) -> Any:  # noqa: ARG001  # numba asks for one signature
    return _nothing if isinstance(values, types.NoneType) else _item


def _nothing(values: Any, i: Any) -> None:
    """Return None, which compiles what leaves bits as they are."""


def _item(values: Any, i: Any) -> Any:
    return values[i]


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
        fills: (k,) of the type of the output.
        scales: (k,) of the type of ``real``; None where the bits stay.
        offsets: The same.
        bend: As there, one for all.
        scratch: As there.
    """
    for i in range(sources.size):
        sweep(
            sources[i], like, outs[i], out_like, cell, smooth, real, matrices[i], shape, target,
            pitch, mode, fills[i], _at(scales, i), _at(offsets, i), bend, scratch,
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
        fills: (k,) of the type of the output.
        scales: (k,) of the type to reckon in; None where the bits stay.
        offsets: The same.
        room: As there.
    """
    for i in range(sources.size):
        move(
            sources[i], like, outs[i], out_like, matrices[i], shape, target, mode, fills[i],
            _at(scales, i), _at(offsets, i), room,
        )  # fmt: skip
