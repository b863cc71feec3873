"""Which affine of a NIfTI header holds; pure.

A header may carry two (sform and qform) and always implies a third (pixdim alone, method 1 of
nifti1.h).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from niicache_builder.oddity import Oddity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Affine = tuple[tuple[float, ...], ...]

_APART = 0.1  # voxels that the corners of sform and qform may lie apart, for rounding
_FLAT = 1e-6  # determinant of the unit axes below which they lie in a plane


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the voxels lie.

    Attributes:
        affine: 4x4, voxel to world, mm.
        spacing: Lengths of its first three columns, mm.
        warnings: What was passed over.
    """

    affine: Affine
    spacing: tuple[float, float, float]
    warnings: tuple[Oddity, ...]


Candidate = tuple[str, "NDArray[np.float64] | None"]
"""Name and 4x4 matrix in the header's unit; None where the header's numbers give none."""


def place(
    forms: Sequence[Candidate], *, base: Candidate, shape: Sequence[int], mm: float
) -> Placement:
    """Take the first usable affine.

    Args:
        forms: The sform and the qform, each where its code is above 0.
        base: What holds where no form is usable.
        shape: Extents of the image, for the distance between sform and qform.
        mm: Length of the header's unit in mm.

    Returns:
        The placement; the identity where nothing is usable.
    """
    usable: list[NDArray[np.float64]] = []
    warnings: list[Oddity] = []
    for name, matrix in forms:
        _judge(name, matrix, usable, warnings)
    if len(usable) > 1:
        apart = _apart(usable[0], usable[1], shape)
        if apart > _APART:
            got, least = f"sform and qform {apart:.3g} voxels apart", f"at most {_APART:g}"
            warnings.append(Oddity("forms-differ", got, least, "the sform is used"))
    if not usable:
        _judge(*base, usable, warnings)
    if not usable:
        hint = "the identity is used: 1 mm voxels at the origin"
        warnings.append(Oddity("no-affine", "no usable affine", "one of three", hint))
        usable.append(np.eye(4))
    affine = usable[0].copy()
    affine[:3] *= mm
    affine[3] = (0.0, 0.0, 0.0, 1.0)
    x, y, z = (float(length) for length in _lengths(affine))
    rows = tuple(tuple(float(value) for value in row) for row in affine)
    return Placement(affine=rows, spacing=(x, y, z), warnings=tuple(warnings))


def _judge(
    name: str,
    matrix: NDArray[np.float64] | None,
    usable: list[NDArray[np.float64]],
    warnings: list[Oddity],
) -> None:
    """Add a matrix to ``usable``, or what is wrong with it to ``warnings``."""
    fault = "not computable" if matrix is None else _fault(matrix)
    if matrix is None or fault:
        got, expected = f"{name} that is {fault}", "a regular matrix"
        warnings.append(Oddity("affine", got, expected, "the next best affine is used"))
    else:
        usable.append(matrix)


def _lengths(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0), np.float64)


def _fault(affine: NDArray[np.float64]) -> str:
    """Return what makes a matrix unusable, or ""."""
    if not np.isfinite(affine).all():
        return "not finite"
    lengths = _lengths(affine)
    if not lengths.all() or abs(np.linalg.det(affine[:3, :3] / lengths)) < _FLAT:
        return "singular"
    return ""


def _apart(one: NDArray[np.float64], two: NDArray[np.float64], shape: Sequence[int]) -> float:
    """Return the largest distance of one corner under two affines, in voxels."""
    ends = [(0, extent - 1) for extent in (*shape, 1, 1, 1)[:3]]
    corners = np.array([(*corner, 1) for corner in product(*ends)], np.float64)
    gap = corners @ (one - two).T
    return float(np.max(np.linalg.norm(gap, axis=1)) / np.min(_lengths(one)))
