"""The record at the head of a NIfTI file, parsed. Owns nibabel.

nibabel parses the bytes and nothing else: what a field may say is judged in ``nifti_header``, and
what it mends is told. Text (descrip, db_name, aux_file, extensions) may name a patient and never
leaves here.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError

from niicache_builder.nifti_affine import Placement, place
from niicache_builder.nifti_header import (
    HEAD,
    MM,
    Header,
    dims_of,
    dtype_of,
    frame_of,
    offset_of,
    scaling_of,
)
from niicache_builder.nifti_oddities import extension_of, fixes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from niicache_builder.oddity import Oddity
    from niicache_builder.source_file import OpenFile

# Takes nibabel's reports of header fixes in place of its global logger; registered nowhere.
_SILENT = logging.Logger("niicache-silent", logging.CRITICAL + 1)  # noqa: LOG001 - on purpose
_NEVER = 1000  # above every problem level of nibabel, so that a report never raises


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What the bytes of a header say, the file system aside."""

    shape: tuple[int, ...]
    stored: np.dtype[Any]
    scaling: tuple[float, float]
    placement: Placement
    offset: int
    warnings: tuple[Oddity, ...]
    codes: tuple[int, int]

    @property
    def promised(self) -> int:
        """Bytes of the file that holds the voxels, inflated."""
        return self.offset + math.prod(self.shape) * self.stored.itemsize

    def header(self, *files: OpenFile) -> Header:
        """Return it with what the file system says of the files, one or a pair."""
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
            sform_code=self.codes[0],
            qform_code=self.codes[1],
        )


def parse(head: bytes, *, paired: bool) -> Parsed:
    """Parse a header.

    Args:
        head: The first ``PEEK`` bytes of the file, fewer where it is shorter.
        paired: Whether the file's name says .hdr or .img.

    Raises:
        NiftiError: Its ``kind`` says what is wrong.
    """
    version, order = frame_of(head, paired=paired)
    record = head[: HEAD if version > 1 else 348]
    parsed = _parse_record(record, version, order, paired=paired)
    odd = () if paired else extension_of(head[len(record) :], len(record), parsed.offset, order)
    return replace(parsed, warnings=(*parsed.warnings, *odd)) if odd else parsed


@lru_cache(maxsize=1024)
def _parse_record(head: bytes, version: int, order: Literal["<", ">"], *, paired: bool) -> Parsed:
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
    return Parsed(
        shape=dims,
        stored=stored,
        scaling=(slope, inter),
        placement=placement,
        offset=offset,
        warnings=(*warnings, *fixes_of(record, fixed, dims), *placement.warnings),
        codes=(int(fixed["sform_code"]), int(fixed["qform_code"])),
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
