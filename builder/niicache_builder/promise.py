"""A stream held against the length that a header promised. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from niicache_builder.nifti_error import too_large, too_long, truncated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray


def promised_bytes(promised: int) -> str:
    """Return the length that was expected, in words for the user."""
    return f"{promised:,} bytes as its header says"


def exactly(pieces: Iterable[bytes], promised: int) -> Iterator[bytes]:
    """Pass on a stream of exactly ``promised`` bytes; more is refused as soon as it is seen.

    Raises:
        NiftiError: ``truncated`` or ``too-long``.
    """
    seen = 0
    for piece in pieces:
        seen += len(piece)
        if seen > promised:
            raise too_long(f"more than {promised:,} bytes", promised_bytes(promised))
        yield piece
    if seen < promised:
        raise truncated(f"{seen:,} bytes", promised_bytes(promised))


def fill(pieces: Iterable[bytes], promised: int) -> NDArray[np.uint8]:
    """Gather a stream of exactly ``promised`` bytes.

    Returns:
        uint8, shape (promised,), in memory of its own. Pages that no byte reached cost nothing.

    Raises:
        NiftiError: As :func:`exactly`, or ``too-large`` (does not fit in memory).
    """
    try:
        buffer = np.empty(promised, np.uint8)
    except MemoryError as error:
        raise too_large("not enough memory", promised_bytes(promised)) from error
    at = 0
    for piece in exactly(pieces, promised):
        buffer.data[at : at + len(piece)] = piece
        at += len(piece)
    return buffer
