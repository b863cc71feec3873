"""From the voxels of a file to a padded case. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from niicache.errors import Problem
from niicache.format.geometry import Box, Shape, centred, pad_widths
from niicache_builder.axes import split_axes

if TYPE_CHECKING:
    from niicache.format.manifest import ArrayLayout
    from niicache.format.names import PadMode
    from niicache_builder.nifti import Header


class PrepareError(Exception):
    """The voxels of a case cannot be stored as planned. Carries (code, got, expected, hint)."""

    def problem(self, path: str, class_name: str, case: str) -> Problem:
        """Return it as a problem of a file."""
        code, got, expected, hint = self.args
        return Problem(
            code=code,
            path=path,
            got=got,
            expected=expected,
            hint=hint,
            class_name=class_name,
            case=case,
        )


def real_voxels(raw: np.ndarray, header: Header) -> np.ndarray:
    """Return the values that the stored voxels mean: slope times them plus inter, as NIfTI says.

    Args:
        raw: Voxels as stored, any shape.
        header: Their header.

    Returns:
        ``raw`` itself where there is no scaling, else float64 of the same shape.
    """
    if (header.slope, header.inter) == (1.0, 0.0):
        return raw
    scaled: np.ndarray = raw * np.float64(header.slope)
    scaled += header.inter
    return scaled


def converted(voxels: np.ndarray, dtype: str) -> np.ndarray:
    """Return voxels as another dtype.

    Raises:
        PrepareError: An integer dtype does not hold every one of them exactly, or a float dtype
            does not reach as far.
    """
    target = np.dtype(dtype)
    if voxels.dtype == target or np.can_cast(voxels.dtype, target, "safe"):
        return voxels.astype(target, copy=False)
    with np.errstate(invalid="ignore", over="ignore"):
        result = voxels.astype(target)
    # A float may round a float; an integer is a label or a count, and has to stay what it is.
    if target.kind == "f" and voxels.dtype.kind == "f":
        right, held = np.array_equal(np.isfinite(result), np.isfinite(voxels)), "reaches"
    else:
        right, held = np.array_equal(result, voxels), "holds exactly"
    if right:
        return result
    wider = "float64" if target.kind == "f" else "float32"
    finite = voxels[np.isfinite(voxels)]
    reach = f"from {finite.min():g} to {finite.max():g}" if finite.size else "that are not finite"
    raise PrepareError(
        "dtype-loses",
        f"values {reach} stored as {voxels.dtype}",
        f"values that {dtype} {held}",
        f"of an image: give --dtype {wider}; of a label: store all labels in one integer type",
    )


def with_channels(voxels: np.ndarray, spatial_dims: int) -> np.ndarray:
    """Return a view of shape ``(*spatial, channel)``.

    Raises:
        ValueError: The shape has too many axes; scanning finds this first.
    """
    axes = split_axes(voxels.shape, spatial_dims)
    if axes is None:
        raise ValueError(f"{voxels.shape} has more than {spatial_dims} spatial axes and channels")
    spatial, channels = axes
    return voxels.reshape((*spatial, channels), order="F")


def place(voxels: np.ndarray, out: np.ndarray, mode: PadMode) -> Box:
    """Put voxels in the middle of a padded case.

    Args:
        voxels: ``(*spatial, channel)``.
        out: ``(*padded, channel)``, already filled with the padding value.
        mode: How padding is made, as in ``numpy.pad``.

    Returns:
        Where the real voxels lie in the spatial axes.
    """
    inner, outer = spatial_of(voxels.shape), spatial_of(out.shape)
    box = centred(inner, outer)
    if mode == "constant":
        out[box.slices] = voxels
    else:
        out[...] = np.pad(voxels, (*pad_widths(inner, outer), (0, 0)), mode=mode)
    return box


def spatial_of(shape: Shape) -> Shape:
    """Return a shape without its channel axis."""
    return shape[:-1]


def filled(layout: ArrayLayout) -> np.ndarray:
    """Return a chunk's worth of whole cases, all padding: ``(cases, *shape)``, little-endian."""
    dtype = np.dtype(layout.dtype).newbyteorder("<")
    return np.full((layout.chunk[0], *layout.shape), layout.fill, dtype)
