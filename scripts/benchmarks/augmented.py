"""The small cases with the augmentation of the way that niicache replaces, end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.ours import BaselineWay, LaterEpochs
from benchmarks.rounds import make_ready, time_rounds
from benchmarks.small import make_cases
from benchmarks.table import Table, make_rows
from niicache import augment

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.cases import Array, Cases
    from benchmarks.options import Options
    from benchmarks.way import Way
    from niicache import BalancedSequence

KEPT = {
    "rotation_range": 60,
    "width_shift_range": 10,
    "height_shift_range": 10,
    "zoom_range": 0.2,
    "horizontal_flip": True,
    "vertical_flip": True,
}


def scaled(image: Array) -> Array:
    """Scale in place, the function that users had as ``preprocessing_function``."""
    image *= np.float32(1e-3)
    return image


class AugmentedBaseline(BaselineWay):
    """``scripts/baseline.py`` with Keras' ImageDataGenerator at work."""

    def prepare(self, cases: Cases, folder: Path) -> None:
        """List the files and make the generator."""
        super().prepare(cases, folder)
        self.baseline.augment(**KEPT, preprocessing_function=scaled)


class Augmented(LaterEpochs):
    """niicache in budget, with a transform."""

    def __init__(self, name: str, transform: augment.Compose) -> None:
        super().__init__(name)
        self.transform = transform

    def make(
        self, seed: int, *, memory: int, transform: augment.Transform | None = None
    ) -> BalancedSequence:
        """Return a new Sequence that augments."""
        return super().make(seed, memory=memory, transform=transform or self.transform)


def check_shares(way: Way, cases: Cases) -> None:
    """Refuse a way whose batches have another shape, dtype or share of a class.

    Raises:
        AssertionError: One has.
    """
    images, labels = next(batches := way.open(0, 1))
    for _ in batches:
        pass  # a way may have threads at work until its end
    wanted = (cases.batch_size, *cases.images[0].shape[1:]), way.dtype
    if (images.shape, images.dtype.name) != wanted:
        raise AssertionError(f"{way.name}: images {images.shape} {images.dtype}, not {wanted}")
    known = [{one.tobytes() for one in of} for of in cases.labels]
    found = [sum(one.astype(np.float32).tobytes() in of for one in labels) for of in known]
    if min(found) < cases.per_class or not np.isfinite(images).all() or not images.std():
        raise AssertionError(f"{way.name}: {found} labels of each class, or no image")


def run(folder: Path, options: Options) -> Table:
    """Make the data and time every way."""
    cases = make_cases(folder, options, uncompressed=False)
    old = augment.image_data_generator(**KEPT, preprocessing_function=scaled)
    every = [
        BaselineWay(),
        AugmentedBaseline("baseline, augmented"),
        LaterEpochs("niicache, as it is"),
        Augmented("niicache, image_data_generator", old),
        Augmented("niicache, light", augment.light()),
        Augmented("niicache, medical", augment.medical()),
    ]
    ways, skipped = make_ready(every, cases, folder, check=check_shares)
    try:
        figures = time_rounds(ways, rounds=options.rounds, epochs=options.epochs)
    finally:
        for way in ways:
            way.close()
    return Table(
        title="augment: the small cases, augmented, in budget, float32 batches",
        unit="samples/s",
        rows=make_rows(
            figures, yardsticks={"baseline": "baseline", "augmented": "baseline, augmented"}
        ),
        skipped=skipped,
        facts={"generator": KEPT, "batch": cases.batch_size, "threads": options.threads},
    )
