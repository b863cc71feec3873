"""From sound cases and options to the recipe: how voxels become bytes, and why so. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from niicache.errors import OptionError
from niicache.format.facts import CODES, CROPPED, NONZERO, VOXELS_CRC
from niicache.format.manifest import Recipe
from niicache_builder.arrays import (
    chunk_reason,
    padded_shape,
    patch_reason,
    plan_layout,
    same_shards,
    stored_dtype,
)
from niicache_builder.axes import split_axes
from niicache_builder.codecs import codec_reason
from niicache_builder.grid_plan import planned_text, prepared_shape
from niicache_builder.spots import RULE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from niicache.format.manifest import ArrayLayout
    from niicache.format.names import LabelKind
    from niicache_builder.nifti import Header
    from niicache_builder.options import BuildOptions
    from niicache_builder.scan import CaseScan


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What was decided, and why, in words for the user.

    ``preparation`` maps the options that ask for it to what is done to the grids of cases.
    """

    spatial_dims: str
    label_kind: str
    shape: str
    dtype: str
    chunk: str
    codec: str
    preparation: Mapping[str, str] = field(default_factory=dict)


def make_recipe(
    cases: Sequence[CaseScan],
    options: BuildOptions,
    dims: tuple[int, str],
    kind: tuple[LabelKind, str],
) -> tuple[Recipe, Decisions]:
    """Return how the voxels of good cases become bytes, and why.

    Args:
        cases: At least one case, all of them sound.
        options: What the user said.
        dims: Spatial dims and why.
        kind: Kind of the labels and why.

    Raises:
        OptionError: An option does not go with these cases.
    """
    image, label = _layouts(cases, options, dims[0], kind[0])
    recipe = Recipe(
        spatial_dims=dims[0],
        label_kind=kind[0],
        pad_mode=options.pad_mode,
        image=image,
        label=label,
        patch=options.patch,
        spots=RULE if options.patch is not None and kind[0] == "mask" else None,
        orient=options.orient,
        spacing=options.spacing,
        interpolation=None if options.spacing is None else options.interpolation,
        crop=options.crop,
        image_files=len(cases[0].images),
    )
    images, labels = _headers(cases)
    on_grid = [image] if label is None or kind[0] != "mask" else [image, label]
    return recipe, Decisions(
        spatial_dims=f"{dims[0]}: {dims[1]}",
        label_kind=f"{kind[0]}: {kind[1]}" + ("" if label is None else _rounding(labels)),
        shape="as --shape says" if options.shape else "the largest case; a larger one moves all",
        dtype="as --dtype says" if options.dtype != "auto" else _dtype_reason(images),
        chunk=_chunk_reason(on_grid, cases, options),
        codec=codec_reason(options.codec, image, label),
        preparation=planned_text(cases, recipe),
    )


def later_columns(recipe: Recipe, before: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the columns beyond the first set.

    Args:
        recipe: How voxels become bytes.
        before: Those of the cache of which shards are kept, None where none is: what it does not
            tell of their voxels is not told of any.
    """
    of_voxels = {NONZERO, VOXELS_CRC}
    told = of_voxels if before is None else of_voxels.intersection(before)
    return tuple(sorted({*CODES, *told, *(() if recipe.crop is None else CROPPED)}))


def _layouts(
    cases: Sequence[CaseScan], options: BuildOptions, dims: int, kind: LabelKind
) -> tuple[ArrayLayout, ArrayLayout | None]:
    """Return the layouts of images and labels."""
    headers = [case.image for case in cases]
    shapes = (prepared_shape(header, dims, options) for header in headers)
    spatial = padded_shape(shapes) if options.shape is None else options.shape
    channels = sum((split_axes(h.shape, dims) or ((), 0))[1] for h in cases[0].images)
    images, labels = _headers(cases)
    dtype = stored_dtype(images) if options.dtype == "auto" else options.dtype
    if options.chunk is not None and len(options.chunk) not in {1, dims + 1}:
        raise OptionError(
            f"chunk: got {options.chunk}, expected one number of cases, or 1 and the block of all "
            f"{dims} spatial axes"
        )
    if options.patch is not None and len(options.patch) != dims:
        raise OptionError(
            f"patch: got {options.patch}, expected {dims} numbers, because images have {dims} "
            "spatial axes"
        )
    image = plan_layout(
        dtype=dtype,
        shape=(*spatial, channels),
        fill=options.pad_value,
        codec=options.codec,
        chunk=options.chunk,
        patch=options.patch,
    )
    if kind == "folder":
        return image, None
    if kind == "mask":
        shape = (*spatial, (split_axes(labels[0].shape, dims) or ((), 1))[1])
        chunk = options.chunk
    else:
        shape, chunk = (math.prod(labels[0].shape),), None
    label = plan_layout(
        dtype=stored_dtype(labels),
        shape=shape,
        fill=0,
        codec=options.codec,
        chunk=chunk,
        patch=options.patch if kind == "mask" else None,
    )
    return same_shards(image, label)


def _headers(cases: Sequence[CaseScan]) -> tuple[list[Header], list[Header]]:
    """Return the headers of all images and of all labels."""
    images = [header for case in cases for header in case.images]
    return images, [case.label for case in cases if case.label is not None]


def _chunk_reason(
    layouts: Sequence[ArrayLayout], cases: Sequence[CaseScan], options: BuildOptions
) -> str:
    if options.patch is None:
        return chunk_reason(layouts[0], options.chunk)
    dims = len(options.patch)
    shapes = [prepared_shape(case.image, dims, options) for case in cases]
    return patch_reason(layouts, options.chunk, options.patch, shapes)


def _dtype_reason(headers: Sequence[Header]) -> str:
    found = sorted({header.dtype for header in headers})
    scaled = sum((header.slope, header.inter) != (1.0, 0.0) for header in headers)
    stored = f"images are stored as {', '.join(found)}"
    if scaled:
        stored += f", {scaled:,} of them with scl_slope or scl_inter"
    return stored + _rounding(headers, "; --dtype float64 rounds nothing")


def _rounding(headers: Sequence[Header], advice: str = "") -> str:
    """Return what is to be said where float64, as it is stored or scaled to, becomes float32."""
    wide = any(
        header.dtype == "float64" or (header.slope, header.inter) != (1.0, 0.0)
        for header in headers
    )
    return f", rounded to float32{advice}" if wide else ""
