"""What the cache knows of each case, one column a fact.

The fields of :class:`CaseFacts` are the columns under ``<class>/cases/``: this table alone says
their names, dtypes and shapes, for the builder, for the reader and for docs/format.md.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

PERCENTILES: Final = (0.5, 1.0, 5.0, 50.0, 95.0, 99.0, 99.5)
STATISTICS: Final = ("minimum", "maximum", "mean", "std")
"""What the column ``nonzero`` begins with, for each channel; percentiles follow."""

Dim = Literal[
    "file", "axis", "source_axis", "channel", "percentile", "statistic", "four", "label_value"
]


@dataclass(frozen=True, slots=True)
class Column:
    """A column array: one entry a slot, each of the given dimensions.

    Attributes:
        name: The field of :class:`CaseFacts`, and the array's name.
        dtype: ``"string"``, ``"int64"`` or ``"float64"``.
        dims: Meaning of the axes after the case axis; their lengths follow from the recipe. The
            axis ``file`` is left out where an image is one file.
        doc: What it says, with its unit.
    """

    name: str
    dtype: str
    dims: tuple[Dim, ...]
    doc: str

    def stored_dims(self, files: int) -> tuple[Dim, ...]:
        """Return the axes that are stored after the case axis, for images of so many files."""
        return tuple(dim for dim in self.dims if dim != "file" or files > 1)

    def shape(self, *, files: int, axes: int, channels: int, label_values: int) -> tuple[int, ...]:
        """Return the shape of one entry.

        Args:
            files: Files of an image.
            axes: Spatial axes, 2 or 3.
            channels: Channels of the image.
            label_values: How many distinct label values the manifest lists.
        """
        sizes = {
            "file": files,
            "axis": axes,
            "source_axis": axes + 1,
            "channel": channels,
            "percentile": len(PERCENTILES),
            "statistic": len(STATISTICS) + len(PERCENTILES),
            "four": 4,
            "label_value": label_values,
        }
        return tuple(sizes[dim] for dim in self.stored_dims(files))


def _column(dtype: str, doc: str, *dims: Dim) -> Any:
    return field(metadata={"dtype": dtype, "doc": doc, "dims": dims})


def _later(default: Any, dtype: str, doc: str, *dims: Dim) -> Any:
    """Return a column that caches have only where their manifest lists it, else the default."""
    return field(default=default, metadata={"dtype": dtype, "doc": doc, "dims": dims})


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFacts:
    """Everything that is kept of one case beside its voxels."""

    name: str = _column("string", "name of the case; empty where the slot is vacant")
    key: str = _column("string", "sha256 of the recipe and of the sources' bytes")
    group: str = _column("string", "what stays together in a split, or empty")
    image: tuple[str, ...] = _column(
        "string", "path of the source image below the source's root", "file"
    )
    image_size: tuple[int, ...] = _column("int64", "bytes of the source image", "file")
    image_mtime_ns: tuple[int, ...] = _column(
        "int64", "its modification time, ns since 1970", "file"
    )
    image_hash: tuple[str, ...] = _column("string", "sha256 of its bytes on disk", "file")
    label: str = _column("string", "path of the source label, or empty")
    label_size: int = _column("int64", "bytes of the source label")
    label_mtime_ns: int = _column("int64", "its modification time, ns since 1970")
    label_hash: str = _column("string", "sha256 of its bytes on disk, or empty")
    source_shape: tuple[int, ...] = _column(
        "int64", "shape before padding, channel last, voxels", "source_axis"
    )
    box_start: tuple[int, ...] = _column(
        "int64", "valid box: first voxel in the padded grid", "axis"
    )
    box_stop: tuple[int, ...] = _column("int64", "valid box: one past its last voxel", "axis")
    affine: tuple[tuple[float, ...], ...] = _column(
        "float64", "source voxel to world, mm", "four", "four"
    )
    spacing: tuple[float, ...] = _column("float64", "edge lengths of a voxel, mm", "axis")
    slope: tuple[float, ...] = _column("float64", "scl_slope that was applied, 1 for none", "file")
    inter: tuple[float, ...] = _column("float64", "scl_inter that was applied, 0 for none", "file")
    nonfinite: tuple[int, ...] = _column("int64", "NaN and infinite voxels", "channel")
    minimum: tuple[float, ...] = _column("float64", "of the finite real voxels", "channel")
    maximum: tuple[float, ...] = _column("float64", "of the finite real voxels", "channel")
    mean: tuple[float, ...] = _column("float64", "of the finite real voxels", "channel")
    std: tuple[float, ...] = _column("float64", "population standard deviation", "channel")
    percentiles: tuple[tuple[float, ...], ...] = _column(
        "float64", "0.5, 1, 5, 50, 95, 99 and 99.5 %", "channel", "percentile"
    )
    label_count: tuple[int, ...] = _column(
        "int64", "elements of the label that hold each of the manifest's values", "label_value"
    )
    crop_start: tuple[int, ...] = _later(
        (), "int64", "box kept of the turned source: its first voxel", "axis"
    )
    crop_stop: tuple[int, ...] = _later((), "int64", "one past the last voxel of that box", "axis")
    sform_code: int = _later(0, "int64", "sform_code of the source image")
    qform_code: int = _later(0, "int64", "qform_code of the source image")
    nonzero: tuple[tuple[float, ...], ...] = _later(
        (),
        "float64",
        "of the finite real voxels that are not 0: minimum, maximum, mean, std, percentiles",
        "channel",
        "statistic",
    )
    voxels_crc: tuple[int, ...] = _later(
        (), "int64", "crc32 of the real voxels as they are stored, first axis fastest", "channel"
    )


_ALL: Final = tuple(
    (Column(f.name, f.metadata["dtype"], f.metadata["dims"], f.metadata["doc"]), f.default)
    for f in fields(CaseFacts)
)
COLUMNS: Final = tuple(column for column, default in _ALL if default is MISSING)
"""The first set, which every cache has."""

LATER: Final = {column.name: column for column, default in _ALL if default is not MISSING}
"""Those that a cache has where its manifest lists them."""

CROPPED: Final = ("crop_start", "crop_stop")
CODES: Final = ("qform_code", "sform_code")
NONZERO: Final = "nonzero"
VOXELS_CRC: Final = "voxels_crc"

A_FILE: Final = frozenset(column.name for column in COLUMNS if "file" in column.dims)
"""Columns with an entry a file of the image. Facts hold a tuple of one where there is one file."""


def columns_of(names: Iterable[str]) -> tuple[Column, ...]:
    """Return the columns of a cache whose manifest lists these beyond the first set."""
    return (*COLUMNS, *(LATER[name] for name in names))
