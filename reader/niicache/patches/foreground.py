"""How often patches hold foreground, and which: what the user says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from niicache.errors import OptionError
from niicache.options import check_flag, check_one_of

if TYPE_CHECKING:
    from collections.abc import Mapping

Border = Literal["pad", "shift"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreground:
    """Patches that are made to hold a voxel of the foreground.

    Such a patch draws a label value among those of its case, then one of the voxels that hold it,
    and lies so that this voxel is anywhere in it, each place as likely. So a lesion in a corner is
    seen as often as one in the middle, and no place of the patch is special.

    Attributes:
        share: Of the samples, 0 to 1. Cases without foreground deliver any patch instead.
        exact: True: in each batch it is the samples from ``round(batch * (1 - share))`` on, as
            nnU-Net has it. False: each sample by itself, with this probability.
        weights: Label value to relative frequency, 0 to leave it out; None for every value but 0,
            equally often.
        border: Where such a patch reaches beyond the image, "pad" it, or "shift" it back inside,
            as nnU-Net does: voxels near the border then lie near the patch's.

    Raises:
        OptionError: An attribute is outside what is allowed.
    """

    share: float
    exact: bool = True
    weights: Mapping[float, float] | None = None
    border: Border = "pad"

    def __post_init__(self) -> None:
        check_share("foreground.share", self.share)
        check_flag("foreground.exact", self.exact)
        check_one_of("foreground.border", self.border, ("pad", "shift"))
        if self.weights is None:
            return
        sound = isinstance(self.weights, dict) and all(map(_is_weight, self.weights.values()))
        if not sound or not sum(self.weights.values()):
            raise OptionError(
                f"foreground.weights: got {self.weights!r}, expected label values to numbers of at "
                "least 0, one of them more, such as {1: 1, 2: 3}"
            )

    def forced(self, batch_size: int) -> int:
        """Return the first place in a batch whose sample is forced, where shares are exact."""
        return round(batch_size * (1 - self.share))


def check_share(name: str, value: object) -> None:
    """Refuse what is no number from 0 to 1.

    Raises:
        OptionError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise OptionError(f"{name}: got {value!r}, expected a number from 0 to 1")


def _is_weight(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < math.inf  # type: ignore[operator]  # a number, as was asked
