"""What a resampling is given, checked at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from niicache.errors import OptionError
from niicache.options import check_one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

ORDERS: Final = ("linear", "nearest")
MODES: Final = ("constant", "nearest", "reflect", "wrap")
LARGEST: Final = 2**31
"""Values of a source, so that int32 counts them."""
_HUGE: Final = 1e200
"""Of a matrix, so that no coordinate is infinite."""


def check_words(order: str, mode: str) -> None:
    """Refuse words that are none of the allowed.

    Raises:
        OptionError: One is not.
    """
    if order not in ORDERS or mode not in MODES:
        check_one_of("order", order, ORDERS)
        check_one_of("mode", mode, MODES)


def check_memory(source: np.ndarray, out: np.ndarray) -> None:
    """Refuse arrays that are not laid out as the loops walk, or that share memory.

    Raises:
        OptionError: They are not, or do.
    """
    for name, array in (("source", source), ("out", out)):
        if not array.flags.c_contiguous:
            raise OptionError(
                f"{name}: got strides {array.strides} of shape {array.shape}, expected a "
                "C-contiguous array; np.ascontiguousarray makes one"
            )
    if not out.flags.writeable or np.may_share_memory(source, out):
        raise OptionError("out: got memory that is read-only or the source's, expected its own")


def check_kinds(
    stored: np.dtype[Any],
    shape: tuple[int, ...],
    wanted: np.dtype[Any],
    target: tuple[int, ...],
    order: str,
) -> None:
    """Refuse dtypes and shapes of a source and an output that do not fit each other.

    Raises:
        OptionError: They do not.
    """
    _check_kind("source", stored, shape)
    _check_kind("out", wanted, target)
    if len(shape) != len(target) or shape[-1] != target[-1]:
        raise OptionError(
            f"out: got shape {target}, expected {len(shape) - 1} spatial axes and "
            f"{shape[-1]} channels, as the source has"
        )
    if 0 not in target and not 0 < np.prod(shape, dtype=object) < LARGEST:
        raise OptionError(
            f"source: got shape {shape}, expected at least one voxel and less than 2**31"
        )
    if wanted.kind != "f" and (order != "nearest" or stored.kind == "f"):
        raise OptionError(
            f"out: got dtype {wanted}, expected a float dtype for order {order!r} and a source "
            f"of {stored}"
        )


def _check_kind(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    if len(shape) not in {3, 4}:
        raise OptionError(
            f"{name}: got shape {shape}, expected 2 or 3 spatial axes and the channels"
        )
    if dtype.kind not in "iuf" or dtype.itemsize > 8 or not dtype.isnative:  # noqa: PLR2004
        raise OptionError(
            f"{name}: got dtype {dtype.str}, expected integers or floats of at most 8 bytes "
            "in the order of this machine"
        )


def check_values(
    wanted: np.dtype[Any],
    channels: int,
    fill: tuple[float, ...],
    scale: tuple[float, ...],
    offset: tuple[float, ...],
) -> None:
    """Refuse numbers of another count than the channels, or that an output cannot hold.

    Raises:
        OptionError: They are such.
    """
    for name, given in (("fill", fill), ("scale", scale), ("offset", offset)):
        if len(given) not in {1, channels}:
            raise OptionError(
                f"{name}: got {given}, expected one number for all channels or {channels}, one "
                "for each"
            )
    if wanted.kind == "f":
        return
    if not leaves(scale, offset):
        raise OptionError(
            f"scale, offset: got {scale}, {offset}, expected 1 and 0 for an output of {wanted}"
        )
    limits = np.iinfo(wanted)
    if not all(float(one).is_integer() and limits.min <= one <= limits.max for one in fill):
        raise OptionError(
            f"fill: got {fill}, expected whole numbers from {limits.min} to {limits.max}, "
            f"as the output is of {wanted}"
        )


def leaves(scale: tuple[float, ...], offset: tuple[float, ...]) -> bool:
    """Say whether values stay what they are."""
    return set(scale) == {1.0} and set(offset) == {0.0}


def checked_matrix(matrix: np.ndarray, axes: int) -> np.ndarray:
    """Return a matrix as C-contiguous float64.

    Raises:
        OptionError: Its shape is not that of so many axes, or a number is not finite.
    """
    if matrix.shape != (axes, axes + 1):
        raise OptionError(
            f"matrix: got shape {matrix.shape}, expected {(axes, axes + 1)}, from output voxel to "
            "source voxel"
        )
    rows = np.ascontiguousarray(matrix, np.float64)
    for row in rows.tolist():
        for value in row:
            if not -_HUGE < value < _HUGE:
                raise OptionError(f"matrix: got {rows.tolist()}, expected finite numbers")
    return rows


def checked_matrices(matrices: Sequence[np.ndarray], axes: int) -> np.ndarray:
    """Return matrices, checked together, as one array ``(k, axes, axes + 1)`` of float64.

    Raises:
        OptionError: As :func:`checked_matrix`.
    """
    if all(matrix.shape == (axes, axes + 1) for matrix in matrices):
        rows = np.array(matrices, np.float64)
        if (np.abs(rows) < _HUGE).all():
            return rows
    return np.array([checked_matrix(matrix, axes) for matrix in matrices])
