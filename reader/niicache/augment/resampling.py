"""One resampling of an image or a mask: whatever all its spatial transforms came to."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np

from niicache.augment.arguments import MODES, check_arrays, check_values
from niicache.augment.kernels.compiling import addresses
from niicache.augment.kernels.rows import CONSTANT, NEAREST, REFLECT, WRAP
from niicache.augment.kernels.sweep import SCRATCH_BYTES, sweep
from niicache.augment.kernels.whole import move
from niicache.errors import OptionError

_MODES = dict(zip(MODES, (CONSTANT, NEAREST, REFLECT, WRAP), strict=True))

_HALF = np.dtype(np.float16)
_FLOAT, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
_SINGLE: Final = frozenset(map(np.dtype, ("i1", "u1", "i2", "u2", "f2", "f4")))
"""Types whose every value float32 holds."""
_PAIRS = {1: np.empty(0, np.uint16), 2: np.empty(0, np.uint32), 4: np.empty(0, np.uint64)}
_STILL = (np.empty((3, 0, 0, 0), np.float32), np.empty(0, np.intp), np.empty(0))
_FARTHEST: Final = 2.0**40
_SLICE = np.eye(3, 4)
_SLICE[1:, 1:] = 0.0
_EXAMPLES: dict[np.dtype[Any], np.ndarray] = {}


def resample(
    source: np.ndarray,
    out: np.ndarray,
    matrix: np.ndarray,
    *,
    order: Literal["linear", "nearest"],
    mode: Literal["constant", "nearest", "reflect", "wrap"],
    fill: float = 0.0,
    scale: float = 1.0,
    offset: float = 0.0,
    displacement: np.ndarray | None = None,
) -> None:
    """Fill ``out`` with what lies at ``matrix[:, :d] @ voxel + matrix[:, d]`` in ``source``.

    The same as ``scipy.ndimage.affine_transform`` with ``order=1`` or ``order=0`` in the mode of
    that name. A signed permutation with a whole shift is index arithmetic: without a scale and an
    offset every bit stays as it was. Coordinates are float64, values and weights are float32, or
    float64 where the source or the output holds more than float32 does.

    Args:
        source: (X, Y[, Z], C) of any integer or float dtype, C-contiguous.
        out: (x, y[, z], C), written, C-contiguous, memory of its own; of a float dtype, or of an
            integer dtype where the order is "nearest" and the source is of one too.
        matrix: (d, d + 1) float64, from an output voxel to a source voxel.
        order: "linear", or "nearest": of two voxels as near the one that comes later.
        mode: What lies outside of the source. "constant": ``fill``, beyond the centres of the
            outermost voxels. "nearest": the outermost voxel. "reflect": the source mirrored,
            its outermost voxel twice. "wrap": the source again, its last voxel on its first.
        fill: In units of the output; neither scaled nor shifted.
        scale: Multiplied with every value that is not filled.
        offset: Added to it then.
        displacement: (d, *grid) float, added to the source voxel: control points of a cubic
            B-spline in source voxels. They lie evenly over the output, the first on its first
            voxel and the last on its last; beyond them the outermost go on.

    Raises:
        OptionError: Arguments do not fit each other.
    """
    axes = source.ndim - 1
    check_arrays(source, out, matrix, order, mode)
    check_values(source.dtype, out.dtype, order, fill, scale, offset)
    rows = np.ascontiguousarray(matrix, np.float64)
    whole = displacement is None and is_whole(rows)
    if not out.size:
        return
    if out.dtype == _HALF:
        _resample_half(source, out, rows, order, mode, fill, scale, offset, displacement)
        return
    if source.dtype == _HALF:
        source = source.astype(np.float32)
    shape, target = source.shape, out.shape
    if axes == 2:  # noqa: PLR2004  # a plane is a volume of one slice
        rows = _of_volume(rows)
        shape, target = (1, *shape), (1, *target)
    pitch = shape[2]
    if pitch == 1 and order == "linear" and not whole:
        source, pitch = source.repeat(2, axis=-2), 2  # every voxel has one after it
    reals = _example(_real(source.dtype, out.dtype))
    number = (out if out.dtype.kind in "iu" else reals).dtype.type
    start, to = addresses(source, out)
    where = (start, _example(source.dtype), to, _example(out.dtype))
    values = (_MODES[mode], out.dtype.type(fill), number(scale), number(offset))
    if whole:
        move(*where, rows, shape, target, *values)
        return
    cell = _PAIRS.get(source.itemsize) if shape[3] == 1 else None
    cell = _example(source.dtype) if cell is None else cell
    smooth = True if order == "linear" else None
    kind = (cell, smooth, reals)
    scratch = np.empty(SCRATCH_BYTES, np.uint8)
    bend = _bend(displacement, axes, target)
    sweep(*where, *kind, rows, shape, target, pitch, *values, *bend, scratch)


def is_whole(matrix: np.ndarray) -> bool:
    """Return whether a matrix is a signed permutation with a whole shift: voxels stay whole.

    Args:
        matrix: (d, d + 1) float64.
    """
    taken = set()
    for row in matrix.tolist():
        if not row[0].is_integer():  # nearly all of them, at once
            return False
        axes = [axis for axis, value in enumerate(row[:-1]) if value]
        if len(axes) != 1 or abs(row[axes[0]]) != 1.0:
            return False
        if not row[-1].is_integer() or abs(row[-1]) > _FARTHEST:
            return False
        taken.add(axes[0])
    return len(taken) == len(matrix)


def _resample_half(
    source: np.ndarray,
    out: np.ndarray,
    matrix: np.ndarray,
    order: Literal["linear", "nearest"],
    mode: Literal["constant", "nearest", "reflect", "wrap"],
    fill: float,
    scale: float,
    offset: float,
    displacement: np.ndarray | None,
) -> None:
    """Do the same for an output of halves, which no compiled loop knows."""
    still = displacement is None and is_whole(matrix) and scale == 1.0 and offset == 0.0
    if still and source.dtype == _HALF:  # bits are bits
        bits = int(_HALF.type(fill).view(np.int16))
        resample(
            source.view(np.int16), out.view(np.int16), matrix, order="nearest", mode=mode, fill=bits
        )
        return
    single = np.empty(out.shape, np.float32)
    resample(
        source,
        single,
        matrix,
        order=order,
        mode=mode,
        fill=fill,
        scale=scale,
        offset=offset,
        displacement=displacement,
    )
    with np.errstate(over="ignore"):
        out[...] = single


def _bend(
    displacement: np.ndarray | None, axes: int, target: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return control points as those of a volume, and room for what is made of them."""
    if displacement is None:
        return _STILL
    shape = np.shape(displacement)
    if len(shape) != axes + 1 or shape[0] != axes or 0 in shape:
        raise OptionError(
            f"displacement: got shape {shape}, expected {axes} values for each point of a grid of "
            f"{axes} axes: ({axes}, *grid)"
        )
    control = np.zeros((3, *(1,) * (3 - axes), *shape[1:]), np.float32)
    control[3 - axes :] = displacement.reshape(axes, *control.shape[1:])
    taps = 4 * sum(target[:3])
    points = 3 * control.shape[3] * (control.shape[2] + 1)
    return control, np.empty(taps, np.intp), np.empty(taps + points)


def _of_volume(matrix: np.ndarray) -> np.ndarray:
    """Return the matrix of a plane as that of a volume of one slice."""
    rows = _SLICE.copy()
    rows[1:, 1:] = matrix
    return rows


def _real(stored: np.dtype[Any], wanted: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type to reckon in: every value of the source fits, and so do the results."""
    return _FLOAT if stored in _SINGLE and wanted in _SINGLE else _DOUBLE


def _example(dtype: np.dtype[Any]) -> np.ndarray:
    """Return an array of no voxels, which tells a compiled loop the dtype."""
    if dtype not in _EXAMPLES:
        _EXAMPLES[dtype] = np.empty(0, dtype)
    return _EXAMPLES[dtype]
