"""The Sequence inside Keras: epoch e of fit delivers exactly the batches of epoch e.

A model that records the digest of what train_step is given is the witness; nothing is trained
where only the order of batches is asked for.
"""

from __future__ import annotations

import hashlib
import time
from itertools import count

import keras
import numpy as np
import pytest
from helpers import flip_bit

from niicache import BalancedSequence
from niicache.errors import DamageError

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
