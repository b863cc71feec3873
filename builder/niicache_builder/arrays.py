"""How images and labels are stored: dtype, padded shape, chunks, shards. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from niicache.errors import OptionError
from niicache.format.codec import MAX_CHUNK_BYTES
from niicache.format.manifest import ArrayLayout
from niicache_builder.blocks import amplification, plan_block
from niicache_builder.codecs import SMALL_BYTES, choose_codec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from niicache.format.geometry import Shape
    from niicache_builder.choices import CodecName
    from niicache_builder.nifti import Header

CHUNK_BYTES = 2 * SMALL_BYTES
"""Decoded bytes of a chunk of many cases: enough to outweigh the cost of one read, and few enough
to stay in a core's second-level cache."""

WHOLE_CASE_BYTES = 8 * 1024 * 1024
BLOCK_BYTES = 512 * 1024
"""Cases up to the first are decoded whole; larger ones are cut into blocks of the second, half a
chunk, because a patch reads more around it the larger they are."""

SHARD_BYTES = 32 * 1024 * 1024
SHARD_CASES = 256
"""A shard is what one changed case costs to write again, so neither may depend on how many cases
there are: one added case must not move the others."""


def stored_dtype(headers: Iterable[Header]) -> str:
    """Return the dtype that holds the voxels of all headers.

    Integers stay what they are; a file with scl_slope or scl_inter makes float32, and so does
    float64, whose extra digits no scanner measured.
    """
    native = {
        np.dtype(header.dtype if (header.slope, header.inter) == (1.0, 0.0) else "float32")
        for header in headers
    }
    dtype = np.result_type(*native)
    return "float32" if dtype == np.float64 else str(dtype)


def padded_shape(shapes: Iterable[Shape]) -> Shape:
    """Return the smallest shape that every one of the shapes fits into."""
    return tuple(max(axis) for axis in zip(*shapes, strict=True))


def plan_layout(
    *,
    dtype: str,
    shape: Shape,
    fill: float,
    codec: CodecName,
    chunk: Shape | None = None,
    patch: Shape | None = None,
) -> ArrayLayout:
    """Return the layout of an array.

    Args:
        dtype: numpy name.
        shape: One padded case, channel last, or ``(k,)`` for a vector.
        fill: Value of padding; must be one of the dtype's.
        codec: What the user said of compression.
        chunk: What the user asked for: cases, then maybe spatial extents. None plans it.
        patch: Spatial shape of the patches that will be read, None for whole cases.

    Raises:
        OptionError: The chunk is too large for blosc, or the dtype cannot hold the fill.
    """
    itemsize = np.dtype(dtype).itemsize
    full = plan_chunk(shape, itemsize, patch) if chunk is None else complete_chunk(chunk, shape)
    if math.prod(full) * itemsize > MAX_CHUNK_BYTES:
        raise OptionError(
            f"chunk: got {full} of {dtype}, {math.prod(full) * itemsize:,} bytes, expected at most "
            f"{MAX_CHUNK_BYTES:,}; give a smaller --chunk"
        )
    case_nbytes = math.prod(shape) * itemsize
    cases = max(1, min(SHARD_CASES, SHARD_BYTES // max(1, case_nbytes)))
    return ArrayLayout(
        dtype=dtype,
        shape=shape,
        chunk=full,
        shard_cases=max(1, cases // full[0]) * full[0],
        fill=_fill_of(dtype, fill),
        codec=choose_codec(codec, case_nbytes),
    )


def plan_chunk(shape: Shape, itemsize: int, patch: Shape | None = None) -> Shape:
    """Return the chunk: many small cases, one case, or blocks of a large one.

    Args:
        shape: One padded case, channel last.
        itemsize: Bytes of a number.
        patch: Spatial shape of the patches that will be read, None for whole cases.
    """
    nbytes = math.prod(shape) * itemsize
    if patch is not None and nbytes > CHUNK_BYTES:
        return (1, *plan_block(shape[:-1], patch, itemsize * shape[-1]), shape[-1])
    if nbytes <= CHUNK_BYTES:
        return (min(SHARD_CASES, 2 ** int(math.log2(CHUNK_BYTES // nbytes))), *shape)
    if nbytes <= WHOLE_CASE_BYTES:
        return (1, *shape)
    *spatial, channels = shape
    # The root of a power falls just short of it in floating point: 262,144 ** (1 / 3) < 64.
    edge = max(1, int((BLOCK_BYTES / itemsize / channels) ** (1 / len(spatial)) + 1e-9))
    # Blocks of equal size, so that the last one of an axis is not a sliver.
    blocks = [-(-n // -(-n // edge)) for n in spatial]
    return (1, *blocks, channels)


def complete_chunk(chunk: Shape, shape: Shape) -> Shape:
    """Return the user's chunk with the axes that were not named, none longer than the array."""
    rest = (*chunk[1:], *shape[len(chunk) - 1 :])
    return (chunk[0], *(min(a, b) for a, b in zip(rest, shape, strict=True)))


def same_shards(image: ArrayLayout, label: ArrayLayout) -> tuple[ArrayLayout, ArrayLayout]:
    """Return both layouts with one number of cases a shard, so that a unit of work writes both.

    Small labels of large images get chunks of fewer cases, lest the shard of images has to grow.
    """
    step = image.chunk[0]
    cases = max(1, min(image.shard_cases, label.shard_cases) // step) * step
    together = next(n for n in range(min(label.chunk[0], cases), 0, -1) if cases % n == 0)
    chunk = (together, *label.chunk[1:])
    return replace(image, shard_cases=cases), replace(label, shard_cases=cases, chunk=chunk)


def _fill_of(dtype: str, fill: float) -> float | int:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        if abs(fill) > float(np.finfo(kind).max):
            raise OptionError(f"pad_value: got {fill:g}, expected what {dtype} can hold")
        return float(fill)
    limits = np.iinfo(kind)
    if fill != int(fill) or not limits.min <= fill <= limits.max:
        raise OptionError(
            f"pad_value: got {fill:g}, expected a whole number from {limits.min} to {limits.max}, "
            f"because images are stored as {dtype}; or give --dtype float32"
        )
    return int(fill)


def patch_reason(
    layouts: Sequence[ArrayLayout],
    chosen: Sequence[int] | None,
    patch: Shape,
    cases: Sequence[Shape],
) -> str:
    """Return why the chunk is what it is for patches, for the user.

    Args:
        layouts: Of the images, and of masks.
        chosen: The chunk that the user asked for, if any.
        patch: Spatial shape of the patches.
        cases: Spatial shapes before padding.
    """
    nbytes = [one.case_nbytes for one in layouts]  # as many voxels each
    ratios = [
        one.chunk[0] * amplification(one.shape[:-1], patch, one.chunk[1:-1], cases)
        for one in layouts
    ]
    ratio = sum(n * ratio for n, ratio in zip(nbytes, ratios, strict=True)) / sum(nbytes)
    said = "cheapest to read" if chosen is None else "as --chunk says"
    size = "x".join(map(str, patch))
    return f"{said}: a patch of {size} decodes {ratio:.2f} bytes for each of its own"


def chunk_reason(layout: ArrayLayout, chosen: Sequence[int] | None) -> str:
    """Return why the chunk is what it is, for the user."""
    if chosen is not None:
        return "as --chunk says"
    if layout.blocks > 1:
        return f"a case has {layout.case_nbytes:,} bytes: read in {layout.blocks} blocks"
    if layout.chunk[0] > 1:
        return f"a case has {layout.case_nbytes:,} bytes: {layout.chunk[0]} are read at once"
    return f"a case has {layout.case_nbytes:,} bytes: one is read at once"
