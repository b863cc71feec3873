"""The passes of Keras are epochs, one after another, wherever the first of them opens."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from niicache.passes import Passes, asked_to_shuffle

STEPS = st.integers(1, 9)


def made(passes, *, shuffled=False):
    """Play a whole pass of Keras; return the places of its batches."""
    length = passes.length  # the array that Keras keeps for the whole of fit
    places = [passes.at(0)]  # a worker asks before the pass begins
    passes.begin()
    places += [passes.at(index) for index in range(1, int(length))]
    passes.end(shuffled=shuffled)
    return places


@given(STEPS, st.integers(0, 5), st.data())
def test_passes_are_whole_epochs_but_for_the_one_that_is_opened_inside(steps, epoch, data):
    passes = Passes(steps)
    step = data.draw(st.integers(0, steps - 1))
    passes.open(epoch, step)
    seen = [place for _ in range(3) for place in made(passes)]
    every = [(e, s) for e in range(epoch, epoch + 3) for s in range(steps)]
    assert seen == every[step:]
    assert passes.epoch == epoch + 3


@given(STEPS, st.lists(st.sampled_from(["begin", "end", "open"]), max_size=12))
def test_only_an_end_that_has_a_beginning_moves_the_epoch_on(steps, calls):
    passes, epoch, begun = Passes(steps), 0, False
    kept = passes.length
    for call in calls:
        if call == "begin":
            passes.begin()
            begun = True
        elif call == "end":
            passes.end(shuffled=False)
            epoch, begun = epoch + begun, False
        else:
            epoch, begun = epoch + 7, False
            passes.open(epoch)
        assert (passes.epoch, passes.begun, int(passes.length)) == (epoch, begun, steps)
    assert passes.length is kept


def test_a_pass_that_was_broken_off_ends_where_another_opens():
    passes = Passes(5)
    passes.open(3, 2)
    assert int(passes.length) == 3
    passes.begin()
    passes.open(4)
    passes.end(shuffled=False)  # of the pass that is no more
    assert passes.at(0) == (4, 0)
    assert int(passes.length) == 5


def test_the_pass_that_ended_last_says_whether_it_was_shuffled():
    passes = Passes(2)
    for shuffled in (True, False, True):
        made(passes, shuffled=shuffled)
        assert passes.shuffled is shuffled


@given(STEPS, st.integers(0, 5), st.booleans())
def test_a_pickled_copy_stands_where_it_was_and_goes_on_alone(steps, epoch, begun):
    passes = Passes(steps)
    passes.open(epoch, steps - 1)
    if begun:
        passes.begin()
    other = pickle.loads(pickle.dumps(passes))  # noqa: S301 - our own bytes
    assert (other.at(0), other.begun, int(other.length)) == ((epoch, steps - 1), begun, 1)
    other.begin()
    other.end(shuffled=False)
    assert other.at(0) == (epoch + 1, 0)
    assert passes.at(0) == (epoch, steps - 1)
    assert int(passes.length) == 1


class Adapter:
    """What calls a Sequence, as the adapter of Keras does."""

    def __init__(self, sequence, **options):
        self.py_dataset = sequence
        vars(self).update(options)

    def call(self):
        return self.py_dataset.ask()


class Asking:
    """A Sequence that asks, from a frame of its own."""

    def ask(self):
        return asked_to_shuffle(self)


def test_the_adapter_that_calls_is_found_and_no_other():
    sequence, other = Asking(), Asking()
    assert Adapter(sequence, shuffle=True).call() is True
    assert Adapter(sequence, shuffle=False).call() is False
    assert Adapter(sequence).call() is False
    assert sequence.ask() is False
    # A Sequence that asks another one is shuffled by nobody: its adapter is that of the first.
    around = SimpleNamespace(ask=other.ask)
    assert Adapter(around, shuffle=True).call() is False
    # The nearest that calls is the one that counts.
    inner = Adapter(sequence, shuffle=False)
    assert Adapter(SimpleNamespace(ask=inner.call), shuffle=True).call() is False
