"""A 128-cube of image and mask, read and augmented as nnU-Net trains, on one thread."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING

import nibabel
import numpy as np

from benchmarks.brains import crops
from benchmarks.calls import time_calls
from benchmarks.command import build_cache
from benchmarks.peers.nnunet_patches import nnunet_patches
from benchmarks.table import Table, make_rows
from niicache import BalancedSequence, augment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.cases import Array
    from benchmarks.options import Options

CASE, PATCH = 160, 128  # voxels an axis
CASES = 6
SAMPLES = 60  # in one figure: what is drawn decides whether a sample takes 8 ms or 300
NEEDS = ("torch", "blosc2", "batchgeneratorsv2")
OURS = "niicache, medical"


def write_cases(source: Path, cases: int, size: int) -> list[tuple[Array, Array]]:
    """Write images and masks of three values, and return them."""
    made = []
    for kind in ("images", "labels"):
        (source / "brain" / kind).mkdir(parents=True)
    for number, image in enumerate(crops(cases, (size,) * 3)):
        mask = np.digitize(image, (1, 900)).astype(np.uint8)
        made.append((image, mask))
        for kind, voxels in (("images", image), ("labels", mask)):
            file = nibabel.Nifti1Image(voxels, np.eye(4))
            file.header.set_xyzt_units("mm")
            nibabel.save(file, source / "brain" / kind / f"c{number}.nii.gz")
    return made


def reads(cache: Path, transform: augment.Transform, patch: int) -> Callable[[], object]:
    """Return what reads the next sample, decoding its chunks each time.

    Raises:
        AssertionError: The first is not of the shape that was asked for.
    """
    sequence = BalancedSequence(cache, 1, transform=transform, memory=0, workers=1)
    steps = count()
    image, mask = sequence.batch(0, 0)
    if image.shape != (1, patch, patch, patch, 1) or mask.shape != image.shape:
        raise AssertionError(f"image {image.shape} and mask {mask.shape}, not {patch}-cubes")
    return lambda: sequence.batch(*divmod(next(steps), len(sequence)))


def run(folder: Path, options: Options) -> Table:
    """Write the cases both ways and time a sample."""
    size, patch = (max(8, round(n * options.scale)) for n in (CASE, PATCH))
    cases = write_cases(folder / "source", options.scaled(CASES), size)
    cache = build_cache(folder / "source", folder / "cache", "--labels", "mask")
    crop = augment.RandomCrop(size=patch)
    calls = {
        OURS: reads(cache, augment.Compose(crop, augment.ZScore(), augment.medical()), patch),
        "niicache, no augmentation": reads(cache, crop, patch),
    }
    absent = [one for one in NEEDS if find_spec(one) is None]
    if not absent:
        calls |= nnunet_patches(cases, folder / "nnunet", patch)
    return Table(
        title=f"medical: {patch}-cubes of image and mask from {size}-cubes, one thread",
        unit="ms a sample",
        rows=make_rows(
            time_calls(calls, rounds=options.rounds, least=options.scaled(SAMPLES)),
            yardsticks={"niicache": OURS},
            higher_is_better=False,
        ),
        skipped=dict.fromkeys(absent, "not installed; scripts/bench --peers has it"),
        facts={"cases": len(cases)},
    )
