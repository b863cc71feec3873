"""One array of one class: chunk number in, decoded and proven chunk out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from niicache.errors import DamageError
from niicache.files import check_files_left, check_generation, damage
from niicache.format.codec import ChunkError, decode
from niicache.format.names import RETIRED, shard_path
from niicache.shards import ShardFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from niicache.format.manifest import ArrayLayout, FileEntry
    from niicache.shards import OpenShards


SOME = 4


class ChunkReader:
    """Reads the chunks of ``CACHE/<class>/image`` or ``.../label``.

    Chunks are numbered in C order: chunk along the case axis first, then the block in space.
    Thread-safe. Shards are opened when first read.

    Attributes:
        layout: Shape, dtype, chunk and codec.
        class_name: The class.
        crcs: (chunks,) uint32, the crc32c that belongs to each place.
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
            crcs: (chunks,) uint32, as the attribute.
            files: The manifest's files.
            shards: The cache's open shards.
            case_of: Names the cases of a chunk along the case axis, for messages.
        """
        self.layout = layout
        self.class_name = class_name
        self._root = root
        self.crcs = crcs
        self._files = files
        self._case_of = case_of
        self._shards = shards
        self._places = layout.shard_chunks
        self._nbytes = layout.chunk_nbytes
        self._names = [
            shard_path(class_name, array, shard, len(layout.chunk))
            for shard in range(-(-len(crcs) // self._places))
        ]
        self._sums = [files[name].sha256 for name in self._names]

    def __len__(self) -> int:
        return len(self.crcs)

    @property
    def nbytes(self) -> int:
        """Bytes of one decoded chunk."""
        return self._nbytes

    @property
    def case_nbytes(self) -> int:
        """Bytes of one case, as far as it lies in one chunk."""
        return self._nbytes // self.layout.chunk[0]

    def key(self, number: int) -> tuple[str, int, int]:
        """Return what a decoded chunk is known by: what it holds, not where or in which cache."""
        shard, place = divmod(number, self._places)
        return self._sums[shard], place, self._nbytes

    def place(self, number: int) -> int:
        """Return the place of a chunk in its shard."""
        return number % self._places

    def locate(self, number: int) -> tuple[ShardFile, int, int] | None:
        """Return the open shard, the offset and the stored bytes of a chunk.

        None if the shard cannot be had or has no such chunk; :meth:`read` says why.
        """
        shard, place = divmod(number, self._places)
        try:
            file = self._shards.get(self._names[shard], partial(self._open_shard, shard))
            return file, *file.extent(place)
        except (ChunkError, OSError):
            return None

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
        shard, place = divmod(number, self._places)
        try:
            self._read(shard, place, number, out)
        except (ChunkError, OSError) as first:
            check_files_left(first)
            # A rebuild may have replaced the shard; the retired copy has this generation's bytes.
            try:
                self._shards.put(self._names[shard], self._open_retired(shard))
                self._read(shard, place, number, out)
            except (ChunkError, OSError) as second:
                check_files_left(second)
                check_generation(self._root, self._files)
                raise self._damaged(shard, number, first) from first

    def _read(self, shard: int, place: int, number: int, out: np.ndarray) -> None:
        file = self._shards.get(self._names[shard], partial(self._open_shard, shard))
        decode(file.read(place), self.layout.codec, out, crc=int(self.crcs[number]))
        file.proven[place] = True

    def _shard(self, shard: int) -> tuple[Path, FileEntry]:
        path = self._names[shard]
        return self._root / path, self._files[path]

    def _open_shard(self, shard: int) -> ShardFile:
        return self._open(self._names[shard], self._files[self._names[shard]])

    def _open_retired(self, shard: int) -> ShardFile:
        entry = self._files[self._names[shard]]
        return self._open(f"{RETIRED}/{entry.sha256}", entry)

    def _open(self, path: str, entry: FileEntry) -> ShardFile:
        return ShardFile(self._root, path, entry, self._places, self.layout.stored_nbytes)

    def _damaged(self, shard: int, number: int, error: Exception) -> DamageError:
        path, entry = self._shard(shard)
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        cases = self._case_of(number // self.layout.blocks)
        problem = damage(
            path,
            reason,
            f"chunk {number} ({some(cases.split(', '))}) of sha256 {entry.sha256[:16]}",
            class_name=self.class_name,
            case=cases,
        )
        return DamageError([problem])


def some(names: Sequence[str]) -> str:
    """Return names, cut short; a text is all that TensorFlow leaves of an error."""
    more = len(names) - SOME
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:SOME])}, {more} more"
