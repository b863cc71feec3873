"""Open shard files, no more of them than a process may have."""

from __future__ import annotations

import os
import resource
import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from niicache.format.codec import ChunkError
from niicache.format.shard import ABSENT, index_nbytes, unpack_index
from niicache.opening import open_below

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from niicache.format.manifest import FileEntry

MOST_OPEN = 4096


def open_limit() -> int:
    """Return how many shards may be open: a quarter of the files that this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_OPEN if soft == resource.RLIM_INFINITY else max(8, min(MOST_OPEN, soft // 4))


class ShardFile:
    """An open shard and its index. The descriptor closes with the object.

    Attributes:
        path: The file.
        fd: Its descriptor.
        proven: (places,) bool, the chunks that were read from it and found right. A file of that
            name that is opened later may be another one.
    """

    def __init__(self, root: Path, path: str, entry: FileEntry, places: int, most: int) -> None:
        """Open a shard.

        Args:
            root: Folder of the cache.
            path: The file below it.
            entry: What the manifest says of it.
            places: Places for chunks in its index.
            most: Bytes that a stored chunk takes at most.

        Raises:
            OSError: It cannot be opened or read.
            ChunkError: Its size is another, or its index is damaged.
        """
        self.path = root / path
        self.fd = open_below(root, path)
        weakref.finalize(self, os.close, self.fd)
        size = os.fstat(self.fd).st_size
        if size != entry.size:
            raise ChunkError(f"a shard of {size} bytes in place of {entry.size}")
        tail = index_nbytes(places)
        index = os.pread(self.fd, tail, max(size - tail, 0))
        self._extents = unpack_index(index, places, size, most=most)
        self.proven = np.zeros(places, np.bool_)

    def extent(self, place: int) -> tuple[int, int]:
        """Return offset and length in bytes of a stored chunk.

        Raises:
            ChunkError: The chunk is absent.
        """
        offset, nbytes = self._extents[place].tolist()
        if offset == ABSENT:
            raise ChunkError("the chunk is absent from the shard's index")
        return offset, nbytes

    def read(self, place: int) -> bytes:
        """Return the stored bytes of a chunk.

        Raises:
            OSError: The read failed.
            ChunkError: The chunk is absent, or the file ends before it does.
        """
        offset, nbytes = self.extent(place)
        data = os.pread(self.fd, nbytes, offset)
        if len(data) != nbytes:
            raise ChunkError(f"the file ended after {len(data)} of the chunk's {nbytes} bytes")
        return data


class OpenShards:
    """The shards that a cache has open, least recently used out first. Thread-safe.

    A shard that is put out while another thread reads from it closes when that read is over.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = open_limit() if limit is None else limit
        self._files: OrderedDict[str, ShardFile] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str, make: Callable[[], ShardFile]) -> ShardFile:
        """Return an open shard, opened now if it is not."""
        with self._lock:
            file = self._files.get(name) or make()
            self._keep(name, file)
            return file

    def put(self, name: str, file: ShardFile) -> None:
        """Keep a shard in place of the one of that name."""
        with self._lock:
            self._keep(name, file)

    def clear(self) -> None:
        """Close every shard that nobody reads from."""
        with self._lock:
            self._files.clear()

    def _keep(self, name: str, file: ShardFile) -> None:
        self._files[name] = file
        self._files.move_to_end(name)
        while len(self._files) > self._limit:
            self._files.popitem(last=False)
