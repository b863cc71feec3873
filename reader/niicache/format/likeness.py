"""When two cases hold the same image, as far as their columns tell. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from niicache.format.facts import VOXELS_CRC

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

SHOWN: Final = ("box_start", "box_stop", VOXELS_CRC, "minimum", "maximum", "percentiles")
"""Columns that are equal where the stored voxels are. A crc32 alone agrees by chance in one pair of
four thousand million, and 100,000 cases are more pairs than that. Means are sums, whose last bits
depend on the order in memory, and so on how the source was turned."""

ASKED: Final = (*SHOWN, "image_hash")


def likeness(told: Mapping[str, Any]) -> Hashable:
    """Return what is equal for two cases of one cache if they hold the same image.

    Files of other bytes may hold the same voxels: compressed anew, with another header, stored as
    another type. Images of one value are all alike; of those the bytes count.

    Args:
        told: Column to entry, nested tuples or lists; of :data:`ASKED` those that the cache has.
            Without checksums of voxels the bytes of the files count.
    """
    if told.get(VOXELS_CRC):
        ends = zip(told["minimum"], told["maximum"], strict=True)
        if any(low < high for low, high in ends):
            return tuple(_hashable(told[name]) for name in SHOWN)
    return _hashable(told["image_hash"])


def _hashable(value: Any) -> Hashable:
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    return None if value != value else value  # noqa: PLR0124 - NaN, which no NaN is equal to
