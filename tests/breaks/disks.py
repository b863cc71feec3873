"""Small disks of our own: mounted, filled, and taken away. Needs to be root on Linux."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Self

from breaks import CannotBreakError
from breaks.warm import scratch

SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN."""

WITH_THE_JOURNAL = struct.pack("I", 2)
"""What the journal has not written yet goes as well."""

DISK_BYTES = 16 * 2**20


class Ext4:
    """A file system on a loop device, which may lose its power."""

    def __init__(self, folder: Path) -> None:
        """Make it.

        Raises:
            CannotBreakError: This machine does not let us.
        """
        refusal = _ext4_refusal()
        if refusal:
            raise CannotBreakError(refusal)
        self.root = folder / "mounted"
        self._image = folder / "disk"
        self.root.mkdir()
        shutil.copy(_formatted(), self._image)

    def __enter__(self) -> Self:
        self.mount()
        return self

    def __exit__(self, *_: object) -> None:
        _unmount(self.root)

    def mount(self) -> None:
        """Mount it."""
        _run("mount", "-o", "loop", self._image, self.root)

    def lose_power(self) -> None:
        """Lose all that is in memory alone, and mount what is left."""
        fd = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, WITH_THE_JOURNAL)
        finally:
            os.close(fd)

    def come_back(self) -> None:
        """Mount again what is left."""
        _unmount(self.root)
        self.mount()


class Tmpfs:
    """A file system in memory, of any size."""

    def __init__(self, folder: Path) -> None:
        """Make its folder.

        Raises:
            CannotBreakError: This machine does not let us.
        """
        refusal = _tmpfs_refusal()
        if refusal:
            raise CannotBreakError(refusal)
        self.root = folder / "mounted"
        self.root.mkdir()

    def __enter__(self) -> Self:
        _run("mount", "-t", "tmpfs", "tmpfs", self.root)
        return self

    def __exit__(self, *_: object) -> None:
        _unmount(self.root)

    def resize(self, nbytes: int) -> None:
        """Set its size, which may not be less than what lies on it."""
        _run("mount", "-o", f"remount,size={max(nbytes, 1)}", self.root)


@cache
def _ext4_refusal() -> str:
    """Return why there can be no ext4 on a loop device, or nothing."""
    if not _is_root():
        return "not root on Linux: no file system can be mounted"
    if shutil.which("mkfs.ext4") is None:
        return "no mkfs.ext4"
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        try:
            shutil.copy(_formatted(), Path(folder) / "disk")
            _run("mount", "-o", "loop", Path(folder) / "disk", folder)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"no loop device can be mounted: {error}"
        _unmount(Path(folder))
    return ""


@cache
def _tmpfs_refusal() -> str:
    """Return why no tmpfs can be mounted, or nothing."""
    if not _is_root():
        return "not root on Linux: no file system can be mounted"
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        try:
            _run("mount", "-t", "tmpfs", "tmpfs", folder)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"no tmpfs can be mounted: {error}"
        _unmount(Path(folder))
    return ""


def _is_root() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0


@cache
def _formatted() -> Path:
    image = scratch() / "ext4"
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    _run("mkfs.ext4", "-q", "-F", image)
    return image


def _unmount(folder: Path) -> None:
    with contextlib.suppress(subprocess.CalledProcessError):
        _run("umount", folder)
        return
    # Whatever holds it lets go of it later.
    _run("umount", "--lazy", folder)


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=60)
