"""The manifest: what a cache is, as frozen dataclasses and as JSON.

It is the attribute ``niicache`` of the root ``zarr.json``. Writing that file is the commit.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from niicache.format.codec import BLOSC_HEADER_BYTES, CRC_BYTES, Blosc
from niicache.format.geometry import Shape, chunk_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from niicache.format.names import Crop, Interpolation, LabelKind, PadMode


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayLayout:
    """How the images, or the labels, of every class are stored.

    Attributes:
        dtype: numpy name, stored little-endian.
        shape: Shape of one padded case, ``(*spatial, channel)`` or ``(k,)`` for a vector label.
        chunk: What is decoded at once: cases, then extents along ``shape``.
        shard_cases: Cases in one file, a multiple of ``chunk[0]``.
        fill: Value of padding and of vacant slots.
        codec: Blosc's parameters, or None where chunks are not compressed.
    """

    dtype: str
    shape: Shape
    chunk: Shape
    shard_cases: int
    fill: float | int
    codec: Blosc | None

    @property
    def case_nbytes(self) -> int:
        """Bytes of one decoded, padded case."""
        return math.prod(self.shape) * _itemsize(self.dtype)

    @property
    def chunk_nbytes(self) -> int:
        """Bytes of one decoded chunk."""
        return math.prod(self.chunk) * _itemsize(self.dtype)

    @property
    def stored_nbytes(self) -> int:
        """Bytes that a chunk takes at most as it is stored."""
        header = 0 if self.codec is None else BLOSC_HEADER_BYTES
        return self.chunk_nbytes + header + CRC_BYTES

    @property
    def blocks(self) -> int:
        """Chunks that cover one case in space: 1 where a chunk holds whole cases."""
        return chunk_count(self.shape, self.chunk[1:])

    @property
    def shard_chunks(self) -> int:
        """Places for chunks in a shard."""
        return self.shard_cases // self.chunk[0] * self.blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotRule:
    """How many voxels of each label value are kept of a case: ``share`` of them, within bounds.

    Attributes:
        least: So many, or all where there are fewer.
        share: Of the voxels that hold the value, 0 to 1.
        most: No more.
    """

    least: int
    share: float
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Every decision that the bytes of the voxels depend on.

    Attributes:
        patch: Spatial shape of the patches that will be read, where that was announced.
        spots: Which coordinates of the foreground are kept, if any are.
        orient: Where the axes point, three letters such as RAS, if images were turned.
        spacing: Edge lengths that voxels were resampled to, mm, if they were.
        interpolation: How images were resampled.
        crop: What was kept of each image, if not all.
        image_files: Files that the channels of one image come from.
    """

    spatial_dims: int
    label_kind: LabelKind
    pad_mode: PadMode
    image: ArrayLayout
    label: ArrayLayout | None
    patch: Shape | None = None
    spots: SpotRule | None = None
    orient: str | None = None
    spacing: tuple[float, ...] | None = None
    interpolation: Interpolation | None = None
    crop: Crop | None = None
    image_files: int = 1

    @property
    def digest(self) -> str:
        """sha256 of the recipe as canonical JSON."""
        return _digest(self)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as a JSON object; members that came later only where they are given."""
        return _without_later(asdict(self))


_LATER: Final = {
    "patch": None,
    "spots": None,
    "orient": None,
    "spacing": None,
    "interpolation": None,
    "crop": None,
    "image_files": 1,
}
"""Members that came later, and what they are where they say nothing."""


def _without_later(value: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in value.items() if k not in _LATER or v != _LATER[k]}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassEntry:
    """One class.

    Attributes:
        name: Its name.
        cases: How many it has.
        slots: Cases and vacancies, the array's length.
        spots: Coordinates of the foreground that are kept, None where none are to be.
    """

    name: str
    cases: int
    slots: int
    spots: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """What a file of the cache must be."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SkippedCase:
    """A case that is not in the cache, and why. Size and time tell whether to try it again."""

    class_name: str
    case: str
    path: str
    code: str
    got: str
    expected: str
    size: int = 0
    mtime_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRule:
    """How :mod:`niicache.splits` tells cases apart. No byte of a voxel depends on it.

    Attributes:
        shares: Name and share of each split; in this order they divide the places from 0 to 1.
        seed: Another one tells cases apart in another way.
    """

    shares: tuple[tuple[str, float], ...]
    seed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The whole cache in one value.

    Attributes:
        format_version: Version of the on-disk contract.
        recipe: How voxels became bytes.
        classes: Sorted by name.
        label_values: Every value that a label holds, sorted, if there are at most 256.
        shards: ``class/index`` to the key of the unit of work that wrote it: a digest of the
            recipe and of the keys of the cases in its slots.
        files: Path below the root to size and sha256, of every file but the root zarr.json.
        skipped: What is missing and why.
        split: How cases are split, if they are.
        columns: Names of the columns beyond the first set, sorted.
        channels: Names of the channels of images, where they are known.
    """

    format_version: int
    recipe: Recipe
    classes: tuple[ClassEntry, ...]
    label_values: tuple[float, ...]
    shards: Mapping[str, str]
    files: Mapping[str, FileEntry]
    skipped: tuple[SkippedCase, ...] = field(default=())
    split: SplitRule | None = None
    columns: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object; members that came later only where they are given."""
        value = asdict(self)
        classes = [_without_later(entry) for entry in value["classes"]]
        value |= {"recipe": self.recipe.to_json(), "classes": classes}
        return {k: v for k, v in value.items() if v or k not in MAYBE}


MAYBE: Final = ("split", "columns", "channels")
"""Members of the manifest that are there only where they say something."""


@lru_cache(maxsize=4)
def _digest(recipe: Recipe) -> str:
    # Asked for once a case; making the JSON each time was a tenth of a build of small images.
    return hashlib.sha256(canonical(recipe.to_json())).hexdigest()


def canonical(value: object) -> bytes:
    """Return the one JSON text of a value: sorted keys, no spaces, UTF-8."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _itemsize(dtype: str) -> int:
    return np.dtype(dtype).itemsize
