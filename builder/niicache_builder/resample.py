"""Voxels on a grid of another size that covers the same extent. Owns scipy.

Edges of the image stay where they are, and with them the space that it covers, as
``skimage.transform.resize`` does it, which nnU-Net resamples with: ``x`` of a new voxel's centre is
``(x + 0.5) * old / new - 0.5`` in old voxels. Beyond the edge the voxel at it goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from niicache.format.geometry import Shape
    from niicache.format.names import Interpolation

ORDERS: Final[dict[Interpolation, int]] = {"linear": 1, "cubic": 3}
_EXACT: Final = 4
"""Bytes of the widest integers that float64 holds all of."""


def nearest(voxels: np.ndarray, shape: Shape) -> np.ndarray:
    """Return the nearest voxels: no value that was not there.

    Where two are as near, it is the one with the larger index.

    Args:
        voxels: ``(*spatial, ...)`` of any dtype; other axes stay.
        shape: The spatial shape to be.
    """
    for axis, (old, new) in enumerate(zip(voxels.shape, shape, strict=False)):
        if old != new:
            # (i + 0.5) * old / new rounded down, in whole numbers, which no machine rounds.
            at = (2 * np.arange(new) + 1) * old // (2 * new)
            voxels = voxels.take(at, axis=axis)
    return voxels


def nearest_label(voxels: np.ndarray, shape: Shape) -> np.ndarray:
    """Return the nearest labels; where several voxels are as near, what most of them hold.

    Of values that as many hold it is the smallest, so that no side of a label is favoured: to take
    the later voxel would move every label by half a voxel where a grid is halved.

    Args:
        voxels: ``(*spatial, ...)`` of any dtype; other axes stay.
        shape: The spatial shape to be.
    """
    made = [voxels]
    for axis, (old, new) in enumerate(zip(voxels.shape, shape, strict=False)):
        if old != new:
            at = (2 * np.arange(new) + 1) * old
            ends = at // (2 * new), (at - 1) // (2 * new)  # alike but between two voxels
            both = ends if (ends[0] != ends[1]).any() else ends[:1]
            made = [one.take(end, axis=axis) for one in made for end in both]
    if len(made) == 1:
        return made[0]
    near = np.sort(made, axis=0)
    best: np.ndarray = near[0]
    most = np.zeros(near.shape[1:], np.uint8)
    for one in near:
        count = (near == one).sum(axis=0, dtype=np.uint8)
        best = np.where(count > most, one, best)
        most = np.maximum(count, most)
    return best


def interpolated(
    voxels: np.ndarray, shape: Shape, interpolation: Interpolation, *, thick: int | None = None
) -> np.ndarray:
    """Return interpolated voxels of the same dtype.

    Integers are rounded, and cut to what their type holds: a cubic goes beyond the values that it
    runs through. Voxels that are not finite are those nearest to the ones that were; their
    neighbours are interpolated as if there were 0.

    Args:
        voxels: ``(*spatial, channel)``.
        shape: The spatial shape to be.
        interpolation: Linear, or cubic as a spline through the voxels.
        thick: Axis along which the nearest voxel is taken, and within whose slices is interpolated.
    """
    if thick is not None and shape[thick] > voxels.shape[thick]:
        # Repeated last: as slices are all that is interpolated, it is the same, and much less.
        within = (*shape[:thick], voxels.shape[thick], *shape[thick + 1 :])
        return nearest(interpolated(voxels, within, interpolation, thick=thick), shape)
    if thick is not None:
        along = (*voxels.shape[:thick], shape[thick])
        voxels = nearest(voxels, along)
    if voxels.shape[:-1] == shape:
        return voxels
    order = ORDERS[interpolation]
    result = np.empty((*shape, voxels.shape[-1]), voxels.dtype, order="F")
    finite = np.isfinite(voxels)
    source = voxels if finite.all() else np.where(finite, voxels, 0)
    for channel in range(voxels.shape[-1]):
        pairs = zip(
            _slices(source[..., channel], thick), _slices(result[..., channel], thick), strict=True
        )
        for one, out in pairs:
            out[...] = _fitted(_zoomed(one, out.shape, order), out.dtype)
    if source is not voxels:
        np.copyto(result, nearest(voxels, shape), where=~nearest(finite, shape))
    return result


def _slices(voxels: np.ndarray, thick: int | None) -> np.ndarray:
    """Return views of the slices, or of the whole as if it were one."""
    return voxels[np.newaxis] if thick is None else np.moveaxis(voxels, thick, 0)


def _zoomed(voxels: np.ndarray, shape: Shape, order: int) -> np.ndarray:
    from scipy import ndimage  # builds that do not resample need not wait for it

    factors = [new / old for old, new in zip(voxels.shape, shape, strict=True)]
    exact = voxels.dtype.kind != "f" or voxels.dtype.itemsize > _EXACT
    made: np.ndarray = ndimage.zoom(
        voxels.astype(np.float64 if exact else np.float32, copy=False),
        factors,
        order=order,
        mode="nearest",
        grid_mode=True,
    )
    return made


def _fitted(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return numbers as another dtype, rounded and cut off where that one ends."""
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    highest = float(limits.max)
    if dtype.itemsize > _EXACT:
        highest = np.nextafter(highest, 0)  # float64 rounds 2**63 - 1 up
    rounded: np.ndarray = np.clip(np.rint(values), float(limits.min), highest)
    return rounded.astype(dtype)
