"""What a JSON value has to be, in words where it is not. Pure; a bool is no number here."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

LARGEST = 2**63 - 1
SHOWN = 40


def parse(data: bytes) -> Any:
    """Return the value of a JSON text in which no member comes twice.

    Raises:
        ValueError: It is no such text.
    """
    try:
        return json.loads(data.decode(), object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member that comes twice")
    return members


def shown(value: object) -> str:
    """Return a value for a message, cut short; it may be deep or endless."""
    if isinstance(value, dict | list):
        return f"{type(value).__name__} of {len(value):,}"
    if type(value) is int and abs(value) > LARGEST:
        return "a number of more than 64 bits"
    text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def member_problems(
    where: str, value: object, names: Collection[str], *, maybe: Collection[str] = ()
) -> list[str]:
    """Return what is wrong with the members of an object.

    Args:
        where: Its name, for messages.
        value: What may be one.
        names: Members that it must have.
        maybe: Members that it may have beside them, and no others.
    """
    if not isinstance(value, dict):
        return [f"{where} is {shown(value)}, not an object"]
    missing = [f"no member {name!r} in {where}" for name in names if name not in value]
    unknown = sorted(value.keys() - {*names, *maybe})
    return missing + [f"unknown member {shown(name)} in {where}" for name in unknown]


def is_whole(value: object, low: int = 0, high: int = LARGEST) -> bool:
    """Say whether a value is a whole number in a range, both ends included."""
    return type(value) is int and low <= value <= high


def is_finite(value: object) -> bool:
    """Say whether a value is a number that float64 holds."""
    if type(value) is int:
        return abs(value) <= 2**64
    return type(value) is float and math.isfinite(value)


def is_length(value: object) -> bool:
    """Say whether a value is a float above 0, and no more than a kilometre in mm."""
    return type(value) is float and 0 < value <= 1e6  # noqa: PLR2004 - a kilometre


def is_digest(value: object) -> bool:
    """Say whether a value is a sha256 as we write it."""
    return type(value) is str and len(value) == 64 and not set(value) - _HEXADECIMAL  # noqa: PLR2004 - digits of a sha256


_HEXADECIMAL = frozenset("0123456789abcdef")
