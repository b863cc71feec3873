"""What a model's generators stand at is read, and set, as two words each."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache.position import WORD, Seed
from niicache.seeds import read_seeds, write_seeds

WORDS = st.integers(0, WORD - 1)


def model_of(*seeds):
    """Return a model with a Dropout of each seed, between layers that ask for nothing."""
    layers = [keras.Input((64,))]
    for seed in seeds:
        layers += [keras.layers.Dense(64), keras.layers.Dropout(0.5, seed=seed)]
    return keras.Sequential(layers)


@pytest.fixture(scope="module")
def model():
    return model_of(1, 2**31 + 5, 3)


def test_a_model_without_generators_has_no_seeds():
    model = model_of()
    assert read_seeds(model) == ()
    write_seeds(model, ())


def test_seeds_are_those_of_the_layers_in_their_order():
    assert [one.seed for one in read_seeds(model_of(8, 2**31 + 5, 3))] == [8, 2**31 + 5, 3]


@given(st.lists(st.builds(Seed, seed=WORDS, asked=WORDS), min_size=3, max_size=3))
def test_what_is_written_is_what_is_read(model, seeds):
    before = [layer.get_weights() for layer in model.layers if layer.name.startswith("dense")]
    write_seeds(model, seeds)
    assert read_seeds(model) == tuple(seeds)
    after = [layer.get_weights() for layer in model.layers if layer.name.startswith("dense")]
    for one, other in zip(before, after, strict=True):
        for left, right in zip(one, other, strict=True):
            np.testing.assert_array_equal(left, right)


def test_each_training_call_asks_each_generator_once_and_a_prediction_none():
    model = model_of(4, 5)
    begun, x = read_seeds(model), np.ones((2, 64), "float32")
    for count in range(1, 4):
        model(x, training=True)
        model(x, training=False)
        assert [one.asked for one in read_seeds(model)] == [one.asked + count for one in begun]


def test_a_model_set_back_draws_again_what_it_drew():
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dropout(0.5, seed=7)])
    x = np.ones((2, 64), "float32")
    model(x, training=True)
    seeds = read_seeds(model)
    first, second = (np.asarray(model(x, training=True)) for _ in range(2))
    assert (first != second).any()
    write_seeds(model, seeds)
    np.testing.assert_array_equal(np.asarray(model(x, training=True)), first)


@pytest.mark.parametrize("count", [0, 2, 4])
def test_seeds_of_another_model_are_refused(model, count):
    with pytest.raises(ValueError, match="zip"):
        write_seeds(model, [Seed(seed=1, asked=1)] * count)


class Signed:
    """A generator's state as a backend without unsigned words keeps it."""

    name = "seed_generator_state"

    def __init__(self):
        self.words = np.array([-1, 5], np.int32)

    def numpy(self):
        return self.words

    def assign(self, words):
        assert words.dtype == np.int32
        self.words = words


def test_a_backend_that_keeps_signed_words_has_the_same_seeds():
    model = SimpleNamespace(variables=[Signed()])
    assert read_seeds(model) == (Seed(seed=WORD - 1, asked=5),)
    write_seeds(model, [Seed(seed=3, asked=2**31)])
    assert model.variables[0].words.tolist() == [3, -(2**31)]
    assert read_seeds(model) == (Seed(seed=3, asked=2**31),)
