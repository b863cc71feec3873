"""A gzip stream, inflated in bounded pieces and checked to its last trailer. Owns isal.

No stream is inflated past what its reader asks for. It counts as read only when the trailer of its
last member (CRC-32 and length, RFC 1952) has been checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from isal import isal_zlib

from niicache_builder.nifti_error import NiftiError, truncated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GZIP = b"\x1f\x8b"
"""What every member of a gzip stream begins with."""

DEFLATE_RATIO = 1032
"""No deflate stream expands more: 258 bytes from 2 bits (zlib, technical details)."""

# isal's own stubs call its exceptions instances of Exception.
_ISAL_ERROR = cast("type[Exception]", isal_zlib.IsalError)
_WBITS = 31  # deflate with a 32 kB window inside a gzip frame


def inflate(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Yield pieces of at most ``limit`` bytes of one or more gzip members (as bgzip writes).

    Args:
        chunks: The stream as it is on disk, in pieces of any length.
        limit: Bytes.

    Raises:
        NiftiError: ``gzip-damaged`` or ``truncated``.
    """
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
    if rest[0] != GZIP[0]:
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
