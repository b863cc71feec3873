"""A rebuild commits while threads read batches, and while others open the cache."""

from __future__ import annotations

import threading
import time
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from building import copy, voxels, write

from breaks.tiny import SHARDS_OF_2, said_by
from breaks.warm import run, scratch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from niicache import BalancedSequence

COUNTS = {"a": 7, "b": 4}
CODECS = ("balanced", "none")
"""What is compressed is read by the chunk, what is not by the case."""

SEEDS = 4
STEPS = 6
READERS = 2
AFTERWARDS_SECONDS = 0.1

Batches = tuple[tuple[np.ndarray, np.ndarray], ...]


def once(seed: int, folder: Path) -> None:
    """Rebuild a cache, every case of it, under those who read it.

    Raises:
        AssertionError: A batch is not the one of the generation that its sequence was opened on,
            or a reader failed.
    """
    codec, drawn = CODECS[seed % len(CODECS)], int(np.random.default_rng(seed).integers(SEEDS))
    target = copy(generation(0, codec), folder / "cache")
    stop, wrong = threading.Event(), []

    def guarded(read: Callable[[], None]) -> None:
        try:
            while not stop.is_set():
                read()
        except BaseException as error:  # noqa: BLE001 - whatever it is, a reader failed
            wrong.append(f"{type(error).__name__}: {error}")

    for number in (0, 1):  # made before threads ask for them, for they are made once
        batches(number, drawn, codec)
    before = _sequence(target, drawn)
    reads = [lambda: _is(before, drawn, codec, {0})] * READERS
    reads.append(lambda: _is(_sequence(target, drawn), drawn, codec, {0, 1}))
    threads = [threading.Thread(target=guarded, args=(read,), daemon=True) for read in reads]
    for thread in threads:
        thread.start()
    done = run(*_words(source(1), target, codec), before=SHARDS_OF_2)
    time.sleep(AFTERWARDS_SECONDS)
    stop.set()
    for thread in threads:
        thread.join(60)
    where = f"seed {seed}, codec {codec}"
    assert not any(thread.is_alive() for thread in threads), f"{where}: a reader hangs"
    assert done.code == 0, f"{where}: {said_by(done)}"
    assert not wrong, f"{where}: {wrong}"
    _is(before, drawn, codec, {0})
    _is(_sequence(target, drawn), drawn, codec, {1})


def _is(sequence: BalancedSequence, drawn: int, codec: str, generations: set[int]) -> None:
    """Check that every batch of a sequence is of the same generation, one of those allowed."""
    possible = set(generations)
    for step in range(STEPS):
        x, y = sequence.batch(0, step)
        possible = {
            one
            for one in possible
            for expected in [batches(one, drawn, codec)[step]]
            if np.array_equal(x, expected[0]) and np.array_equal(y, expected[1])
        }
        assert possible, f"batch {step} is of none of the generations {generations}"


@cache
def source(number: int) -> Path:
    """Return what a generation is built from; both have the same cases with other voxels."""
    root = scratch() / f"generation{number}"
    for c, (name, count) in enumerate(COUNTS.items()):
        for i in range(count):
            image = voxels(1000 * number + 100 * c + i, (5, 4, 3)) + np.int16(1000 * number)
            write(root / name / f"case{i}.nii.gz", image)
    return root


@cache
def generation(number: int, codec: str) -> Path:
    """Return the cache of a generation that nobody disturbed."""
    target = scratch() / f"generation{number}-{codec}"
    done = run(*_words(source(number), target, codec), before=SHARDS_OF_2)
    assert done.code == 0, said_by(done)
    return target


@cache
def batches(number: int, drawn: int, codec: str) -> Batches:
    """Return the batches of a generation."""
    sequence = _sequence(generation(number, codec), drawn)
    return tuple(sequence.batch(0, step) for step in range(STEPS))


def _sequence(target: Path, drawn: int) -> BalancedSequence:
    from niicache import BalancedSequence

    return BalancedSequence(target, 4, seed=drawn, steps=STEPS, memory=0)


def _words(source_: Path, target: Path, codec: str) -> list[str | Path]:
    return ["build", source_, target, "--workers", "0", "--codec", codec]
