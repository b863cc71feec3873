"""A weight for each voxel of a mask: rare labels count for more, padding for nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from niicache.errors import OptionError
from niicache.real import RealVoxels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.cache import Cache
    from niicache.sampling import ClassRows
    from niicache.work import SampleWork

SampleWeight: TypeAlias = Literal["balanced", "valid"] | Mapping[float, float]

_BYTES = np.arange(256, dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoxelWeights:
    """Weighs the voxels of delivered masks. Immutable, safe to share between threads.

    Attributes:
        real: Where the real voxels of samples lie.
        values: (k,) float64, ascending: the label values that have a weight; None where every real
            voxel weighs 1.
        weights: (k,) float32, theirs.
    """

    real: RealVoxels
    values: np.ndarray | None = None
    weights: np.ndarray | None = None

    @property
    def table(self) -> dict[float, float]:
        """Label value to weight; nothing where every real voxel weighs 1."""
        if self.values is None or self.weights is None:
            return {}
        return dict(zip(self.values.tolist(), self.weights.tolist(), strict=True))

    def describe(self) -> dict[str, Any]:
        """Return what weights depend on, in JSON's types."""
        return {"sample_weight": repr(self.table) if self.table else "valid"}

    def of(self, masks: np.ndarray, work: SampleWork) -> np.ndarray:
        """Return the weights of a batch, ``(batch, *spatial)`` float32; 0 where no voxel is real.

        Args:
            masks: ``(batch, *spatial, channel)``, as they are delivered.
            work: What was done to their cases.

        Raises:
            OptionError: A real voxel holds a label without a weight.
        """
        made = np.empty(masks.shape[:-1], np.float32)
        for slot, mask in enumerate(masks):
            real = self.real.of(work.seen(slot))
            if self.values is None:
                made[slot] = real
            else:
                self._weigh(mask[..., 0], real, made[slot])
        return made

    def _weigh(self, mask: np.ndarray, real: np.ndarray, out: np.ndarray) -> None:
        """Write the weights of a mask, 0 where voxels are not real."""
        if mask.dtype == _BYTES.dtype:  # a table of all of them is quicker than a search
            np.take(self._looked_up(_BYTES), mask, out=out, mode="clip")
        else:
            out[...] = self._looked_up(mask)
        out[~real] = 0
        if np.isnan(out.sum()):
            label = mask[np.isnan(out)][0]
            raise OptionError(
                f"sample_weight: got label {label:g} in a mask, expected some of "
                f"{', '.join(f'{value:g}' for value in self.table)}; give each label a weight: "
                "{label: weight, ...}"
            )

    def _looked_up(self, labels: np.ndarray) -> np.ndarray:
        """Return the weight of each label, NaN where it has none."""
        assert self.values is not None  # noqa: S101 - the caller asked
        assert self.weights is not None  # noqa: S101 - both are given or none
        at = np.minimum(np.searchsorted(self.values, labels), len(self.values) - 1)
        return np.where(self.values[at] == labels, self.weights[at], np.float32(np.nan))


def voxel_weights(
    cache: Cache,
    sample_weight: SampleWeight | None,
    classes: Sequence[ClassRows],
    shares: Sequence[float],
) -> VoxelWeights | None:
    """Return what weighs the voxels of a Sequence, None for no weights.

    Args:
        cache: The open cache.
        sample_weight: What the user said.
        classes: The cases that are delivered.
        shares: How often each class is, relative.

    Raises:
        OptionError: It is none of the allowed, or the cache has no such masks.
        DamageError: Columns of the cache cannot be read.
    """
    if sample_weight is None:
        return None
    recipe = cache.manifest.recipe
    if sample_weight not in ("balanced", "valid") and not _is_table(sample_weight):
        raise OptionError(
            f"sample_weight: got {sample_weight!r}, expected 'balanced', 'valid', or labels to "
            "weights of at least 0, one of them more, such as {0: 0.5, 1: 3}"
        )
    if recipe.label is None or recipe.label_kind != "mask":
        raise OptionError(
            f"sample_weight: got {sample_weight!r} for labels of kind {recipe.label_kind!r}, "
            "expected masks; weigh whole samples by weights= or in collate_fn"
        )
    real = RealVoxels(cache)
    if sample_weight == "valid":
        return VoxelWeights(real=real)
    if recipe.label.shape[-1] > 1:
        raise OptionError(
            f"sample_weight: got {sample_weight!r} for masks of {recipe.label.shape[-1]} channels, "
            "expected masks of one; take 'valid', or weigh them in the loss"
        )
    held = _held(cache, classes, shares)
    if isinstance(sample_weight, Mapping):
        table = {float(value): float(weight) for value, weight in sample_weight.items()}
        lacking = [value for value in held if value not in table]
        if lacking:
            raise OptionError(
                f"sample_weight: got no weight of label {', '.join(f'{v:g}' for v in lacking)}, "
                f"expected one of each: {', '.join(f'{value:g}' for value in held)}"
            )
    else:
        table = _balanced(held)
    values = sorted(table)
    weights = np.array([table[value] for value in values], np.float32)
    return VoxelWeights(real=real, values=np.array(values, np.float64), weights=weights)


def _held(
    cache: Cache, classes: Sequence[ClassRows], shares: Sequence[float]
) -> dict[float, float]:
    """Return label value to how many voxels of a sample hold it, on average over what is drawn."""
    values = cache.manifest.label_values
    expected = np.zeros(len(values))
    for view, one, share in zip(cache, classes, shares, strict=True):
        if share and len(one.rows):
            expected += float(share) * view.stored_column("label_count")[one.rows].mean(axis=0)
    return {value: count for value, count in zip(values, expected.tolist(), strict=True) if count}


def _balanced(held: Mapping[float, float]) -> dict[float, float]:
    """Return weights by which every label counts for as much, and a voxel for 1 on average.

    Raises:
        OptionError: The cache did not count its labels.
    """
    if not held:
        raise OptionError(
            "sample_weight: got 'balanced' for masks of more than 256 values, which are not "
            "counted, expected fewer; give {label: weight}, or take 'valid'"
        )
    total = sum(held.values())
    return {value: total / (len(held) * count) for value, count in held.items()}


def _is_table(value: object) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    numbers = [number for pair in value.items() for number in pair]
    sound = [isinstance(n, int | float) and not isinstance(n, bool) for n in numbers]
    weights = value.values()
    return all(sound) and all(0 <= weight < math.inf for weight in weights) and any(weights)
