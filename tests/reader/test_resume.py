"""A fit that is killed and started again sees the batches that an undisturbed one would have seen.

``fitting.py`` trains in processes of their own, which kill themselves inside a train step.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest

from niicache import BalancedSequence, augment
from niicache.errors import OptionError
from niicache.position import Position
from niicache.runs import RECORD, read_record

STEPS, EPOCHS = 7, 3
KILLED = -9

# What saves the model and how often, Keras' workers, and after which steps the process dies.
CHAINS = {
    "undisturbed": {"saver": "backup", "every": "epoch", "workers": 1, "kills": []},
    "twice in an epoch": {"saver": "backup", "every": 2, "workers": 4, "kills": [10, 12]},
    "by the epoch": {"saver": "backup", "every": "epoch", "workers": 4, "kills": [3, 17]},
    "by hand": {"saver": "checkpoint", "every": 3, "workers": 1, "kills": [11]},
    "at an epoch's end": {"saver": "backup", "every": 7, "workers": 4, "kills": [16]},
    "two an execution": {
        "saver": "backup", "every": 2, "workers": 1, "kills": [12], "execution": 2
    },
    "resume first": {"saver": "backup", "every": "epoch", "workers": 1, "kills": [10], "first": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(vector_cache, tmp_path_factory):
    """Return chain to (exit code, {step: loss}) of each of its processes."""
    jobs, names = [], []
    for name, chain in CHAINS.items():
        kept = {key: value for key, value in chain.items() if key != "kills"}
        folder = tmp_path_factory.mktemp("run")
        for kill in [*chain["kills"], -1]:
            names.append(name)
            jobs.append(kept | {"folder": str(folder), "kill": kill})
    for job in jobs:
        job |= {"cache": str(vector_cache), "steps": STEPS, "epochs": EPOCHS}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("fitting.py"))],
        input=json.dumps(jobs),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    chains = {name: [] for name in CHAINS}
    for name, (code, log) in zip(names, json.loads(done.stdout.splitlines()[-1]), strict=True):
        assert "Traceback" not in log, f"{name}: {log}"
        chains[name].append((code, dict(line.split() for line in log.splitlines())))
    return chains


@pytest.mark.parametrize("name", [name for name in CHAINS if name != "undisturbed"])
def test_a_killed_fit_goes_on_as_if_nothing_had_happened(trained, name):
    ((_, want),) = trained["undisturbed"]
    assert len(want) == STEPS * EPOCHS + 1
    assert len(set(want.values())) == len(want)
    *killed, (code, last) = trained[name]
    assert [one for one, _ in killed] == [KILLED] * len(CHAINS[name]["kills"])
    assert code == 0
    whole = {}
    for _, seen in [*killed, (code, last)]:
        whole |= seen
        if CHAINS[name].get("execution", 1) == 1:
            assert seen.items() <= want.items()
    # Of two steps in one execution Keras gives the mean loss; the weights say what both were.
    assert whole["end"] == want["end"]
    assert whole.keys() == want.keys() or "execution" in CHAINS[name]


@pytest.mark.parametrize("name", ["twice in an epoch", "by hand"])
def test_a_restart_repeats_no_more_than_what_no_checkpoint_holds(trained, name):
    for kill, (_, seen) in zip(CHAINS[name]["kills"], trained[name][1:], strict=True):
        first = min(int(step) for step in seen if step != "end")
        assert kill + 1 - CHAINS[name]["every"] < first <= kill + 1


class Losses(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.epochs, self.batches = [], []

    def on_epoch_begin(self, epoch, logs=None):
        del logs
        self.epochs.append(epoch)

    def on_train_batch_end(self, batch, logs=None):
        del logs
        self.batches.append(batch)


class Stop(keras.callbacks.Callback):
    """Breaks the epoch off when the given says so, after a batch."""

    def __init__(self, when):
        super().__init__()
        self.when = when

    def on_train_batch_end(self, batch, logs=None):
        del logs
        self.model.stop_training = self.when(batch)


@pytest.fixture
def make_model():
    def make(optimizer="sgd", **options):
        model = keras.Sequential([keras.Input((16, 15, 3)), keras.layers.Flatten()])
        model.add(keras.layers.Rescaling(1e-4))
        model.add(keras.layers.Dense(4))
        model.compile(optimizer, "mse", **options)
        return model

    return make


def sequence_of(cache, **options):
    return BalancedSequence(cache, 8, **{"steps": 4, "workers": 1} | options)


@pytest.mark.parametrize("workers", [1, 4])
def test_a_fit_that_shuffles_is_refused_before_it_trains(
    vector_cache, make_model, tmp_path, workers
):
    sequence, model = sequence_of(vector_cache, workers=workers), make_model()
    resume = sequence.resume(tmp_path)
    with pytest.raises(OptionError, match="shuffle=False"):
        model.fit(sequence, callbacks=[resume], verbose=0)
    assert int(model.optimizer.iterations.numpy()) == 0
    assert read_record(tmp_path) is None
    model.fit(sequence, callbacks=[resume], shuffle=False, verbose=0)
    # Neither a Sequence without a run nor validation is asked to do without.
    model.fit(sequence_of(vector_cache), validation_data=sequence, verbose=0)


def test_a_fit_of_other_steps_and_a_model_without_optimizer_are_refused_at_once(
    vector_cache, tmp_path
):
    class Silent(keras.Model):
        def train_step(self, data):
            del data
            return {"loss": 0.0}

    model, sequence = Silent(), sequence_of(vector_cache)
    model.compile(optimizer=None)
    with pytest.raises(OptionError) as caught:
        model.fit(sequence, steps_per_epoch=2, callbacks=[sequence.resume(tmp_path)], verbose=0)
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == [
        "shuffle", "steps_per_epoch", "optimizer",
    ]  # fmt: skip


@pytest.mark.parametrize("steps", [3, 4])
def test_a_fit_of_another_sequence_is_refused(vector_cache, make_model, tmp_path, steps):
    resume, model = sequence_of(vector_cache).resume(tmp_path), make_model()
    other = sequence_of(vector_cache, steps=steps)
    with pytest.raises(OptionError, match="give fit the Sequence that resume was called on"):
        model.fit(other, shuffle=False, callbacks=[resume], verbose=0)
    assert int(model.optimizer.iterations.numpy()) <= 1


def test_other_batches_are_refused_with_every_difference(
    vector_cache, mask_cache, make_model, tmp_path
):
    sequence = sequence_of(vector_cache)
    make_model().fit(sequence, shuffle=False, callbacks=[sequence.resume(tmp_path)], verbose=0)
    sequence.resume(tmp_path)
    other = BalancedSequence(mask_cache, 6, steps=5, seed=2, mix="all", dtype="float64")
    with pytest.raises(OptionError, match="delete the folder") as caught:
        other.resume(tmp_path)
    told = {line.split(":")[0]: line for line in str(caught.value).splitlines()[1:]}
    assert set(told) == {
        "cache", "classes", "cases", "image", "weights", "batch_size", "steps", "seed", "mix",
        "dtype",
    }  # fmt: skip
    assert told["seed"] == "seed: got 2, expected 0"


def test_transforms_are_compared_and_functions_are_not(vector_cache, make_model, tmp_path):
    def sequence(rotation, function):
        transform = augment.Compose(
            augment.Affine(rotation=rotation), augment.Lambda(image=function)
        )
        return BalancedSequence(vector_cache, 8, steps=4, transform=transform)

    first = sequence(10, partial(np.clip, a_min=0, a_max=9))
    make_model().fit(first, shuffle=False, callbacks=[first.resume(tmp_path)], verbose=0)
    sequence(10, partial(np.clip, a_min=0, a_max=5)).resume(tmp_path)
    with pytest.raises(OptionError) as caught:
        sequence(11, partial(np.clip, a_min=0, a_max=9)).resume(tmp_path)
    (difference,) = str(caught.value).splitlines()[1:]
    assert difference.startswith("transform 0: got")
    assert "Affine(rotation=(-11.0, 11.0)" in difference
    assert "expected" in difference


def test_a_second_fit_goes_on_in_the_same_process(vector_cache, make_model, tmp_path):
    sequence, model, seen = sequence_of(vector_cache), make_model(), Losses()
    resume = sequence.resume(tmp_path / "new" / "run")
    options = {"shuffle": False, "callbacks": [resume, seen], "verbose": 0}
    model.fit(sequence, epochs=2, **options)
    model.fit(sequence, epochs=2, **options)
    assert seen.epochs == [0, 1]
    model.fit(sequence, epochs=4, **options)
    assert seen.epochs == [0, 1, 2, 3]
    model.fit(sequence, epochs=5, initial_epoch=4, **options)
    assert seen.epochs == [0, 1, 2, 3, 4]
    assert model._initial_epoch is None


def test_a_run_may_begin_with_a_trained_model_and_a_later_epoch(vector_cache, make_model, tmp_path):
    sequence, model, seen = sequence_of(vector_cache), make_model(), Losses()
    model.fit(sequence, epochs=1, verbose=0)

    stop = Stop(lambda _: int(model.optimizer.iterations.numpy()) == 4 + 4 + 3)
    resume = sequence.resume(tmp_path)
    options = {"shuffle": False, "verbose": 0}
    model.fit(sequence, epochs=9, initial_epoch=6, callbacks=[stop, resume], **options)
    assert resume._standing(read_record(tmp_path)) == Position(epoch=7, step=3)
    model.fit(sequence, epochs=9, callbacks=[resume, seen], **options)
    assert seen.epochs == [7, 8]
    assert seen.batches == [0, 0, 1, 2, 3]
    assert sequence.epoch == 9


def test_what_contradicts_the_model_is_refused(vector_cache, make_model, tmp_path):
    sequence, model = sequence_of(vector_cache), make_model()
    resume = sequence.resume(tmp_path)
    options = {"shuffle": False, "callbacks": [resume], "verbose": 0}
    model.fit(sequence, **options)
    fresh = make_model()
    with pytest.raises(OptionError, match="leave out initial_epoch"):
        fresh.fit(sequence, epochs=9, initial_epoch=2, **options)
    with pytest.warns(UserWarning, match="starts over: the optimizer has counted no step"):
        fresh.fit(sequence, **options)
    (tmp_path / RECORD).unlink()
    model.fit(sequence, epochs=3, initial_epoch=2, shuffle=False, verbose=0)
    resume = sequence.resume(tmp_path)
    model.fit(sequence, epochs=4, initial_epoch=3, shuffle=False, callbacks=[resume], verbose=0)
    with pytest.raises(OptionError, match="load a checkpoint of this run with its optimizer"):
        make_model().fit(sequence, epochs=9, shuffle=False, callbacks=[resume], verbose=0)


def test_an_order_of_callbacks_that_cannot_work_is_refused(vector_cache, make_model, tmp_path):
    def fit(stop_at):
        sequence, model = sequence_of(vector_cache), make_model()
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", 1, delete_checkpoint=False)
        stop = Stop(lambda _: int(model.optimizer.iterations.numpy()) == stop_at)
        callbacks = [sequence.resume(tmp_path / "run"), backup, stop]
        model.fit(sequence, epochs=4, shuffle=False, callbacks=callbacks, verbose=0)

    fit(6)
    # A BackupAndRestore of a restart writes epoch 0 until its first epoch ends.
    fit(7)
    with pytest.raises(OptionError, match="put resume after BackupAndRestore"):
        fit(9)


def test_an_optimizer_that_does_not_count_batches_is_refused_at_the_first(
    vector_cache, make_model, tmp_path
):
    class Twice(keras.Sequential):
        def train_step(self, data):
            super().train_step(data)
            return super().train_step(data)

    model = Twice(make_model().layers)
    model.compile("sgd", "mse")
    sequence = sequence_of(vector_cache)
    with pytest.raises(OptionError, match="got 2 steps of the optimizer in 1 batches"):
        model.fit(sequence, shuffle=False, callbacks=[sequence.resume(tmp_path)], verbose=0)


def test_gradients_that_are_accumulated_count_each_batch(vector_cache, make_model, tmp_path):
    model = make_model(keras.optimizers.SGD(gradient_accumulation_steps=3))
    sequence, seen = sequence_of(vector_cache), Losses()
    resume = sequence.resume(tmp_path)
    model.fit(sequence, epochs=2, shuffle=False, callbacks=[resume], verbose=0)
    model.fit(sequence, epochs=3, shuffle=False, callbacks=[resume, seen], verbose=0)
    assert seen.epochs == [2]


def test_a_keras_that_would_train_past_the_end_of_a_shorter_epoch_is_refused(
    vector_cache, make_model, tmp_path
):
    class Copies(BalancedSequence):
        @property
        def num_batches(self):
            return int(super().num_batches)

    def fit(sequence, epochs, *callbacks):
        callbacks = [sequence.resume(tmp_path), *callbacks]
        model.fit(sequence, epochs=epochs, shuffle=False, callbacks=callbacks, verbose=0)

    model = make_model()
    fit(Copies(vector_cache, 8, steps=4), 2)
    fit(Copies(vector_cache, 8, steps=4), 3, Stop(lambda batch: batch == 1))
    with pytest.raises(OptionError, match=r"this Keras \(3\..*\) takes a copy of the number"):
        fit(Copies(vector_cache, 8, steps=4), 4)
    fit(sequence_of(vector_cache), 4)
    assert int(model.optimizer.iterations.numpy()) == 4 * 4


@pytest.mark.parametrize("steady", [True, False])
def test_generators_are_looked_at_again_when_an_epoch_ends(
    vector_cache, make_model, tmp_path, steady
):
    class Ask(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            del logs
            if epoch == 1 and not steady:
                dropout(np.ones((1, 4)), training=True)

    dropout = keras.layers.Dropout(0.5, seed=1)
    model, sequence = make_model(), sequence_of(vector_cache)
    model.add(dropout)
    resume = sequence.resume(tmp_path)
    options = {"shuffle": False, "verbose": 0}
    model.fit(sequence, epochs=1, callbacks=[resume], **options)
    first = read_record(tmp_path)
    assert first.draws == (1,)
    model.fit(sequence, epochs=2, callbacks=[resume, Ask()], **options)
    record = read_record(tmp_path)
    assert (record.seeds, record.draws) == ((first.seeds, (1,)) if steady else ((), ()))


def test_batches_that_a_loss_scale_passes_over_are_counted_too(vector_cache, make_model, tmp_path):
    model = make_model(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()))
    sequence, seen = sequence_of(vector_cache), Losses()
    batch = sequence.batch

    def infinite(epoch, step):
        images, labels = batch(epoch, step)
        return images, labels * (np.inf if (epoch, step) in {(0, 1), (0, 2), (1, 1)} else 1)

    sequence.batch = infinite
    stop = Stop(lambda batch: (sequence.epoch, batch) == (1, 1))
    resume = sequence.resume(tmp_path)
    options = {"shuffle": False, "verbose": 0}
    model.fit(sequence, epochs=3, callbacks=[resume, stop], **options)
    assert int(model.optimizer.iterations.numpy()) == 6 - 3
    record = read_record(tmp_path)
    assert [(one.count, one.batches) for one in record.skips] == [(1, 1), (1, 1), (3, 1)]
    assert resume._standing(record) == Position(epoch=1, step=2)
    model.fit(sequence, epochs=3, callbacks=[resume, seen], **options)
    assert seen.batches == [0, 1, 0, 1, 2, 3]


def test_what_a_loss_scale_passed_over_after_the_checkpoint_is_forgotten(
    vector_cache, make_model, tmp_path
):
    def collate(images, labels):
        labels[:] = np.inf if sequence.epoch == 1 else labels
        return images, labels

    model = make_model(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()))
    sequence, seen = sequence_of(vector_cache, collate_fn=collate), Losses()
    resume = sequence.resume(tmp_path)
    options = {"shuffle": False, "verbose": 0}
    model.fit(sequence, epochs=1, callbacks=[resume], **options)
    model.save_weights(tmp_path / "end.weights.h5")
    for _ in range(2):
        model.load_weights(tmp_path / "end.weights.h5")
        model.fit(sequence, epochs=3, callbacks=[resume, seen], **options)
    assert seen.epochs == [1, 2, 1, 2]
    assert [one.count for one in read_record(tmp_path).skips] == [4] * 4
