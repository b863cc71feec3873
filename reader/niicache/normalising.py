"""The scale of intensity that a Sequence is told by ``normalize``. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from niicache import augment
from niicache.errors import OptionError

if TYPE_CHECKING:
    import numpy as np

    from niicache.augment.transform import Transform

Normalize: TypeAlias = (
    Literal["zscore", "minmax"]
    | tuple[Literal["zscore", "minmax"], Literal["nonzero"]]
    | tuple[Literal["window", "percentile"], float, float]
    | tuple[Literal["percentile"], float, float, Literal["nonzero"]]
)

NONZERO = "nonzero"
_ENDS = len(("low", "high"))


def scale_for(normalize: Normalize | None, dtype: np.dtype) -> Transform | None:
    """Return the transform that ``normalize`` stands for, None for none.

    Args:
        normalize: What the user said.
        dtype: Of the images.

    Raises:
        OptionError: It is none of the allowed, or images are of a dtype that cannot be scaled.
    """
    if normalize is None:
        return None
    name, *ends = _parts(normalize)
    known = {"zscore": 0, "minmax": 0, "window": _ENDS, "percentile": _ENDS}
    nonzero = ends[-1:] == [NONZERO]
    if nonzero:
        ends.pop()
    if known.get(str(name)) != len(ends) or (nonzero and name == "window"):
        raise OptionError(
            f"normalize: got {normalize!r}, expected 'zscore', 'minmax', ('window', low, high) in "
            "the units of the voxels, or ('percentile', 0.5, 99.5) in percent; by the voxels that "
            "are not 0: ('zscore', 'nonzero'), ('minmax', 'nonzero') or ('percentile', 0.5, 99.5, "
            "'nonzero')"
        )
    if dtype.name not in {"float32", "float64"}:
        raise OptionError(
            f"dtype: got {dtype.name!r} with normalize, expected 'float32' or 'float64'; "
            "convert the whole batch in collate_fn"
        )
    if name == "zscore":
        return augment.ZScore(nonzero=nonzero)
    if name == "minmax":
        return augment.MinMax(nonzero=nonzero)
    low, high = ends
    if name == "window":
        return augment.Window(low=low, high=high)
    scale = augment.Percentile(low=low, high=high, nonzero=nonzero)
    return augment.Compose(scale, augment.Clip(low=0.0, high=1.0))


def _parts(normalize: object) -> tuple[Any, ...]:
    """Return name and ends, of whatever was given."""
    return (*normalize, *[None] * (not normalize)) if isinstance(normalize, tuple) else (normalize,)
