"""Files of a cache, opened without leaving it.

A cache may come from anywhere. A link in it could lead to any file of this machine, and a pipe or
a device in the place of a file would never end.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# To look something up in a folder does not take the right to list it, where O_PATH is to be had.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC | os.O_DIRECTORY


def open_below(root: Path, path: str) -> int:
    """Return a descriptor of a file below a folder, open for reading.

    Args:
        root: The folder; it may be a link.
        path: Names with "/" between them, none of them a link.

    Raises:
        OSError: There is no such file, or a link, a pipe or the like is in its place.
    """
    *folders, name = path.split("/")
    if {"", ".", ".."} & {*folders, name} or "\0" in path:
        raise OSError(errno.EINVAL, "not a path below the cache", path)
    here = os.open(root, _FOLDER)
    try:
        for folder in folders:
            inner = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = inner
        descriptor = os.open(name, _FILE, dir_fd=here)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            what = "a link or a file where a folder should be, or a link in place of a file"
            raise OSError(error.errno, what, path) from error
        raise
    finally:
        os.close(here)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(kind, "something that is no file", path)
    return descriptor


def read_below(root: Path, path: str, most: int) -> bytes:
    """Return the bytes of a file below a folder, no more than one over ``most``.

    Raises:
        OSError: As :func:`open_below`.
    """
    with os.fdopen(open_below(root, path), "rb") as file:
        # Memory for as many bytes as are asked for is taken at once.
        return file.read(min(os.fstat(file.fileno()).st_size, most) + 1)
