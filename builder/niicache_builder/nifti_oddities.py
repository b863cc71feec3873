"""What is odd in a NIfTI header that can be read all the same; pure."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Literal

import numpy as np

from niicache_builder.nifti_header import HEAD, MM, PEEK
from niicache_builder.oddity import Oddity

if TYPE_CHECKING:
    from niicache_builder.nifti_header import Record

_EXTENSION = 16  # an extension is that many bytes, or a multiple


def extension_of(
    rest: bytes, header: int, offset: int, order: Literal["<", ">"]
) -> tuple[Oddity, ...]:
    """Return what is odd about the first extension; where the voxels lie, vox_offset alone says.

    Args:
        rest: The bytes after the header, 12 of them as far as there are any.
        header: Bytes before them.
        offset: Where the voxels begin.
        order: Byte order of the header.
    """
    if len(rest) < PEEK - HEAD or not rest[0]:
        return ()
    room = offset - header - 4
    (size,) = struct.unpack(f"{order}i", rest[4:8])
    if room >= _EXTENSION and size % _EXTENSION == 0 and 0 < size <= room:
        return ()
    got = f"a header extension of {size:,} bytes" if room >= _EXTENSION else "header extensions"
    expected = f"a multiple of {_EXTENSION} bytes in the {max(room, 0):,} before the voxels"
    return (Oddity("extension", got, expected, "passed over, as all extensions are"),)


def fixes_of(record: Record, fixed: Record, dims: tuple[int, ...]) -> list[Oddity]:
    """Return an oddity for each field whose value was replaced by a legal one."""
    odd = [
        _fix(f"{name} {record[name]}", str(fixed[name]))
        for name in ("bitpix", "sform_code", "qform_code")
        if record[name] != fixed[name]
    ]
    axes = slice(1, min(len(dims), 3) + 1)
    before, after = (np.asarray(source["pixdim"])[axes] for source in (record, fixed))
    # An sform does not look at pixdim.
    if int(fixed["sform_code"]) == 0 and not np.array_equal(before, after, equal_nan=True):
        odd.append(_fix(f"pixdim {before.tolist()}", str(after.tolist())))
    if int(record["xyzt_units"]) & 7 not in MM:
        odd.append(_fix(f"xyzt_units {record['xyzt_units']}", "mm"))
    return odd


def _fix(got: str, used: str) -> Oddity:
    return Oddity("header-field", got, "a value that nifti1.h allows", f"read as {used}")
