"""Where training stands, told by what the optimizer has counted. Pure: ``runs`` keeps the files.

The optimizer's count is saved with the weights by whatever saves them, in one file. A position
that is told by it cannot be another than that of the weights.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from niicache.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
WORD = 2**32
KIND = "niicache.resume"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """The batch that comes next: its epoch, and its step in the epoch, both from 0."""

    epoch: int
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Batches that a LossScaleOptimizer passed over, because the gradients were not finite.

    Attributes:
        count: What the optimizer had counted, before and after.
        scale: The loss scale after. Each batch passed over halves it, so that of all states of
            one count no two have the same.
        batches: How many there were.
    """

    count: int
    scale: float
    batches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A random generator of the model: its seed, and how often it was asked; 32 bit words."""

    seed: int
    asked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is kept of a run, beside its checkpoints.

    Attributes:
        stream: Everything that the batches depend on, by name, as JSON holds it.
        steps: Batches in an epoch.
        epoch: The epoch that the run began with.
        count: What the optimizer had counted before its first batch.
        skips: Batches that the optimizer did not count, oldest first.
        seeds: What the model's generators stood at before the first batch; empty where they
            cannot be followed.
        draws: How often each batch asks each of them; empty until a batch has told.
    """

    stream: Mapping[str, Any]
    steps: int
    epoch: int
    count: int
    skips: tuple[Skip, ...] = ()
    seeds: tuple[Seed, ...] = ()
    draws: tuple[int, ...] = ()

    def upto(self, count: int, scale: float | None) -> Record:
        """Return the record as it was when the optimizer stood there.

        Args:
            count: What the optimizer has counted.
            scale: Its loss scale, or None if it has none.
        """
        kept = [one for one in self.skips if one.count < count]
        here = [one for one in self.skips if one.count == count]
        scales = [one.scale for one in here]
        kept += here[: scales.index(scale) + 1] if scale in scales else []
        return replace(self, skips=tuple(kept))

    def batches(self, count: int) -> int:
        """Return how many batches the run has seen, all its skips among them."""
        return count - self.count + sum(one.batches for one in self.skips)

    def position(self, count: int) -> Position:
        """Return the batch that comes next.

        Raises:
            OptionError: The optimizer has counted less than before the run.
        """
        if count < self.count:
            raise OptionError(
                f"resume: got a model whose optimizer has counted {count} steps, expected at least "
                f"the {self.count} that it had when the run began; load a checkpoint of this run "
                "with its optimizer, or delete the folder to begin a new one"
            )
        epoch, step = divmod(self.batches(count), self.steps)
        return Position(epoch=self.epoch + epoch, step=step)

    def seeds_after(self, batches: int) -> tuple[Seed, ...]:
        """Return what the generators stand at after so many batches; empty if it is not known."""
        if not batches:
            return self.seeds
        pairs = zip(self.seeds, self.draws, strict=bool(self.draws))
        return tuple(
            replace(seed, asked=(seed.asked + draws * batches) % WORD) for seed, draws in pairs
        )

    def following(self, now: tuple[Seed, ...], batches: int) -> Record:
        """Return the record with what the generators tell after so many batches, at least one."""
        if not self.seeds or (self.draws and now == self.seeds_after(batches)):
            return self
        pairs = list(zip(now, self.seeds, strict=False))
        asked = [(one.asked - first.asked) % WORD for one, first in pairs]
        same = len(now) == len(self.seeds) and all(one.seed == first.seed for one, first in pairs)
        if self.draws or not same or any(one % batches for one in asked):
            return replace(self, seeds=(), draws=())
        return replace(self, draws=tuple(one // batches for one in asked))

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        parts = asdict(self)
        lists = {name: list(parts[name]) for name in ("skips", "seeds", "draws")}
        return {"kind": KIND, "format": FORMAT, **parts, **lists}


def record_from_json(value: Any) -> Record:
    """Return the record that a JSON value holds.

    Raises:
        KeyError, TypeError, ValueError: It is no record of this version.
    """
    if value["kind"] != KIND or value["format"] != FORMAT:
        raise ValueError(f"{value['kind']} {value['format']}")
    record = Record(
        stream=dict(value["stream"]),
        steps=_whole(value["steps"], 1),
        epoch=_whole(value["epoch"], 0),
        count=_whole(value["count"], 0),
        skips=tuple(
            Skip(
                count=_whole(one["count"], 0),
                scale=float(one["scale"]),
                batches=_whole(one["batches"], 1),
            )
            for one in value["skips"]
        ),
        seeds=tuple(
            Seed(seed=_whole(one["seed"], 0), asked=_whole(one["asked"], 0))
            for one in value["seeds"]
        ),
        draws=tuple(_whole(one, 0) for one in value["draws"]),
    )
    if value != record.to_json():
        raise ValueError("more than a record")
    return record


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return one line for each name whose value is not what it was, or is there no more."""
    names = [*then, *(name for name in now if name not in then)]
    return [
        f"{name}: got {now.get(name, 'nothing')!r}, expected {then.get(name, 'nothing')!r}"
        for name in names
        if name not in then or name not in now or then[name] != now[name]
    ]


def _whole(value: object, low: int) -> int:
    if type(value) is not int or value < low:
        raise ValueError(f"{value!r}")
    return value
