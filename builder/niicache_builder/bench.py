"""How fast a cache reads on this machine, where the time goes, and what to set."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from niicache.cache import open_cache
from niicache.errors import OptionError
from niicache_builder.measure import (
    Rate,
    Stage,
    decoded_bytes,
    make_sampler,
    memory_for_windows,
    time_copy,
    time_rate,
    time_stages,
)
from niicache_builder.options import default_workers

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA: Final = "niicache.bench/1"

MIXES: Final[tuple[int | Literal["all"], ...]] = (1, 4, 16, "all")
DEFAULT_MIX: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What was measured.

    Attributes:
        path: As the user typed it.
        batch_size: Samples in a batch.
        decoded_bytes: Bytes of all decoded chunks.
        copied: Samples a second that a mere copy of batches in memory gives: the ceiling.
        stages: Where the time of a batch goes, when every chunk has to be decoded.
        rates: Reading from files, then from memory.
        advice: What to set, and why.
    """

    path: str
    batch_size: int
    decoded_bytes: int
    copied: float
    stages: tuple[Stage, ...]
    rates: tuple[Rate, ...]
    advice: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object with its schema's version."""
        return {"schema": SCHEMA, **asdict(self)}


def bench(cache: str | Path, *, batch_size: int = 32, seconds: float = 1.0) -> Bench:
    """Measure a cache. Its files are read as they are, from the page cache where they are there.

    Args:
        cache: Its path.
        batch_size: Samples in a batch, of float32.
        seconds: Time for each figure.

    Raises:
        OptionError: An argument is outside what is allowed.
        CacheError: The cache cannot be read.
        DamageError: Chunks are damaged.
    """
    rules = [
        (f"batch_size: got {batch_size!r}, expected a whole number above 0", batch_size > 0),
        (f"seconds: got {seconds!r}, expected a number above 0", 0 < seconds < float("inf")),
    ]
    if wrong := [text for text, right in rules if not right]:
        raise OptionError("\n".join(wrong))
    opened = open_cache(cache)
    decoded = decoded_bytes(opened)
    sampler = make_sampler(opened, batch_size, DEFAULT_MIX)
    # What is read from files gets the memory of its window; a full shuffle that of the widest.
    widest = max(n for n in MIXES if n != "all")
    window = {n: memory_for_windows(opened, widest if n == "all" else n) for n in MIXES}
    fastest = [
        time_rate(opened, batch_size, n, DEFAULT_MIX, window[DEFAULT_MIX], seconds)
        for n in sorted({1, 2, default_workers()})
    ]
    best = max(fastest, key=lambda rate: rate.samples).workers
    mixed = [
        time_rate(opened, batch_size, best, mix, window[mix], seconds)
        for mix in MIXES
        if mix != DEFAULT_MIX
    ]
    hot = []
    if decoded <= _free_bytes() // 2:
        hot = [
            time_rate(opened, batch_size, n, DEFAULT_MIX, decoded, seconds)
            for n in sorted({1, best})
        ]
    stages = time_stages(opened, sampler, seconds)
    return Bench(
        path=str(cache),
        batch_size=batch_size,
        decoded_bytes=decoded,
        copied=time_copy(opened, batch_size, seconds),
        stages=stages,
        rates=(*fastest, *mixed, *hot),
        advice=advise(decoded=decoded, files=(*fastest, *mixed), hot=tuple(hot), stages=stages),
    )


def advise(
    *, decoded: int, files: tuple[Rate, ...], hot: tuple[Rate, ...], stages: tuple[Stage, ...]
) -> tuple[str, ...]:
    """Return what to set, from what was measured. Decides alone, measures nothing."""
    best = max((one for one in files if one.mix == DEFAULT_MIX), key=lambda one: one.samples)
    from_files = best.memory < decoded
    where = "from files" if from_files else "from memory, as a window holds all"
    said = [f"workers={best.workers}: {best.samples:,.0f} samples a second {where}"]
    if not from_files:
        said.append(f"memory={decoded}: holds every decoded chunk")
    elif hot:
        kept = max(hot, key=lambda rate: rate.samples)
        ratio = kept.samples / best.samples
        said.append(
            f"memory={decoded}: holds every decoded chunk; later epochs run at "
            f"{kept.samples:,.0f} samples a second, {ratio:.1f} times that"
        )
    worth = [
        rate for rate in files if rate.mixing > best.mixing and rate.samples >= 0.8 * best.samples
    ]
    if worth:
        more = max(worth, key=lambda rate: rate.mixing)
        said.append(
            f"mix={more.mix!r}: mixing {more.mixing:.2f} instead of {best.mixing:.2f} at "
            f"{more.samples / best.samples:.0%} of the speed"
        )
    longest = max(stages, key=lambda stage: stage.microseconds)
    total = sum(stage.microseconds for stage in stages)
    said.append(f"the longest stage is to {longest.name}: {longest.microseconds / total:.0%}")
    return tuple(said)


def _free_bytes() -> int:
    try:
        pages = os.sysconf("SC_AVPHYS_PAGES")
    except ValueError:  # macOS does not say; most of a machine is not in use
        pages = os.sysconf("SC_PHYS_PAGES") // 2
    return pages * os.sysconf("SC_PAGE_SIZE")
