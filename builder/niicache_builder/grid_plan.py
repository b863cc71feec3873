"""What a recipe does to the grids of cases, as far as their headers tell. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache.errors import OptionError
from niicache.format.grid import Grid, is_prepared, plan_grid
from niicache_builder.axes import split_axes
from niicache_builder.report.units import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.format.geometry import Shape
    from niicache.format.grid import Preparing
    from niicache.format.manifest import Recipe
    from niicache_builder.nifti import Header
    from niicache_builder.options import BuildOptions
    from niicache_builder.scan import CaseScan

VOLUME = 3


def check_axes(options: BuildOptions, dims: int) -> None:
    """Refuse options that do not go with the number of spatial axes.

    Raises:
        OptionError: They do not.
    """
    if options.orient is not None and dims != VOLUME:
        raise OptionError(
            f"orient: got {options.orient}, expected none, because images have {dims} spatial "
            "axes, and a plane has no third one to tell its sides; or say --spatial-dims 3"
        )
    if options.spacing is not None and len(options.spacing) != dims:
        raise OptionError(
            f"spacing: got {len(options.spacing)} numbers, expected {dims}, because images have "
            f"{dims} spatial axes"
        )


def header_grid(header: Header, dims: int, how: Preparing) -> Grid:
    """Return what becomes of the grid of an image, were nothing cropped.

    Args:
        header: Of the image.
        dims: Spatial axes.
        how: What is asked for.
    """
    return plan_grid((split_axes(header.shape, dims) or ((), 0))[0], header.affine, how)


def prepared_shape(header: Header, dims: int, how: Preparing) -> Shape:
    """Return the spatial shape of an image before padding, were nothing cropped."""
    if how.orient is None and how.spacing is None:
        return (split_axes(header.shape, dims) or ((), 0))[0]
    return header_grid(header, dims, how).shape


def preparation_text(recipe: Recipe) -> dict[str, str]:
    """Return what was done to every case, by the name of its option, in words for the user."""
    found = {}
    if recipe.orient is not None:
        found["orient"] = recipe.orient
    if recipe.spacing is not None:
        size = "x".join(f"{length:g}" for length in recipe.spacing)
        found["spacing"] = f"{size} mm, {recipe.interpolation}"
    if recipe.crop is not None:
        found["crop"] = recipe.crop
    return found


def planned_text(cases: Sequence[CaseScan], recipe: Recipe) -> dict[str, str]:
    """Return the same as :func:`preparation_text`, and how many cases it concerns.

    Args:
        cases: All cases.
        recipe: What is done to them.
    """
    if not is_prepared(recipe):
        return {}
    grids = [header_grid(case.image, recipe.spatial_dims, recipe) for case in cases]
    every = counted(len(cases), "case")
    found = preparation_text(recipe)
    if "orient" in found:
        turned = sum(not grid.turn.is_identity for grid in grids)
        found["orient"] += f": {turned:,} of {every} are turned"
    if "spacing" in found:
        resampled = sum(grid.is_resampled for grid in grids)
        thick = sum(grid.thick is not None for grid in grids)
        found["spacing"] += f": {resampled:,} of {every} are resampled"
        found["spacing"] += f", {thick:,} of them slice by slice" if thick else ""
    if "crop" in found:
        found["crop"] += ": how far is known when voxels are read; shapes are those before it"
    return found
