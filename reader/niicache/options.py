"""Options of a Sequence, checked as soon as they are given. Pure."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from niicache.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from niicache.cache import Cache

_DTYPES = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_DTYPES |= {"float16", "float32", "float64"}


def check_count(name: str, value: object, least: int) -> None:
    """Refuse what is no whole number of at least ``least``.

    Raises:
        OptionError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise OptionError(f"{name}: got {value!r}, expected a whole number of at least {least}")


def byte_count(name: str, value: object) -> int:
    """Return a number of bytes, given as such or as text: ``"4GiB"``, ``"500 MB"``.

    Raises:
        OptionError: It is neither.
    """
    text = value if isinstance(value, str) else ""
    match = re.fullmatch(r"\s*(\d{1,30}(?:\.\d{1,9})?)\s*([KMGT]i?)?B?\s*", text, re.IGNORECASE)
    if match:
        number, prefix = match[1], (match[2] or "").lower()
        base = 1024 if prefix.endswith("i") else 1000
        return int(Fraction(number) * base ** " kmgt".index(prefix[:1] or " "))
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise OptionError(
            f"{name}: got {value!r}, expected bytes, such as 0, 2**30, '500MB' or '4GiB'"
        )
    return int(value)


def check_one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse what is none of the allowed words.

    Raises:
        OptionError: It is not.
    """
    if value not in allowed:
        words = ", ".join(map(repr, allowed))
        raise OptionError(f"{name}: got {value!r}, expected one of {words}")


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False.

    Raises:
        OptionError: It is not.
    """
    if not isinstance(value, bool | np.bool_):
        raise OptionError(f"{name}: got {value!r}, expected True or False")


def check_callable(name: str, value: object, *takes: str) -> None:
    """Refuse what is neither None nor a function that can be called as it will be.

    Args:
        name: Of the option.
        value: What was given.
        takes: Names of the arguments; a name that ends in "?" is not always given.

    Raises:
        OptionError: It is not.
    """
    if value is None:
        return
    if not callable(value):
        raise OptionError(f"{name}: got {value!r}, expected a function, or None")
    try:
        # Not of what a decorator wraps: it may well take something else.
        signature = inspect.signature(value, follow_wrapped=False)
    except (TypeError, ValueError):  # some that are not written in Python have none
        return
    fewest = [one for one in takes if not one.endswith("?")]
    if not any(_binds(signature, names) for names in (fewest, takes)):
        raise OptionError(
            f"{name}: got {value!r}, which takes {signature}, expected a function that takes "
            f"({', '.join(one.removesuffix('?') for one in takes)})"
        )


def _binds(signature: inspect.Signature, arguments: Iterable[str]) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def check_collate(collate_fn: object, input_name: str | None) -> None:
    """Refuse what is no function of a batch, and a name for an input that a function names.

    Raises:
        OptionError: It is so.
    """
    check_callable("collate_fn", collate_fn, "images", "labels", "weights?")
    if collate_fn is not None and input_name is not None:
        raise OptionError(
            f"input_name: got {input_name!r} beside collate_fn, expected one of the two; "
            "name the input in what collate_fn returns"
        )


def image_dtype(wanted: str, *, stored: str) -> np.dtype:
    """Return the dtype of delivered images.

    Args:
        wanted: What the user said.
        stored: What the cache holds.

    Raises:
        OptionError: There is no such type, or images do not convert to it.
    """
    try:
        dtype = np.dtype(object if wanted is None else wanted).newbyteorder("=")
    except (TypeError, ValueError, SyntaxError):  # numpy parses what it does not know
        dtype = np.dtype(object)
    # A float type may round, as its users know; an integer type would wrap around in silence.
    casting: Literal["same_kind", "safe"] = "same_kind" if dtype.kind == "f" else "safe"
    if dtype.name not in _DTYPES or not np.can_cast(stored, dtype, casting):
        raise OptionError(
            f"dtype: got {wanted!r}, expected float16, float32 or float64, or an integer type "
            f"that holds every value of images stored as {stored}"
        )
    return dtype


def check_padding(value: Any, dtype: np.dtype) -> None:
    """Refuse what images of a dtype cannot hold.

    Raises:
        OptionError: It is neither None nor such a number.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if value is not None and not (number and _holds(dtype, float(value))):
        raise OptionError(
            f"padding: got {value!r}, expected a number that images of {dtype} hold, or None for "
            "what came of it"
        )


def _holds(dtype: np.dtype, value: float) -> bool:
    if dtype.kind == "f":
        return abs(value) <= float(np.finfo(dtype).max)
    limits = np.iinfo(dtype)
    return value.is_integer() and limits.min <= int(value) <= limits.max


def check_reach(dtype: np.dtype, cache: Cache) -> None:
    """Refuse a float type that does not reach as far as the images: they would become infinite.

    Raises:
        OptionError: It does not.
    """
    if dtype.kind != "f" or np.can_cast(cache.manifest.recipe.image.dtype, dtype, "safe"):
        return
    reach = float(np.finfo(dtype).max)
    for view in cache:
        # A channel without a finite voxel has NaN there, which is larger than nothing.
        low = float(np.fmin.reduce(view.column("minimum"), axis=None))
        high = float(np.fmax.reduce(view.column("maximum"), axis=None))
        if max(-low, high) > reach:
            raise OptionError(
                f"dtype: got {dtype}, which reaches {reach:g}, expected what holds the images of "
                f"class {view.name!r}, from {low:g} to {high:g}; give float32"
            )


def class_weights(
    weights: Sequence[float] | dict[str, float] | None, classes: tuple[str, ...]
) -> Sequence[float] | None:
    """Return weights in the order of the classes, whichever way they were given.

    Raises:
        OptionError: They are given by name, and not for exactly these classes.
    """
    if weights is None:
        return None
    given: object = weights
    if isinstance(given, str) or not isinstance(given, dict | Sequence | np.ndarray):
        raise OptionError(
            f"weights: got {weights!r}, expected one number for each of the classes "
            f"{', '.join(classes)}, in this order or by name; None makes them equal"
        )
    if not isinstance(weights, dict):
        return weights
    unknown = set(weights) - set(classes)
    missing = set(classes) - set(weights)
    if unknown or missing:
        raise OptionError(
            f"weights: got {', '.join(map(str, weights)) or 'no class'}, "
            f"expected exactly {', '.join(classes)}; "
            "0 leaves a class out"
        )
    return [weights[name] for name in classes]
