"""NIfTI files: a safe look at the header, a safe read of the voxels.

nibabel checks neither the gzip CRC nor the dims against the size of the file, so the voxels are
taken from bytes that were bounded and checked before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from niicache_builder.nifti_error import NiftiError
from niicache_builder.nifti_header import PEEK, Header
from niicache_builder.nifti_names import files_of, stem
from niicache_builder.nifti_record import Parsed, parse
from niicache_builder.promise import fill
from niicache_builder.source_file import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "Header",
    "NiftiError",
    "Voxels",
    "files_of",
    "hash_files",
    "read_header",
    "read_voxels",
    "stem",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Voxels:
    """The voxels of a file.

    Attributes:
        data: Raw stored values (slope and inter not applied), native byte order, Fortran order,
            shape ``header.shape``, dtype ``header.dtype``, writable and owned by nobody else.
        header: The header that came with them.
        sha256: Hex digest of the file as on disk; of a pair, of .hdr then .img.
    """

    data: NDArray[Any]
    header: Header
    sha256: str


def read_header(path: Path) -> Header:
    """Read a header, and check it against the size of the file.

    Reads 4 kB; of a gzip stream at most 128 kB, inflated no further than the header, and the length
    at its end; all of it where that length is another than the header promises.

    Args:
        path: A NIfTI-1 or NIfTI-2 file in either byte order, gzipped or not, or a half of a pair.

    Raises:
        NiftiError: Its ``kind`` says what is wrong.
    """
    files = files_of(path)
    with opened(files[0]) as first:
        parsed = parse(first.head(PEEK), paired=len(files) > 1)
        if len(files) == 1:
            first.check_room(parsed.promised)
            first.check_length(parsed.promised)
            return parsed.header(first)
    with opened(files[1]) as second:
        second.check_room(parsed.promised)
        second.check_length(parsed.promised)
        return parsed.header(first, second)


def read_voxels(path: Path) -> Voxels:
    """Read the voxels to the last byte of the file, so that a gzip CRC is checked too.

    Memory is bounded by what the header promises, and that by the size of the file.

    Args:
        path: As in ``read_header``.

    Raises:
        NiftiError: Its ``kind`` says what is wrong.
    """
    files = files_of(path)
    digest = hashlib.sha256()
    with opened(files[0]) as first:
        pieces = first.pieces(digest)
        head = _gather(pieces)
        parsed = parse(head[:PEEK], paired=len(files) > 1)
        if len(files) == 1:
            first.check_room(parsed.promised)
            data = _view(fill(chain([head], pieces), parsed.promised), parsed)
            return Voxels(data=data, header=parsed.header(first), sha256=digest.hexdigest())
        for _ in pieces:  # the rest of a .hdr, extensions: hashed and checked, not kept
            pass
    with opened(files[1]) as second:
        second.check_room(parsed.promised)
        data = _view(fill(second.pieces(digest), parsed.promised), parsed)
        return Voxels(data=data, header=parsed.header(first, second), sha256=digest.hexdigest())


def hash_files(path: Path) -> str:
    """Return the ``sha256`` that ``read_voxels`` would, without decoding.

    Raises:
        NiftiError: As ``inflate.opened``.
    """
    digest = hashlib.sha256()
    for file in files_of(path):
        with opened(file) as source:
            for _ in source.raw(digest):
                pass
    return digest.hexdigest()


def _gather(pieces: Iterator[bytes]) -> bytes:
    """Take pieces until they hold a header."""
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= PEEK:
            break
    return head


def _view(buffer: NDArray[np.uint8], parsed: Parsed) -> NDArray[Any]:
    """Return the voxels in ``buffer``, in place where their address allows it."""
    flat = buffer[parsed.offset :].view(parsed.stored)
    if not parsed.stored.isnative:
        flat = flat.byteswap(inplace=True).view(parsed.stored.newbyteorder("="))
    return np.require(flat, requirements="A").reshape(parsed.shape, order="F")
