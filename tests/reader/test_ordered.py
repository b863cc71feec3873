"""Every case once, in natural order, in plain loops and inside Keras."""

from __future__ import annotations

import hashlib
import pickle
import threading
from collections import Counter

import keras
import numpy as np
import pytest

from niicache import OrderedSequence, open_cache
from niicache.decoding import Decoder
from niicache.errors import NotACacheError, OptionError
from niicache.hot import SHARED

KINDS = ["vector", "mask", "folder", "volume", "sharded"]
WORKERS = pytest.mark.parametrize("workers", [1, 4])
ORDERS = pytest.mark.parametrize("order", ["name", "stored"])


@pytest.fixture(params=KINDS)
def cache(request):
    return open_cache(request.getfixturevalue(f"{request.param}_cache"))


def names_of(sequence):
    return [pair for step in range(len(sequence)) for pair in sequence.cases(step)]


def test_names_of_a_pass_are_those_of_its_predictions(cache):
    chosen = cache.cases[1::2]
    names = {name for _, name in chosen}
    for options in ({}, {"where": {"name": lambda name: name in names}}):
        sequence = OrderedSequence(cache, 3, **options)
        assert list(sequence.all_cases) == names_of(sequence)
        assert sum(len(sequence[step][0]) for step in range(len(sequence))) == len(
            sequence.all_cases
        )
    assert set(sequence.all_cases) <= set(cache.cases)


def wanted(cache, pairs):
    """Return images and labels of cases, read one by one."""
    samples = [cache[name][case] for name, case in pairs]
    labels = [sample.label for sample in samples]
    if cache.manifest.recipe.label is None:
        labels = [np.eye(len(cache))[cache[name].number] for name, _ in pairs]
    return np.stack([sample.image for sample in samples]), np.stack(labels)


@WORKERS
@ORDERS
@pytest.mark.parametrize("size", [1, 4, 5, 1000])
def test_every_pass_has_every_case_once(cache, workers, order, size):
    sequence = OrderedSequence(cache, size, order=order, workers=workers)
    pairs = names_of(sequence)
    assert sorted(pairs) == sorted(cache.cases)
    assert [name for name, _ in pairs] == [name for name, _ in cache.cases]  # class after class
    images, labels = wanted(cache, pairs)
    for _ in range(2):
        batches = list(sequence)
        assert [len(x) for x, _ in batches[:-1]] == [size] * (len(sequence) - 1)
        assert len(batches[-1][0]) == len(pairs) - size * (len(sequence) - 1)
        np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), images)
        np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), labels)


def test_names_of_cases_stand_beside_their_voxels(cache):
    sequence = OrderedSequence(cache, 4)
    assert tuple(names_of(sequence)) == cache.cases
    rows = (row for x, _ in sequence for row in x)
    for (name, case), row in zip(cache.cases, rows, strict=True):
        np.testing.assert_array_equal(row, cache[name][case].image)


def test_stored_order_is_that_of_the_rows(vector_cache):
    cache = open_cache(vector_cache)
    want = [(view.name, case) for view in cache for case in view.slot_names if case]
    assert names_of(OrderedSequence(cache, 5, order="stored")) == want
    assert want != list(cache.cases)


@pytest.fixture
def decoded(monkeypatch):
    """Return a counter of what is decoded: (reader, chunk)."""
    counter, lock, read = Counter(), threading.Lock(), Decoder._read

    def count(self, chunks, targets, trusted):
        with lock:
            counter.update((chunks[i][0], chunks[i][1]) for i in targets)
        return read(self, chunks, targets, trusted)

    # Those of other tests that Keras still holds: the largest budget counts.
    monkeypatch.setattr(SHARED, "_budgets", {})
    SHARED.clear()
    monkeypatch.setattr(Decoder, "_read", count)
    return counter


@pytest.mark.parametrize("kind", ["vector", "folder"])
def test_stored_order_decodes_each_chunk_once_in_memory_for_two(request, decoded, kind):
    cache = open_cache(request.getfixturevalue(f"{kind}_cache"))
    memory = 2 * cache[cache.classes[0]].image.nbytes
    sequence = OrderedSequence(cache, 3, order="stored", memory=memory, workers=1)
    for _ in sequence:
        pass
    assert len(decoded) == sum(len(view.image) for view in cache) > 4
    assert set(decoded.values()) == {1}


def test_threads_share_what_one_of_them_decoded(vector_cache, decoded):
    sequence = OrderedSequence(vector_cache, 3, order="stored", workers=4)
    for _ in sequence:
        pass
    assert len(decoded) == sum(len(view.image) for view in sequence.cache)
    assert set(decoded.values()) == {1}


def test_order_by_name_decodes_chunks_again_without_memory(vector_cache, decoded):
    for _ in OrderedSequence(vector_cache, 3, memory=0):
        pass
    assert max(decoded.values()) > 1  # so the counter above can tell


class Mean(keras.Model):
    """Predicts the mean of each image's channels, and records what it is tested on."""

    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(shape=(), initializer="ones")
        self.tested = []

    def call(self, x):
        return keras.ops.mean(x, (1, 2)) * self.scale

    def test_step(self, data):
        self.tested.append(tuple(half.numpy() for half in data))
        return {"loss": 0.0}


@pytest.fixture
def model():
    made = Mean()
    made.compile(run_eagerly=True)
    return made


@WORKERS
@ORDERS
def test_predictions_are_those_of_the_cases_in_their_order(vector_cache, model, workers, order):
    cache = open_cache(vector_cache)
    sequence = OrderedSequence(cache, 16, order=order, workers=workers)
    assert len(cache.cases) % 16
    images, _ = wanted(cache, names_of(sequence))
    for _ in range(2):
        made = model.predict(sequence, verbose=0)
        assert made.shape == (len(cache.cases), 3)
        np.testing.assert_allclose(made, images.mean((1, 2)), rtol=1e-4, atol=1e-2)


@WORKERS
def test_predict_beside_cache_cases(folder_cache, model, workers):
    cache = open_cache(folder_cache)
    made = model.predict(OrderedSequence(cache, 4, workers=workers), verbose=0)
    for (name, case), row in zip(cache.cases, made, strict=True):
        np.testing.assert_allclose(row, cache[name][case].image.mean((0, 1)), rtol=1e-5)


@WORKERS
def test_evaluate_sees_every_case_once_in_order(vector_cache, model, workers):
    cache = open_cache(vector_cache)
    images, labels = wanted(cache, cache.cases)
    for _ in range(2):
        model.evaluate(OrderedSequence(cache, 16, workers=workers), verbose=0)
        np.testing.assert_array_equal(np.concatenate([x for x, _ in model.tested]), images)
        np.testing.assert_array_equal(np.concatenate([y for _, y in model.tested]), labels)
        model.tested.clear()


@WORKERS
def test_a_mean_over_a_short_last_batch_is_the_mean_over_the_cases(vector_cache, workers):
    cache = open_cache(vector_cache)
    images, labels = wanted(cache, cache.cases)
    layer = keras.Sequential(
        [
            keras.Input((16, 15, 3)),
            keras.layers.Rescaling(1e-3),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4),
        ]
    )
    layer.compile("sgd", "mse")
    sequence = OrderedSequence(cache, 16, workers=workers)
    told = layer.evaluate(sequence, verbose=0)
    whole = layer.evaluate(images.astype("float32"), labels, batch_size=16, verbose=0)
    assert told == pytest.approx(whole, rel=1e-5)


@WORKERS
def test_it_validates_a_fit(folder_cache, model, workers):
    sequence = OrderedSequence(folder_cache, 4, workers=workers)
    want = [hashlib.sha256(x.tobytes()).hexdigest() for x, _ in sequence]
    model.train_step = lambda _: {"loss": 0.0}
    model.fit(sequence, validation_data=sequence, epochs=3, verbose=0)
    assert [hashlib.sha256(x.tobytes()).hexdigest() for x, _ in model.tested] == 3 * want


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size: got 0, expected a whole number of at least 1"),
        ({"batch_size": 2.0}, "batch_size: got 2.0"),
        ({"batch_size": None}, "batch_size: got None"),
        ({"order": "random"}, "order: got 'random', expected one of 'name', 'stored'"),
        ({"order": None}, "order: got None"),
        ({"workers": 0}, "workers: got 0"),
        ({"memory": "much"}, "memory: got 'much'"),
        ({"check": "never"}, "check: got 'never', expected one of 'first', 'always'"),
        ({"dtype": "int8"}, "dtype: got 'int8'"),
        ({"input_name": "x", "collate_fn": print}, "input_name: got 'x' beside collate_fn"),
    ],
)
def test_options_are_refused_at_once(vector_cache, options, message):
    with pytest.raises(OptionError, match=message):
        OrderedSequence(vector_cache, **{"batch_size": 8} | options)


def test_what_is_no_cache_is_refused(tmp_path):
    with pytest.raises(NotACacheError):
        OrderedSequence(tmp_path, 8)


def test_there_is_no_batch_outside_a_pass(vector_cache):
    sequence = OrderedSequence(vector_cache, 8)
    for step in (-1, len(sequence)):
        with pytest.raises(IndexError, match=f"step: got {step}, expected 0 to 9"):
            sequence[step]
        with pytest.raises(IndexError, match=f"step: got {step}, expected 0 to 9"):
            sequence.cases(step)


@pytest.mark.parametrize("check", ["first", "always"])
@ORDERS
def test_a_pickled_sequence_gives_the_same(sharded_cache, order, check):
    sequence = OrderedSequence(
        sharded_cache, 7, order=order, dtype="float64", input_name="x", workers=2, check=check
    )
    other = pickle.loads(pickle.dumps(sequence))  # noqa: S301 - our own bytes
    assert repr(other) == repr(sequence)
    assert (len(other), other.workers, names_of(other)) == (len(sequence), 2, names_of(sequence))
    for (x, y), (other_x, other_y) in zip(sequence, other, strict=True):
        np.testing.assert_array_equal(x["x"], other_x["x"])
        np.testing.assert_array_equal(y, other_y)
        assert other_x["x"].dtype == "float64"


def test_a_repr_says_what_it_is(vector_cache):
    text = repr(OrderedSequence(vector_cache, 8, order="stored"))
    assert text == (
        f"<niicache.OrderedSequence {str(vector_cache)!r} 10 batches of 8, order 'stored'>"
    )
