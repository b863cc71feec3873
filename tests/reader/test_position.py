"""Where training stands, as a count tells it, held against a run that is written down in full."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from niicache.errors import OptionError
from niicache.position import WORD, Position, Record, Seed, Skip, differences, record_from_json

WHOLE = st.integers(0, 2**40)
SKIPS = st.builds(
    Skip,
    count=WHOLE,
    scale=st.floats(2**-20, 2**20),
    batches=st.integers(1, 9),
)
WORDS = st.integers(0, WORD - 1)
SEEDS = st.lists(st.builds(Seed, seed=WORDS, asked=WORDS), max_size=3).map(tuple)
VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())
STREAMS = st.dictionaries(st.text(), VALUES, max_size=5)
RECORDS = st.builds(
    Record,
    stream=STREAMS,
    steps=st.integers(1, 2**40),
    epoch=WHOLE,
    count=WHOLE,
    skips=st.lists(SKIPS, max_size=3).map(tuple),
    seeds=SEEDS,
    draws=st.lists(WORDS, max_size=3).map(tuple),
)


@given(
    finite=st.lists(st.booleans(), min_size=1, max_size=60),
    steps=st.integers(1, 9),
    epoch=st.integers(0, 5),
    start=st.integers(0, 100),
    execution=st.integers(1, 4),
    growth=st.integers(1, 6),
)
def test_each_state_of_a_run_tells_the_batch_that_comes_next(
    finite, steps, epoch, start, execution, growth
):
    """A LossScaleOptimizer is played: each batch either counts, or halves the scale."""
    record = Record(stream={}, steps=steps, epoch=epoch, count=start)
    count, scale, streak, states = start, 2.0**15, 0, [(start, 2.0**15, 0)]
    for first in range(0, len(finite), execution):
        for good in finite[first : first + execution]:
            count, streak = (count + 1, streak + 1) if good else (count, 0)
            scale = scale if good else scale / 2
            if streak == growth:
                scale, streak = scale * 2, 0
        batches = min(first + execution, len(finite))
        missing = batches - record.batches(count)
        if missing:
            skip = Skip(count=count, scale=scale, batches=missing)
            record = replace(record, skips=(*record.skips, skip))
        states.append((count, scale, batches))
    for count, scale, batches in states:
        known = record.upto(count, scale)
        assert known.batches(count) == batches
        expected = Position(epoch=epoch + batches // steps, step=batches % steps)
        assert known.position(count) == expected


@given(RECORDS)
def test_a_record_comes_back_from_its_json(record):
    assert record_from_json(json.loads(json.dumps(record.to_json()))) == record


@given(RECORDS, st.integers(1, 2**40))
def test_a_model_of_before_the_run_is_refused(record, less):
    if record.count >= less:
        with pytest.raises(OptionError, match="delete the folder to begin a new one"):
            record.position(record.count - less)


@given(STREAMS, STREAMS)
def test_every_difference_is_told_and_nothing_else(then, now):
    told = differences(then, now)
    names = {
        name
        for name in then | now
        if (name in then, then.get(name)) != (name in now, now.get(name))
    }
    assert len(told) == len(names)
    assert all(any(line.startswith(f"{name}: got ") for line in told) for name in names)
    assert differences(then, dict(then)) == []


@given(RECORDS, st.data())
def test_a_record_that_lost_or_changed_a_part_is_no_record(record, data):
    value = json.loads(json.dumps(record.to_json()))
    name = data.draw(st.sampled_from(sorted(value)))
    lost = {key: part for key, part in value.items() if key != name}
    spoilt = value | {name: data.draw(st.sampled_from(["", -1, None, 0.5]))}
    for wrong in (lost, spoilt, value | {"more": 1}, [value], None):
        with pytest.raises((KeyError, TypeError, ValueError)):
            record_from_json(wrong)


RECORD_OF_ONE = Record(stream={"seed": 1}, steps=3, epoch=0, count=0)


def asked(seeds, draws, batches):
    """Return generators that each batch asked so often, in Python's own whole numbers."""
    return tuple(
        Seed(seed=one.seed, asked=(one.asked + n * batches) % WORD)
        for one, n in zip(seeds, draws, strict=True)
    )


@given(SEEDS, st.data(), st.integers(1, 5), st.integers(0, 10**6))
def test_generators_that_each_batch_asks_equally_are_followed(seeds, data, first, batches):
    draws = tuple(data.draw(st.integers(0, 99)) for _ in seeds)
    record = replace(RECORD_OF_ONE, seeds=seeds).following(asked(seeds, draws, first), first)
    assert record.seeds_after(batches) == asked(seeds, draws, batches)
    assert record.following(asked(seeds, draws, batches + 1), batches + 1) == record


@given(SEEDS.filter(bool), st.integers(1, 9), st.integers(2, 99))
def test_generators_that_are_asked_otherwise_are_given_up(seeds, draws, batches):
    begun = replace(RECORD_OF_ONE, seeds=seeds)
    evenly = [draws] * len(seeds)
    record = begun.following(asked(seeds, evenly, 1), 1)
    odd = asked(asked(seeds, evenly, batches), [1] * len(seeds), 1)
    for lost in (record.following(odd, batches), record.following(odd[1:], batches)):
        assert lost == RECORD_OF_ONE
    assert begun.following(odd, batches) == RECORD_OF_ONE
    assert begun.following(odd[1:], batches) == RECORD_OF_ONE
    assert begun.seeds_after(batches) == ()
    assert begun.seeds_after(0) == seeds


@given(SEEDS.filter(bool), st.integers(0, 9), st.integers(0, 9), st.integers(1, 99), st.data())
def test_what_was_learned_of_generators_is_not_learned_anew(seeds, draws, other, batches, data):
    """Were it, each look would fit what it sees, and nothing would ever be out of step."""
    begun = replace(RECORD_OF_ONE, seeds=seeds)
    record = begun.following(asked(seeds, [draws] * len(seeds), 1), 1)
    assert record.draws == (draws,) * len(seeds)
    now = asked(seeds, [other] * len(seeds), batches)
    assert record.following(now, batches) == (record if other == draws else RECORD_OF_ONE)
    which = data.draw(st.integers(0, len(seeds) - 1))
    reseeded = list(asked(seeds, [draws] * len(seeds), batches))
    reseeded[which] = replace(reseeded[which], seed=(reseeded[which].seed + 1) % WORD)
    for one in (record, begun):
        assert one.following(tuple(reseeded), batches) == RECORD_OF_ONE
