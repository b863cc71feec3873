"""Applies a plan to a sample: the image linear, its mask nearest, both by the same matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import numpy as np

from niicache.augment import resampling
from niicache.errors import OptionError

if TYPE_CHECKING:
    from niicache.augment.plan import Fill, Plan


class Line(NamedTuple):
    """What is done to each voxel on its way: voxel * scale + offset.

    Attributes:
        scale: A number a channel, or one for all.
        offset: As many.
    """

    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)


STRAIGHT = Line()

Number = TypeVar("Number", float, np.ndarray)


def filling(fill: Fill, scale: Number, offset: Number) -> Number | float:
    """Return what fills an image, in the units after a scale and an offset."""
    return fill.value if fill.scaled else fill.value * scale + offset


def is_mask(image: np.ndarray, label: np.ndarray) -> bool:
    """Say whether a label is a mask on the grid of the image."""
    return label.ndim == image.ndim and label.shape[:-1] == image.shape[:-1]


def checked_is_mask(image: np.ndarray, label: np.ndarray) -> bool:
    """Say the same, of a label that is a mask or a vector.

    Raises:
        OptionError: It is neither, and would stay behind when the image moves.
    """
    found = is_mask(image, label)
    if not found and label.ndim > 1:
        raise OptionError(
            f"label: got shape {label.shape}, expected a mask of shape "
            f"{(*image.shape[:-1], 'channel')}, on the grid of the image, or a vector (k,)"
        )
    return found


def place(
    source: np.ndarray,
    out: np.ndarray,
    plan: Plan,
    line: Line = STRAIGHT,
    *,
    what: Literal["image", "mask"] = "image",
) -> None:
    """Resample an image or a mask once.

    Args:
        source: ``(*spatial, channel)`` of any dtype, in any byte order.
        out: The same of the plan's shape, written; memory of its own.
        plan: What to do.
        line: What is done to voxels of images, and to what fills.
        what: An image is interpolated, a mask is not.

    Raises:
        OptionError: Arrays do not fit the plan or each other.
    """
    if out.shape != (*plan.shape, source.shape[-1]):
        raise OptionError(
            f"out: got shape {out.shape}, expected {(*plan.shape, source.shape[-1])}, what a "
            f"source of shape {source.shape} becomes; see out_shape"
        )
    plain = line is STRAIGHT
    if plain and plan.is_identity(source.shape[:-1]) and copies(source.dtype, out.dtype):
        np.copyto(out, source)
        return
    if what == "mask":
        fills: tuple[float, ...] = (_fill_label(plan.fill, out.dtype),)
    else:
        fills = tuple(filling(plan.fill, *one) for one in zip(*line, strict=True))
    given = _numbers(source)
    resampling.resample(
        np.ascontiguousarray(given, given.dtype.newbyteorder("=")),
        _numbers(out),
        plan.matrix,
        order="linear" if what == "image" else "nearest",
        mode=plan.fill.mode,
        fill=fills,
        scale=line.scale,
        offset=line.offset,
        displacement=plan.displacement,
    )


def _numbers(array: np.ndarray) -> np.ndarray:
    """Return an array of bool as one of bytes, in the same memory; others as they are."""
    return array.view(np.uint8) if array.dtype == np.bool_ else array


def _fill_label(fill: Fill, dtype: np.dtype) -> int:
    if dtype == np.bool_ and fill.label not in {0, 1}:
        raise OptionError(f"fill_label: got {fill.label}, expected 0 or 1 for masks of bool")
    return fill.label


def copies(stored: np.dtype, wanted: np.dtype) -> bool:
    """Say whether numpy converts a dtype as the resampling does."""
    return stored == wanted or (wanted.kind == "f" and wanted.itemsize > 2)  # noqa: PLR2004  # halves may be too narrow


def warp(
    image: np.ndarray, label: np.ndarray, plan: Plan, line: Line = STRAIGHT
) -> tuple[np.ndarray, np.ndarray]:
    """Resample a sample once.

    Args:
        image: ``(*spatial, channel)`` of any dtype; the result is float32 where it is no float.
        label: A mask on the same grid, or a vector, which is returned as it is.
        plan: What to do.
        line: What is done to voxels of the image.

    Returns:
        New arrays; those that were given where there is nothing to do.

    Raises:
        OptionError: The label is neither a mask nor a vector.
    """
    still = plan.is_identity(image.shape[:-1])
    moved = label
    if checked_is_mask(image, label) and not still:
        moved = np.empty((*plan.shape, label.shape[-1]), label.dtype.newbyteorder("="))
        place(label, moved, plan, what="mask")
    if still and line is STRAIGHT and image.dtype.kind == "f":
        return image, moved
    dtype = image.dtype if image.dtype.kind == "f" else np.dtype(np.float32)
    made = np.empty((*plan.shape, image.shape[-1]), dtype.newbyteorder("="))
    place(image, made, plan, line)
    return made, moved
