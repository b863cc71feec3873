"""Shards flipped, cut off and deleted under a Sequence that reads: right voxels, or an error."""

from __future__ import annotations

import threading
import time
import warnings
from collections import Counter
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
from helpers import make_cache

from niicache import BalancedSequence
from niicache.errors import DamageError, DamageWarning

if TYPE_CHECKING:
    from collections.abc import Mapping

BREAKS = 200
BATCHES = 3
"""Batches that end before a shard is mended: one for each thread began before, the last did not."""

THREADS = BATCHES - 1
PATIENCE = 60.0
SHAPE = (9, 7)
COUNTS = {"a": 24, "b": 13}


def once(seed: int, folder: Path) -> Counter[str]:
    """Break shards 200 times, one after another, while threads read batches.

    Returns:
        How many batches were "right" and how many "damaged".

    Raises:
        AssertionError: A voxel was wrong, a thread hung, or something else than a DamageError
            came out.
    """
    rng = np.random.default_rng(seed)
    codec = ("fast", "none")[seed % 2]
    path = folder / f"cache{seed}"
    for name, data in files(codec).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    sequence = BalancedSequence(
        path,
        8,
        workers=THREADS,
        memory=(0, "20KiB")[seed // 2 % 2],
        dtype="int16",
        # Chunks that are not compressed are trusted once they were proven, unless one says so.
        check="always",
        on_damage=("raise", "skip")[seed // 4 % 2],
        damage_limit=10**6,
    )
    over = threading.Event()
    tally: Counter[str] = Counter()
    wrong: list[BaseException] = []
    readers = [
        threading.Thread(target=_read, args=(sequence, seed + i, over, tally, wrong), daemon=True)
        for i in range(THREADS)
    ]
    for reader in readers:
        reader.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamageWarning)
            _break(path, codec, rng, tally, wrong)
    finally:
        over.set()
        end = time.monotonic() + PATIENCE
        for reader in readers:
            reader.join(max(0.0, end - time.monotonic()))
    assert not any(reader.is_alive() for reader in readers), f"seed {seed}: a reader hangs"
    assert not wrong, f"seed {seed}: {type(wrong[0]).__name__}: {wrong[0]}"
    tally["damaged"] += len(sequence.damaged)
    sequence.close()
    return tally


def _break(
    path: Path,
    codec: str,
    rng: np.random.Generator,
    tally: Counter[str],
    wrong: list[BaseException],
) -> None:
    shards = sorted(name for name in files(codec) if name.split("/")[1:3] in KINDS)
    for _ in range(BREAKS):
        if wrong:
            return
        name = shards[int(rng.integers(len(shards)))]
        data, file = files(codec)[name], path / name
        how = int(rng.integers(3))
        if how == 0:
            bit = int(rng.integers(8 * len(data)))
            with file.open("r+b", buffering=0) as stream:
                stream.seek(bit // 8)
                stream.write(bytes([data[bit // 8] ^ 1 << bit % 8]))
        elif how == 1:
            with file.open("r+b", buffering=0) as stream:
                stream.truncate(int(rng.integers(len(data))))
        else:
            file.unlink()
        until = tally.total() + BATCHES
        end = time.monotonic() + PATIENCE
        while tally.total() < until and not wrong:
            assert time.monotonic() < end, "no batch and no error: the readers hang"
            time.sleep(0.0005)
        if rng.random() < 0.5:
            file.unlink(missing_ok=True)  # another file of the same name, or the old one in place
        file.write_bytes(data)


KINDS = (["image", "c"], ["label", "c"])


def _read(
    sequence: BalancedSequence,
    seed: int,
    over: threading.Event,
    tally: Counter[str],
    wrong: list[BaseException],
) -> None:
    rng = np.random.default_rng((1, seed))
    while not over.is_set():
        epoch, step = int(rng.integers(50)), int(rng.integers(len(sequence)))
        # Files that stay open are those from before the break, whatever lies there now.
        sequence.cache.close()
        try:
            images, labels = sequence.batch(epoch, step)
            tally["right"] += 1
            if sequence._losses is None:
                _compare(images, labels, sequence.cases(epoch, step))
            else:  # who stands in may be another by now; every sample still proves its case
                _prove(images, labels)
        except DamageError:
            tally["damaged"] += 1
        except BaseException as error:  # noqa: BLE001 - the main thread tells
            wrong.append(error)
            return


def _compare(images: np.ndarray, labels: np.ndarray, cases: tuple[tuple[str, str], ...]) -> None:
    expected = np.array([number_of(*case) for case in cases])
    _prove(images, labels)
    assert (images[:, 0, 0, 0] == expected).all(), "the voxels of other cases"


def _prove(images: np.ndarray, labels: np.ndarray) -> None:
    first = images[:, :1, :1, :1]
    assert (images == first).all(), "voxels of several cases in one"
    assert (first > 0).all(), "voxels of no case"
    assert (labels == first % 251).all(), "a mask of another case"


def number_of(class_name: str, case: str) -> int:
    """Return the value of every voxel of a case."""
    return 1 + 1000 * list(COUNTS).index(class_name) + int(case)


@cache
def files(codec: str) -> Mapping[str, bytes]:
    """Return a cache, path to bytes, of images full of their number."""
    with TemporaryDirectory() as name:
        root = Path(name)
        for class_name, count in COUNTS.items():
            for case in range(count):
                number = number_of(class_name, str(case))
                for half, dtype, value in (
                    ("images", "int16", number),
                    ("labels", "uint8", number % 251),
                ):
                    folder = root / "s" / class_name / half
                    folder.mkdir(parents=True, exist_ok=True)
                    image = nib.Nifti1Image(np.full(SHAPE, value, dtype), np.eye(4))
                    image.to_filename(folder / f"{case}.nii")
        make_cache(root / "s", root / "c", shards=4, chunk=(2,), codec=codec)
        return {
            path.relative_to(root / "c").as_posix(): path.read_bytes()
            for path in (root / "c").rglob("*")
            if path.is_file() and path.name != ".lock"
        }
