"""Which orders of transforms make sense, and in which units what fills is given. Pure.

Whatever moves voxels is done first, as one resampling. The order that was given still says what is
meant: a ``fill`` is in the units that voxels have where its transform stands.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from niicache.augment.rotate90 import Rotate90
from niicache.augment.spatial import NOTHING, Spatial, plan_problem
from niicache.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.augment.plan import Fill
    from niicache.augment.transform import Transform


def check_order(transforms: Sequence[Transform]) -> None:
    """Refuse transforms of which one undoes what another counts on.

    Raises:
        OptionError: They are such.
    """
    problem = plan_problem([one for one in transforms if isinstance(one, Spatial)])
    if problem:
        raise OptionError(problem)
    for place, one in enumerate(transforms):
        before = transforms[:place]
        scale = next((other for other in before if other.rescales), None)
        if scale is not None and one.asks - {"spacing"}:
            other = ", or take of='image'" if "mean" in one.asks else ""
            raise OptionError(
                f"{one!r}: got it after {scale!r}, expected it before anything that changes the "
                "units, for what is known of a case is known of its stored voxels; move it to the "
                f"front, or leave out the other{other}"
            )
        if "spacing" in one.asks and any(isinstance(other, Rotate90) for other in before):
            raise OptionError(
                f"{one!r}: got it after Rotate90, expected it before: quarter turns put each axis "
                "where another spacing is; move Rotate90 behind it"
            )


def fill_of(transforms: Sequence[Transform]) -> Fill:
    """Return what lies outside, as the resampling needs it.

    Args:
        transforms: All of a Compose, in their order.

    Raises:
        OptionError: What fills is changed by a transform that stands before.
    """
    filling = [
        (i, one, one.outside)
        for i, one in enumerate(transforms)
        if isinstance(one, Spatial) and one.outside is not None
    ]
    if not filling:
        return NOTHING
    first, (last, mover, fill) = filling[0][0], filling[-1]
    if fill.mode != "constant":
        return fill
    lead = next((i for i, one in enumerate(transforms) if not isinstance(one, Spatial)), 0)
    value, scaled = fill.value, False
    for i in reversed(range(last)):
        one = transforms[i]
        if not one.rescales:
            continue
        if i == lead < first and one.straight:  # part of the resampling, which spares the fill
            scaled = True
            continue
        undone = one.undone(value) if i < first and getattr(one, "p", 1) == 1 else None
        if undone is None:
            raise OptionError(
                f"{one!r}: got it before {mover!r}, expected it after all that moves voxels, which "
                "is done first: it would change what fills; move it behind, or fill with "
                "fill_mode='nearest'"
            )
        value = undone
    return replace(fill, value=value, scaled=scaled)
