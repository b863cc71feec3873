"""Whether the files of one image fit together, and are as many as those of others. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache_builder.axes import split_axes
from niicache_builder.corners import GRID_TOLERANCE, corners_apart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from niicache_builder.checks import Finding
    from niicache_builder.nifti import Header
    from niicache_builder.scan import CaseScan

_RESAMPLE = "resample the files of a case onto one grid, or leave it out with --on-error skip"


def channels_of(case: CaseScan, spatial_dims: int) -> tuple[int, ...] | None:
    """Return the channels of each file of an image, None where the axes of one make no sense."""
    axes = [split_axes(header.shape, spatial_dims) for header in case.images]
    counts = tuple(one[1] for one in axes if one is not None)
    return counts if len(counts) == len(axes) else None


def check_files(
    case: CaseScan, usual: tuple[int | None, str], spatial_dims: int
) -> Iterator[Finding]:
    """Yield what is wrong between the files of an image.

    Args:
        case: The case.
        usual: Files that most images have, and where they do, in words.
        spatial_dims: 2 or 3.
    """
    if len(case.images) != usual[0]:
        yield (
            "files-differ",
            case.files.image,
            f"{len(case.images)} files of an image ({', '.join(case.files.images)})",
            f"{usual[0]}, {usual[1]}",
            "give every case the same channels, or leave it out with --on-error skip",
        )
    pairs = list(zip(case.files.images, case.images, strict=True))
    for path, header in pairs[1:]:
        yield from _beside(pairs[0], path, header, spatial_dims)


def _beside(
    first: tuple[str, Header], path: str, header: Header, spatial_dims: int
) -> Iterator[Finding]:
    """Yield how a file lies beside the first one of its image."""
    axes, own = (split_axes(one.shape, spatial_dims) for one in (first[1], header))
    if axes is None or own is None:
        return  # said of the file itself
    if axes[0] != own[0]:
        expected = f"{axes[0]} as in {first[0]}"
        yield "channel-shape-mismatch", path, f"spatial shape {own[0]}", expected, _RESAMPLE
        return
    apart = corners_apart(first[1], header, axes[0])
    smallest = min(first[1].spacing[:spatial_dims])
    if apart > GRID_TOLERANCE * smallest:
        yield (
            "channel-grid-mismatch",
            path,
            f"a corner {apart / smallest:.3g} voxels ({apart:.4g} mm) from that of {first[0]}",
            f"at most {GRID_TOLERANCE} voxels (affines of two channels differ)",
            _RESAMPLE,
        )
