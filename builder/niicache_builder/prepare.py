"""From the voxels of a file to a padded case. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from niicache.errors import Problem
from niicache.format.geometry import Box, Shape, centred, fits, pad_widths
from niicache_builder.axes import split_axes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from niicache.format.manifest import ArrayLayout
    from niicache.format.names import PadMode
    from niicache_builder.nifti import Header


WIDEST = 8
"""Bytes of the integers that no float type holds all of."""


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


def converted(voxels: np.ndarray, dtype: str, *, label: bool = False) -> np.ndarray:
    """Return voxels as another dtype.

    Args:
        voxels: Any shape.
        dtype: numpy name.
        label: Whether they are those of a label, of which whole numbers stay as they are.

    Raises:
        PrepareError: An integer dtype does not hold every one of them exactly, or a float dtype
            does not reach as far, or does not hold every whole number of a label.
    """
    target = np.dtype(dtype)
    # numpy calls int64 to float64 safe, which it is not for labels beyond 2**53.
    rounds = voxels.dtype.kind in "iu" and target.kind == "f" and voxels.dtype.itemsize == WIDEST
    if np.can_cast(voxels.dtype, target, "safe") and not rounds:
        return voxels.astype(target, copy=False)
    with np.errstate(invalid="ignore", over="ignore"):
        result = voxels.astype(target)
    # A float may round a float; what is whole is a label or a count, and has to stay what it is.
    if target.kind == "f" and voxels.dtype.kind == "f":
        right, held = np.array_equal(np.isfinite(result), np.isfinite(voxels)), "reaches"
        if right and label:
            right, held = _same_codes(result, voxels), "holds exactly"
    else:
        right, held = _same_numbers(result, voxels), "holds exactly"
    if right:
        return result
    wider = "float64" if target.kind == "f" else "float32"
    finite = voxels[np.isfinite(voxels)]
    # Every digit: the last one may be the one that is lost.
    reach = f"from {finite.min()!s} to {finite.max()!s}" if finite.size else "that are not finite"
    raise PrepareError(
        "dtype-loses",
        f"values {reach} stored as {voxels.dtype}",
        f"values that {dtype} {held}",
        "store all labels in one integer type" if label else f"give --dtype {wider}",
    )


def _same_numbers(one: np.ndarray, other: np.ndarray) -> bool:
    """Compare two arrays, one of them of integers, by value.

    numpy compares a float with an integer of 64 bits as two floats, which rounds the integer first.
    """
    floats, integers = (one, other) if one.dtype.kind == "f" else (other, one)
    if floats.dtype.kind != "f":
        return np.array_equal(one, other)
    limits = np.iinfo(integers.dtype)
    wide = floats.astype(np.float64)
    # Beyond these a cast to integers gives whatever the processor gives; NaN is beyond too.
    if not np.all((wide >= float(limits.min)) & (wide < float(limits.max // 2 + 1) * 2)):
        return False
    whole = np.array_equal(wide, np.trunc(wide))
    return whole and np.array_equal(wide.astype(integers.dtype), integers)


def _same_codes(one: np.ndarray, other: np.ndarray) -> bool:
    """Say whether all whole numbers of the second array of floats are the same in the first."""
    whole = other == np.trunc(other)
    return np.array_equal(one[whole], other[whole])


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


def check_fit(inner: Shape, outer: Shape) -> None:
    """Refuse a case that does not fit into what it is to be padded to.

    Raises:
        PrepareError: It does not.
    """
    if not fits(inner, outer):
        raise PrepareError(
            "does-not-fit",
            f"spatial shape {inner} when it is prepared",
            f"at most {outer}, to which all are padded",
            "build with a larger --shape",
        )


def joined(images: Iterable[np.ndarray], channels: int) -> np.ndarray:
    """Return the channels of several images one after the other.

    Args:
        images: ``(*spatial, channel)`` on one grid, all of one dtype, taken one at a time.
        channels: How many they have together.

    Returns:
        In memory as in a NIfTI file, so that each image fills a stretch of it.
    """
    found: np.ndarray | None = None
    at = 0
    for image in images:
        if found is None:
            found = np.empty((*spatial_of(image.shape), channels), image.dtype, order="F")
        found[..., at : at + image.shape[-1]] = image
        at += image.shape[-1]
    if found is None or at != channels:
        raise ValueError(f"{at} channels, not {channels}; scanning finds this first")
    return found


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
    """Return a chunk's worth of whole cases, all padding: ``(cases, *shape)``, little-endian.

    Cases that are cut into blocks lie in memory as in a NIfTI file, x fastest. Turning them around
    block by block, when they are cut, stays in the processor's cache; case by case it does not.
    """
    dtype = np.dtype(layout.dtype).newbyteorder("<")
    order: Literal["C", "F"] = "C" if layout.blocks == 1 else "F"
    return np.full((layout.chunk[0], *layout.shape), layout.fill, dtype, order=order)
