"""What is in a cache, from its columns alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.cache import Cache, open_cache
from niicache.format.facts import PERCENTILES

if TYPE_CHECKING:
    from pathlib import Path

    from niicache.format.geometry import Shape
    from niicache.view import ClassView

SCHEMA = "niicache.stats/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassStats:
    """One class.

    Attributes:
        name: The class.
        cases: How many it has.
        share: Of all cases, 0 to 1.
        shape_min: Smallest extent of each axis before padding, voxels, channel last.
        shape_max: Largest extent likewise.
        spacing_min: Smallest edge of a voxel along each spatial axis, mm.
        spacing_max: Largest likewise.
        minimum: Smallest voxel of all cases.
        maximum: Largest voxel.
        mean: Mean over all voxels of all cases.
        low: Median over cases of the 0.5th percentile.
        high: Median over cases of the 99.5th percentile.
        nonfinite: NaN and infinite voxels.
        labels: Label value to number of elements; empty where values are too many or none.
        disk_bytes: Bytes of its shards on disk.
        decoded_bytes: Bytes of its padded cases in memory, images and labels.
    """

    name: str
    cases: int
    share: float
    shape_min: Shape
    shape_max: Shape
    spacing_min: tuple[float, ...]
    spacing_max: tuple[float, ...]
    minimum: float
    maximum: float
    mean: float
    low: float
    high: float
    nonfinite: int
    labels: dict[str, int]
    disk_bytes: int
    decoded_bytes: int

    @property
    def ratio(self) -> float:
        """Decoded bytes to bytes on disk."""
        return self.decoded_bytes / max(1, self.disk_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """A whole cache.

    Attributes:
        path: As the user typed it.
        dtype: Of the images.
        shape: Of a padded image, ``(*spatial, channel)``, voxels.
        label_kind: ``mask``, ``vector`` or ``folder``.
        classes: Every class.
        skipped: Cases that the cache does not hold.
    """

    path: str
    dtype: str
    shape: Shape
    label_kind: str
    classes: tuple[ClassStats, ...]
    skipped: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as a JSON object with its schema's version."""
        value = asdict(self)
        for entry, one in zip(value["classes"], self.classes, strict=True):
            entry["ratio"] = one.ratio
        return {"schema": SCHEMA, **value}


def stats(path: str | Path) -> Stats:
    """Return the statistics of a cache. No voxel is read.

    Raises:
        CacheError: The cache cannot be opened, or a column is damaged.
    """
    cache = open_cache(path)
    recipe = cache.manifest.recipe
    total = sum(len(view) for view in cache)
    return Stats(
        path=str(path),
        dtype=recipe.image.dtype,
        shape=recipe.image.shape,
        label_kind=recipe.label_kind,
        classes=tuple(_class_stats(cache, view, total) for view in cache),
        skipped=len(cache.manifest.skipped),
    )


def _class_stats(cache: Cache, view: ClassView, total: int) -> ClassStats:
    shapes, spacing = view.column("source_shape"), view.column("spacing")
    percentiles = view.column("percentiles")
    recipe = cache.manifest.recipe
    per_case = recipe.image.case_nbytes + (recipe.label.case_nbytes if recipe.label else 0)
    # Percentiles stand in the order of PERCENTILES: the outermost are first and last.
    return ClassStats(
        name=view.name,
        cases=len(view),
        share=len(view) / total,
        shape_min=tuple(shapes.min(axis=0).tolist()),
        shape_max=tuple(shapes.max(axis=0).tolist()),
        spacing_min=tuple(spacing.min(axis=0).tolist()),
        spacing_max=tuple(spacing.max(axis=0).tolist()),
        minimum=float(view.column("minimum").min()),
        maximum=float(view.column("maximum").max()),
        mean=_mean(view.column("mean"), shapes, view.column("nonfinite")),
        low=float(np.median(percentiles[..., 0])),
        high=float(np.median(percentiles[..., len(PERCENTILES) - 1])),
        nonfinite=int(view.column("nonfinite").sum()),
        labels=_labels(cache, view),
        disk_bytes=_disk_bytes(cache, view.name),
        decoded_bytes=per_case * len(view),
    )


def _mean(means: np.ndarray, shapes: np.ndarray, nonfinite: np.ndarray) -> float:
    voxels = shapes[:, :-1].prod(axis=1)[:, None] - nonfinite
    return float((means * voxels).sum() / max(1, int(voxels.sum())))


def _labels(cache: Cache, view: ClassView) -> dict[str, int]:
    counts = view.column("label_count").sum(axis=0).tolist()
    return {
        _number(value): count
        for value, count in zip(cache.manifest.label_values, counts, strict=True)
        if count
    }


def _number(value: float) -> str:
    """Return the shortest text that no other number has."""
    return str(int(value)) if value.is_integer() else repr(value)


def _disk_bytes(cache: Cache, name: str) -> int:
    arrays = (f"{name}/image/c/", f"{name}/label/c/")
    files = cache.manifest.files.items()
    return sum(entry.size for path, entry in files if path.startswith(arrays))
