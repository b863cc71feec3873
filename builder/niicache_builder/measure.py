"""Times of reading a cache on this machine, one figure a function."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from itertools import count, takewhile
from typing import TYPE_CHECKING, Literal

import numpy as np

from niicache.ahead import ahead
from niicache.format.codec import crc32c, decode
from niicache.loader import Loader, class_rows
from niicache.mixing import sampler_score
from niicache.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from niicache.cache import Cache
    from niicache.chunks import ChunkReader
    from niicache.sampling import Draw
    from niicache.shards import ShardFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of making a batch, by one thread.

    Attributes:
        name: What is done.
        microseconds: Median time a batch.
    """

    name: str
    microseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast one setting is.

    Attributes:
        workers: Threads.
        mix: Chunks in a window.
        mixing: How near that is to a full shuffle, 0 to 1.
        memory: Bytes of decoded chunks that were kept.
        samples: Samples a second.
    """

    workers: int
    mix: int | Literal["all"]
    mixing: float
    memory: int
    samples: float


def decoded_bytes(cache: Cache) -> int:
    """Return the bytes of all chunks of a cache when they are decoded."""
    readers = [one for view in cache for one in (view.image, view.label) if one is not None]
    return sum(len(one) * one.nbytes for one in readers)


def make_sampler(cache: Cache, batch_size: int, mix: int | Literal["all"]) -> Sampler:
    """Return the sampler of a BalancedSequence with these options."""
    return Sampler(class_rows(cache), batch_size, mix=mix)


def memory_for_windows(cache: Cache, mix: int) -> int:
    """Return the bytes that let every class keep its window: two chunks more, for its edges."""
    readers = [one for view in cache for one in (view.image, view.label) if one is not None]
    return sum(min(len(one), (mix + 2) * one.layout.blocks) * one.nbytes for one in readers)


def time_rate(
    cache: Cache,
    batch_size: int,
    workers: int,
    mix: int | Literal["all"],
    memory: int,
    seconds: float,
) -> Rate:
    """Return how fast one setting reads, after a warm-up: an epoch where everything is kept."""
    sampler = make_sampler(cache, batch_size, mix)
    loader = _loader(cache, memory)
    for step in range(min(sampler.steps, 4)):
        loader.load(sampler.draw(0, step))
    if memory >= decoded_bytes(cache):
        for step in range(sampler.steps):
            loader.load(sampler.draw(0, step))
    begin = time.perf_counter()
    end = begin + seconds
    places = takewhile(lambda _: time.perf_counter() < end, _places(sampler.steps))
    made = 0
    for _ in ahead(lambda place: loader.load(sampler.draw(*place)), places, threads=workers):
        made += batch_size
    rate = made / (time.perf_counter() - begin)
    loader.close()
    return Rate(
        workers=workers, mix=mix, mixing=sampler_score(sampler), memory=memory, samples=rate
    )


def _places(steps: int) -> Iterator[tuple[int, int]]:
    epoch = 1
    while True:
        yield from ((epoch, step) for step in range(steps))
        epoch += 1


def _loader(cache: Cache, memory: int) -> Loader:
    return Loader(cache, dtype=np.dtype("float32"), memory=memory, check="first")


def time_stages(cache: Cache, sampler: Sampler, seconds: float) -> tuple[Stage, ...]:
    """Time each step of some batches by itself, all their chunks of images and masks decoded."""
    turn = count()
    steps = sampler.steps
    arrays = [[view.image for view in cache]]
    if cache.manifest.recipe.label_kind == "mask":
        arrays.append([view.label for view in cache if view.label is not None])
    first = sampler.draw(0, 0)
    found = [
        (place, readers[0].layout.codec, out)
        for readers in arrays
        for out in [readers[0].empty()]
        for place in _places_of(readers, first)
    ]
    stored: list[bytes] = []

    def draw() -> None:
        sampler.draw(*divmod(next(turn), steps))

    def read() -> None:
        stored[:] = [os.pread(file.fd, nbytes, at) for (file, at, nbytes), *_ in found]

    def prove() -> None:
        for data in stored:
            crc32c(data)

    def decode_all() -> None:
        for data, (_, codec, out) in zip(stored, found, strict=True):
            decode(data, codec, out)

    each = [_microseconds(action, seconds / 4) for action in (draw, read, prove, decode_all)]
    each[3] = max(0.0, each[3] - each[2])  # decoding proves, too
    loader = _loader(cache, 2**62)
    each.append(_microseconds(lambda: loader.load(first), seconds / 4))
    loader.close()
    names = ("draw cases", "read files", "prove bytes", "decode chunks", "gather samples")
    return tuple(Stage(name=name, microseconds=us) for name, us in zip(names, each, strict=True))


def _places_of(readers: list[ChunkReader], draw: Draw) -> list[tuple[ShardFile, int, int]]:
    """Return shard, offset and length of every chunk of an array that a draw needs."""
    pairs = zip(draw.classes.tolist(), draw.rows.tolist(), strict=True)
    chunks = sorted({(k, row // readers[k].layout.chunk[0]) for k, row in pairs})
    places = [
        readers[k].locate(number * readers[k].layout.blocks + block)
        for k, number in chunks
        for block in range(readers[k].layout.blocks)
    ]
    return [place for place in places if place is not None]


def _microseconds(action: Callable[[], object], seconds: float) -> float:
    action()
    end = time.perf_counter() + seconds
    spent: list[float] = []
    while not spent or time.perf_counter() < end:
        begin = time.perf_counter()
        action()
        spent.append(time.perf_counter() - begin)
    return float(np.median(spent)) * 1e6


def time_copy(cache: Cache, batch_size: int, seconds: float) -> float:
    """Return samples a second of picking float32 samples from an array in memory by numpy."""
    shape = cache.manifest.recipe.image.shape
    total = max(batch_size, min(4096, 2**28 // (4 * int(np.prod(shape)))))
    samples = np.ones((total, *shape), np.float32)
    picks = np.random.default_rng(0).integers(0, total, (64, batch_size))
    turn = count()
    spent = _microseconds(lambda: samples[picks[next(turn) % 64]], seconds)
    return batch_size / spent * 1e6
