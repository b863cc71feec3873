"""Random numbers for voxels, from a seed that was drawn, a cache-sized block at a time."""

from __future__ import annotations

import numpy as np

BLOCK = 16 * 1024


def seed(rng: np.random.Generator) -> int:
    """Draw a seed of 63 bits."""
    return int(rng.integers(2**63))


def generator(drawn: int) -> np.random.Generator:
    """Return the generator of a seed: the quickest of numpy's."""
    return np.random.Generator(np.random.SFC64(drawn))
