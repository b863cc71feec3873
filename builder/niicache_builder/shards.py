"""One shard file, written chunk by chunk: temporary name, fsync, rename."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Self

import numpy as np

from niicache.format.codec import encode, stored_crc
from niicache.format.geometry import chunk_boxes
from niicache.format.manifest import ArrayLayout, FileEntry
from niicache.format.shard import pack_index
from niicache_builder.durable import partial_name, settle

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class ShardWriter:
    """Writes the cases of one shard in the order of their slots.

    Attributes:
        crcs: crc32c of each chunk written so far.
        partial: Temporary name of the file, beside ``path``.
    """

    def __init__(self, path: Path, layout: ArrayLayout) -> None:
        """Open a temporary file beside ``path``.

        Raises:
            OSError: It cannot be made.
        """
        self.crcs: list[int] = []
        self._layout = layout
        self._path = path
        self.partial = partial_name(path)
        self._file = self.partial.open("wb")
        self._sha = hashlib.sha256()
        self._extents: list[tuple[int, int]] = []
        self._size = 0

    def write(self, cases: np.ndarray) -> None:
        """Append a chunk's worth of cases.

        Args:
            cases: ``(chunk[0], *shape)`` of the layout's dtype; C-contiguous unless they are cut
                into blocks.
        """
        if self._layout.blocks == 1:
            self._encode(cases)
            return
        block = np.empty(self._layout.chunk, cases.dtype)
        for box in chunk_boxes(self._layout.shape, self._layout.chunk[1:]):
            if box.shape != block.shape[1:]:
                block[...] = self._layout.fill
            inside = tuple(slice(0, n) for n in box.shape)
            block[(slice(None), *inside)] = cases[(slice(None), *box.slices)]
            self._encode(block)

    def finish(self) -> FileEntry:
        """Write the index; the file is whole, but neither durable nor named yet."""
        self._append(pack_index(self._extents, self._layout.shard_chunks))
        self._file.close()
        return FileEntry(size=self._size, sha256=self._sha.hexdigest())

    def commit(self) -> FileEntry:
        """Write the index, make the file durable and give it its name."""
        entry = self.finish()
        settle(self.partial, self._path)
        return entry

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if error is not None:
            self.partial.unlink(missing_ok=True)

    def _encode(self, chunk: np.ndarray) -> None:
        data = encode(chunk, self._layout.codec)
        self.crcs.append(stored_crc(data))
        self._extents.append((self._size, len(data)))
        self._append(data)

    def _append(self, data: bytes) -> None:
        self._file.write(data)
        self._sha.update(data)
        self._size += len(data)
