"""Whether the headers of a source fit together. Pure; returns every problem."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from niicache.errors import Problem
from niicache.format.geometry import fits
from niicache.format.layout_checks import MOST_CASE_BYTES
from niicache_builder.axes import split_axes
from niicache_builder.channel_checks import channels_of, check_files
from niicache_builder.corners import GRID_TOLERANCE, corners_apart
from niicache_builder.grid_plan import prepared_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from niicache.format.names import LabelKind
    from niicache_builder.nifti import Header
    from niicache_builder.options import BuildOptions
    from niicache_builder.scan import CaseScan


def check_cases(
    cases: Sequence[CaseScan],
    *,
    root: Path,
    spatial_dims: int,
    label_kind: LabelKind,
    options: BuildOptions,
) -> tuple[Problem, ...]:
    """Return what is wrong with each case, as far as headers tell.

    Args:
        cases: Cases whose headers were read.
        root: What their paths are relative to.
        spatial_dims: 2 or 3.
        label_kind: What the labels are.
        options: The padded shape that the user asked for, and what is done to grids.
    """
    headers = [header for case in cases for header in case.images]
    flat = _usual("images", (_is_flat(header, spatial_dims) for header in headers))
    files = _usual("cases", (len(case.images) for case in cases))
    usual = _usual("images", (channels_of(case, spatial_dims) for case in cases))
    sizes = (_label_size(case, spatial_dims, label_kind) for case in cases)
    usual_label = _usual("labels", sizes)
    problems: list[Problem] = []
    for case in cases:
        found: list[Finding | None] = [*check_files(case, files, spatial_dims)]
        for file in zip(case.files.images, case.images, strict=True):
            found.append(_check_axes(*file, spatial_dims))
            found.append(_check_flat(*file, flat, spatial_dims))
            found.append(_check_fit(*file, spatial_dims, options))
        if len(case.images) == files[0]:
            found.append(_check_channels(case, usual, spatial_dims))
        if label_kind == "mask":
            found += [_check_mask_shape(case, spatial_dims), _check_grid(case, spatial_dims)]
        if label_kind != "folder":
            found.append(_check_label(case, spatial_dims, label_kind, usual_label))
        problems += [
            Problem(
                code=code,
                path=str(root / path),
                got=got,
                expected=expected,
                hint=hint,
                class_name=case.files.class_name,
                case=case.files.name,
            )
            for code, path, got, expected, hint in filter(None, found)
        ]
    return tuple(problems)


Finding = tuple[str, str, str, str, str]
"""Code, path below the source, got, expected, hint."""


Value = TypeVar("Value", int, tuple[int, ...])


def _usual(what: str, values: Iterable[Value | None]) -> tuple[Value | None, str]:
    """Return what most files have, and where they do, in words for the user."""
    counts = Counter(value for value in values if value is not None)
    if not counts:
        return None, ""
    first = min(counts, key=lambda value: (-counts[value], value))
    if 2 * counts[first] > counts.total():
        return first, f"as in most {what}"
    return first, f"as in {counts[first]:,} of {counts.total():,} {what}"


def _is_flat(header: Header, spatial_dims: int) -> bool:
    return len(header.shape) < spatial_dims


def _channels(header: Header, spatial_dims: int) -> int | None:
    axes = split_axes(header.shape, spatial_dims)
    return None if axes is None else axes[1]


def _label_size(case: CaseScan, spatial_dims: int, kind: LabelKind) -> int | None:
    if case.label is None:
        return None
    if kind == "vector":
        return int(np.prod(case.label.shape))
    return _channels(case.label, spatial_dims)


def _check_axes(path: str, header: Header, spatial_dims: int) -> Finding | None:
    if split_axes(header.shape, spatial_dims) is not None:
        return None
    return (
        "image-axes",
        path,
        f"shape {header.shape}",
        f"{spatial_dims} spatial axes and at most one of channels",
        "give --spatial-dims, or take one frame of the series",
    )


def _check_channels(
    case: CaseScan, usual: tuple[tuple[int, ...] | None, str], spatial_dims: int
) -> Finding | None:
    channels = channels_of(case, spatial_dims)
    if channels is None or channels == usual[0]:
        return None
    shapes = ", ".join(str(header.shape) for header in case.images)
    return (
        "channels-differ",
        case.files.image,
        f"{_sum(channels)} channels (shape {shapes})",
        f"{_sum(usual[0] or ())}, {usual[1]}",
        "convert the image, or leave it out with --on-error skip",
    )


def _sum(channels: tuple[int, ...]) -> str:
    """Return the channels of each file, in words: "3", or "1 + 2"."""
    return " + ".join(map(str, channels))


def _check_flat(
    path: str, header: Header, usual: tuple[int | None, str], spatial_dims: int
) -> Finding | None:
    flat = _is_flat(header, spatial_dims)
    if flat == usual[0]:
        return None
    names = (f"at least {spatial_dims} axes", f"fewer than {spatial_dims}")
    return (
        "dimensions-differ",
        path,
        f"{len(header.shape)} axes (shape {header.shape})",
        f"{names[bool(usual[0])]}, {usual[1]}",
        "leave it out with --on-error skip; write a volume of one slice with an axis of length 1",
    )


def _check_fit(
    path: str, header: Header, spatial_dims: int, options: BuildOptions
) -> Finding | None:
    axes = split_axes(header.shape, spatial_dims)
    if axes is None:
        return None
    shape = prepared_shape(header, spatial_dims, options)
    said = f"spatial shape {shape}" + f", prepared from {axes[0]}" * (shape != axes[0])
    if math.prod(shape) > MOST_CASE_BYTES:
        hint = "give a larger --spacing, or see whether the image's own is right"
        return "too-large", path, said, f"at most {MOST_CASE_BYTES:,} voxels", hint
    # How much of a case a crop leaves is known when it is read.
    if options.shape is None or options.crop is not None or fits(shape, options.shape):
        return None
    expected = f"at most --shape {','.join(map(str, options.shape))}"
    return "does-not-fit", path, said, expected, "give a larger --shape; nothing is cropped"


def _check_mask_shape(case: CaseScan, spatial_dims: int) -> Finding | None:
    if case.label is None:
        return None
    image, label = (split_axes(h.shape, spatial_dims) for h in (case.image, case.label))
    if image is None or (label is not None and label[0] == image[0]):
        return None
    return (
        "shape-mismatch",
        case.files.label or "",
        f"mask of shape {case.label.shape}",
        f"the image's {image[0]} ({case.files.image})",
        "draw the mask on the image's grid, or give --labels vector",
    )


def _check_grid(case: CaseScan, spatial_dims: int) -> Finding | None:
    axes = split_axes(case.image.shape, spatial_dims)
    if case.label is None or axes is None:
        return None
    if _check_mask_shape(case, spatial_dims) is not None:
        return None
    apart = corners_apart(case.image, case.label, axes[0])
    smallest = min(case.image.spacing[:spatial_dims])
    if apart <= GRID_TOLERANCE * smallest:
        return None
    return (
        "grid-mismatch",
        case.files.label or "",
        f"a corner of the mask lies {apart:.4g} mm from the image's",
        f"at most {GRID_TOLERANCE * smallest:.4g} mm (affines of image and mask differ)",
        "resample the mask onto the image's grid; copy the image's affine only if that is wrong",
    )


def _check_label(
    case: CaseScan, spatial_dims: int, kind: LabelKind, usual: tuple[int | None, str]
) -> Finding | None:
    if case.label is None:
        return (
            "no-label",
            case.files.image,
            "no label file",
            f"a {kind} for every case",
            "add it, or give --labels folder",
        )
    if kind == "mask" and _check_mask_shape(case, spatial_dims) is not None:
        return None
    size = _label_size(case, spatial_dims, kind)
    if size == usual[0]:
        return None
    what = "entries" if kind == "vector" else "channels"
    return (
        "label-size-differs",
        case.files.label or "",
        f"{size} {what} (shape {case.label.shape})",
        f"{usual[0]}, {usual[1]}",
        f"give every label the same number of {what}, or tell what they are with --labels",
    )
