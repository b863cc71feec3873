"""One affine of a plane of three channels beside OpenCV, on one thread."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.affine import ZOOM, check_agree
from benchmarks.brains import crops
from benchmarks.calls import time_calls
from benchmarks.table import Table, make_rows
from niicache.augment import matrices
from niicache.augment.placing import Cases, place_cases
from niicache.augment.plan import Fill, Plan
from niicache.augment.resampling import resample
from niicache.augment.warp import STRAIGHT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.cases import Array
    from benchmarks.options import Options

SIZE = (64, 64)
SHAPE = (*SIZE, 3)
DEGREES = 20.0
BATCH = 128
KINDS = "int16 to float32", "float32"
AT_ONCE = ", a batch"  # from and to the memory of one, as in the reader, and not of one image
FIXED_POINT = 0.05  # of the range of voxels: OpenCV rounds places to 1/32 of a voxel


def plane_calls() -> dict[str, Callable[[], Array]]:
    """Return the ways to turn a plane, each shown to give the same.

    Raises:
        AssertionError: One gives another plane.
    """
    box = next(iter(crops(1, (*SIZE, 64))))
    image = np.ascontiguousarray(box[..., 30:33])
    linear = matrices.rotation([DEGREES]) * ZOOM
    matrix = matrices.about_centres(linear, np.zeros(2), SIZE, SIZE)
    calls = our_calls(image, matrix)
    if find_spec("cv2"):
        calls |= opencv_calls(image, matrix)
    check_agree(calls, share=FIXED_POINT)
    return calls


def our_calls(image: Array, matrix: Array) -> dict[str, Callable[[], Array]]:
    """Return the ways of niicache: a batch, as the reader does it, and one by one."""
    places = np.arange(BATCH)
    plans = [Plan(matrix=matrix, shape=SIZE, fill=Fill())] * BATCH

    def placed(source: Array) -> Callable[[], Array]:
        many = np.stack([source] * BATCH)
        begin = many.__array_interface__["data"][0]
        cases = Cases(begin + places * many.strides[0], many.dtype, SHAPE)
        batch = np.empty((BATCH, *SHAPE), np.float32)

        def call() -> Array:
            place_cases(cases, batch, places, plans, [STRAIGHT] * BATCH, what="image")
            return batch[len(many) - 1]  # keeps the cases

        return call

    def resampled(source: Array) -> Callable[[], Array]:
        out = np.empty(SHAPE, np.float32)

        def call() -> Array:
            resample(source, out, matrix, order="linear", mode="constant")
            return out

        return call

    sources = dict(zip(KINDS, (image, image.astype(np.float32)), strict=True))
    return {
        f"niicache, {kind}{suffix}": way(source)
        for suffix, way in ((AT_ONCE, placed), ("", resampled))
        for kind, source in sources.items()
    }


def opencv_calls(image: Array, matrix: Array) -> dict[str, Callable[[], Array]]:
    """Return the ways of OpenCV, which has no int16 to float32 and no batches but in a loop."""
    import cv2

    cv2.setNumThreads(1)
    real = image.astype(np.float32)
    flipped = matrix[::-1][:, [1, 0, 2]]  # OpenCV names the axis that runs fastest first
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def warped(source: Array, out: Array | None = None) -> Array:
        made: Array = cv2.warpAffine(source, flipped, SIZE, dst=out, flags=flags)
        return made

    def batch(source: Array) -> Callable[[], Array]:
        many, out = np.stack([source] * BATCH), np.empty((BATCH, *SHAPE), np.float32)

        def call() -> Array:
            for one, to in zip(many, out, strict=True):
                warped(one.astype(np.float32, copy=False), to)
            return out[-1]

        return call

    return {
        f"OpenCV, {KINDS[0]}{AT_ONCE}": batch(image),
        f"OpenCV, {KINDS[1]}{AT_ONCE}": batch(real),
        f"OpenCV, {KINDS[0]}": lambda: warped(image.astype(np.float32)),
        f"OpenCV, {KINDS[1]}": lambda: warped(real),
        "OpenCV, int16": lambda: warped(image),
    }


def run(folder: Path, options: Options) -> Table:  # noqa: ARG001 - nothing is written
    """Time every way on one thread."""
    calls = plane_calls()
    return Table(
        title=f"plane: one affine of {SHAPE}, linear, one thread",
        unit="us",
        rows=make_rows(
            {
                name: [ms * 1e3 / (BATCH if name.endswith(AT_ONCE) else 1) for ms in figures]
                for name, figures in time_calls(calls, rounds=options.rounds).items()
            },
            yardsticks={"niicache": f"niicache, {KINDS[0]}{AT_ONCE}"},
            higher_is_better=False,
        ),
        skipped={} if find_spec("cv2") else {"cv2": "not installed; scripts/bench --peers has it"},
        facts={"rotation": DEGREES, "zoom": ZOOM},
    )
