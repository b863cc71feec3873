"""Reading from the disk and not from the page cache."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from benchmarks.way import Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.cases import Cases
    from benchmarks.way import Batch


def drop_pages(root: Path) -> None:
    """Ask the kernel to forget the pages of every file below ``root``.

    It needs no privilege. Pages that were never written to the disk stay, so the files are synced
    first. Where the temporary folder lies in memory (tmpfs) nothing can be dropped.
    """
    for path in root.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)


def resident(root: Path) -> int:
    """Return how many files below ``root`` still have their first page in memory."""
    return sum(_has_first_page(path) for path in root.rglob("*") if path.is_file())


def _has_first_page(path: Path) -> bool:
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.preadv(handle, [bytearray(1)], 0, os.RWF_NOWAIT) > 0
    except BlockingIOError:
        return False
    finally:
        os.close(handle)


class Cold(Way):
    """Another way, one epoch at a time, whose files leave the page cache before it starts."""

    passes = 1

    def __init__(self, way: Way, files: Callable[[Cases], Path]) -> None:
        """Wrap a way.

        Args:
            way: What is timed.
            files: Tells the folder of the files that it reads.
        """
        super().__init__(f"{way.name}, cold")
        self.needs = way.needs
        self.way = way
        self.files = files

    def prepare(self, cases: Cases, folder: Path) -> None:
        """Prepare the way."""
        self.way.prepare(cases, folder)
        self.root = self.files(cases)

    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Drop the pages, then open the way."""
        drop_pages(self.root)
        return self.way.open(number, epochs)

    def close(self) -> None:
        """Close the way."""
        self.way.close()
