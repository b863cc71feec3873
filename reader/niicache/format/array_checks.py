"""What is wrong with the Zarr metadata of an array or a group. Pure; returns every problem.

What a cache's arrays look like follows from its manifest, so metadata have nothing to add: they
must say the same, or other libraries would read something else than we do.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from niicache.format.members import member_problems, parse, shown
from niicache.format.paths import METADATA_BYTES

if TYPE_CHECKING:
    from niicache.format.geometry import Shape
    from niicache.format.manifest import ArrayLayout

_LITTLE: Final = {"name": "bytes", "configuration": {"endian": "little"}}
_CRC32C: Final = {"name": "crc32c", "configuration": {}}
_ZSTD: Final = {"name": "zstd", "configuration": {}}
_STRINGS: Final = {"name": "vlen-utf8", "configuration": {}}
SHOWN: Final = 200

_FREE: Final = ("attributes", "dimension_names", "fill_value")
"""Members that say nothing of where bytes lie and what they mean."""


def group_problems(data: bytes) -> list[str]:
    """Return what is wrong with the text of a group's metadata."""
    document, problems = _document(data)
    if problems:
        return problems
    if document.get("consolidated_metadata") is None:
        document.pop("consolidated_metadata", None)
    problems = member_problems("the group", document, ("attributes", "node_type", "zarr_format"))
    return problems or _differences(document, {"node_type": "group", "zarr_format": 3})


def small_array_problems(data: bytes, dtype: str, shape: Shape) -> list[str]:
    """Return what is wrong with the text of the metadata of a column, or of checksums.

    Args:
        data: The text.
        dtype: ``"string"``, or a numpy name.
        shape: What the manifest calls for.
    """
    first = _STRINGS if dtype == "string" else _LITTLE
    chunk = [max(1, n) for n in shape]
    return _array_problems(data, _array(dtype, shape, chunk, [first, _ZSTD]))


def voxel_array_problems(data: bytes, layout: ArrayLayout, slots: int) -> list[str]:
    """Return what is wrong with the text of the metadata of images or labels."""
    # Bytes have no order where each is a value, and zarr-python has not always said so alike.
    first: list[dict[str, Any]] = [_LITTLE]
    first += [{"name": "bytes"}] if np.dtype(layout.dtype).itemsize == 1 else []
    return min((_voxel_problems(data, layout, slots, one) for one in first), key=len)


def _voxel_problems(
    data: bytes, layout: ArrayLayout, slots: int, first: dict[str, Any]
) -> list[str]:
    inner = [first, _CRC32C]
    if layout.codec is not None:
        configuration = {
            "typesize": np.dtype(layout.dtype).itemsize,
            "cname": layout.codec.cname,
            "clevel": layout.codec.clevel,
            "shuffle": layout.codec.shuffle,
            "blocksize": 0,
        }
        inner.insert(1, {"name": "blosc", "configuration": configuration})
    sharding = {
        "chunk_shape": list(layout.chunk),
        "codecs": inner,
        "index_codecs": [_LITTLE, _CRC32C],
        "index_location": "end",
    }
    codecs = [{"name": "sharding_indexed", "configuration": sharding}]
    over = [-(-n // c) * c for n, c in zip(layout.shape, layout.chunk[1:], strict=True)]
    expected = _array(layout.dtype, (slots, *layout.shape), [layout.shard_cases, *over], codecs)
    kind = float if np.dtype(layout.dtype).kind == "f" else int
    return _array_problems(data, {**expected, "fill_value": kind(layout.fill)})


def _array(dtype: str, shape: Shape, chunk: list[int], codecs: list[Any]) -> dict[str, Any]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": codecs,
        "storage_transformers": [],
    }


def _array_problems(data: bytes, expected: dict[str, Any]) -> list[str]:
    document, problems = _document(data)
    if problems:
        return problems
    document.setdefault("storage_transformers", [])
    document.setdefault("dimension_names", None)
    document.setdefault("attributes", {})
    problems = member_problems("the array", document, {*expected, *_FREE})
    return problems or _differences(document, expected)


def _document(data: bytes) -> tuple[dict[str, Any], list[str]]:
    if len(data) > METADATA_BYTES:
        return {}, [f"metadata of {len(data):,} bytes"]
    try:
        document = parse(data)
    except ValueError as error:
        return {}, [f"no JSON text ({error})"]
    if not isinstance(document, dict):
        return {}, [f"metadata are {shown(document)}, not an object"]
    return document, []


def _differences(document: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    same = {name: document[name] for name in expected}
    if _text(same) == _text(expected):
        return []
    texts = {name: (_text(document[name]), _text(value)) for name, value in expected.items()}
    return [
        f"{name} is {got[:SHOWN] or 'no JSON'} in place of {needed}"
        for name, (got, needed) in texts.items()
        if got != needed
    ]


def _text(value: Any) -> str:
    """Return the JSON text of a value, in which 1, 1.0 and true differ; "" if it has none."""
    try:
        return json.dumps(_plain(value), sort_keys=True, allow_nan=False)
    except (ValueError, RecursionError):
        return ""


def _plain(value: Any) -> Any:
    """Return metadata without what codecs may leave out, or may say as they like."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"name"} and value["name"] in {"crc32c", "vlen-utf8"}:
        return {**value, "configuration": {}}
    if set(value) == {"name", "configuration"} and value["name"] == "zstd":
        settings = value["configuration"]
        # Neither matters to who decompresses.
        if isinstance(settings, dict) and set(settings) <= {"level", "checksum"}:
            return _ZSTD
    return {key: _plain(one) for key, one in value.items()}
