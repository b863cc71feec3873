"""What is known of a patch beside its voxels, and what it cost to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from niicache.format.geometry import Box
from niicache.patches.regions import clipped

if TYPE_CHECKING:
    from niicache.format.geometry import Shape


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


def valid_box(patch: Box, start: Shape, stop: Shape) -> Box:
    """Return where in a patch the real voxels of a case lie.

    Args:
        patch: In voxels of the padded grid.
        start: First real voxel of the case, in the same.
        stop: One past its last.
    """

    def seen(point: Shape) -> Shape:
        return tuple(n - a for n, a in zip(point, patch.start, strict=True))

    return clipped(Box(seen(start), seen(stop)), patch.shape)


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
