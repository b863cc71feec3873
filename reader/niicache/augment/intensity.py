"""Transforms that change voxels where they are."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.augment.transform import ByChance
from niicache.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from niicache.augment.warp import Line


class Intensity(ByChance):
    """Changes the voxels of float images, in place; labels stay as they are."""

    def apply(
        self, image: np.ndarray, label: np.ndarray, params: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Change the image in place.

        Raises:
            OptionError: The image is of integers.
        """
        if params is None:
            return image, label
        if image.dtype.kind != "f":
            raise OptionError(
                f"{type(self).__name__}: got an image of {image.dtype}, expected floats; "
                "ask the Sequence for dtype='float32'"
            )
        if not image.flags.writeable:
            raise OptionError(
                f"{type(self).__name__}: got a read-only image, expected one that it may change in "
                "place; give a copy"
            )
        self._change(image, params)
        return image, label

    def line(self, params: Any) -> Line | None:
        """Return the scale and the offset that this comes to, where that is all it does.

        Args:
            params: Of :meth:`draw`.
        """
        del params
        return None

    @abstractmethod
    def _change(self, image: np.ndarray, params: Any) -> None: ...


def on_channels(image: np.ndarray, work: Callable[[np.ndarray, int], None]) -> None:
    """Let a function change the channels of an image, one after another.

    Args:
        image: ``(*spatial, channel)`` of floats, changed in place.
        work: Gets a channel as a contiguous ``(*spatial,)`` array of float32 or float64, and its
            number. A lone channel is the image's own memory, others are copied and written back.
    """
    for channel in range(image.shape[-1]):
        view = image[..., channel]
        if view.flags.c_contiguous and view.dtype in {np.dtype("f4"), np.dtype("f8")}:
            work(view, channel)
            continue
        dtype = np.float64 if view.dtype.itemsize > np.dtype("f4").itemsize else np.float32
        copy = np.ascontiguousarray(view, dtype)
        if copy is view or np.may_share_memory(copy, view):
            copy = copy.copy()
        work(copy, channel)
        view[...] = copy


def on_image(image: np.ndarray, work: Callable[[np.ndarray], None]) -> None:
    """Let a function change all voxels of an image as one vector of float32 or float64."""
    flat = image.reshape(-1)
    if np.may_share_memory(flat, image) and flat.dtype in {np.dtype("f4"), np.dtype("f8")}:
        work(flat)
        return
    dtype = np.float64 if image.dtype.itemsize > np.dtype("f4").itemsize else np.float32
    copy = np.array(flat, dtype)
    work(copy)
    image[...] = copy.reshape(image.shape)


def values(
    rng: np.random.Generator,
    limits: tuple[float, float],
    channels: int,
    *,
    per_channel: bool,
    factor: bool = False,
) -> np.ndarray:
    """Draw one value a channel.

    Args:
        rng: Generator of the sample.
        limits: Lowest and highest.
        channels: How many channels.
        per_channel: Each its own, or all the same.
        factor: Values on either side of 1 are equally likely, however far each side reaches, as
            for BGContrast of batchgeneratorsv2. Else all values of the range are.

    Returns:
        (channels,) float64.
    """
    count = channels if per_channel else 1
    drawn = [_factor(rng, *limits) if factor else _uniform(rng, *limits) for _ in range(count)]
    return np.broadcast_to(np.array(drawn), channels)


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return low + (high - low) * rng.random()


def _factor(rng: np.random.Generator, low: float, high: float) -> float:
    if low < 1 < high:
        low, high = (low, 1.0) if rng.random() < 1 / 2 else (1.0, high)
    return _uniform(rng, low, high)
