"""Long runs: memory, threads and files stay what they were after the first epochs."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
from helpers import make_cache, run_python, write_source

from niicache import BalancedSequence

if TYPE_CHECKING:
    from collections.abc import Callable

WARM = 0.6
"""Share of the epochs that are not looked at, in which caches fill and the allocator's arenas."""

EPOCHS, FIT_EPOCHS, SHARDS = 2500, 50, 1000
"""1,000 epochs are looked at without Keras, 20 under ``fit``."""

SPARE_MIB, FACTOR = 512, 10

READ_ALL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from niicache import open_cache
from niicache.loader import Loader, class_rows
from niicache.sampling import Sampler
import numpy as np
cache = open_cache(sys.argv[1])
loader = Loader(cache, dtype=np.dtype("int16"), memory=0, check="first")
sampler = Sampler(class_rows(cache), 16, mix="all")
for epoch in range(2):
    for step in range(sampler.steps):
        loader.load(sampler.draw(epoch, step))
paths = [path.split("/") for path in cache.manifest.files]
print(sum(len(view) for view in cache), sum(path[1:3] == ["image", "c"] for path in paths))
"""

BUILD = """
import resource, sys
from pathlib import Path
import niicache_builder, niicache_builder.tables
from niicache_builder import BuildOptions, build
small, source, cache, spare = sys.argv[1:]
options = BuildOptions(workers=0, codec="fast")
build(small, cache + "-warm", options)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = size + int(spare) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
built = build(source, cache, options)
print(sum(entry.cases for entry in built.manifest.classes))
"""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What a process held at the end of each epoch.

    Attributes:
        rss: Bytes in memory.
        threads: How many.
        files: Open descriptors.
    """

    rss: tuple[int, ...]
    threads: tuple[int, ...]
    files: tuple[int, ...]

    @property
    def slope(self) -> float:
        """Bytes an epoch after warm-up: the median of the slopes between all pairs of epochs."""
        kept = np.array(self.rss[int(len(self.rss) * WARM) :], float)
        first, second = np.triu_indices(len(kept), max(1, len(kept) // 4))
        return float(np.median((kept[second] - kept[first]) / (second - first)))


def once(seed: int, folder: Path) -> None:
    """Run everything at full length.

    Raises:
        AssertionError: More memory by 1 KiB an epoch, other threads or files than at the start,
            shards that could not be read, or a build that took more memory than it may.
    """
    check(without_keras(seed, folder, EPOCHS), 1024)
    check(under_fit(seed, folder, FIT_EPOCHS), 2**20)  # of 20 epochs no slope says more
    assert many_shards(folder, SHARDS) == SHARDS
    larger_than_memory(folder, spare_mib=SPARE_MIB, factor=FACTOR)


def check(course: Course, most: float) -> None:
    """Raise AssertionError where something grows."""
    assert course.slope < most, f"{course.slope:,.0f} bytes more in an epoch"
    settled = int(len(course.threads) * WARM)
    for what in (course.threads[settled:], course.files[settled:]):
        assert max(what) <= what[0], f"threads or files grow: {what[0]} to {max(what)}"


def _cache(folder: Path) -> Path:
    if not (folder / "c").exists():
        counts = {"a": 40, "b": 24}
        write_source(
            folder / "s", counts, low=(20, 20), high=(32, 32), dtype="int16", labels="mask"
        )
        make_cache(folder / "s", folder / "c", shards=8, chunk=(4,))
    return folder / "c"


def _watched(epochs: int, one: Callable[[int], None]) -> Course:
    rss, threads, files = [], [], []
    page = os.sysconf("SC_PAGE_SIZE")
    for epoch in range(epochs):
        one(epoch)
        rss.append(int(Path("/proc/self/statm").read_text().split()[1]) * page)
        threads.append(threading.active_count())
        files.append(len(list(Path("/proc/self/fd").iterdir())))
    return Course(rss=tuple(rss), threads=tuple(threads), files=tuple(files))


def without_keras(seed: int, folder: Path, epochs: int) -> Course:
    """Loop over batches that threads prepare, with half of the chunks kept in memory."""
    sequence = BalancedSequence(_cache(folder), 16, seed=seed, workers=2, memory="64KiB")

    def one(epoch: int) -> None:
        for _ in sequence.batches(epoch):
            pass

    course = _watched(epochs, one)
    sequence.close()
    return course


def under_fit(seed: int, folder: Path, epochs: int) -> Course:
    """Train a small model for so many epochs in one ``fit``."""
    import keras

    sequence = BalancedSequence(_cache(folder), 16, seed=seed, workers=2, memory="64KiB")
    model = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Conv2D(1, 1)])
    model.compile("sgd", "mse")
    taken: list[Course] = []

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            del epoch, logs
            taken.append(_watched(1, lambda _: None))

    model.fit(sequence, epochs=epochs, verbose=0, callbacks=[Watch()], shuffle=False)
    sequence.close()
    return Course(
        rss=tuple(one.rss[0] for one in taken),
        threads=tuple(one.threads[0] for one in taken),
        files=tuple(one.files[0] for one in taken),
    )


def many_shards(folder: Path, count: int) -> int:
    """Read a cache of so many shards with 64 descriptors; return how many it has."""
    source = folder / "many"
    for number in range(count):
        path = source / "ab"[number % 2] / f"{number}.nii"
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.Nifti1Image(np.full((4, 3), number, "int16"), np.eye(4)).to_filename(path)
    make_cache(source, folder / "many-c", shards=1, chunk=(1,))
    cases, shards = map(int, run_python(READ_ALL, folder / "many-c").split())
    assert cases == shards == count
    return shards


def larger_than_memory(folder: Path, *, spare_mib: int, factor: float) -> int:
    """Build a set ``factor`` times as large as the memory that the build may take; return cases."""
    edge, nbytes = 128, 2 * 128**3
    count = int(spare_mib * 2**20 * factor / nbytes)
    grid = np.indices((edge, edge, edge)).sum(0)
    for name, many in (("small", 2), ("large", count)):
        for number in range(many):
            path = folder / name / "a" / f"{number}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            voxels = ((grid + number) // 8 % 100).astype("int16")
            nib.Nifti1Image(voxels, np.eye(4)).to_filename(path)
    places = (folder / "small", folder / "large", folder / "large-c")
    # One arena: those of threads reserve address space that nobody uses.
    said = run_python(BUILD, *places, spare_mib, MALLOC_ARENA_MAX="1")
    assert int(said) == count
    return count
