"""Options of transforms, checked as soon as they are given. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias, TypeGuard

import numpy as np

from niicache.errors import OptionError

Pair: TypeAlias = tuple[float, float]
Range: TypeAlias = float | tuple[float, float]
"""A number x is the range from -x to x."""
AxisRanges: TypeAlias = float | tuple[float, float] | tuple[tuple[float, float], ...]
"""One range for every axis, or a tuple of one pair for each."""

PAIR = 2
FILL_MODES = ("constant", "nearest", "reflect", "wrap")


def is_number(value: object) -> bool:
    """Say whether a value is one finite number, and no bool."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return False
    return not isinstance(value, np.complexfloating) and math.isfinite(value)


def number(name: str, value: object, *, low: float = -math.inf, high: float = math.inf) -> float:
    """Return one finite number.

    Raises:
        OptionError: It is none, or outside ``low`` to ``high``.
    """
    if not is_number(value) or not low <= float(value) <= high:  # type: ignore[arg-type]
        raise OptionError(f"{name}: got {value!r}, expected {_kind('a number', low, high)}")
    return float(value)  # type: ignore[arg-type]


def interval(name: str, low: object, high: object) -> tuple[float, float]:
    """Return both ends of an interval.

    Raises:
        OptionError: They are no numbers, or not in order.
    """
    ends = number(f"{name}.low", low), number(f"{name}.high", high)
    if ends[0] >= ends[1]:
        raise OptionError(f"{name}.high: got {ends[1]!r}, expected more than low, {ends[0]!r}")
    return ends


def probability(name: str, value: object) -> float:
    """Return a probability.

    Raises:
        OptionError: It is no number from 0 to 1.
    """
    return number(name, value, low=0, high=1)


def pair(name: str, value: object, *, low: float = -math.inf, high: float = math.inf) -> Pair:
    """Return a range that is given as a pair, lowest first.

    Raises:
        OptionError: It is not, or it reaches outside ``low`` to ``high``.
    """
    if _is_pair(value) and low <= value[0] <= value[1] <= high:  # type: ignore[index]
        return float(value[0]), float(value[1])  # type: ignore[index]
    raise OptionError(
        f"{name}: got {value!r}, expected a pair (lowest, highest) of {_kind('numbers', low, high)}"
    )


def span(name: str, value: object) -> Pair:
    """Return a range that is given as a pair, or as x for -x to x.

    Raises:
        OptionError: It is neither.
    """
    if is_number(value):
        reach = abs(float(value))  # type: ignore[arg-type]
        return (-reach if reach else 0.0), reach
    if _is_pair(value) and value[0] <= value[1]:  # type: ignore[index]
        return float(value[0]), float(value[1])  # type: ignore[index]
    raise OptionError(
        f"{name}: got {value!r}, expected a number x for -x to x, or a pair (lowest, highest)"
    )


def axis_spans(name: str, value: object) -> Pair | tuple[Pair, ...]:
    """Return a range for every axis, or one for each.

    Raises:
        OptionError: It is none of a number, a pair, and a tuple of 2 or 3 pairs.
    """
    if is_number(value) or _is_pair(value):
        return span(name, value)
    if isinstance(value, Sequence) and len(value) in {2, 3} and all(map(_is_pair, value)):
        return tuple(span(f"{name}[{i}]", one) for i, one in enumerate(value))
    raise OptionError(
        f"{name}: got {value!r}, expected a number x for -x to x, a pair (lowest, highest), "
        "or a tuple of one pair an axis"
    )


def axis_pairs(name: str, value: object, *, low: float) -> Pair | tuple[Pair, ...]:
    """Return a range for every axis, or one for each, of numbers of at least ``low``.

    Raises:
        OptionError: It is neither a pair nor a tuple of 2 or 3 pairs.
    """
    if isinstance(value, Sequence) and len(value) in {2, 3} and all(map(_is_pair, value)):
        return tuple(pair(f"{name}[{i}]", one, low=low) for i, one in enumerate(value))
    return pair(name, value, low=low)


def ranges_of(name: str, value: Pair | tuple[Pair, ...], count: int) -> list[Pair]:
    """Return one range for each of ``count`` axes.

    Raises:
        OptionError: They were given for another number of axes.
    """
    if is_number(value[0]):
        return [value] * count  # type: ignore[list-item]
    if len(value) != count:
        raise OptionError(
            f"{name}: got {len(value)} ranges, expected {count} for this image; "
            "give one a spatial axis, or one pair for all"
        )
    return list(value)  # type: ignore[arg-type]


def axes(name: str, value: object) -> tuple[int, ...] | None:
    """Return spatial axes, each named once; None stands for all.

    Raises:
        OptionError: It is no such tuple.
    """
    if value is None:
        return None
    if isinstance(value, Sequence) and not isinstance(value, str):
        found = tuple(value)
        if found and len(set(found)) == len(found) and all(map(_is_axis, found)):
            return tuple(int(axis) for axis in found)
    raise OptionError(f"{name}: got {value!r}, expected a tuple of different axes, each 0, 1 or 2")


def sizes(name: str, value: object) -> int | tuple[int, ...]:
    """Return a size in voxels: a whole number for every axis, or a tuple of one for each.

    Raises:
        OptionError: It is neither.
    """
    if _is_count(value):
        return int(value)
    if isinstance(value, Sequence) and len(value) in {2, 3} and all(map(_is_count, value)):
        return tuple(int(n) for n in value)
    raise OptionError(
        f"{name}: got {value!r}, expected a whole number of voxels of at least 1, "
        "or a tuple of one a spatial axis"
    )


def sizes_of(name: str, value: int | tuple[int, ...], count: int) -> tuple[int, ...]:
    """Return one size for each of ``count`` axes.

    Raises:
        OptionError: They were given for another number of axes.
    """
    if isinstance(value, int):
        return (value,) * count
    if len(value) != count:
        raise OptionError(
            f"{name}: got {len(value)} sizes, expected {count} for this image; "
            "give one a spatial axis"
        )
    return value


def _is_pair(value: object) -> bool:
    return isinstance(value, Sequence) and len(value) == PAIR and all(map(is_number, value))


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_axis(value: object) -> bool:
    return _is_whole(value) and 0 <= value <= PAIR


def _is_count(value: object) -> TypeGuard[int]:
    return _is_whole(value) and value > 0


def _kind(what: str, low: float, high: float) -> str:
    if math.isinf(high):
        return what if math.isinf(low) else f"{what} of at least {low:g}"
    return f"{what} from {low:g} to {high:g}"
