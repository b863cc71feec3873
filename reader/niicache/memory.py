"""Memory that is used again: pages that the kernel maps and clears anew cost as much as a copy.

Two threads that get and give back memory all the time also wait for each other in the kernel.
"""

from __future__ import annotations

from collections import defaultdict, deque
from functools import partial
from typing import Any

import numpy as np

LEFT_OVER = 8
"""Pieces of one size that are kept though nobody holds them."""

OTHERS_BYTES = 64 * 1024 * 1024
"""Bytes of other sizes that are kept when new memory is taken; the size that came first goes."""

_left: defaultdict[int, deque[np.ndarray]] = defaultdict(partial(deque, maxlen=LEFT_OVER))


class Piece:
    """A piece of memory, to be had again when nobody holds it, nor an array made of it.

    Attributes:
        array: (bytes,) uint8; its owner is this object, so hold on to this and not to that.
        begin: Its address.
    """

    __slots__ = ("array", "begin")

    def __init__(self, nbytes: int) -> None:
        """Take memory with any content."""
        try:
            self.array = _left[nbytes].pop()
        except IndexError:
            _make_way(nbytes)
            self.array = np.empty(nbytes, np.uint8)
        self.begin: int = self.array.__array_interface__["data"][0]

    def __del__(self, left: defaultdict[int, deque[np.ndarray]] = _left) -> None:
        # Nothing but an atomic append: this may run in any thread, in the middle of anything.
        left[self.array.nbytes].append(self.array)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self.array.__array_interface__


def forget() -> None:
    """Give back to the system what nobody holds."""
    _left.clear()


def _make_way(nbytes: int) -> None:
    """Give back what is left over of other sizes, but for so many bytes."""
    sizes = [(size, len(pieces)) for size, pieces in list(_left.items()) if size != nbytes]
    over = sum(size * count for size, count in sizes) - OTHERS_BYTES
    for size, count in sizes:
        if over <= 0:
            break
        _left.pop(size, None)
        over -= size * count


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Return an array with any content, as ``numpy.empty`` does."""
    count = 1
    for n in shape:
        count *= n
    if not count:
        return np.empty(shape, dtype)
    return np.asarray(Piece(count * dtype.itemsize)).view(dtype).reshape(shape)
