"""A training step of Keras on TensorFlow with a tiny CNN: what feeding it adds to the step."""

from __future__ import annotations

from functools import reduce
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from benchmarks import small
from benchmarks.table import Table, make_rows
from niicache import BalancedSequence

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.cases import Cases
    from benchmarks.options import Options

CONSTANT, HANDED, OURS = "constant tf.data", "constant PyDataset", "niicache"


class StepClock(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Seconds a step of each epoch, from the end of its first step to the end of its last."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[list[float]] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
        """Start an epoch."""
        self.ends.append([])

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        """Note the time."""
        self.ends[-1].append(perf_counter())

    @property
    def step_seconds(self) -> list[float]:
        """Mean step of each epoch."""
        return [(ends[-1] - ends[0]) / (len(ends) - 1) for ends in self.ends]


class Constant(keras.utils.PyDataset):  # type: ignore[misc]  # as above
    """Ready numpy batches by number: what Keras' own handing over costs, and nothing else."""

    def __init__(self, batches: list[tuple[Any, Any]]) -> None:
        super().__init__()
        self.batches = batches

    def __len__(self) -> int:
        """Return the steps of an epoch."""
        return len(self.batches)

    def __getitem__(self, step: int) -> tuple[Any, Any]:
        """Return a batch that exists already."""
        return self.batches[step]


def network(outputs: int) -> Any:
    """Return a tiny CNN, compiled, with the same weights each time."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((*small.SHAPE, 3)),
            layers.Rescaling(1 / 1000),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(outputs),
        ]
    )
    model.compile("sgd", "mse")
    return model


def constant_dataset(batches: list[tuple[Any, Any]]) -> Any:
    """Return a dataset whose batches are tensors in memory, handed on without a copy.

    One dataset a batch, end to end: slices of one large tensor would be copied at each step.
    """
    import tensorflow as tf

    return reduce(
        lambda before, after: before.concatenate(after),
        [tf.data.Dataset.from_tensors(batch) for batch in batches],
    )


def feeds(cases: Cases, steps: int) -> tuple[dict[str, Any], BalancedSequence]:
    """Return what each way gives ``fit``, and the Sequence, to be closed."""
    sequence = BalancedSequence(
        cases.cache, cases.batch_size, steps=steps, workers=cases.threads, memory=1 << 32
    )
    batches = [sequence.batch(0, step) for step in range(steps)]
    feed = {CONSTANT: constant_dataset(batches), HANDED: Constant(batches), OURS: sequence}
    return feed, sequence


def run(folder: Path, options: Options) -> Table:
    """Train the same network from each feed, by turns."""
    cases = small.make_cases(folder, options, uncompressed=False)
    steps = max(2, cases.steps)
    given, sequence = feeds(cases, steps)
    outputs = cases.labels[0].shape[1]
    models = {way: network(outputs) for way in given}
    figures: dict[str, list[float]] = {way: [] for way in given}
    for number in range(options.rounds + 1):
        turns = list(given)
        for way in turns[number % len(turns) :] + turns[: number % len(turns)]:
            clock = StepClock()
            models[way].fit(given[way], epochs=2, shuffle=False, verbose=0, callbacks=[clock])
            if number:  # the first round traces and compiles
                figures[way].append(1e3 * float(np.mean(clock.step_seconds)))
    sequence.close()
    return Table(
        title="fit: Keras on TensorFlow, a tiny CNN, batches of 128x64x64x3 float32",
        unit="ms a step",
        rows=make_rows(figures, yardsticks={"constant": CONSTANT}, higher_is_better=False),
        facts={"steps": steps, "batch": cases.batch_size},
        remarks=(where_it_goes(figures),),
    )


def where_it_goes(figures: dict[str, list[float]]) -> str:
    """Split what a step from niicache takes beyond one from memory."""
    constant, handed, ours = (median(figures[way]) for way in (CONSTANT, HANDED, OURS))
    return (
        f"niicache's step is {ours / constant:.2f} of the constant one's: {handed - constant:+.2f} "
        f"ms is Keras handing over numpy arrays from a PyDataset, {ours - handed:+.2f} ms niicache"
    )
