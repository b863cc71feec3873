"""The Sequence inside Keras: epoch e of fit delivers exactly the batches of epoch e.

A model that records the digest of what train_step is given is the witness; nothing is trained
where only the order of batches is asked for.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from itertools import count
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import flip_bit, run_python

from niicache import BalancedSequence
from niicache.errors import DamageError, DamageWarning
from niicache.hot import SHARED

WORKERS = pytest.mark.parametrize("workers", [1, 4])
SHUFFLE = pytest.mark.parametrize("shuffle", [True, False])


def digest(x, y):
    return hashlib.sha256(np.asarray(x).tobytes() + np.asarray(y).tobytes()).hexdigest()


class Witness(keras.Model):
    """Records what it is given, in training, in evaluation and in prediction."""

    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(shape=(), initializer="ones")
        self.seen, self.tested, self.predicted = [], [], []

    def call(self, x):
        return keras.ops.mean(x, (1, 2)) * self.scale

    def train_step(self, data):
        self.seen.append(digest(*data))
        return {"loss": 0.0}

    def test_step(self, data):
        self.tested.append(digest(*data))
        return {"loss": 0.0}

    def predict_step(self, data):
        self.predicted.append(digest(*data))
        return self(data[0])


@pytest.fixture
def witness():
    model = Witness()
    model.compile(run_eagerly=True)
    return model


def epochs_of(sequence, first, last):
    """Return the digests of the batches of each epoch from ``first`` to below ``last``."""
    return [
        [digest(*sequence.batch(epoch, step)) for step in range(len(sequence))]
        for epoch in range(first, last)
    ]


def held_against(seen, want, *, shuffle):
    """Hold what a fit was given against the epochs that it should have been given."""
    size = len(want[0])
    got = [seen[start : start + size] for start in range(0, len(seen), size)]
    assert len(got) == len(want)
    assert len({one for epoch in want for one in epoch}) == sum(map(len, want))
    if not shuffle:
        assert got == want
    assert [sorted(epoch) for epoch in got] == [sorted(epoch) for epoch in want]


def unsteady(delays=(0.0, 0.006, 0.001)):
    """Return a collate_fn that lets batches overtake one another."""
    calls = count()

    def collate(images, labels):
        time.sleep(delays[next(calls) % len(delays)])
        return images, labels

    return collate


@WORKERS
@SHUFFLE
@pytest.mark.parametrize("validated", [False, True])
def test_an_epoch_of_fit_is_exactly_that_epoch(vector_cache, witness, workers, shuffle, validated):
    options = {"collate_fn": unsteady(), "workers": workers}
    sequence = BalancedSequence(vector_cache, 16, **options)
    held_out = BalancedSequence(vector_cache, 8, shuffle=False, steps=3, **options)
    witness.fit(
        sequence,
        epochs=3,
        shuffle=shuffle,
        validation_data=held_out if validated else None,
        verbose=0,
    )
    held_against(witness.seen, epochs_of(sequence, 0, 3), shuffle=shuffle)
    assert sequence.epoch == 3
    if validated:
        (one,) = epochs_of(held_out, 0, 1)
        assert witness.tested == one * 3


@WORKERS
@SHUFFLE
def test_a_second_fit_goes_on_with_the_next_epoch(vector_cache, witness, workers, shuffle):
    sequence = BalancedSequence(vector_cache, 16, workers=workers, collate_fn=unsteady())
    witness.fit(sequence, epochs=2, shuffle=shuffle, verbose=0)
    witness.fit(sequence, epochs=4, initial_epoch=2, shuffle=shuffle, verbose=0)
    held_against(witness.seen, epochs_of(sequence, 0, 4), shuffle=shuffle)


@WORKERS
@SHUFFLE
def test_a_restart_goes_on_with_the_epoch_that_is_set(vector_cache, witness, workers, shuffle):
    sequence = BalancedSequence(vector_cache, 16, workers=workers, collate_fn=unsteady())
    sequence.epoch = 5
    witness.fit(sequence, epochs=7, initial_epoch=5, shuffle=shuffle, verbose=0)
    held_against(witness.seen, epochs_of(sequence, 5, 7), shuffle=shuffle)
    assert sequence.epoch == 7


@WORKERS
def test_a_fit_that_was_broken_off_is_repeated_by_setting_the_epoch(vector_cache, witness, workers):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2 and logs is not None:
                raise KeyboardInterrupt

    sequence = BalancedSequence(vector_cache, 16, workers=workers)
    witness.fit(sequence, epochs=1, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        witness.fit(sequence, epochs=2, initial_epoch=1, callbacks=[Stop()], verbose=0)
    witness.seen.clear()
    sequence.epoch = 1
    witness.fit(sequence, epochs=3, initial_epoch=1, shuffle=False, verbose=0)
    held_against(witness.seen, epochs_of(sequence, 1, 3), shuffle=False)


@WORKERS
def test_validation_that_shuffles_has_its_own_epochs(vector_cache, witness, workers):
    sequence = BalancedSequence(vector_cache, 16, workers=workers)
    held_out = BalancedSequence(vector_cache, 8, steps=3, workers=workers)
    witness.fit(sequence, epochs=3, validation_data=held_out, verbose=0)
    held_against(witness.tested, epochs_of(held_out, 0, 3), shuffle=False)
    held_against(witness.seen, epochs_of(sequence, 0, 3), shuffle=True)


@WORKERS
def test_evaluate_and_predict_get_every_batch_in_order(vector_cache, witness, workers):
    sequence = BalancedSequence(
        vector_cache, 16, shuffle=False, workers=workers, collate_fn=unsteady()
    )
    (want,) = epochs_of(sequence, 0, 1)
    witness.evaluate(sequence, verbose=0)
    assert witness.tested == want
    made = witness.predict(sequence, verbose=0)
    assert witness.predicted[-len(want) :] == want
    images = np.concatenate([sequence[step][0] for step in range(len(sequence))])
    np.testing.assert_allclose(made, images.mean((1, 2)), rtol=1e-4, atol=1e-2)


@WORKERS
@pytest.mark.parametrize(("shard", "step"), [(0, 0), (2, 8)])
def test_fit_stops_at_damage_and_says_what_it_is(
    copy_of, sharded_cache, witness, workers, shard, step
):
    path = copy_of(sharded_cache)
    flip_bit(path / f"coronal/image/c/{shard}/0/0/0", 0.001)
    sequence = BalancedSequence(path, 8, workers=workers, shuffle=False)
    with pytest.raises(DamageError, match=r"coronal.*niicache verify"):
        sequence[step]
    # What is met before training comes as it is, what is met in it as TensorFlow wraps it.
    with pytest.raises(Exception, match=r"DamageError|\[damaged\]") as caught:
        witness.fit(sequence, epochs=2, shuffle=False, verbose=0)
    assert "niicache verify" in str(caught.value)
    assert len(witness.seen) == step


class Strike(keras.callbacks.Callback):
    """Calls a function once, at the end of batch 1 of the first epoch."""

    def __init__(self, function):
        super().__init__()
        self.function, self.over = function, False

    def on_train_batch_end(self, batch, logs=None):
        del logs
        if batch == 1 and not self.over:
            self.over = True
            SHARED.clear()  # other Sequences may have left the same chunks, sound, in memory
            self.function()


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


# What befalls the shard, and what is said of it.
STRIKES = {
    "damaged": (lambda path: flip_bit(path, 0.001), "whose crc32c does not hold"),
    "truncated": (truncate, "a shard of "),
    "deleted": (Path.unlink, "No such file or directory"),
}
STRUCK = pytest.mark.parametrize("strike", STRIKES)

# In stored order, one case of each class a batch, this shard is opened at step 32: no queue of
# Keras reaches so far ahead from batch 1.
SHARD, FIRST = "axial/image/c/4/0/0/0", 32


SECONDS = 5  # from the first batch to the error, which takes a tenth of one


def note_when_asked(sequence):
    """Return a list that gets the time at which each batch is asked for."""
    asked, batch = [], sequence.batch

    def noted(epoch, step):
        asked.append(time.monotonic())
        return batch(epoch, step)

    sequence.batch = noted
    return asked


def stored(path, **options):
    return BalancedSequence(path, 4, shuffle=False, memory=0, **options)


@WORKERS
@STRUCK
def test_damage_that_is_done_during_a_fit_comes_out_of_it(
    copy_of, sharded_cache, witness, workers, strike
):
    path = copy_of(sharded_cache)
    befall, got = STRIKES[strike]
    sequence = stored(path, workers=workers)
    strikes = [Strike(lambda: befall(path / SHARD))]
    asked = note_when_asked(sequence)
    with pytest.raises(Exception, match=r"DamageError|\[damaged\]") as caught:
        witness.fit(sequence, epochs=2, shuffle=False, verbose=0, callbacks=strikes)
    assert time.monotonic() - asked[0] < SECONDS
    said = str(caught.value)
    assert str(path / SHARD) in said  # which begins with the class
    assert got in said
    assert "run `niicache verify`" in said
    assert len(witness.seen) == FIRST


def test_the_message_names_the_cases_that_are_gone(copy_of, sharded_cache, witness):
    path = copy_of(sharded_cache)
    sequence = stored(path, workers=2)
    name, case = next(pair for pair in sequence.cases(0, FIRST) if pair[0] == "axial")
    strikes = [Strike((path / SHARD).unlink)]
    with pytest.raises(Exception, match=rf"{name}.*{case}"):
        witness.fit(sequence, shuffle=False, verbose=0, callbacks=strikes)


@WORKERS
@STRUCK
def test_a_fit_that_skips_damage_goes_on_counts_and_warns_once(
    copy_of, sharded_cache, witness, workers, strike
):
    path = copy_of(sharded_cache)
    want, _ = epochs_of(stored(sharded_cache), 0, 2)
    befall, got = STRIKES[strike]
    sequence = stored(path, workers=workers, on_damage="skip")
    strikes = [Strike(lambda: befall(path / SHARD))]
    with pytest.warns(DamageWarning, match=got) as caught:
        witness.fit(sequence, epochs=2, shuffle=False, verbose=0, callbacks=strikes)
    assert [one.category for one in caught] == [DamageWarning]
    assert len(witness.seen) == 2 * len(want)
    # What is skipped: a chunk of 2 cases, or the whole shard of 5.
    hit = {pair for step in range(FIRST, 37) for pair in stored(path).cases(0, step)[:1]}
    assert set(sequence.damaged) <= hit
    assert len(sequence.damaged) == (2 if strike == "damaged" else 5)
    same = [one == other for one, other in zip(witness.seen[: len(want)], want, strict=True)]
    assert same.count(False) == len(sequence.damaged)
    assert all(same[:FIRST])


@WORKERS
def test_a_fit_past_the_limit_of_damage_ends(copy_of, sharded_cache, witness, workers):
    path = copy_of(sharded_cache)
    sequence = stored(path, workers=workers, on_damage="skip", damage_limit=1)
    strikes = [Strike((path / SHARD).unlink)]
    with (
        pytest.warns(DamageWarning, match="more than 1 are damaged"),
        pytest.raises(Exception, match=r"DamageError|\[damaged\]"),
    ):
        witness.fit(sequence, epochs=2, shuffle=False, verbose=0, callbacks=strikes)
    assert FIRST <= len(witness.seen) < len(sequence)


FRESH_FIT = """
import json, sys
sys.path.insert(0, sys.argv[2])
from test_sequence_fit import BalancedSequence, Witness, fitted
print(json.dumps(fitted(Witness(), sys.argv[1], workers=4)))
"""


def noisy(image, label, rng):
    return image + rng.normal(size=image.shape).astype(image.dtype), label


def fitted(model, path, *, workers):
    """Return what two epochs of a fit are given."""
    model.compile(run_eagerly=True)
    model.seen.clear()
    sequence = BalancedSequence(path, 16, seed=6, workers=workers, transform=noisy)
    model.fit(sequence, epochs=2, shuffle=False, verbose=0)
    return model.seen


def test_fit_a_loop_and_calls_in_any_order_give_the_same_batches_in_any_process(
    vector_cache, witness
):
    said = run_python(FRESH_FIT, vector_cache, Path(__file__).parent)
    want = json.loads(said.splitlines()[-1])
    assert len(set(want)) == len(want)
    for workers in (1, 4):
        assert fitted(witness, vector_cache, workers=workers) == want
    for workers in (1, 2, 8):
        sequence = BalancedSequence(vector_cache, 16, seed=6, workers=workers, transform=noisy)
        assert [digest(*batch) for batch in sequence.batches(0, epochs=2)] == want
        for place in (len(want) - 1, 0, 7, 7, 3, 11):
            assert digest(*sequence.batch(*divmod(place, len(sequence)))) == want[place]


def named_model(shape, outputs):
    scan = keras.Input(shape, name="scan")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1e-3)(scan))
    return keras.Model({"scan": scan}, keras.layers.Dense(outputs, activation="softmax")(flat))


@WORKERS
def test_a_model_with_a_named_input_learns_the_classes(folder_cache, workers):
    keras.utils.set_random_seed(0)
    sequence = BalancedSequence(folder_cache, 12, input_name="scan", workers=workers, steps=5)
    model = named_model((9, 9, 1), 3)
    model.compile(keras.optimizers.Adam(0.02), "categorical_crossentropy", metrics=["accuracy"])
    model.fit(sequence, epochs=12, verbose=0)
    _, accuracy = model.evaluate(sequence, verbose=0)
    assert accuracy > 0.99
    assert model.predict(sequence, verbose=0).shape == (60, 3)


def test_a_model_of_masks_takes_them_as_they_come(mask_cache):
    sequence = BalancedSequence(mask_cache, 4, steps=2)
    model = keras.Sequential(
        [
            keras.Input((14, 10, 1)),
            keras.layers.Rescaling(1e-3),
            keras.layers.Conv2D(3, 1, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert np.isfinite(model.fit(sequence, verbose=0).history["loss"]).all()
    assert model.predict(sequence, verbose=0).shape == (8, 14, 10, 3)


def test_a_model_of_volumes_in_blocks_takes_them_as_they_come(volume_cache):
    sequence = BalancedSequence(volume_cache, 2, steps=2, workers=2)
    model = keras.Sequential(
        [
            keras.Input((19, 21, 17, 1)),
            keras.layers.Rescaling(1e-3),
            keras.layers.Conv3D(3, 1, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert np.isfinite(model.fit(sequence, verbose=0).history["loss"]).all()


def test_weights_of_samples_come_through_collate(vector_cache):
    def collate(images, labels):
        return images.mean((1, 2)), labels, np.zeros(len(images), "float32")

    sequence = BalancedSequence(vector_cache, 8, collate_fn=collate)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    model.compile("sgd", "mse")
    assert model.fit(sequence, verbose=0).history["loss"] == [0]
