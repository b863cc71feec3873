"""What a resampling is given, checked at once."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from niicache.errors import OptionError
from niicache.options import check_one_of

ORDERS: Final = ("linear", "nearest")
MODES: Final = ("constant", "nearest", "reflect", "wrap")
LARGEST: Final = 2**31
"""Values of a source, so that int32 counts them."""


def check_arrays(
    source: np.ndarray, out: np.ndarray, matrix: np.ndarray, order: str, mode: str
) -> None:
    """Refuse arrays that do not fit each other, and words that are none of the allowed.

    Raises:
        OptionError: They do not, or are not.
    """
    if order not in ORDERS or mode not in MODES:
        check_one_of("order", order, ORDERS)
        check_one_of("mode", mode, tuple(MODES))
    _check_array("source", source)
    _check_array("out", out)
    if source.ndim != out.ndim or source.shape[-1] != out.shape[-1]:
        raise OptionError(
            f"out: got shape {out.shape}, expected {source.ndim - 1} spatial axes and "
            f"{source.shape[-1]} channels, as the source has"
        )
    _check_matrix(matrix, source.ndim - 1)
    if out.size and not 0 < source.size < LARGEST:
        raise OptionError(
            f"source: got shape {source.shape}, expected at least one voxel and less than 2**31"
        )
    if not out.flags.writeable or np.may_share_memory(source, out):
        raise OptionError("out: got memory that is read-only or the source's, expected its own")


def _check_array(name: str, array: np.ndarray) -> None:
    if array.ndim not in {3, 4}:
        raise OptionError(
            f"{name}: got shape {array.shape}, expected 2 or 3 spatial axes and the channels"
        )
    if not array.flags.c_contiguous:
        raise OptionError(
            f"{name}: got strides {array.strides} of shape {array.shape}, expected a "
            "C-contiguous array; np.ascontiguousarray makes one"
        )
    dtype = array.dtype
    if dtype.kind not in "iuf" or dtype.itemsize > 8 or not dtype.isnative:  # noqa: PLR2004
        raise OptionError(
            f"{name}: got dtype {dtype.str}, expected integers or floats of at most 8 bytes "
            "in the order of this machine"
        )


def check_values(
    stored: np.dtype[Any],
    wanted: np.dtype[Any],
    order: str,
    fill: float,
    scale: float,
    offset: float,
) -> None:
    """Refuse what an output of integers cannot hold.

    Raises:
        OptionError: It cannot.
    """
    if wanted.kind == "f":
        return
    if order != "nearest" or stored.kind == "f":
        raise OptionError(
            f"out: got dtype {wanted}, expected a float dtype for order {order!r} and a source "
            f"of {stored}"
        )
    if scale != 1.0 or offset != 0.0:
        raise OptionError(
            f"scale, offset: got {scale!r}, {offset!r}, expected 1 and 0 for an output of {wanted}"
        )
    limits = np.iinfo(wanted)
    if not (float(fill).is_integer() and limits.min <= fill <= limits.max):
        raise OptionError(
            f"fill: got {fill!r}, expected a whole number from {limits.min} to {limits.max}, "
            f"as the output is of {wanted}"
        )


def _check_matrix(matrix: np.ndarray, axes: int) -> None:
    if matrix.shape != (axes, axes + 1):
        raise OptionError(
            f"matrix: got shape {matrix.shape}, expected {(axes, axes + 1)}, from output voxel to "
            "source voxel"
        )
    if not all(map(math.isfinite, matrix.ravel().tolist())):
        raise OptionError(f"matrix: got {matrix.tolist()}, expected finite numbers")
