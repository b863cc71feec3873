"""One case, from its files to arrays and facts. Reads them; everything after is pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from niicache.format.facts import STATISTICS, CaseFacts
from niicache.format.geometry import Box, centred
from niicache.format.grid import plan_grid
from niicache_builder.checksum import voxels_crc
from niicache_builder.crop import foreground_box
from niicache_builder.nifti import Header, NiftiError, Voxels, read_voxels
from niicache_builder.nifti_error import changed, too_large
from niicache_builder.orient import turned
from niicache_builder.prepare import (
    PrepareError,
    check_fit,
    converted,
    joined,
    real_voxels,
    spatial_of,
    with_channels,
)
from niicache_builder.record import CaseRecord, case_key
from niicache_builder.regrid import count_cut, regridded
from niicache_builder.spots import find_spots
from niicache_builder.statistics import channel_statistics, label_counts, nonfinite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np

    from niicache.errors import Problem
    from niicache.format.grid import Grid
    from niicache.format.manifest import Recipe
    from niicache_builder.scan import CaseScan


class CaseError(Exception):
    """A case cannot be taken; ``args[0]`` is the problem."""

    @property
    def problem(self) -> Problem:
        """Why not."""
        problem: Problem = self.args[0]
        return problem


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedCase:
    """A case that is ready to be placed.

    Attributes:
        image: ``(*spatial, channel)``, the recipe's dtype, not padded yet.
        label: Mask ``(*spatial, channel)`` or vector ``(k,)``, None where the folder is the label.
        record: What is kept of it.
    """

    image: np.ndarray
    label: np.ndarray | None
    record: CaseRecord


def prepare_case(case: CaseScan, recipe: Recipe, root: Path) -> PreparedCase:
    """Read a case.

    Args:
        case: Its files and headers.
        recipe: How voxels become bytes.
        root: What its paths are relative to.

    Raises:
        CaseError: A file is damaged, changed since it was scanned, does not fit the recipe, or
            takes more memory than there is.
    """
    try:
        return _prepared(case, recipe, root)
    except MemoryError:
        # As numbers of another type voxels may take eight times what they take in the file.
        expected = f"room for {case.voxels_nbytes:,} bytes of voxels, several times over"
        error = too_large("not enough memory", expected)
    path = str(root / case.files.image)
    raise CaseError(error.problem(path, case.files.class_name, case.files.name))


def _prepared(case: CaseScan, recipe: Recipe, root: Path) -> PreparedCase:
    digests, image = _read_images(case, recipe, root)
    grid = _grid(case, image, recipe, root)
    image = regridded(image, grid, recipe.interpolation)
    label, label_source, cut = None, None, 0
    if recipe.label is not None and case.label is not None and case.files.label is not None:
        path, dtype = case.files.label, recipe.label.dtype
        label_source, label = _read(case, path, case.label, dtype, root, label=True)
        if recipe.label_kind == "mask":
            whole = with_channels(label, recipe.spatial_dims)
            label = regridded(whole, grid)
            cut = count_cut(whole, grid)
        else:
            label = label.reshape(-1, order="F")
    facts = _facts(case, recipe, grid, image, digests, label_source)
    record = replace(_record(facts, label, recipe), label_cut=cut)
    return PreparedCase(image=image, label=label, record=record)


def _grid(case: CaseScan, image: np.ndarray, recipe: Recipe, root: Path) -> Grid:
    """Return what becomes of the grid of a case, now that its voxels are known."""
    grid = plan_grid(spatial_of(image.shape), case.image.affine, recipe)
    if recipe.crop is not None:
        box = foreground_box(turned(image, grid.turn))
        grid = plan_grid(grid.source, grid.affine, recipe, box)
    try:
        check_fit(grid.shape, spatial_of(recipe.image.shape))
    except PrepareError as error:
        path = str(root / case.files.image)
        raise CaseError(error.problem(path, case.files.class_name, case.files.name)) from None
    return grid


def _record(facts: CaseFacts, label: np.ndarray | None, recipe: Recipe) -> CaseRecord:
    if label is None:
        return CaseRecord(facts=facts, counts={})
    counts = label_counts(label)
    spots: Mapping[float, bytes] = {}
    if recipe.spots is not None and counts is not None:
        box, grid = Box(facts.box_start, facts.box_stop), spatial_of(recipe.image.shape)
        spots = find_spots(label, counts, box, grid, key=facts.key, rule=recipe.spots)
    bad = nonfinite(label) if counts is None else 0
    many = counts is None and not bad
    return CaseRecord(
        facts=facts, counts=counts, label_nonfinite=bad, many_values=many, spots=spots
    )


def _read_images(case: CaseScan, recipe: Recipe, root: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the digests of the images, and their channels one after the other."""
    dtype, dims = recipe.image.dtype, recipe.spatial_dims
    if len(case.images) == 1:
        source, image = _read(case, case.files.image, case.image, dtype, root)
        return (source.sha256,), with_channels(image, dims)
    digests: list[str] = []

    def read() -> Iterator[np.ndarray]:
        for path, header in zip(case.files.images, case.images, strict=True):
            source, voxels = _read(case, path, header, dtype, root)
            digests.append(source.sha256)
            yield with_channels(voxels, dims)

    image = joined(read(), recipe.image.shape[-1])
    return tuple(digests), image


def _read(
    case: CaseScan, path: str, header: Header, dtype: str, root: Path, *, label: bool = False
) -> tuple[Voxels, np.ndarray]:
    full = root / path
    error: NiftiError | PrepareError
    try:
        voxels = read_voxels(full)
        _check_unchanged(voxels.header, header)
        real = real_voxels(voxels.data, header)
        return voxels, converted(real, dtype, label=label)
    except (NiftiError, PrepareError) as known:
        error = known
    raise CaseError(error.problem(str(full), case.files.class_name, case.files.name))


def _check_unchanged(now: Header, scanned: Header) -> None:
    if now != scanned:
        raise changed((now.size, now.mtime_ns), (scanned.size, scanned.mtime_ns))


def _facts(
    case: CaseScan,
    recipe: Recipe,
    grid: Grid,
    image: np.ndarray,
    digests: tuple[str, ...],
    label: Voxels | None,
) -> CaseFacts:
    known = [channel_statistics(image[..., c]) for c in range(image.shape[-1])]
    channels, nonzero = [every for every, _ in known], [others for _, others in known]
    box = centred(spatial_of(image.shape), spatial_of(recipe.image.shape))
    label_hash = "" if label is None else label.sha256
    return CaseFacts(
        name=case.files.name,
        key=case_key(recipe, digests, label_hash),
        group=case.files.group,
        image=case.files.images,
        image_size=tuple(header.size for header in case.images),
        image_mtime_ns=tuple(header.mtime_ns for header in case.images),
        image_hash=digests,
        label=(case.files.label or "") if label else "",
        label_size=label.header.size if label else 0,
        label_mtime_ns=label.header.mtime_ns if label else 0,
        label_hash=label_hash,
        source_shape=(*grid.source, image.shape[-1]),
        box_start=box.start,
        box_stop=box.stop,
        affine=case.image.affine,
        spacing=grid.spacing,
        slope=tuple(header.slope for header in case.images),
        inter=tuple(header.inter for header in case.images),
        nonfinite=tuple(c.nonfinite for c in channels),
        minimum=tuple(c.minimum for c in channels),
        maximum=tuple(c.maximum for c in channels),
        mean=tuple(c.mean for c in channels),
        std=tuple(c.std for c in channels),
        percentiles=tuple(c.percentiles for c in channels),
        label_count=(),
        crop_start=() if recipe.crop is None else grid.crop.start,
        crop_stop=() if recipe.crop is None else grid.crop.stop,
        sform_code=case.image.sform_code,
        qform_code=case.image.qform_code,
        nonzero=tuple(
            (*(getattr(c, name) for name in STATISTICS), *c.percentiles) for c in nonzero
        ),
        voxels_crc=tuple(voxels_crc(image[..., c]) for c in range(image.shape[-1])),
    )
