"""The bytes of a source file: opened, recognised, inflated in bounded pieces. Owns isal.

A source is hostile until read. No stream is ever inflated past what its reader asks for, and a gzip
stream counts as read only when its last trailer (CRC-32 and length, RFC 1952) has been checked.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from itertools import chain, islice
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from isal import isal_zlib

from niicache_builder.nifti_error import NiftiError, too_long, truncated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

PIECE = 2**18
"""Bytes read, and bytes inflated, at a time; larger ones are not faster."""

DEFLATE_RATIO = 1032
"""No deflate stream expands more: 258 bytes from 2 bits (zlib, technical details)."""

_PEEK = 4096  # compressed bytes read at a time where only the header is wanted
_PEEKS = 32  # a gzip header may carry 64 kB of extra field and a name before the first byte
_SNIFF = 512
_GZIP = b"\x1f\x8b"
# isal's own stubs call its exceptions instances of Exception.
_ISAL_ERROR = cast("type[Exception]", isal_zlib.IsalError)
_WBITS = 31  # deflate with a 32 kB window inside a gzip frame


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
        for piece in _inflate(raw, count) if self.gzipped else raw:
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
        return _inflate(raw, PIECE) if self.gzipped else raw

    def raw(self, digest: Digest) -> Iterator[bytes]:
        """Yield every byte as it is on disk, after ``digest`` was told."""
        # Memory for a piece is taken before it is read: a small file needs no large one.
        for chunk in chain([self.first], self._read(max(_PEEK, min(PIECE, self.size)))):
            digest.update(chunk)
            yield chunk

    def _read(self, count: int) -> Iterator[bytes]:
        while chunk := self.handle.read(count):
            yield chunk


@contextmanager
def opened(path: Path) -> Iterator[OpenFile]:
    """Open a regular file whose first bytes fit its name.

    Raises:
        NiftiError: ``unreadable`` (here or at any later read), ``empty-file``, ``lfs-pointer``,
            ``html-page``, ``gzip-named-plain`` or ``plain-named-gz``.
    """
    try:
        with _file(path) as handle:
            found = os.fstat(handle.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise _irregular()
            first = handle.read(_PEEK)
            gzipped = _sniff(first[:_SNIFF], path.name.lower().endswith(".gz"))
            yield OpenFile(
                handle=handle,
                first=first,
                size=found.st_size,
                mtime_ns=found.st_mtime_ns,
                gzipped=gzipped,
            )
    except OSError as error:
        got = f"{path.name}: {error.strerror or type(error).__name__}"
        hint = "check that the file is there and that you may read it"
        raise NiftiError("unreadable", got, "a readable file", hint) from error


def fill(pieces: Iterable[bytes], promised: int) -> NDArray[np.uint8]:
    """Gather a stream of exactly ``promised`` bytes; more is refused as soon as it is seen.

    Returns:
        uint8, shape (promised,), in memory of its own. Pages that no byte reached cost nothing.

    Raises:
        NiftiError: ``truncated``, ``too-long`` or ``too-large`` (does not fit in memory).
    """
    expected = f"{promised:,} bytes as its header says"
    try:
        buffer = np.empty(promised, np.uint8)
    except MemoryError as error:
        hint = "use a machine with more memory, or check the header's dim"
        raise NiftiError("too-large", "not enough memory", expected, hint) from error
    at = 0
    for piece in pieces:
        end = at + len(piece)
        if end > promised:
            raise too_long(f"more than {promised:,} bytes", expected)
        buffer.data[at:end] = piece
        at = end
    if at < promised:
        raise truncated(f"{at:,} bytes", expected)
    return buffer


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
    gzipped = first.startswith(_GZIP)
    if gzipped and not named_gz:
        hint = "rename it to end in .gz"
        raise NiftiError("gzip-named-plain", "a gzip stream", "an uncompressed file", hint)
    if named_gz and not gzipped:
        hint = "if it is uncompressed, rename it without .gz; else copy it again"
        raise NiftiError("plain-named-gz", "no gzip stream", "a gzip stream", hint)
    return gzipped


def _inflate(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Yield pieces of at most ``limit`` bytes of one or more gzip members (as bgzip writes)."""
    member = None
    for chunk in chunks:
        rest = chunk
        while rest:
            if member is None:
                # Zeros after a member are padding to gzip(1); anything but a member is not.
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                member = _member(rest)
            yield _step(member, rest, limit)
            rest = member.unused_data if member.eof else member.unconsumed_tail
            if member.eof:
                member = None
    if member is not None:
        yield from _flush(member, limit)


def _member(rest: bytes) -> isal_zlib.Decompress:
    if rest[0] != _GZIP[0]:
        raise _damaged("bytes that are no gzip after the end of the stream")
    return isal_zlib.decompressobj(wbits=_WBITS)


def _flush(member: isal_zlib.Decompress, limit: int) -> Iterator[bytes]:
    """Yield what a full piece left behind; all input was taken in."""
    while not member.eof:
        piece = _step(member, b"", limit)
        if not piece and not member.eof:
            raise truncated("a gzip stream that stops early", "a gzip stream with its trailer")
        yield piece


def _step(member: isal_zlib.Decompress, rest: bytes, limit: int) -> bytes:
    try:
        return bytes(member.decompress(rest, limit))
    except _ISAL_ERROR as error:
        raise _damaged(str(error)) from error


def _damaged(got: str) -> NiftiError:
    hint = "the file was damaged after it was written; copy it again from where it came from"
    return NiftiError("gzip-damaged", got, "a sound gzip stream", hint)
