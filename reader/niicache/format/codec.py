"""A chunk as bytes: blosc (or nothing), then crc32c. The only module that imports numcodecs.

The layout is Zarr v3's ``[bytes, blosc, crc32c]``: what is written here any Zarr library reads.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import google_crc32c
import numpy as np
from numcodecs import blosc, zstd

if TYPE_CHECKING:
    from collections.abc import Iterator

CRC_BYTES = 4
BLOSC_HEADER_BYTES = 16
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
MAX_CHUNK_BYTES = 2**31 - 1 - BLOSC_HEADER_BYTES
"""c-blosc 1 keeps sizes in a signed 32-bit integer (blosc.h, BLOSC_MAX_BUFFERSIZE)."""

RESIDUE = 0x48674BC7
"""crc32c of any bytes followed by their own crc32c, little-endian: a property of the polynomial."""

_SHUFFLE = {"noshuffle": blosc.NOSHUFFLE, "shuffle": blosc.SHUFFLE, "bitshuffle": blosc.BITSHUFFLE}

Compressor = Literal["lz4", "lz4hc", "zstd"]
Shuffle = Literal["noshuffle", "shuffle", "bitshuffle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blosc:
    """Parameters of blosc, named as in Zarr's metadata."""

    cname: Compressor
    clevel: int
    shuffle: Shuffle


class ChunkError(Exception):
    """Bytes are not a chunk; the message says in what."""


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli, RFC 3720) of some bytes."""
    return int(google_crc32c.value(data))


def encode(chunk: np.ndarray, codec: Blosc | None) -> bytes:
    """Return the stored form of a chunk.

    Args:
        chunk: C-contiguous, little-endian, any shape.
        codec: Parameters of blosc, or None to store the voxels as they are.
    """
    if codec is None:
        payload = chunk.tobytes()
    else:
        payload = blosc.compress(
            chunk, codec.cname.encode(), codec.clevel, _SHUFFLE[codec.shuffle], blosc.AUTOBLOCKS
        )
    return payload + crc32c(payload).to_bytes(CRC_BYTES, "little")


def stored_crc(data: bytes) -> int:
    """Return the crc32c that ends a stored chunk."""
    return int.from_bytes(data[-CRC_BYTES:], "little")


def decode(data: bytes, codec: Blosc | None, out: np.ndarray, *, crc: int | None = None) -> None:
    """Check a stored chunk and decode it into ``out``.

    Every length is checked before blosc sees the bytes, because blosc believes its header.

    Args:
        data: The chunk as :func:`encode` made it.
        codec: None where the chunks are not compressed.
        out: C-contiguous array of the chunk's full shape and dtype; its content is replaced.
        crc: The crc32c that belongs to this place, where the caller knows it.

    Raises:
        ChunkError: The bytes are not this chunk. ``out`` may hold anything then.
    """
    if len(data) <= CRC_BYTES or crc32c(data) != RESIDUE:
        raise ChunkError(f"{len(data)} bytes whose crc32c does not hold")
    if crc is not None and stored_crc(data) != crc:
        raise ChunkError(f"another chunk: crc32c {stored_crc(data):08x} in place of {crc:08x}")
    payload = memoryview(data)[:-CRC_BYTES]
    flat = out.reshape(-1).view(np.uint8)
    if codec is None:
        if len(payload) != flat.nbytes:
            raise ChunkError(f"{len(payload)} bytes for a chunk of {flat.nbytes}")
        flat[:] = np.frombuffer(payload, np.uint8)
        return
    _check_blosc_header(payload, flat.nbytes)
    try:
        blosc.decompress(payload, flat)
    except RuntimeError as error:
        raise ChunkError(f"blosc refused the chunk: {error}") from error


def _check_blosc_header(payload: memoryview, decoded: int) -> None:
    """Compare the sizes in c-blosc's 16-byte header with what is here (README_CHUNK_FORMAT)."""
    if len(payload) < BLOSC_HEADER_BYTES:
        raise ChunkError(f"{len(payload)} bytes are too few for a blosc header")
    nbytes, _, cbytes = np.frombuffer(payload[4:BLOSC_HEADER_BYTES], "<u4").tolist()
    if nbytes != decoded or cbytes != len(payload):
        raise ChunkError(
            f"blosc header of {nbytes} decoded and {cbytes} stored bytes "
            f"in place of {decoded} and {len(payload)}"
        )


def unzstd(data: bytes, most: int) -> bytes:
    """Return what a zstd frame holds.

    Args:
        data: One frame that says how long its content is.
        most: Bytes that it may hold.

    Raises:
        ChunkError: It is no such frame, or holds more; nothing was decompressed then.
    """
    size = _zstd_size(data)
    if size is None or size > most:
        raise ChunkError(f"a zstd frame of {size} bytes, expected at most {most}")
    try:
        found = bytes(zstd.decompress(data))
    except RuntimeError as error:
        raise ChunkError(f"zstd refused the bytes: {error}") from error
    if len(found) != size:
        raise ChunkError(f"{len(found)} bytes in a zstd frame of {size}")
    return found


def _zstd_size(data: bytes) -> int | None:
    """Return the length that a frame's header says its content has (RFC 8878, 3.1.1.1)."""
    if data[:4] != ZSTD_MAGIC or len(data) < 5:  # noqa: PLR2004 - magic number and descriptor
        return None
    descriptor = data[4]
    single, flag = descriptor >> 5 & 1, descriptor >> 6
    width = (single, 2, 4, 8)[flag]
    at = 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3]
    field = data[at : at + width]
    if not width or len(field) < width:
        return None
    return int.from_bytes(field, "little") + (256 if width == 2 else 0)  # noqa: PLR2004 - as the RFC has it


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep blosc to one thread, so that the same chunk always gives the same bytes."""
    before = blosc.use_threads
    blosc.use_threads = False
    try:
        yield
    finally:
        blosc.use_threads = before
