"""What the fields of a NIfTI header may say; pure, one judgement a function.

Field names and codes are those of nifti1.h and nifti2.h. ``record`` is anything that gives a field
by its name, as the header classes of nibabel do.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from niicache_builder.nifti_error import NiftiError, truncated
from niicache_builder.oddity import Oddity

if TYPE_CHECKING:
    from niicache_builder.nifti_affine import Affine

HEAD = 540
"""Bytes of a NIfTI-2 header; one of NIfTI-1 has 348."""

PEEK = HEAD + 12
"""With the 4 bytes that announce extensions, and the 8 that the first of them begins with."""

MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
"""xyzt_units & 7 (unknown, metre, mm, micron) -> mm."""

_REWRITE = "write the file again with the tool that made it"
_BYTES = {1: 348, 2: HEAD}  # version -> sizeof_hdr
_FRAMES: dict[bytes, tuple[int, Literal["<", ">"]]] = {
    struct.pack("<i", 348): (1, "<"),
    struct.pack(">i", 348): (1, ">"),
    struct.pack("<i", HEAD): (2, "<"),
    struct.pack(">i", HEAD): (2, ">"),
}
_MAX_DIMS = 7
_MAX_BYTES = 2**62
_DTYPES = {
    2: "uint8",
    4: "int16",
    8: "int32",
    16: "float32",
    64: "float64",
    256: "int8",
    512: "uint16",
    768: "uint32",
    1024: "int64",
    1280: "uint64",
}
_UNSUPPORTED = {
    1: "1-bit binary",
    32: "complex64",
    128: "RGB",
    1536: "float128",
    1792: "complex128",
    2048: "complex256",
    2304: "RGBA",
}
_EXTREME = 1e20  # a slope that no measure needs, nor its reciprocal
_LINE_ENDS = {b"\0\0\0\0", b"\r\n\x1a\n"}  # last bytes of the NIfTI-2 magic, old and new
_OTHERS = {
    b"PK\x03\x04": "a zip archive",
    b"NRRD": "an NRRD file",
    b"\x93NUMPY": "a NumPy file",
    b"\x89PNG": "a PNG image",
    b"\x89HDF": "an HDF5 file",
}

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the header of a file says about its voxels.

    Attributes:
        shape: Extents as in the field dim, trailing ones kept.
        dtype: Stored voxel type, numpy name, native byte order.
        slope: Real value = slope * stored + inter; 1.0 where the file says no scaling.
        inter: See ``slope``; 0.0 where the file says no scaling.
        affine: 4x4, voxel to world, mm.
        spacing: Distance of neighbouring voxels along the first three axes, mm.
        size: Bytes of the file, or of both files of a pair, on disk.
        mtime_ns: Last change, nanoseconds since the epoch; of a pair, the sum of both files.
        warnings: What was odd but could be read.
        sform_code: What the sform is meant to be, 0 where there is none.
        qform_code: What the qform is meant to be, likewise.
    """

    shape: tuple[int, ...]
    dtype: str
    slope: float
    inter: float
    affine: Affine
    spacing: tuple[float, float, float]
    size: int
    mtime_ns: int
    warnings: tuple[Oddity, ...]
    sform_code: int
    qform_code: int

    @property
    def voxels_nbytes(self) -> int:
        """Bytes of the voxels as stored, uncompressed."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def frame_of(head: bytes, *, paired: bool) -> tuple[int, Literal["<", ">"]]:
    """Return the NIfTI version, 1 or 2, and the byte order, "<" or ">", of a header.

    Args:
        head: The first bytes of the file, at least ``HEAD``, fewer where it is shorter.
        paired: Whether the file's name says .hdr or .img.

    Raises:
        NiftiError: ``not-nifti``, ``analyze-7.5``, ``truncated`` or ``pair-mismatch``.
    """
    if head[:4] not in _FRAMES:
        got = next((what for magic, what in _OTHERS.items() if head.startswith(magic)), "")
        hint = "check what wrote the file; only NIfTI-1 and NIfTI-2 are read"
        raise NiftiError("not-nifti", got or "no NIfTI header", "sizeof_hdr 348 or 540", hint)
    version, order = _FRAMES[head[:4]]
    if len(head) < _BYTES[version]:
        got, expected = f"{len(head)} bytes", f"a header of {_BYTES[version]} bytes"
        raise truncated(got, expected)
    magic = head[344:348] if version == 1 else head[4:8]
    single, pair = b"n+%d\0" % version, b"ni%d\0" % version
    if magic not in {single, pair}:
        _refuse_magic(version, paired=paired)
    if (magic == pair) != paired:
        got = "a header whose voxels lie in " + ("an .img" if magic == pair else "the same file")
        expected = "voxels in an .img file" if paired else "voxels in the same file"
        raise NiftiError("pair-mismatch", got, expected, "give the file its right name")
    if _BYTES[version] == HEAD and head[8:12] not in _LINE_ENDS:
        hint = "it was copied in text mode, its voxels are damaged too; copy it in binary mode"
        raise NiftiError("not-nifti", "altered line ends in magic", "the magic of NIfTI-2", hint)
    return version, order


def dims_of(record: Record) -> tuple[int, ...]:
    """Return the extents, each at least 1.

    Raises:
        NiftiError: ``bad-dims``.
    """
    dim = [int(extent) for extent in record["dim"]]
    if not 1 <= dim[0] <= _MAX_DIMS:
        raise NiftiError("bad-dims", f"dim[0] = {dim[0]}", "1 to 7 dimensions", _REWRITE)
    dims = tuple(dim[1 : dim[0] + 1])
    if min(dims) < 1:
        raise NiftiError("bad-dims", f"dims {dims}", "extents of at least 1", _REWRITE)
    if math.prod(dims) > _MAX_BYTES:
        raise NiftiError("bad-dims", f"dims {dims}", "fewer than 2**62 voxels", _REWRITE)
    return dims


def dtype_of(record: Record, order: Literal["<", ">"]) -> np.dtype[Any]:
    """Return the stored voxel type in the file's byte order.

    Raises:
        NiftiError: ``unsupported-dtype``.
    """
    code = int(record["datatype"])
    if code not in _DTYPES:
        got = f"datatype {code} ({_UNSUPPORTED.get(code, 'unknown')})"
        hint = "convert the file; split RGB or complex into one channel each"
        expected = "an integer of 8 to 64 bits, float32 or float64"
        raise NiftiError("unsupported-dtype", got, expected, hint)
    return np.dtype(_DTYPES[code]).newbyteorder(order)


def scaling_of(record: Record) -> tuple[float, float, list[Oddity]]:
    """Return slope, inter and what is odd; 1, 0 where the file says no scaling (slope 0).

    Raises:
        NiftiError: ``bad-scaling``: inter is not finite although slope is in use.
    """
    slope, inter = float(record["scl_slope"]), float(record["scl_inter"])
    if not math.isfinite(slope):
        expected = "a finite number, or 0 for no scaling"
        return 1.0, 0.0, [Oddity("scaling", f"scl_slope {slope}", expected, "read as no scaling")]
    if slope == 0:
        return 1.0, 0.0, []
    if not math.isfinite(inter):
        raise NiftiError("bad-scaling", f"scl_inter {inter}", "a finite number", _REWRITE)
    if max(abs(slope), 1 / abs(slope), abs(inter)) > _EXTREME:
        got = f"scl_slope {slope:g} and scl_inter {inter:g}"
        expected = f"numbers from {1 / _EXTREME:g} to {_EXTREME:g}"
        return slope, inter, [Oddity("scaling", got, expected, "applied as they are")]
    return slope, inter, []


def offset_of(record: Record, version: int, *, paired: bool) -> int:
    """Return where the voxels begin in their file, bytes.

    Raises:
        NiftiError: ``bad-offset``.
    """
    offset = float(record["vox_offset"])
    # A single file holds at least the header and the 4 bytes that announce extensions.
    least = 0 if paired else _BYTES[version] + 4
    if not (least <= offset < _MAX_BYTES and offset.is_integer()):
        expected = f"a whole number of at least {least}"
        raise NiftiError("bad-offset", f"vox_offset {offset:g}", expected, _REWRITE)
    return int(offset)


def _refuse_magic(version: int, *, paired: bool) -> None:
    if version == 1 and paired:
        hint = "convert it to NIfTI; an ANALYZE header does not say which side is left"
        raise NiftiError("analyze-7.5", "an ANALYZE 7.5 header", "a NIfTI magic", hint)
    raise NiftiError("not-nifti", "a header without magic", "a NIfTI magic", _REWRITE)
