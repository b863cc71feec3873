"""The bytes of a source file: opened, recognised, read in bounded pieces.

A source is hostile until read, and may be written to meanwhile: what its first look promised is
held against what is there when it has been read.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from itertools import chain, islice
from typing import TYPE_CHECKING, Protocol

from niicache_builder.inflate import DEFLATE_RATIO, GZIP, inflate
from niicache_builder.nifti_error import NiftiError, changed, too_long, truncated
from niicache_builder.promise import exactly, promised_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE = 2**18
"""Bytes read, and bytes inflated, at a time; larger ones are not faster."""

_PEEK = 4096  # compressed bytes read at a time where only the header is wanted
_PEEKS = 32  # a gzip header may carry 64 kB of extra field and a name before the first byte
_SNIFF = 512
_LENGTH = 4  # bytes at the end of a gzip member that say how long it was, modulo 2**32
_EXTRA = 4  # the flag of a gzip header that has an extra field


class Digest(Protocol):
    """What is told every byte that is read from disk, as a ``hashlib`` object is."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFile:
    """A file that is open for reading, not gone further than its first bytes.

    Attributes:
        handle: After ``first``, without a buffer: what is read is large, or all that is wanted.
        first: The first bytes, so that a peek at a header costs one read.
        size: Bytes on disk.
        mtime_ns: Time of the last change, nanoseconds since the epoch.
        gzipped: Whether the file is a gzip stream, by its first bytes.
    """

    handle: FileIO
    first: bytes
    size: int
    mtime_ns: int
    gzipped: bool

    def head(self, count: int) -> bytes:
        """Return the first ``count`` inflated bytes, fewer where the file is shorter.

        Raises:
            NiftiError: ``gzip-damaged`` or ``truncated`` within the bytes that were needed.
        """
        raw = islice(chain([self.first], self._read(_PEEK)), _PEEKS)
        head = b""
        for piece in inflate(raw, count) if self.gzipped else raw:
            head += piece
            if len(head) >= count:
                break
        return head[:count]

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        """Yield every inflated byte; all of the file is good once the iterator ends.

        Args:
            digest: Is told the bytes as they are on disk.

        Raises:
            NiftiError: ``gzip-damaged`` or ``truncated``.
        """
        raw = self.raw(digest)
        return inflate(raw, PIECE) if self.gzipped else raw

    def raw(self, digest: Digest) -> Iterator[bytes]:
        """Yield every byte as it is on disk, after ``digest`` was told."""
        # Memory for a piece is taken before it is read: a small file needs no large one.
        for chunk in chain([self.first], self._read(max(_PEEK, min(PIECE, self.size)))):
            digest.update(chunk)
            yield chunk

    def check_room(self, promised: int) -> None:
        """Refuse a file whose size on disk cannot hold, or exceeds, what its header promises.

        Args:
            promised: Bytes of the file, inflated.

        Raises:
            NiftiError: ``truncated`` or ``too-long``.
        """
        got = f"{self.size:,} bytes on disk"
        if self.size * (DEFLATE_RATIO if self.gzipped else 1) < promised:
            raise truncated(got, promised_bytes(promised))
        if not self.gzipped and self.size > promised:
            raise too_long(got, promised_bytes(promised))

    def check_length(self, promised: int) -> None:
        """Refuse a gzip stream that is not as long as its header promises, before it is needed.

        Costs four bytes. Where they disagree the stream is inflated to its end and not kept: it may
        be of several members or padded, but most such files are cut off or have a header that lies,
        and a lie about dims would pad every other case of the cache.

        Raises:
            NiftiError: ``truncated``, ``too-long`` or ``gzip-damaged``.
        """
        if not self.gzipped or self._is_blocked:
            return
        tail = os.pread(self.handle.fileno(), _LENGTH, self.size - _LENGTH)
        if int.from_bytes(tail, "little") == promised % 2 ** (8 * _LENGTH):
            return
        self.handle.seek(len(self.first))
        raw = chain([self.first], self._read(PIECE))
        for _ in exactly(inflate(raw, PIECE), promised):
            pass

    @property
    def _is_blocked(self) -> bool:
        """Whether bgzip wrote it: many members, an empty one last, and sound as a rule."""
        return bool(self.first[3] & _EXTRA) and self.first[12:14] == b"BC"

    def check_unchanged(self) -> None:
        """Refuse a file that was written to since it was opened.

        One that was replaced is still the one that was opened.

        Raises:
            NiftiError: ``changed``.
        """
        now = os.fstat(self.handle.fileno())
        if (now.st_size, now.st_mtime_ns) != (self.size, self.mtime_ns):
            raise changed((now.st_size, now.st_mtime_ns), (self.size, self.mtime_ns))

    def _read(self, count: int) -> Iterator[bytes]:
        while chunk := self.handle.read(count):
            yield chunk


@contextmanager
def opened(path: Path) -> Iterator[OpenFile]:
    """Open a regular file whose first bytes fit its name.

    Raises:
        NiftiError: ``unreadable`` (here or at any later read), ``empty-file``, ``lfs-pointer``,
            ``html-page``, ``gzip-named-plain`` or ``plain-named-gz``; ``changed`` at the end, in
            place of what a file that is being written seems to have wrong with it.
    """
    try:
        with _file(path) as handle:
            found = os.fstat(handle.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise _irregular()
            first = handle.read(_PEEK)
            gzipped = _sniff(first[:_SNIFF], path.name.lower().endswith(".gz"))
            file = OpenFile(
                handle=handle,
                first=first,
                size=found.st_size,
                mtime_ns=found.st_mtime_ns,
                gzipped=gzipped,
            )
            try:
                yield file
            except NiftiError:
                file.check_unchanged()
                raise
            file.check_unchanged()
    except OSError as error:
        got = f"{path.name}: {error.strerror or type(error).__name__}"
        hint = "check that the file is there and that you may read it"
        raise NiftiError("unreadable", got, "a readable file", hint) from error


def _file(path: Path) -> FileIO:
    def without_waiting(name: str, flags: int) -> int:
        # A named pipe would keep whoever opens it waiting for a writer.
        return os.open(name, flags | os.O_NONBLOCK)

    try:
        return FileIO(path, opener=without_waiting)
    except (IsADirectoryError, ValueError) as error:  # a zero byte in the name
        raise _irregular() from error


def _irregular() -> NiftiError:
    return NiftiError("unreadable", "no regular file", "a file", "check the path")


def _sniff(first: bytes, named_gz: bool) -> bool:  # noqa: FBT001 - one private caller
    """Tell whether a file that begins with ``first`` is gzip; refuse what is no image at all."""
    if not first:
        raise NiftiError("empty-file", "0 bytes", "a NIfTI image", "copy the file again")
    if first.startswith(b"version https://git-lfs"):
        hint = "run `git lfs pull` where the files come from"
        raise NiftiError("lfs-pointer", "a git-LFS pointer", "the file it stands for", hint)
    if first.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        hint = "a download gave an error or a login page; fetch the file again"
        raise NiftiError("html-page", "a web page", "a NIfTI image", hint)
    gzipped = first.startswith(GZIP)
    if gzipped and not named_gz:
        hint = "rename it to end in .gz"
        raise NiftiError("gzip-named-plain", "a gzip stream", "an uncompressed file", hint)
    if named_gz and not gzipped:
        hint = "if it is uncompressed, rename it without .gz; else copy it again"
        raise NiftiError("plain-named-gz", "no gzip stream", "a gzip stream", hint)
    return gzipped
