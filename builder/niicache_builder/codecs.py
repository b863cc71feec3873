"""Which compression an array gets. Pure.

Of small cases lz4hc decodes a third faster than lz4 and is a tenth smaller; of volumes it decodes
faster or slower, as they are (docs/performance.md). It encodes 60 to 120 MB/s where lz4 does more
than 1,000. A build of small cases does not feel that, because it waits for opening files. One of
volumes would: they are inflated at 800 MB/s and more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache_builder.options import CODECS

if TYPE_CHECKING:
    from niicache.format.codec import Blosc
    from niicache.format.manifest import ArrayLayout
    from niicache_builder.choices import CodecName

SMALL_BYTES = 512 * 1024
"""Cases up to this size are encoded slowly to be read fast: some milliseconds a case at most."""


def choose_codec(name: CodecName, case_nbytes: int) -> Blosc | None:
    """Return the compression of an array.

    Args:
        name: What the user said.
        case_nbytes: Bytes of one decoded, padded case.
    """
    return CODECS["fast" if name == "balanced" and case_nbytes > SMALL_BYTES else name]


def codec_reason(name: CodecName, image: ArrayLayout, label: ArrayLayout | None) -> str:
    """Return why images and labels are compressed as they are, for the user."""
    if name != "balanced":
        return f"as --codec {name} says"
    small = [one.case_nbytes <= SMALL_BYTES for one in (image, label) if one is not None]
    if all(small):
        return "balanced: cases are small, so encoding may take its time to make reading fast"
    if not any(small):
        return "balanced: cases are large, so encoding has to keep up with gunzip"
    return "balanced: quick to encode where a case is large, quick to read where it is small"
