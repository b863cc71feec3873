"""What is in a cache, from its columns alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.cache import Cache, open_cache
from niicache.format.facts import PERCENTILES
from niicache.splits import split_counts
from niicache_builder.grid_plan import preparation_text

if TYPE_CHECKING:
    from pathlib import Path

    from niicache.format.geometry import Shape
    from niicache.view import ClassView

SCHEMA = "niicache.stats/1"

OF_VOXELS = ("minimum", "maximum", "mean", "low", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStats:
    """The voxels of one channel, or of all, in the cases of one class.

    Attributes:
        minimum: Smallest finite voxel of all cases; NaN if there is none, as the next four.
        maximum: Largest finite voxel.
        mean: Mean over all finite voxels of all cases.
        low: Median over cases of the 0.5th percentile.
        high: Median over cases of the 99.5th percentile.
        nonfinite: NaN and infinite voxels.
    """

    minimum: float
    maximum: float
    mean: float
    low: float
    high: float
    nonfinite: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassStats(ChannelStats):
    """One class; what is said of voxels is said of all channels together.

    Attributes:
        name: The class.
        cases: How many it has.
        share: Of all cases, 0 to 1.
        shape_min: Smallest extent of each axis before padding, voxels, channel last.
        shape_max: Largest extent likewise.
        spacing_min: Smallest edge of a voxel along each spatial axis, mm.
        spacing_max: Largest likewise.
        channels: Each channel by itself.
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
    channels: tuple[ChannelStats, ...]
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
        channels: Names of the channels, none where the source did not tell them.
        label_kind: ``mask``, ``vector`` or ``folder``.
        classes: Every class.
        splits: Split to class to cases; empty where cases are not split.
        skipped: Cases that the cache does not hold.
        preparation: What was done to the grids of cases, by the name of its option.
    """

    path: str
    dtype: str
    shape: Shape
    channels: tuple[str, ...]
    label_kind: str
    classes: tuple[ClassStats, ...]
    splits: dict[str, dict[str, int]]
    skipped: int
    preparation: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return everything as a JSON object with its schema's version; null: no finite number."""
        value = asdict(self)
        for entry, one in zip(value["classes"], self.classes, strict=True):
            entry["ratio"] = one.ratio
            # JSON has no NaN, and a class without one finite voxel has nothing else.
            for of in (entry, *entry["channels"]):
                of |= {name: None for name in OF_VOXELS if not np.isfinite(of[name])}
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
        channels=cache.channels,
        label_kind=recipe.label_kind,
        classes=tuple(_class_stats(cache, view, total) for view in cache),
        splits=split_counts(
            cache.manifest.split,
            (member for view in cache for member in view.members if member.name),
        ),
        skipped=len(cache.manifest.skipped),
        preparation=preparation_text(recipe),
    )


def _class_stats(cache: Cache, view: ClassView, total: int) -> ClassStats:
    shapes, spacing = _shapes(view), view.column("spacing")
    recipe = cache.manifest.recipe
    per_case = recipe.image.case_nbytes + (recipe.label.case_nbytes if recipe.label else 0)
    return ClassStats(
        name=view.name,
        cases=len(view),
        share=len(view) / total,
        shape_min=tuple(shapes.min(axis=0).tolist()),
        shape_max=tuple(shapes.max(axis=0).tolist()),
        spacing_min=tuple(spacing.min(axis=0).tolist()),
        spacing_max=tuple(spacing.max(axis=0).tolist()),
        **asdict(_channel_stats(view, shapes, slice(None))),
        channels=tuple(
            _channel_stats(view, shapes, slice(c, c + 1)) for c in range(recipe.image.shape[-1])
        ),
        labels=_labels(cache, view),
        disk_bytes=_disk_bytes(cache, view.name),
        decoded_bytes=per_case * len(view),
    )


def _shapes(view: ClassView) -> np.ndarray:
    """Return the shape of each case as it is stored, without padding, channel last."""
    spatial = np.maximum(view.column("box_stop") - view.column("box_start"), 0)
    return np.column_stack([spatial, view.column("source_shape")[:, -1]])


def _channel_stats(view: ClassView, shapes: np.ndarray, channels: slice) -> ChannelStats:
    """Return the statistics of the finite voxels of some channels."""
    nonfinite = view.column("nonfinite")[:, channels]
    voxels = shapes[:, :-1].prod(axis=1)[:, None] - nonfinite
    # What a channel without a finite voxel says of them is no number, and was 0 before.
    some = voxels > 0
    if not some.any():
        return ChannelStats(**dict.fromkeys(OF_VOXELS, np.nan), nonfinite=int(nonfinite.sum()))

    def of(name: str) -> np.ndarray:
        values: np.ndarray = view.column(name)[:, channels][some]
        return values

    percentiles = of("percentiles")
    return ChannelStats(
        minimum=float(of("minimum").min()),
        maximum=float(of("maximum").max()),
        # Shares first: a sum of large voxels may be beyond float64.
        mean=float((of("mean") * (voxels[some] / voxels.sum())).sum()),
        # They stand in the order of PERCENTILES: the outermost are first and last.
        low=float(np.median(percentiles[:, 0])),
        high=float(np.median(percentiles[:, len(PERCENTILES) - 1])),
        nonfinite=int(nonfinite.sum()),
    )


def _labels(cache: Cache, view: ClassView) -> dict[str, int]:
    counts = view.column("label_count").sum(axis=0).tolist()
    return {
        _number(value): count
        for value, count in zip(cache.manifest.label_values, counts, strict=True)
        if count
    }


def _number(value: float) -> str:
    """Return the shortest text that no other number has."""
    return str(int(value)) if float(value).is_integer() else repr(value)


def _disk_bytes(cache: Cache, name: str) -> int:
    arrays = (f"{name}/image/c/", f"{name}/label/c/")
    files = cache.manifest.files.items()
    return sum(entry.size for path, entry in files if path.startswith(arrays))
