"""What the axes of a NIfTI file mean: spatial ones, then channels. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from niicache.format.geometry import Shape
    from niicache.format.names import LabelKind

PLANE_AND_CHANNELS = 3
MAX_CHANNELS = 4
"""A third axis no longer than this is taken for channels (grey, RGB, RGBA), not for slices."""


def trimmed(shape: Shape) -> Shape:
    """Return a shape without trailing axes of length 1."""
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def split_axes(shape: Shape, spatial_dims: int) -> tuple[Shape, int] | None:
    """Return (spatial shape, channels) of a NIfTI shape, or None if it has too many axes.

    NIfTI keeps vectors in the fifth axis and often leaves a fourth of 1 between; 2D images with
    channels come as (x, y, channel) or (x, y, 1, channel).

    Args:
        shape: As in the header.
        spatial_dims: 2 or 3.
    """
    axes = trimmed(shape)
    spatial = (*axes[:spatial_dims], *[1] * (spatial_dims - len(axes)))
    rest = [n for n in axes[spatial_dims:] if n != 1]
    if len(rest) > 1:
        return None
    return spatial, rest[0] if rest else 1


def guess_spatial_dims(shapes: Iterable[Shape]) -> tuple[int, str]:
    """Return 2 or 3 and why, from the shapes of all images."""
    axes = {trimmed(shape) for shape in shapes}
    third = {shape[2] for shape in axes if len(shape) >= PLANE_AND_CHANNELS}
    if not third:
        return 2, "no image has a third axis"
    flat = all(len(shape) <= PLANE_AND_CHANNELS or shape[2] == 1 for shape in axes)
    if flat and max(third) <= MAX_CHANNELS:
        counts = ", ".join(map(str, sorted({(*shape, 1, 1)[2] for shape in axes})))
        return 2, f"the third axis has {counts} entries in every image: channels"
    return 3, f"the third axis has up to {max(third)} entries: slices"


def guess_label_kind(pairs: Iterable[tuple[Shape, Shape | None]]) -> tuple[LabelKind, str]:
    """Return the kind of the labels and why, from (image shape, label shape) of all cases."""
    shapes = list(pairs)
    labels = [label for _, label in shapes if label is not None]
    if not labels:
        return "folder", "there are no label files"
    vectors = sum(
        label is not None and len(trimmed(label)) == 1 and trimmed(label) != trimmed(image)
        for image, label in shapes
    )
    if 2 * vectors > len(labels):
        return "vector", f"{vectors:,} of {len(labels):,} labels have one axis"
    return "mask", f"{len(labels) - vectors:,} of {len(labels):,} labels have the axes of an image"
