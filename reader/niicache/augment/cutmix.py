"""CutMix: boxes of another sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from niicache.augment import checks
from niicache.augment.batch_transform import BatchTransform, blended
from niicache.augment.warp import is_mask
from niicache.errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CutMixParams:
    """What a CutMix drew.

    Attributes:
        partner: (batch,) int64, whose box each sample gets.
        first: (batch, d) int64, first voxel of the box.
        stop: (batch, d) int64, the voxel behind its last; as ``first`` where nothing is done.
        share: (batch,) float64, the part of the voxels that the sample keeps.
    """

    partner: np.ndarray
    first: np.ndarray
    stop: np.ndarray
    share: np.ndarray


@dataclass(frozen=True, kw_only=True)
class CutMix(BatchTransform):
    """Puts a box of another sample of the batch into each, with its mask. Yun et al. (2019).

    One-hot and vector labels are blended by the voxels that each image has in the end.

    Attributes:
        alpha: Both parameters of the beta distribution of what a sample keeps, above 0.
        p: Probability for each sample; the others stay as they are.
    """

    alpha: float = 1.0
    p: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", checks.number("CutMix.alpha", self.alpha, low=1e-3))
        object.__setattr__(self, "p", checks.probability("CutMix.p", self.p))

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> CutMixParams:
        """Return partners and boxes."""
        batch, *spatial = shape[:-1]
        partner = rng.permutation(batch)
        acts = rng.random(batch) < self.p
        cut = np.where(acts, 1 - rng.beta(self.alpha, self.alpha, batch), 0.0)
        middle = rng.random((batch, len(spatial))) * spatial
        half = (cut ** (1 / len(spatial)))[:, None] * spatial / 2
        first = np.clip(np.rint(middle - half), 0, spatial).astype(np.int64)
        stop = np.clip(np.rint(middle + half), 0, spatial).astype(np.int64)
        share = 1 - np.prod(stop - first, 1) / math.prod(spatial)
        return CutMixParams(partner=partner, first=first, stop=stop, share=share)

    def apply(
        self, images: np.ndarray, labels: np.ndarray, params: CutMixParams | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Put the boxes in.

        Raises:
            OptionError: The labels are neither masks nor vectors.
        """
        if params is None:
            return images, labels
        if is_mask(images, labels):
            return _boxed(images, params), _boxed(labels, params)
        if labels.ndim != len(("batch", "k")):
            raise OptionError(
                f"CutMix: got labels of shape {labels.shape}, expected (batch, k), one-hot or "
                f"vectors, or masks {(*images.shape[:-1], 'channel')} on the grid of the images"
            )
        return _boxed(images, params), blended(labels, params.partner, params.share)


def _boxed(batch: np.ndarray, params: CutMixParams) -> np.ndarray:
    made = batch.copy()
    for place, partner in enumerate(params.partner):
        box = tuple(map(slice, params.first[place], params.stop[place]))
        made[place][box] = batch[partner][box]
    return made
