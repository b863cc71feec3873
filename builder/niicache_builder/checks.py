"""Whether the headers of a source fit together. Pure; returns every problem."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from niicache.errors import Problem
from niicache.format.layout_checks import MOST_CASE_BYTES
from niicache_builder.axes import split_axes
from niicache_builder.preparation import prepared_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from niicache.format.geometry import Shape
    from niicache.format.names import LabelKind
    from niicache_builder.nifti import Header
    from niicache_builder.options import BuildOptions
    from niicache_builder.scan import CaseScan

GRID_TOLERANCE = 0.05
"""Voxels that the corners of image and mask may lie apart: more than the float32 of a header can
round a position by, less than a resampling would notice."""


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
    flat = _usual("images", (_is_flat(case.image, spatial_dims) for case in cases))
    usual = _usual("images", (_channels(case.image, spatial_dims) for case in cases))
    sizes = (_label_size(case, spatial_dims, label_kind) for case in cases)
    usual_label = _usual("labels", sizes)
    problems: list[Problem] = []
    for case in cases:
        image = split_axes(case.image.shape, spatial_dims)
        found = [
            _check_image(image, case, usual, spatial_dims),
            _check_flat(case, flat, spatial_dims),
            _check_fit(case.image, spatial_dims, options),
        ]
        if label_kind == "mask":
            found += [_check_mask_shape(case, spatial_dims), _check_grid(case, spatial_dims)]
        if label_kind != "folder":
            found.append(_check_label(case, spatial_dims, label_kind, usual_label))
        problems += [
            Problem(
                code=code,
                path=str(root / (case.files.image if about_image else case.files.label or "")),
                got=got,
                expected=expected,
                hint=hint,
                class_name=case.files.class_name,
                case=case.files.name,
            )
            for code, about_image, got, expected, hint in filter(None, found)
        ]
    return tuple(problems)


Finding = tuple[str, bool, str, str, str]
"""Code, whether it is about the image (else the label), got, expected, hint."""


Usual = tuple[int | None, str]
"""What most files have, and where they do, in words for the user."""


def _usual(what: str, values: Iterable[int | None]) -> Usual:
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


def _check_image(
    axes: tuple[Shape, int] | None, case: CaseScan, usual: Usual, spatial_dims: int
) -> Finding | None:
    if axes is None:
        return (
            "image-axes",
            True,
            f"shape {case.image.shape}",
            f"{spatial_dims} spatial axes and at most one of channels",
            "give --spatial-dims, or take one frame of the series",
        )
    if axes[1] != usual[0]:
        return (
            "channels-differ",
            True,
            f"{axes[1]} channels (shape {case.image.shape})",
            f"{usual[0]}, {usual[1]}",
            "convert the image, or leave it out with --on-error skip",
        )
    return None


def _check_flat(case: CaseScan, usual: Usual, spatial_dims: int) -> Finding | None:
    flat = _is_flat(case.image, spatial_dims)
    if flat == usual[0]:
        return None
    names = (f"at least {spatial_dims} axes", f"fewer than {spatial_dims}")
    return (
        "dimensions-differ",
        True,
        f"{len(case.image.shape)} axes (shape {case.image.shape})",
        f"{names[bool(usual[0])]}, {usual[1]}",
        "leave it out with --on-error skip; write a volume of one slice with an axis of length 1",
    )


def _check_fit(header: Header, spatial_dims: int, options: BuildOptions) -> Finding | None:
    axes = split_axes(header.shape, spatial_dims)
    if axes is None:
        return None
    shape = prepared_shape(header, spatial_dims, options)
    said = f"spatial shape {shape}" + f", prepared from {axes[0]}" * (shape != axes[0])
    if math.prod(shape) > MOST_CASE_BYTES:
        hint = "give a larger --spacing, or see whether the image's own is right"
        return "too-large", True, said, f"at most {MOST_CASE_BYTES:,} voxels", hint
    # How much of a case a crop leaves is known when it is read.
    if options.shape is None or options.crop is not None or _fits(shape, options.shape):
        return None
    expected = f"at most --shape {','.join(map(str, options.shape))}"
    return "does-not-fit", True, said, expected, "give a larger --shape; nothing is cropped"


def _fits(inner: Shape, outer: Shape) -> bool:
    return all(a <= b for a, b in zip(inner, outer, strict=True))


def _check_mask_shape(case: CaseScan, spatial_dims: int) -> Finding | None:
    if case.label is None:
        return None
    image, label = (split_axes(h.shape, spatial_dims) for h in (case.image, case.label))
    if image is None or (label is not None and label[0] == image[0]):
        return None
    return (
        "shape-mismatch",
        False,
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
    apart = _corners_apart(case.image, case.label, axes[0])
    smallest = min(case.image.spacing[:spatial_dims])
    if apart <= GRID_TOLERANCE * smallest:
        return None
    return (
        "grid-mismatch",
        False,
        f"a corner of the mask lies {apart:.4g} mm from the image's",
        f"at most {GRID_TOLERANCE * smallest:.4g} mm (affines of image and mask differ)",
        "resample the mask onto the image's grid, or copy the image's affine into it",
    )


def _corners_apart(one: Header, other: Header, spatial: Shape) -> float:
    ends = [(0, n - 1) for n in (*spatial, 1)[:3]]
    corners = np.array([(*corner, 1) for corner in itertools.product(*ends)], float)
    step = corners @ (np.array(one.affine) - np.array(other.affine)).T
    return float(np.linalg.norm(step[:, :3], axis=1).max())


def _check_label(
    case: CaseScan, spatial_dims: int, kind: LabelKind, usual: Usual
) -> Finding | None:
    if case.label is None:
        return (
            "no-label",
            True,
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
        False,
        f"{size} {what} (shape {case.label.shape})",
        f"{usual[0]}, {usual[1]}",
        f"give every label the same number of {what}, or tell what they are with --labels",
    )
