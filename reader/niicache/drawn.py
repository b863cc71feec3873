"""Training batches as they are drawn: which cases they hold, and which patches of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from niicache.epochs import EpochSequence
from niicache.errors import OptionError
from niicache.mixing import sampler_score
from niicache.patches.patch import Patch
from niicache.spares import Spares

if TYPE_CHECKING:
    from niicache.losses import Losses
    from niicache.patches.patch import Reading
    from niicache.patches.sampler import PatchSampler
    from niicache.sampling import Draw, Sampler


class DrawnSequence(EpochSequence):
    """Batches of samples that a sampler draws; others stand in for damaged ones, if asked."""

    _sampler: Sampler
    _seed: int
    _losses: Losses | None

    @property
    def mixing(self) -> float:
        """How near the order of cases comes to a full shuffle: 0 is a fixed order, 1 is one."""
        return sampler_score(self._sampler)

    @property
    def damaged(self) -> tuple[tuple[str, str], ...]:
        """(class, case) of each case that was met damaged and skipped, sorted."""
        return () if self._losses is None else self._losses.cases

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._sampler.steps

    def cases(self, epoch: int, step: int) -> tuple[tuple[str, str], ...]:
        """Return (class, case) of each sample of a batch, in its order. Reads no voxel.

        With ``on_damage="skip"`` these are the cases that stand in, once the batch was made.

        Raises:
            IndexError: The epoch has no such batch.
        """
        return self._loader.names(self._settled(epoch, step))

    def patches(self, epoch: int, step: int) -> tuple[Patch, ...]:
        """Return where each patch of a batch lies, and where real voxels are in it.

        Reads no voxel. As :meth:`cases` where cases are damaged.

        Raises:
            OptionError: Batches are of whole cases.
            IndexError: The epoch has no such batch.
        """
        draw = self._settled(epoch, step)
        sampler = self._patch_sampler()
        boxes = sampler.boxes(draw, np.arange(len(draw.rows)), (self._seed, epoch, step))
        return tuple(map(Patch, self._loader.names(draw), boxes, sampler.valid(draw, boxes)))

    def reading(self, epoch: int, step: int) -> Reading:
        """Return how many bytes a batch of patches decodes, and how many of them it delivers.

        Raises:
            OptionError: Batches are of whole cases.
            IndexError: The epoch has no such batch.
        """
        self._patch_sampler()
        draw = self._settled(epoch, step)
        return self._loader.reading(draw, self._work((self._seed, epoch, step)))

    def _patch_sampler(self) -> PatchSampler:
        if self._patches is None:
            raise OptionError("patch: got None, expected a shape; batches are of whole cases")
        return self._patches

    def _settled(self, epoch: int, step: int) -> Draw:
        """Return the draw of a batch, others in place of cases that are known to be damaged."""
        draw = self._sampler.draw(epoch, step)
        spares = self._spares()
        return draw if spares is None else spares.settled(draw, epoch, step)

    def _spares(self) -> Spares | None:
        if self._losses is None:
            return None
        return Spares(self._loader, self._losses, self._sampler.classes, self._seed)
