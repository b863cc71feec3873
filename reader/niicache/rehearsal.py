"""Compiles in one go what the transforms of a Sequence may need of their loops.

Which loops a batch needs is drawn, so the tenth may be the first that turns. Keras would then wait
for its compilation in the middle of an epoch, and in a thread that Ctrl-C does not reach.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from niicache.augment import Lambda
from niicache.augment.placing import Cases, place_cases
from niicache.augment.warp import STRAIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from niicache.augment import Compose
    from niicache.augment.plan import Plan
    from niicache.augment.warp import Line
    from niicache.format.manifest import Recipe

SELDOM = 2.0**-40
OFTEN = 1 - SELDOM
SMALL = 8
"""Voxels an axis."""


def rehearse(
    compose: Compose,
    shape: tuple[int, ...],
    recipe: Recipe,
    dtype: np.dtype,
    draw: Callable[[float], tuple[Any, ...]],
) -> None:
    """Transform small made-up cases in every way that makes a difference to what is compiled.

    Nothing of a user's is called: where a transform is not of this package, nothing is done.

    Args:
        compose: What is done to samples.
        shape: Of a case, ``(*spatial, channel)``.
        recipe: Of the cache.
        dtype: Of the images of a batch.
        draw: Makes parameters of what every random number from 0 to 1 is.
    """
    ours = [type(one).__module__.startswith("niicache.") for one in compose.transforms]
    if not ours or not all(ours):
        return
    masks = recipe.label is not None and recipe.label_kind == "mask"
    for params in _ways(compose, draw):
        way = compose.plan(params, shape), compose.line(params) or STRAIGHT
        image = _placed(*way, shape, np.dtype(recipe.image.dtype), dtype, "image")
        label = np.zeros((1, 0))
        if masks and recipe.label is not None:
            grid, kind = (*shape[:-1], recipe.label.shape[-1]), np.dtype(recipe.label.dtype)
            label = _placed(*way, grid, kind, kind, "mask")
        compose.finish(image[0], label[0], params)


def _ways(compose: Compose, draw: Callable[[float], tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Yield parameters: all transforms act, none that may rest, and each of those alone."""
    functions = [isinstance(one, Lambda) for one in compose.transforms]
    act, rest = (
        tuple(
            None if is_function else one
            for one, is_function in zip(draw(luck), functions, strict=True)
        )
        for luck in (SELDOM, OFTEN)
    )
    yield act
    yield rest
    for i, (acts, rests) in enumerate(zip(act, rest, strict=True)):
        if acts is not None and rests is None:
            yield (*rest[:i], acts, *rest[i + 1 :])


def _placed(
    plan: Plan,
    line: Line,
    shape: tuple[int, ...],
    stored: np.dtype,
    wanted: np.dtype,
    what: Literal["image", "mask"],
) -> np.ndarray:
    """Return a batch of one case, resampled: of both a corner, for sizes compile nothing else."""
    plan = replace(plan, shape=tuple(min(size, SMALL) for size in plan.shape))
    small = (*(min(size, SMALL) for size in shape[:-1]), shape[-1])
    case = (np.arange(math.prod(small)) % 100).astype(stored).reshape(small)
    where = np.array([case.__array_interface__["data"][0]])
    batch = np.empty((1, *plan.shape, shape[-1]), wanted)
    place_cases(Cases(where, stored, small), batch, np.array([0]), [plan], [line], what=what)
    return batch
