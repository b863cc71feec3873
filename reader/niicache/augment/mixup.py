"""MixUp: blends of two samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from niicache.augment import checks
from niicache.augment.batch_transform import BatchTransform, blended
from niicache.errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixUpParams:
    """What a MixUp drew.

    Attributes:
        partner: (batch,) int64, whom each sample is blended with.
        share: (batch,) float64, what it keeps of itself, from 0 to 1.
    """

    partner: np.ndarray
    share: np.ndarray


@dataclass(frozen=True, kw_only=True)
class MixUp(BatchTransform):
    """Blends each sample, image and label, with another of its batch. Zhang et al. (2018).

    Attributes:
        alpha: Both parameters of the beta distribution of the shares, above 0.
        p: Probability for each sample; the others stay as they are.
    """

    alpha: float = 0.2
    p: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", checks.number("MixUp.alpha", self.alpha, low=1e-3))
        object.__setattr__(self, "p", checks.probability("MixUp.p", self.p))

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> MixUpParams:
        """Return partners and shares; 1 where nothing is done."""
        partner = rng.permutation(shape[0])
        acts = rng.random(shape[0]) < self.p
        share = rng.beta(self.alpha, self.alpha, shape[0])
        return MixUpParams(partner=partner, share=np.where(acts, share, 1.0))

    def apply(
        self, images: np.ndarray, labels: np.ndarray, params: MixUpParams | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Blend images and labels.

        Raises:
            OptionError: The labels are masks, or the images are of integers.
        """
        if params is None:
            return images, labels
        if labels.ndim != len(("batch", "k")):
            raise OptionError(
                f"MixUp: got labels of shape {labels.shape}, expected (batch, k), one-hot or "
                "vectors, for no voxel is half one label and half another; use CutMix for masks"
            )
        if images.dtype.kind != "f":
            raise OptionError(
                f"MixUp: got images of {images.dtype}, expected floats; "
                "ask the Sequence for dtype='float32'"
            )
        mixed = blended(images, params.partner, params.share.astype(images.dtype))
        return mixed, blended(labels, params.partner, params.share)
