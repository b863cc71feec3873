"""One trilinear affine of a volume, on one thread."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from benchmarks.brains import crops
from benchmarks.calls import time_calls
from benchmarks.peers.torch_affine import batchgenerators_affine, monai_affine
from benchmarks.table import Table, make_rows
from niicache.augment import matrices
from niicache.augment.resampling import resample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.cases import Array
    from benchmarks.options import Options

SOURCE, OUT = 160, 128  # voxels an axis
DEGREES = (10.0, 15.0, -12.0)
ZOOM = 1.05
AGREES = 1e-3  # of the range of voxels: what single precision leaves of float64


def volume_calls(size: float) -> dict[str, Callable[[], Array]]:
    """Return the ways to turn a volume, each shown to give the same.

    Raises:
        AssertionError: One gives another volume.
    """
    source, out = (max(8, round(n * size)) for n in (SOURCE, OUT))
    image = next(iter(crops(1, (source,) * 3)))
    linear = matrices.rotation(list(DEGREES)) * ZOOM
    matrix = matrices.about_centres(linear, np.zeros(3), (source,) * 3, (out,) * 3)
    ours = np.empty((out,) * 3 + (1,), np.float32)

    def resampled() -> Array:
        resample(image[..., None], ours, matrix, order="linear", mode="constant")
        return ours[..., 0]

    def scipy_order_1() -> Array:
        made: Array = ndimage.affine_transform(
            image, linear, matrix[:, 3], (out,) * 3, np.float32, order=1, prefilter=False
        )
        return made

    calls: dict[str, Callable[[], Array]] = {
        "niicache, int16 to float32": resampled,
        "scipy affine_transform, order 1": scipy_order_1,
    }
    if find_spec("monai"):
        calls["MONAI RandAffined"] = monai_affine(image, (out,) * 3, DEGREES, ZOOM)
    if find_spec("batchgeneratorsv2"):
        calls["batchgeneratorsv2 SpatialTransform"] = batchgenerators_affine(
            image, (out,) * 3, DEGREES, ZOOM
        )
    check_agree({name: calls[name] for name in list(calls)[:2]})
    return calls


def check_agree(calls: Mapping[str, Callable[[], Array]], *, share: float = AGREES) -> None:
    """Refuse ways of which one gives something else.

    Args:
        calls: By name; each gives the same but for the outer quarters of each axis, where what
            lies beside the border is everybody's own.
        share: Of the range of voxels, by which they may differ.

    Raises:
        AssertionError: One does.
    """
    made = {name: call() for name, call in calls.items()}
    (first, one), *others = ((name, out[_middle(out)].copy()) for name, out in made.items())
    for name, other in others:
        worst = float(np.abs(one - other).max())
        if worst > share * float(np.ptp(one)):
            raise AssertionError(f"{name} and {first} differ by up to {worst}")


def _middle(out: Array) -> tuple[slice, ...]:
    """Return the middle half of the first two axes."""
    return tuple(slice(n // 4, n - n // 4) for n in out.shape[:2])


def run(folder: Path, options: Options) -> Table:  # noqa: ARG001 - nothing is written
    """Time every way on one thread."""
    calls = volume_calls(options.scale)
    absent = [one for one in ("monai", "batchgeneratorsv2") if find_spec(one) is None]
    return Table(
        title=f"affine: one affine, {SOURCE}-cube to {OUT}-cube, linear, one thread",
        unit="ms",
        rows=make_rows(
            time_calls(calls, rounds=options.rounds),
            yardsticks={"niicache": next(iter(calls))},
            higher_is_better=False,
        ),
        skipped=dict.fromkeys(absent, "not installed; scripts/bench --peers has it"),
        facts={"rotation": DEGREES, "zoom": ZOOM},
    )
