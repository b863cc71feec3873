"""One array of one class: chunk number in, decoded and proven chunk out."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

import numpy as np

from niicache.errors import DamageError
from niicache.files import damage, retired
from niicache.format.codec import ChunkError, decode
from niicache.format.names import shard_path
from niicache.format.shard import ABSENT, index_nbytes, unpack_index

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from niicache.format.manifest import ArrayLayout, FileEntry


class ShardFile:
    """An open shard and its index. The descriptor closes with the object."""

    def __init__(self, path: Path, entry: FileEntry, places: int) -> None:
        """Open a shard.

        Args:
            path: The file.
            entry: What the manifest says of it.
            places: Places for chunks in its index.

        Raises:
            OSError: It cannot be opened or read.
            ChunkError: Its size is another, or its index is damaged.
        """
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._fd)
        size = os.fstat(self._fd).st_size
        if size != entry.size:
            raise ChunkError(f"a shard of {size} bytes, expected {entry.size}")
        tail = index_nbytes(places)
        index = os.pread(self._fd, tail, max(size - tail, 0))
        self._extents: list[list[int]] = unpack_index(index, places, size).tolist()

    def read(self, place: int) -> bytes:
        """Return the stored bytes of a chunk.

        Raises:
            OSError: The read failed.
            ChunkError: The chunk is absent, or the file ends before it does.
        """
        offset, nbytes = self._extents[place]
        if offset == ABSENT:
            raise ChunkError("the chunk is absent from the shard's index")
        data = os.pread(self._fd, nbytes, offset)
        if len(data) != nbytes:
            raise ChunkError(f"the file ended after {len(data)} of the chunk's {nbytes} bytes")
        return data


class ChunkReader:
    """Reads the chunks of ``CACHE/<class>/image`` or ``.../label``.

    Chunks are numbered in C order: chunk along the case axis first, then the block in space.
    Thread-safe. Shards are opened when first read and stay open.

    Attributes:
        layout: Shape, dtype, chunk and codec.
        class_name: The class.
    """

    def __init__(
        self,
        root: Path,
        *,
        class_name: str,
        array: str,
        layout: ArrayLayout,
        crcs: np.ndarray,
        files: Mapping[str, FileEntry],
        case_of: Callable[[int], str],
    ) -> None:
        """Prepare to read; no file is opened yet.

        Args:
            root: Folder of the cache.
            class_name: The class.
            array: ``"image"`` or ``"label"``.
            layout: Layout of the array.
            crcs: (chunks,) uint32, the crc32c that belongs to each place.
            files: The manifest's files.
            case_of: Names the cases of a chunk along the case axis, for messages.
        """
        self.layout = layout
        self.class_name = class_name
        self._root = root
        self._array = array
        self._crcs: list[int] = crcs.tolist()
        self._files = files
        self._case_of = case_of
        self._open: dict[int, ShardFile] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._crcs)

    def empty(self) -> np.ndarray:
        """Return an uninitialised array of a chunk's shape, ``(cases, *block)``."""
        return np.empty(self.layout.chunk, np.dtype(self.layout.dtype).newbyteorder("<"))

    def read(self, number: int, out: np.ndarray) -> None:
        """Decode a chunk into ``out``, an array as :meth:`empty` makes it.

        Raises:
            DamageError: The chunk is missing or is not the one that belongs there.
        """
        shard, place = divmod(number, self.layout.shard_chunks)
        try:
            self._read(shard, place, number, out)
        except (ChunkError, OSError) as first:
            # A rebuild may have replaced the shard; the retired copy has this generation's bytes.
            try:
                with self._lock:
                    self._open[shard] = self._open_retired(shard)
                self._read(shard, place, number, out)
            except (ChunkError, OSError):
                raise self._damaged(shard, number, first) from first

    def _read(self, shard: int, place: int, number: int, out: np.ndarray) -> None:
        file = self._open.get(shard)
        if file is None:
            with self._lock:
                file = self._open.get(shard) or self._open_shard(shard)
                self._open[shard] = file
        decode(file.read(place), self.layout.codec, out, crc=self._crcs[number])

    def _shard(self, shard: int) -> tuple[Path, FileEntry]:
        path = shard_path(self.class_name, self._array, shard, len(self.layout.chunk))
        return self._root / path, self._files[path]

    def _open_shard(self, shard: int) -> ShardFile:
        path, entry = self._shard(shard)
        return ShardFile(path, entry, self.layout.shard_chunks)

    def _open_retired(self, shard: int) -> ShardFile:
        _, entry = self._shard(shard)
        return ShardFile(retired(self._root, entry), entry, self.layout.shard_chunks)

    def _damaged(self, shard: int, number: int, error: Exception) -> DamageError:
        path, entry = self._shard(shard)
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        problem = damage(
            path,
            reason,
            f"chunk {number} of sha256 {entry.sha256[:16]}",
            class_name=self.class_name,
            case=self._case_of(number // self.layout.blocks),
        )
        return DamageError([problem])
