"""Everything of a cache that zarr-python writes: metadata, columns, checksums of chunks.

The only module here that imports zarr. It writes into memory, because zarr's own file store
neither syncs nor replaces files atomically; the commit puts the bytes on disk.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, VLenUTF8Codec, ZstdCodec
from zarr.storage import MemoryStore

from niicache.format.facts import CaseFacts, columns_of
from niicache.format.names import CASES, CHUNKS, LABEL, ROOT, SPATIAL_AXES, SPOTS
from niicache_builder.spots import spot_arrays
from niicache_builder.work import layouts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from niicache.format.manifest import ArrayLayout, Recipe

_SMALL = ZstdCodec(level=3, checksum=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTable:
    """What there is to write of one class beside its shards.

    Attributes:
        name: The class.
        facts: One a slot, None where vacant.
        crcs: ``"image"``, ``"label"`` to the crc32c of every chunk of the array.
        spots: Label value to where its voxels lie, one a slot, None where vacant.
    """

    name: str
    facts: Sequence[CaseFacts | None]
    crcs: Mapping[str, Sequence[int]]
    spots: Sequence[Mapping[float, bytes] | None]


def metadata_files(
    recipe: Recipe,
    classes: Sequence[ClassTable],
    label_values: Sequence[float],
    columns: Sequence[str],
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the root group's metadata, and every other small file of the hierarchy.

    Args:
        recipe: Layout of the arrays.
        classes: Every class.
        label_values: Those that the manifest lists.
        columns: Names of columns beyond the first set, likewise.

    Returns:
        The root zarr.json as an object, and path below the root to bytes.
    """
    store = MemoryStore()
    zarr.create_group(store)
    for table in classes:
        for group in ("", f"/{CASES}", f"/{CHUNKS}"):
            zarr.create_group(store, path=table.name + group)
        for name, layout in layouts_of(recipe).items():
            _declare(store, f"{table.name}/{name}", layout, len(table.facts), _axes(recipe, name))
            path = f"{table.name}/{CHUNKS}/{name}"
            _write(store, path, np.array(table.crcs[name], "<u4"), ("chunk",))
        _write_columns(store, table, recipe, len(label_values), columns)
        if recipe.spots is not None:
            _write_spots(store, table, recipe, label_values)
    files = {path: content.to_bytes() for path, content in store._store_dict.items()}  # noqa: SLF001 - zarr's in-memory store has no public way to list its bytes
    return json.loads(files.pop(ROOT)), files


def _axes(recipe: Recipe, array: str) -> tuple[str, ...]:
    if array == LABEL and recipe.label_kind == "vector":
        return "case", "entry"
    return "case", *SPATIAL_AXES[: recipe.spatial_dims], "channel"


def _declare(
    store: MemoryStore, path: str, layout: ArrayLayout, slots: int, axes: tuple[str, ...]
) -> None:
    """Write the metadata of a sharded array; its shards are written elsewhere."""
    codec = layout.codec
    blosc = [] if codec is None else [_blosc(layout)]
    over = tuple(-(-n // c) * c for n, c in zip(layout.shape, layout.chunk[1:], strict=True))
    zarr.create_array(
        store,
        name=path,
        shape=(slots, *layout.shape),
        shards=(layout.shard_cases, *over),
        chunks=layout.chunk,
        dtype=layout.dtype,
        fill_value=layout.fill,
        filters=None,
        serializer=BytesCodec(endian="little"),
        compressors=[*blosc, Crc32cCodec()],
        dimension_names=axes,
    )


def _blosc(layout: ArrayLayout) -> BloscCodec:
    codec = layout.codec
    assert codec is not None  # noqa: S101 - the caller asked
    return BloscCodec(
        typesize=np.dtype(layout.dtype).itemsize,
        cname=codec.cname,
        clevel=codec.clevel,
        shuffle=codec.shuffle,
        blocksize=0,
    )


def _write_columns(
    store: MemoryStore, table: ClassTable, recipe: Recipe, label_values: int, names: Sequence[str]
) -> None:
    for column in columns_of(names):
        item = column.shape(
            files=recipe.image_files,
            axes=recipe.spatial_dims,
            channels=recipe.image.shape[-1],
            label_values=label_values,
        )
        values = [None if facts is None else getattr(facts, column.name) for facts in table.facts]
        path = f"{table.name}/{CASES}/{column.name}"
        dtype = np.dtypes.StringDType() if column.dtype == "string" else column.dtype
        array = np.zeros((len(values), *item), dtype)
        for slot, value in enumerate(values):
            if value is not None:
                # A tuple of one, where the axis of the files is left out.
                array[slot] = value[0] if "file" in column.dims and not item else value
        axes = ("case", *column.stored_dims(recipe.image_files))
        _write(store, path, array, axes, doc=column.doc)


def _write_spots(
    store: MemoryStore, table: ClassTable, recipe: Recipe, label_values: Sequence[float]
) -> None:
    zarr.create_group(store, path=f"{table.name}/{SPOTS}")
    stop, voxel = spot_arrays(table.spots, label_values, recipe.image.shape[:-1])
    _write(store, f"{table.name}/{SPOTS}/stop", stop, ("case", "label_value"))
    _write(store, f"{table.name}/{SPOTS}/voxel", voxel, ("spot",))


def _write(
    store: MemoryStore, path: str, data: np.ndarray, axes: tuple[str, ...], *, doc: str = ""
) -> None:
    text = data.dtype == np.dtypes.StringDType()
    array = zarr.create_array(
        store,
        name=path,
        shape=data.shape,
        chunks=tuple(max(1, n) for n in data.shape),
        dtype=str if text else data.dtype,
        filters=None,
        serializer=VLenUTF8Codec() if text else BytesCodec(endian="little"),
        compressors=[_SMALL],
        dimension_names=axes,
        attributes={"doc": doc} if doc else None,
        # A chunk of zeros is written too, so that a missing file always means damage.
        config={"write_empty_chunks": True},
    )
    array[...] = data
