"""Everything that the batches of a Sequence depend on, to be written down and compared. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from niicache.format.manifest import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.format.manifest import Manifest
    from niicache.sampling import Sampler

OPTIONS = ("batch_size", "steps", "seed", "shuffle", "replacement", "mix")


def describe(
    manifest: Manifest, sampler: Sampler, dtype: str, transforms: Sequence[object]
) -> dict[str, Any]:
    """Return by name, in JSON's types, what batches depend on; no code that a user wrote.

    Args:
        manifest: Of the cache. Its digest decides whether two caches are one; the facts beside it
            are there to say what else is different.
        sampler: Of the Sequence.
        dtype: Of the images.
        transforms: Of :mod:`niicache.augment`, in their order. Their repr says all, but for where
            in memory a user's own object lies.
    """
    image = manifest.recipe.image
    return {
        "cache": hashlib.sha256(canonical(manifest.to_json())).hexdigest(),
        "classes": [entry.name for entry in manifest.classes],
        "cases": [entry.cases for entry in manifest.classes],
        "image": f"{image.dtype} {list(image.shape)}",
        "weights": [float(weight) for weight in sampler.weights],
        **{name: getattr(sampler, name) for name in OPTIONS},
        "dtype": dtype,
        **{
            f"transform {place}": re.sub(r" at 0x[0-9a-fA-F]+", "", repr(one))
            for place, one in enumerate(transforms)
        },
    }
