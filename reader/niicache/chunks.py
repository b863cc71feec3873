"""One array of one class: chunk number in, decoded and proven chunk out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from niicache.errors import DamageError
from niicache.files import check_files_left, check_generation, damage, retired
from niicache.format.codec import ChunkError, decode
from niicache.format.names import shard_path
from niicache.shards import ShardFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from niicache.format.manifest import ArrayLayout, FileEntry
    from niicache.shards import OpenShards


class ChunkReader:
    """Reads the chunks of ``CACHE/<class>/image`` or ``.../label``.

    Chunks are numbered in C order: chunk along the case axis first, then the block in space.
    Thread-safe. Shards are opened when first read.

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
        shards: OpenShards,
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
            shards: The cache's open shards.
            case_of: Names the cases of a chunk along the case axis, for messages.
        """
        self.layout = layout
        self.class_name = class_name
        self._root = root
        self._array = array
        self._crcs: list[int] = crcs.tolist()
        self._files = files
        self._case_of = case_of
        self._shards = shards

    def __len__(self) -> int:
        return len(self._crcs)

    def empty(self) -> np.ndarray:
        """Return an uninitialised array of a chunk's shape, ``(cases, *block)``."""
        return np.empty(self.layout.chunk, np.dtype(self.layout.dtype).newbyteorder("<"))

    def read(self, number: int, out: np.ndarray) -> None:
        """Decode a chunk into ``out``, an array as :meth:`empty` makes it.

        Raises:
            DamageError: The chunk is missing or is not the one that belongs there.
            CacheError: The cache was rebuilt more than once since it was opened, or the process
                has no file descriptor left.
        """
        shard, place = divmod(number, self.layout.shard_chunks)
        try:
            self._read(shard, place, number, out)
        except (ChunkError, OSError) as first:
            check_files_left(first)
            # A rebuild may have replaced the shard; the retired copy has this generation's bytes.
            try:
                self._shards.put(self._name(shard), self._open_retired(shard))
                self._read(shard, place, number, out)
            except (ChunkError, OSError):
                check_generation(self._root, self._files)
                raise self._damaged(shard, number, first) from first

    def _read(self, shard: int, place: int, number: int, out: np.ndarray) -> None:
        file = self._shards.get(self._name(shard), partial(self._open_shard, shard))
        decode(file.read(place), self.layout.codec, out, crc=self._crcs[number])

    def _name(self, shard: int) -> str:
        return shard_path(self.class_name, self._array, shard, len(self.layout.chunk))

    def _shard(self, shard: int) -> tuple[Path, FileEntry]:
        path = self._name(shard)
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
