"""One resampling of an image or a mask: whatever all its spatial transforms came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from niicache.augment.arguments import (
    check_memory,
    check_values,
    check_words,
    checked_matrix,
    leaves,
)
from niicache.augment.fit import HALF, Fit, fit
from niicache.augment.kernels.compiling import addresses
from niicache.augment.kernels.many import move_many, sweep_many
from niicache.augment.kernels.ways import SCRATCH_BYTES
from niicache.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_FARTHEST: Final = 2.0**40


def resample(
    source: np.ndarray,
    out: np.ndarray,
    matrix: np.ndarray,
    *,
    order: Literal["linear", "nearest"],
    mode: Literal["constant", "nearest", "reflect", "wrap"],
    fill: tuple[float, ...] = (0.0,),
    scale: tuple[float, ...] = (1.0,),
    offset: tuple[float, ...] = (0.0,),
    displacement: np.ndarray | None = None,
) -> None:
    """Fill ``out`` with what lies at ``matrix[:, :d] @ voxel + matrix[:, d]`` in ``source``.

    The same as ``scipy.ndimage.affine_transform`` with ``order=1`` or ``order=0`` in the mode of
    that name. A signed permutation with a whole shift is index arithmetic: without a scale and an
    offset every bit stays as it was. Coordinates are float64, values and weights are float32, or
    float64 where the source or the output holds more than float32 does. What fills, scale and
    offset are a number a channel, or one for all.

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
    check_words(order, mode)
    check_memory(source, out)
    made = fit(source.dtype, source.shape, out.dtype, out.shape, order, mode)
    check_values(out.dtype, out.shape[-1], fill, scale, offset)
    rows = checked_matrix(matrix, source.ndim - 1)
    whole = displacement is None and is_whole(rows)
    if not out.size:
        return
    if out.dtype != HALF:
        _run(made, source, out, rows, displacement, (fill, scale, offset), whole=whole)
    elif whole and source.dtype == HALF and leaves(scale, offset):  # bits are bits
        bits = tuple(int(HALF.type(one).view(np.int16)) for one in fill)
        given = source.view(np.int16), out.view(np.int16), rows
        resample(*given, order="nearest", mode=mode, fill=bits)
    else:  # no compiled loop writes halves
        single = np.empty(out.shape, np.float32)
        made = fit(source.dtype, source.shape, single.dtype, out.shape, order, mode)
        _run(made, source, single, rows, displacement, (fill, scale, offset), whole=whole)
        with np.errstate(over="ignore"):
            out[...] = single


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


def _run(
    made: Fit,
    source: np.ndarray,
    out: np.ndarray,
    matrix: np.ndarray,
    displacement: np.ndarray | None,
    values: tuple[tuple[float, ...], ...],
    *,
    whole: bool,
) -> None:
    """Call the compiled loops for one sample."""
    if made.stored is not None:
        source = source.astype(made.stored)
    pitch = made.shape[2]
    if made.lone and not whole:
        source, pitch = source.repeat(2, axis=-2), 2  # every voxel has one after it
    begin, to = addresses(source, out)
    bend = None if displacement is None else _bend(displacement, len(matrix), made.target)
    where = np.array([begin]), np.array([to])
    run(made, where, matrix[None], values, whole=whole, pitch=pitch, bend=bend)


def run(
    made: Fit,
    where: tuple[np.ndarray, np.ndarray],
    matrices: np.ndarray,
    numbers: tuple[ArrayLike, ...],
    *,
    whole: bool,
    pitch: int,
    bend: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> None:
    """Call the compiled loops for samples of one kind. Nothing is checked any more.

    Args:
        made: The kind.
        where: (k,) int64 each, addresses of the sources and of the outputs.
        matrices: (k, d, d + 1) float64, finite.
        numbers: What fills, scale and offset, each of a shape that becomes (k, C).
        whole: Every matrix only changes places.
        pitch: Voxels in memory from row to row of a source.
        bend: How they are bent, None for not.
    """
    axes = matrices.shape[1]
    volumes = np.zeros((len(matrices), 3, 4))
    volumes[:, 0, 0] = 1.0  # what a plane has as a volume of one slice; overwritten by volumes
    volumes[:, 3 - axes :, 3 - axes :] = matrices
    each = len(matrices), made.shape[3]
    kinds = made.fill, made.number, made.number
    tables = [np.empty(each, kind) for kind in kinds]
    for table, given in zip(tables, numbers, strict=True):
        table[...] = given
    fills, scales, offsets = tables
    change: tuple[Any, Any] = scales, offsets
    if (whole or made.kind[1] is None) and (scales == 1).all() and (offsets == 0).all():
        change = None, None  # the bits stay
    sources, outs = where
    ends = sources, made.like, outs, made.out_like
    if whole:
        room = np.empty(sum(made.target[:3]), np.int64)
        move_many(*ends, volumes, made.shape, made.target, made.mode, fills, *change, room)
        return
    shapes = volumes, made.shape, made.target, pitch
    scratch = np.empty(SCRATCH_BYTES, np.uint8)
    sweep_many(*ends, *made.kind, *shapes, made.mode, fills, *change, bend, scratch)


def _bend(
    displacement: np.ndarray, axes: int, target: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return control points as those of a volume, and room for what is made of them."""
    shape = np.shape(displacement)
    if len(shape) != axes + 1 or shape[0] != axes or 0 in shape:
        raise OptionError(
            f"displacement: got shape {shape}, expected {axes} values for each point of a grid of "
            f"{axes} axes: ({axes}, *grid)"
        )
    if not np.isfinite(displacement).all():
        raise OptionError("displacement: got NaN or infinity, expected finite numbers")
    control = np.zeros((3, *(1,) * (3 - axes), *shape[1:]), np.float32)
    control[3 - axes :] = displacement.reshape(axes, *control.shape[1:])
    taps = 4 * sum(target[:3])
    points = 3 * control.shape[3] * (control.shape[2] + 1)
    return control, np.empty(taps, np.intp), np.empty(taps + points)
