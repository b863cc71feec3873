"""Stored chunks that lie: truncated, with other headers, of random bytes; their crc32c holds.

Every chunk ends where a page begins that nobody may touch, so a read beyond its end, or a write
beyond the decoded chunk, kills the process. Run it in a process of its own: ``in_a_child``.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import sys
import tracemalloc
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
from helpers import run_python

from niicache import native
from niicache.format import codec as codec_module
from niicache.format.codec import Blosc, ChunkError, crc32c, decode, encode
from niicache.format.shard import index_nbytes, pack_index, unpack_index
from niicache.kernels import read_chunks

PAGE = mmap.PAGESIZE
NO_ACCESS = 0  # PROT_NONE of mman.h
SHAPES = ((64,), (3, 17, 5), (2, 40, 41), (1, 9000))
CODECS = (
    None,
    Blosc(cname="lz4", clevel=1, shuffle="noshuffle"),
    Blosc(cname="lz4hc", clevel=5, shuffle="shuffle"),
    Blosc(cname="zstd", clevel=3, shuffle="bitshuffle"),
)
BATCH = 5_000
SLACK = 64 * 1024
"""Bytes that Python itself may need for a call, whatever the chunk."""

CHILD = """
import sys
from pathlib import Path
from breaks.decoder import batch
print(dict(batch(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))))
"""


def once(seed: int, folder: Path) -> None:
    """Decode 5,000 chunks that lie in a child; to start one takes as long as thousands of them.

    Raises:
        AssertionError: The child died, took more than twice the chunk's memory, or took a chunk
            for sound whose bytes are not.
    """
    in_a_child(seed, BATCH, folder)


def in_a_child(seed: int, count: int, folder: Path) -> str:
    """Decode so many chunks that lie, and return what became of them."""
    return run_python(CHILD, seed, count, folder)


class Guarded:
    """Memory between two pages that nobody may read or write."""

    def __init__(self, nbytes: int) -> None:
        whole = -(-nbytes // PAGE) * PAGE
        self._map = mmap.mmap(-1, whole + 2 * PAGE)
        view = np.frombuffer(self._map, np.uint8)
        libc = ctypes.CDLL(None, use_errno=True)
        for at in (0, PAGE + whole):
            address = ctypes.c_void_p(view.ctypes.data + at)
            assert libc.mprotect(address, PAGE, NO_ACCESS) == 0
        self._view = view[PAGE : PAGE + whole]

    def last(self, nbytes: int) -> np.ndarray:
        """Return the last bytes before the forbidden page."""
        return self._view[len(self._view) - nbytes :]

    def edge(self, nbytes: int, *, end: bool) -> np.ndarray:
        """Return the last bytes before a forbidden page, or the first after one."""
        return self.last(nbytes) if end else self._view[:nbytes]


@cache
def chunk_of(kind: int) -> tuple[np.ndarray, Blosc | None, bytes]:
    """Return a chunk, its codec and its payload without crc."""
    shape, codec = SHAPES[kind % len(SHAPES)], CODECS[kind // len(SHAPES)]
    rng = np.random.default_rng(kind)
    chunk = (rng.integers(0, 9, shape) * rng.integers(0, 2, shape)).astype("<i2")
    return chunk, codec, encode(chunk, codec)[:-4]


def lie(rng: np.random.Generator, payload: bytes) -> bytes:
    """Return a payload that was tampered with."""
    raw = bytearray(payload)
    for _ in range(int(rng.integers(1, 4))):
        how, reach = int(rng.integers(7)), int(rng.choice([16, 64, len(raw) + 1]))
        at = int(rng.integers(0, max(1, min(reach, len(raw)))))
        if how == 0:
            del raw[at:]
        elif how == 1 and raw:
            raw[at % len(raw)] ^= 1 << int(rng.integers(8))
        elif how == 2:
            number = int(rng.choice([0, 1, 16, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 17]))
            raw[at : at + 4] = number.to_bytes(4, "little")
        elif how == 3:
            raw[at : at + 8] = rng.bytes(8)
        elif how == 4:
            raw[16:] = rng.bytes(max(0, len(raw) - 16))
        elif how == 5:
            raw += rng.bytes(int(rng.integers(1, 30)))
        else:
            raw[at : at + 1] = rng.bytes(1)
    if rng.random() < 0.7 and len(raw) >= 16:  # what is compared with what is known
        raw[4:8], raw[12:16] = payload[4:8], len(raw).to_bytes(4, "little")
    return bytes(raw)


def batch(seed: int, count: int, folder: Path) -> Counter[str]:
    """Decode so many chunks that lie, in this process, both ways."""
    rng = np.random.default_rng(seed)
    # google-crc32c takes nothing but bytes; what comes after it sees the guarded memory itself.
    codec_module.crc32c = lambda data: crc32c(bytes(data))
    source, target = Guarded(2**17), Guarded(2**17)
    scratch = Guarded(2**17)
    _warm(folder, scratch)
    tally: Counter[str] = Counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Path(folder / f"chunk{os.getpid()}").open("w+b", buffering=0) as file:
        for number in range(count):
            chunk, codec, payload = chunk_of(int(rng.integers(len(SHAPES) * len(CODECS))))
            raw = lie(rng, payload)
            raw += crc32c(raw).to_bytes(4, "little")
            where = f"seed {seed}, chunk {number}"
            end = bool(rng.integers(2))
            stored = source.edge(len(raw), end=end)
            stored[:] = np.frombuffer(raw, np.uint8)
            out = target.edge(chunk.nbytes, end=end).view("<i2").reshape(chunk.shape)
            careful = _carefully(memoryview(stored), codec, out, where)
            first = out.tobytes()
            quick = _quickly(file, raw, codec, out, scratch.edge(max(1, len(raw)), end=end))
            assert careful == quick, f"{where}: the two ways differ: {careful}, {quick}"
            assert not careful or first == out.tobytes(), f"{where}: other voxels"
            tally["taken" if careful else "refused"] += 1
            tally["index"] += _index(rng, where)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 64 * 2**20, f"seed {seed}: {grown:,} bytes more"
    return tally


def _warm(folder: Path, scratch: Guarded) -> None:
    """Let numba compile, which takes memory."""
    native.available()
    with Path(folder / f"warm{os.getpid()}").open("w+b", buffering=0) as file:
        for kind in (0, len(SHAPES)):
            chunk, codec, payload = chunk_of(kind)
            raw = payload + crc32c(payload).to_bytes(4, "little")
            assert _quickly(file, raw, codec, np.empty_like(chunk), scratch.last(len(raw)))


def _carefully(
    data: memoryview, codec: Blosc | None, out: np.ndarray, where: str, *, traced: bool = True
) -> bool:
    if traced:
        tracemalloc.start(1)
    try:
        decode(data, codec, out)  # type: ignore[arg-type]  # any buffer will do
    except ChunkError:
        return False
    else:
        return True
    finally:
        if traced:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak <= 2 * out.nbytes + SLACK, f"{where}: {peak:,} bytes for {out.nbytes:,}"


def _quickly(file, raw: bytes, codec: Blosc | None, out: np.ndarray, scratch: np.ndarray) -> bool:
    """Read a chunk as a batch does. Scratch memory is as long as the chunk."""
    os.pwrite(file.fileno(), raw, 0)
    os.ftruncate(file.fileno(), len(raw))
    crc = int.from_bytes(raw[-4:], "little")
    job = [file.fileno(), 0, len(raw), out.ctypes.data, out.nbytes, crc]
    sound = read_chunks(np.array([job], np.int64), scratch, compressed=codec is not None)
    return bool(sound[0])


def _index(rng: np.random.Generator, where: str) -> int:
    """Parse an index of lies; every extent that is let through lies in the file, by itself."""
    places, size, most = int(rng.integers(1, 6)), int(rng.integers(0, 200)), 50
    choice = (0, 1, 10, 50, 51, 100, 2**32, 2**63, 2**64 - 2, 2**64 - 1)
    pairs = rng.integers(0, len(choice), (places, 2)).tolist()
    data = pack_index([(choice[a], choice[b]) for a, b in pairs], places)
    try:
        table = unpack_index(data, places, size + index_nbytes(places), most=most).tolist()
    except ChunkError:
        return 0
    taken = sorted((a, b) for a, b in table if a != 2**64 - 1)
    end = 0
    for at, nbytes in taken:
        assert at >= end or not nbytes, f"{where}: chunks that share bytes: {taken}"
        assert at + nbytes <= size, f"{where}: a chunk outside the file: {taken}"
        assert nbytes <= most, f"{where}: a chunk too long: {taken}"
        end = max(end, at + nbytes)
    return 1


if __name__ == "__main__":
    sys.stdout.write(f"{batch(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))}\n")
