"""Random streams of a model's layers, such as dropout's, which Keras saves in no checkpoint.

A generator of Keras is two words: its seed, and how often it was asked. Where each batch asks
equally often, what it stands at after any batch follows from what it stood at before the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from niicache.position import WORD, Seed

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_seeds(model: Any) -> tuple[Seed, ...]:
    """Return what each generator of a model stands at, in the model's order."""
    pairs = [one.numpy().tolist() for one in _generators(model)]
    return tuple(Seed(seed=int(seed) % WORD, asked=int(asked) % WORD) for seed, asked in pairs)


def write_seeds(model: Any, seeds: Sequence[Seed]) -> None:
    """Set each generator of a model, which has as many of them as there are seeds."""
    for variable, seed in zip(_generators(model), seeds, strict=True):
        words = np.array([seed.seed, seed.asked], np.uint32)
        variable.assign(words.astype(variable.numpy().dtype))  # some backends keep them signed


def _generators(model: Any) -> list[Any]:
    return [one for one in model.variables if one.name == "seed_generator_state"]
