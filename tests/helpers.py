"""What several tests need: sources of noise, caches of them, and an outside reading of both."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import nibabel
import numpy as np
import pytest

from niicache_builder import BuildOptions, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from niicache import Cache

Array = np.ndarray[Any, Any]
Labels = Literal["vector", "mask", "folder"]

SPACING = (1.5, 0.75, 3.0)  # mm


def write_source(
    root: Path,
    counts: Mapping[str, int],
    *,
    low: tuple[int, ...],
    high: tuple[int, ...],
    dtype: str,
    labels: Labels,
    channels: int = 0,
    seed: int = 0,
) -> Path:
    """Write class folders of noise: ``images`` and ``labels``, or images alone.

    Args:
        root: The folder to make.
        counts: Cases of each class, named case_000 and on.
        low: Smallest spatial shape; sizes are drawn up to ``high``.
        high: Largest spatial shape; the first case of each class has it.
        dtype: Of the images: every value of the low 12 bits, below 0 too where there is a sign.
        labels: Vectors of 4, masks of 0 to 2 on the image's grid, or none.
        channels: Length of a last axis, none if 0.
        seed: The same seed gives the same files.
    """
    for number, (name, count) in enumerate(counts.items()):
        rng = np.random.default_rng((seed, number))
        for case in range(count):
            spatial = high if case == 0 else tuple(rng.integers(low, high, endpoint=True).tolist())
            shape = (*spatial, channels) if channels else spatial
            file = f"case_{case:03}" + (".nii" if case % 3 == 2 else ".nii.gz")
            folder = root / name if labels == "folder" else root / name / "images"
            _save(folder / file, _noise(rng, shape, dtype))
            if labels == "mask":
                _save(root / name / "labels" / file, rng.integers(0, 3, spatial, np.uint8))
            elif labels == "vector":
                _save(root / name / "labels" / file, rng.normal(size=4).astype("float32"))
    return root


def _noise(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    lowest = 0 if np.dtype(dtype).kind == "u" else -2048
    return rng.integers(lowest, 4096, shape).astype(dtype)


def _save(path: Path, voxels: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([*SPACING, 1.0])
    image = nibabel.Nifti1Image(voxels, affine, dtype=voxels.dtype)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def make_cache(source: Path, target: Path, *, shards: int | None = None, **options: Any) -> Path:
    """Build a cache in this process.

    Args:
        source: What to build it from.
        target: Where.
        shards: Cases a shard at most; as the planner would have it if None.
        options: Of :class:`BuildOptions`.

    Returns:
        ``target``.
    """
    with pytest.MonkeyPatch.context() as patch:
        if shards is not None:
            patch.setattr("niicache_builder.arrays.SHARD_CASES", shards)
        build(source, target, BuildOptions(workers=0, **options))
    return target


def source_files(source: Path) -> dict[tuple[str, str], tuple[Path, Path | None]]:
    """Return image and label of each (class, case) of a source of :func:`write_source`."""
    found: dict[tuple[str, str], tuple[Path, Path | None]] = {}
    for folder in sorted(source.iterdir()):
        half = folder / "images"
        for image in sorted((half if half.is_dir() else folder).iterdir()):
            label = folder / "labels" / image.name if half.is_dir() else None
            found[folder.name, image.name.split(".")[0]] = (image, label)
    return found


def expected(path: Path, shape: tuple[int, ...], fill: float = 0) -> Array:
    """Return nibabel's reading of an image, padded by numpy as the baseline pads.

    Args:
        path: A NIfTI file.
        shape: ``(*spatial, channel)`` of the padded case; ``(k,)`` for a vector label.
        fill: Value of the padding.
    """
    voxels = nibabel.load(path).get_fdata()
    if len(shape) > 1 and voxels.ndim < len(shape):
        voxels = voxels[..., None]
    totals = [n - m for n, m in zip(shape, voxels.shape, strict=True)]
    widths = [(total // 2, total - total // 2) for total in totals]
    return np.pad(voxels, widths, constant_values=fill)


def real_voxels(cache: Cache, owner: str, case: str) -> Array:
    """Return where the real voxels of a case are, in its padded grid."""
    view = cache[owner]
    at = view.cases.index(case)
    inside = np.zeros(cache.manifest.recipe.image.shape[:-1], bool)
    inside[tuple(map(slice, view.column("box_start")[at], view.column("box_stop")[at]))] = True
    return inside


def flips(data: bytes, *, step: int = 1) -> Iterator[tuple[int, bytes]]:
    """Yield (bit, data with that bit flipped), for every ``step``-th bit."""
    for bit in range(0, 8 * len(data), step):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(changed)


def flip_bit(path: Path, place: float) -> None:
    """Flip one bit of a file in place, at a share from 0 to 1 of its length."""
    data = bytearray(path.read_bytes())
    data[min(math.floor(place * len(data)), len(data) - 1)] ^= 16
    path.write_bytes(bytes(data))


counts_reads = pytest.mark.skipif(sys.platform != "linux", reason="Linux counts reads by thread")


def reads_of(work: Callable[[], object]) -> int:
    """Return how often this thread asks the kernel to read something while it works."""

    def count() -> int:
        text = Path("/proc/thread-self/io").read_text()
        return int(text.split("syscr: ")[1].split()[0])

    first, before = count(), count()
    work()
    return count() - before - (before - first)


def run_python(code: str, *arguments: object, **environment: str) -> str:
    """Run code in a fresh process that finds the modules which this one finds.

    Args:
        code: What to run.
        arguments: ``sys.argv[1:]``.
        environment: Variables to set beside those of this process.

    Returns:
        What it printed.
    """
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
