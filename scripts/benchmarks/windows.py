"""Random 128-cubes of image and mask from int16 volumes of 240x240x155, on one thread."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING

import nibabel
import numpy as np
import zarr

from benchmarks.brains import crops
from benchmarks.calls import time_calls
from benchmarks.command import build_cache, plan_of
from benchmarks.peers.nnunet_windows import read_windows, write_windows
from benchmarks.table import Table, make_rows
from niicache import BalancedSequence, open_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.cases import Array
    from benchmarks.options import Options

CASE, PATCH = (240, 240, 155), 128  # voxels, as BraTS has them
CASES = 6
SAMPLES = 40
BASELINE, OURS = "baseline: nibabel, whole files", "niicache, memory=0"
NNUNET = "nnU-Net's blosc2 reader"
KINDS = "images", "labels"


def write_cases(source: Path, cases: int, shape: tuple[int, ...]) -> list[tuple[Array, Array]]:
    """Write images and masks of four values, and return them."""
    made = []
    for kind in KINDS:
        (source / "brain" / kind).mkdir(parents=True)
    for number, image in enumerate(crops(cases, shape)):
        mask = np.digitize(image, (1, 900, 1200)).astype(np.uint8)
        made.append((image, mask))
        for kind, voxels in zip(KINDS, (image, mask), strict=True):
            file = nibabel.Nifti1Image(voxels, np.eye(4))
            file.header.set_xyzt_units("mm")
            nibabel.save(file, source / "brain" / kind / f"c{number:02}.nii.gz")
    return made


def places(
    cases: int, shape: tuple[int, ...], patch: int
) -> Iterator[tuple[int, tuple[slice, ...]]]:
    """Yield a case and a place in it, at random and without end."""
    rng = np.random.default_rng(0)
    while True:
        start = [int(rng.integers(0, n - patch + 1)) for n in shape]
        yield int(rng.integers(cases)), tuple(slice(a, a + patch) for a in start)


def ours(
    cache: Path, patch: int, memory: int | str
) -> tuple[BalancedSequence, Callable[[], object]]:
    """Return a Sequence of one patch a batch, and what reads the next one.

    Raises:
        AssertionError: A patch is not the box of its case.
    """
    sequence = BalancedSequence(cache, 1, patch=(patch,) * 3, memory=memory, workers=1, steps=1000)
    (image, mask), ((case, box, _),) = sequence.batch(0, 0), sequence.patches(0, 0)
    stored = sequence.cache[case[0]][case[1]]
    for got, whole in ((image, stored.image), (mask, stored.label)):
        if not np.array_equal(got[0], whole[box.slices]):
            raise AssertionError(f"{case}: another patch than that at {box}")
    steps = count()
    return sequence, lambda: sequence.batch(0, next(steps) % len(sequence))


def whole_files(
    source: Path, where: Iterator[tuple[int, tuple[slice, ...]]]
) -> Callable[[], object]:
    """Return what reads both files whole, as the way that niicache replaces does."""
    files = [sorted((source / "brain" / kind).iterdir()) for kind in KINDS]

    def read() -> list[Array]:
        case, place = next(where)
        return [nibabel.load(some[case]).get_fdata()[place] for some in files]

    return read


def zarr_arrays(
    cache: Path, where: Iterator[tuple[int, tuple[slice, ...]]]
) -> Callable[[], object]:
    """Return what reads the same chunks by zarr-python."""
    zarr.config.set({"threading.max_workers": 1})
    group = zarr.open_group(cache, mode="r")
    arrays = [group[f"brain/{name}"] for name in ("image", "label")]

    def read() -> list[Array]:
        case, place = next(where)
        return [array[(case, *place)] for array in arrays]

    return read


def mean_decoded(sequence: BalancedSequence) -> float:
    """Return how many bytes are decoded for each of a patch."""
    readings = [sequence.reading(0, step) for step in range(len(sequence))]
    return sum(one.decoded for one in readings) / sum(one.useful for one in readings)


def megabytes(folder: Path) -> str:
    """Return what the files of a folder take."""
    nbytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return f"{nbytes / 1e6:.1f}"


def run(folder: Path, options: Options) -> Table:
    """Write the cases both ways and time a patch."""
    shape = tuple(max(8, round(n * options.scale)) for n in CASE)
    patch = max(4, round(PATCH * options.scale))
    source, cache = folder / "source", folder / "cache"
    cases = write_cases(source, options.scaled(CASES), shape)
    words = "--labels", "mask", "--patch", ",".join([str(patch)] * 3)
    forecast = plan_of(source, cache, *words)["decisions"]["chunk"]
    build_cache(source, cache, *words)
    sequence, decoding = ours(cache, patch, 0)
    calls = {
        BASELINE: whole_files(source, places(len(cases), shape, patch)),
        "zarr-python": zarr_arrays(cache, places(len(cases), shape, patch)),
        OURS: decoding,
    }
    sizes = {"MB of niicache": megabytes(cache)}
    absent = [one for one in ("blosc2",) if find_spec(one) is None]
    if not absent:
        paths = write_windows(cases, folder / "nnunet")
        calls[NNUNET] = read_windows(paths, places(len(cases), shape, patch))
        sizes["MB of nnU-Net"] = megabytes(folder / "nnunet")
    return Table(
        title=f"windows: {patch}-cubes of image and mask, volumes of {shape}, one thread",
        unit="ms a patch",
        rows=make_rows(
            time_calls(calls, rounds=options.rounds, least=options.scaled(SAMPLES)),
            yardsticks={"baseline": BASELINE} | ({} if absent else {"nnU-Net": NNUNET}),
            higher_is_better=False,
        ),
        skipped=dict.fromkeys(absent, "not installed; scripts/bench --peers has it"),
        facts={
            "cases": len(cases),
            "chunk": open_cache(cache).manifest.recipe.image.chunk,
            "forecast": forecast,
            "decoded for each byte of a patch": f"{mean_decoded(sequence):.2f}",
            **sizes,
        },
    )
