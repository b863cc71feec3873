"""What is known of a patch beside its voxels, and what it cost to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from niicache.format.geometry import Box


class Patch(NamedTuple):
    """A patch of a batch, before transforms.

    Attributes:
        case: (class, case).
        box: Where it lies, in voxels of the padded grid; it may reach beyond.
        valid: Where real voxels lie in it, in voxels of the patch; the rest is padding.
    """

    case: tuple[str, str]
    box: Box
    valid: Box


class Reading(NamedTuple):
    """What a batch of patches costs to read where nothing of it is in memory.

    Attributes:
        decoded: Bytes of the chunks that are touched, images and masks.
        useful: Bytes of the patches, as they are stored.
    """

    decoded: int
    useful: int

    @property
    def per_useful_byte(self) -> float:
        """Bytes that are decoded for each that is delivered."""
        return self.decoded / self.useful
