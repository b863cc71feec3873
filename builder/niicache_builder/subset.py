"""Parts of a cache that are verified on different days. Pure."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from niicache_builder.shard_damage import ShardName


def part(shard: ShardName, subset: tuple[int, int]) -> bool:
    """Return whether a shard is of the k-th of n parts.

    Shards of an array take turns, and each array begins with another part. A shard stays in its
    part when others come or go, so that a cache that is rebuilt meanwhile is covered too.

    Args:
        shard: The shard.
        subset: ``(k, n)``, k from 1.
    """
    number, parts = subset
    start = zlib.crc32(f"{shard.class_name}/{shard.array}".encode())
    return (start + shard.index) % parts == number - 1
