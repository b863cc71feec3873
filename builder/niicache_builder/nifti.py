"""NIfTI files: a safe look at the header, a safe read of the voxels. Owns nibabel.

nibabel parses the header's bytes and nothing else: it checks neither the gzip CRC nor the dims
against the size of the file, so the voxels are taken from bytes that were bounded and checked
before. Text of the header (descrip, db_name, aux_file, extensions) may name a patient and never
leaves here.
"""

from __future__ import annotations

import hashlib
import logging
import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError

from niicache_builder.inflate import DEFLATE_RATIO, OpenFile, fill, opened
from niicache_builder.nifti_affine import Placement, place
from niicache_builder.nifti_error import NiftiError, too_long, truncated
from niicache_builder.nifti_header import (
    HEAD,
    MM,
    Header,
    dims_of,
    dtype_of,
    fixes_of,
    frame_of,
    offset_of,
    scaling_of,
)
from niicache_builder.nifti_names import files_of, stem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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

# Takes nibabel's reports of header fixes in place of its global logger; registered nowhere.
_SILENT = logging.Logger("niicache-silent", logging.CRITICAL + 1)  # noqa: LOG001 - on purpose
_NEVER = 1000  # above every problem level of nibabel, so that a report never raises


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    """What the bytes of a header say, the file system aside."""

    shape: tuple[int, ...]
    stored: np.dtype[Any]
    scaling: tuple[float, float]
    placement: Placement
    offset: int
    warnings: tuple[str, ...]

    @property
    def promised(self) -> int:
        """Bytes of the file that holds the voxels, inflated."""
        return self.offset + math.prod(self.shape) * self.stored.itemsize

    def header(self, *files: OpenFile) -> Header:
        return Header(
            shape=self.shape,
            dtype=self.stored.name,
            slope=self.scaling[0],
            inter=self.scaling[1],
            affine=self.placement.affine,
            spacing=self.placement.spacing,
            size=sum(file.size for file in files),
            # A sum, so that the older half of a pair counts as well when it is replaced.
            mtime_ns=sum(file.mtime_ns for file in files),
            warnings=self.warnings,
        )


def read_header(path: Path) -> Header:
    """Read a header, and check it against the size of the file.

    Reads 4 kB; of a gzip stream at most 128 kB, inflated no further than the header.

    Args:
        path: A NIfTI-1 or NIfTI-2 file in either byte order, gzipped or not, or a half of a pair.

    Raises:
        NiftiError: Its ``kind`` says what is wrong.
    """
    files = files_of(path)
    with opened(files[0]) as first:
        parsed = _parse(first.head(HEAD), paired=len(files) > 1)
        if len(files) == 1:
            _check_size(parsed, first)
            return parsed.header(first)
    with opened(files[1]) as second:
        _check_size(parsed, second)
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
        parsed = _parse(head[:HEAD], paired=len(files) > 1)
        if len(files) == 1:
            _check_size(parsed, first)
            data = _view(fill(chain([head], pieces), parsed.promised), parsed)
            return Voxels(data=data, header=parsed.header(first), sha256=digest.hexdigest())
        for _ in pieces:  # the rest of a .hdr, extensions: hashed and checked, not kept
            pass
    with opened(files[1]) as second:
        _check_size(parsed, second)
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
        if len(head) >= HEAD:
            break
    return head


def _parse(head: bytes, *, paired: bool) -> _Parsed:
    version, order = frame_of(head, paired=paired)
    return _parse_record(head[: HEAD if version > 1 else 348], version, order, paired=paired)


@lru_cache(maxsize=1024)
def _parse_record(head: bytes, version: int, order: Literal["<", ">"], *, paired: bool) -> _Parsed:
    """Parse a header whose frame is known; the files of a data set often share one."""
    kind = Nifti1Header if version == 1 else Nifti2Header
    record = kind(head, endianness=order, check=False)
    dims = dims_of(record)
    stored = dtype_of(record, order)
    offset = offset_of(record, version, paired=paired)
    slope, inter, warnings = scaling_of(record)
    fixed = record.copy()
    fixed.check_fix(logger=_SILENT, error_level=_NEVER)
    placement = _place(fixed, dims)
    return _Parsed(
        shape=dims,
        stored=stored,
        scaling=(slope, inter),
        placement=placement,
        offset=offset,
        warnings=(*warnings, *fixes_of(record, fixed, dims), *placement.warnings),
    )


def _place(fixed: Any, dims: tuple[int, ...]) -> Placement:
    """Choose the affine by nibabel's rule: sform, else qform, else pixdim alone."""
    forms: list[tuple[str, Callable[[], Any]]] = []
    if int(fixed["sform_code"]) > 0:
        forms.append(("sform", fixed.get_sform))
    if int(fixed["qform_code"]) > 0:
        forms.append(("qform", fixed.get_qform))
    unit = MM.get(int(fixed["xyzt_units"]) & 7, 1.0)
    with np.errstate(all="ignore"):
        found = [(name, _matrix(form)) for name, form in forms]
        base = ("the affine of pixdim", _matrix(fixed.get_base_affine))
        return place(found, base=base, shape=dims, mm=unit)


def _matrix(form: Callable[[], Any]) -> NDArray[np.float64] | None:
    try:
        return np.asarray(form(), np.float64)
    except (HeaderDataError, ValueError):  # a quaternion longer than 1, say
        return None


def _view(buffer: NDArray[np.uint8], parsed: _Parsed) -> NDArray[Any]:
    """Return the voxels in ``buffer``, in place where their address allows it."""
    flat = buffer[parsed.offset :].view(parsed.stored)
    if not parsed.stored.isnative:
        flat = flat.byteswap(inplace=True).view(parsed.stored.newbyteorder("="))
    return np.require(flat, requirements="A").reshape(parsed.shape, order="F")


def _check_size(parsed: _Parsed, file: OpenFile) -> None:
    """Refuse a file whose size on disk cannot hold, or exceeds, what its header promises."""
    got = f"{file.size:,} bytes on disk"
    expected = f"{parsed.promised:,} bytes as its header says"
    if file.size * (DEFLATE_RATIO if file.gzipped else 1) < parsed.promised:
        raise truncated(got, expected)
    if not file.gzipped and file.size > parsed.promised:
        raise too_long(got, expected)
