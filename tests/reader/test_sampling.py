from __future__ import annotations

import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from niicache import streams
from niicache.errors import OptionError
from niicache.sampling import ClassRows, Sampler, sample_generator

LENGTHS = (None, "longest", "shortest", "total")


def rows_of(sizes, chunk=16):
    return [
        ClassRows(name=f"class-{k}", rows=np.arange(size), chunk=chunk)
        for k, size in enumerate(sizes)
    ]


@st.composite
def class_rows(draw):
    count = draw(st.integers(1, 4))
    rows = st.lists(st.integers(0, 60), min_size=1, max_size=40, unique=True).map(sorted)
    return [
        ClassRows(name=f"class-{k}", rows=np.array(draw(rows)), chunk=draw(st.integers(1, 17)))
        for k in range(count)
    ]


lone = class_rows().map(lambda classes: classes[0])
mixes = st.one_of(st.just("all"), st.integers(1, 6))
seeds = st.integers(0, 2**63 - 1)


def cycles(one, count, **options):
    """Return the first cycles of a lone class in the order of its stream."""
    sampler = Sampler([one], 1, steps=len(one.rows), **options)
    return [
        [int(sampler.draw(cycle, step).rows[0]) for step in range(sampler.steps)]
        for cycle in range(count)
    ]


def word(seed, purpose, index, place):
    """Return one word of a class's stream, by the table in the module's docstring."""
    key = np.array([seed, purpose], np.uint64)
    counter = np.array([place // 4 % 2**64, place // 4 >> 64, index, 0], np.uint64)
    return int(np.random.Philox(key=key, counter=counter).random_raw(4)[place % 4])


def told_cycle(one, cycle, *, seed, mix):
    """Return a cycle of a lone class as the docstrings tell it, in the slowest and plainest way."""
    size = len(one.rows)
    chunks = sorted({row // one.chunk for row in one.rows.tolist()})
    if mix == "all" or mix >= len(chunks):
        windows = [chunks]
    else:
        place = {c: word(seed, 1, 0, cycle * len(chunks) + i) for i, c in enumerate(chunks)}
        chunks.sort(key=place.__getitem__)
        windows = [chunks[i : i + mix] for i in range(0, len(chunks), mix)]
    order: list[int] = []
    for window in windows:
        rows = [row for c in window for row in one.rows.tolist() if row // one.chunk == c]
        places = [word(seed, 2, 0, cycle * size + len(order) + i) for i in range(len(rows))]
        order += [row for _, row in sorted(zip(places, rows, strict=True))]
    return order


def equal(first, second):
    return np.array_equal(first.rows, second.rows) and np.array_equal(first.classes, second.classes)


@given(
    classes=class_rows(),
    batch_size=st.integers(1, 50),
    seed=seeds,
    mix=mixes,
    replacement=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_a_batch_is_a_function_of_its_numbers_alone(
    classes, batch_size, seed, mix, replacement, order
):
    options = {"seed": seed, "mix": mix, "replacement": replacement, "steps": 5}
    first = Sampler(classes, batch_size, **options)
    places = [(epoch, step) for epoch in range(3) for step in range(5)]
    expected = {place: first.draw(*place) for place in places}
    copied = pickle.loads(pickle.dumps(first))  # noqa: S301  # a copy of our own making
    for sampler in (first, Sampler(classes, batch_size, **options), copied):
        order.shuffle(places)
        assert all(equal(sampler.draw(*place), expected[place]) for place in places)


@given(classes=class_rows(), batch_size=st.integers(1, 60), seed=seeds, mix=mixes)
def test_cases_differ_by_at_most_one_draw_at_any_point(classes, batch_size, seed, mix):
    sampler = Sampler(classes, batch_size, seed=seed, mix=mix, steps=4)
    counts = [Counter(dict.fromkeys(one.rows.tolist(), 0)) for one in classes]
    for epoch in range(4):
        for step in range(4):
            draw = sampler.draw(epoch, step)
            shares = sampler.shares.at(epoch * 4 + step)
            assert np.bincount(draw.classes, minlength=len(classes)).tolist() == list(shares)
            assert draw.rows.dtype == draw.classes.dtype == np.int64
            for k, row in zip(draw.classes.tolist(), draw.rows.tolist(), strict=True):
                assert row in counts[k]
                counts[k][row] += 1
            for tally in counts:
                assert max(tally.values()) - min(tally.values()) <= 1


@given(one=lone, seed=seeds, mix=mixes)
def test_a_cycle_shows_each_case_once(one, seed, mix):
    for cycle in cycles(one, 3, seed=seed, mix=mix):
        assert sorted(cycle) == one.rows.tolist()


@given(one=lone, seed=seeds, mix=mixes)
def test_the_order_is_the_one_the_docstring_tells(one, seed, mix):
    told = [told_cycle(one, cycle, seed=seed, mix=mix) for cycle in range(3)]
    assert cycles(one, 3, seed=seed, mix=mix) == told


@pytest.mark.parametrize("mix", [1, 2, 4, "all"])
def test_a_far_epoch_follows_the_same_rule(mix):
    # The last epoch of all: its positions no longer fit one word of the counter.
    one = ClassRows(name="far", rows=np.delete(np.arange(45), [3, 4, 9, 30]), chunk=3)
    size, epoch = len(one.rows), 2**63 - 1
    sampler = Sampler([one], 1, steps=size, seed=5, mix=mix)
    rows = [int(sampler.draw(epoch, step).rows[0]) for step in range(size)]
    assert rows == told_cycle(one, epoch, seed=5, mix=mix)


@given(one=lone, seed=seeds)
def test_mix_of_one_keeps_the_rows_of_a_chunk_together(one, seed):
    for cycle in cycles(one, 2, seed=seed, mix=1):
        chunks = [chunk for chunk, _ in groupby(cycle, key=lambda row: row // one.chunk)]
        assert len(chunks) == len(set(chunks))


@given(classes=class_rows(), seed=seeds, mix=mixes, span=st.integers(1, 70))
def test_neither_memo_size_nor_span_changes_a_draw(classes, seed, mix, span):
    plain = Sampler(classes, 20, seed=seed, mix=mix, steps=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "_SPAN", span)
        patch.setattr(streams, "_KEPT", 1)
        other = Sampler(classes, 20, seed=seed, mix=mix, steps=3)
        places = [(epoch, step) for epoch in range(3) for step in range(3)]
        assert all(equal(plain.draw(*place), other.draw(*place)) for place in reversed(places))


def test_a_batch_may_be_cut_into_parts_that_stay_mixed():
    sampler = Sampler(rows_of([600, 250, 100, 50]), 128)
    halves = [np.bincount(sampler.draw(0, s).classes[:64], minlength=4) for s in range(19)]
    # 64 of 128 without replacement: mean 16, standard deviation 3.5 (hypergeometric).
    assert np.abs(np.mean(halves, axis=0) - 16).max() < 4 * 3.5 / 19**0.5
    assert np.std(halves) > 1


def test_all_reaches_every_order_equally_often():
    one = ClassRows(name="four", rows=np.array([0, 1, 2, 9]), chunk=2)
    for mix in ("all", 3, 99):
        orders = Counter(map(tuple, cycles(one, 4800, seed=11, mix=mix)))
        assert len(orders) == 24
        assert chisquare(list(orders.values())).pvalue > 1e-4


@pytest.mark.parametrize("mix", [1, 2, "all"])
def test_every_row_comes_first_equally_often(mix):
    # Chunks of equal size, or else a small chunk's rows come first more often with small windows.
    one = ClassRows(name="even", rows=np.array([0, 1, 2, 3, 8, 9, 10, 11, 16, 17]), chunk=2)
    firsts = Counter(cycle[0] for cycle in cycles(one, 3000, seed=3, mix=mix))
    assert len(firsts) == 10
    assert chisquare(list(firsts.values())).pvalue > 1e-4


def test_places_in_the_batch_are_uniform():
    sampler = Sampler(rows_of([5, 5]), 10, steps=3000)
    places = Counter(int(np.flatnonzero(sampler.draw(0, s).rows == 3)[0]) for s in range(3000))
    # Row 3 of either class, whichever comes first: place p has weight 9 - p of 45.
    expected = [3000 * (9 - p) / 45 for p in range(9)]
    assert chisquare([places[p] for p in range(9)], expected).pvalue > 1e-4


def test_replacement_is_uniform_and_independent():
    one = ClassRows(name="odd", rows=np.array([3, 4, 10, 11, 29]), chunk=4)
    sampler = Sampler([one], 64, steps=400, replacement=True, seed=8)
    rows = np.concatenate([sampler.draw(0, step).rows for step in range(400)])
    assert set(rows.tolist()) == set(one.rows.tolist())
    assert chisquare(np.unique(rows, return_counts=True)[1]).pvalue > 1e-4
    single = Sampler([one], 1, steps=20_000, replacement=True, seed=8)
    rows = [int(single.draw(0, step).rows[0]) for step in range(20_000)]
    assert len(pairs := Counter(pairwise(rows))) == 25
    assert chisquare(list(pairs.values())).pvalue > 1e-4


@given(one=lone, seed=seeds, batch_size=st.integers(1, 30))
def test_replacement_does_not_depend_on_how_the_stream_is_cut(one, seed, batch_size):
    sampler = Sampler([one], batch_size, steps=3, seed=seed, replacement=True)
    for step in range(3):
        told = [
            int(one.rows[word(seed, 3, 0, step * batch_size + i) % len(one.rows)])
            for i in range(batch_size)
        ]
        assert sorted(sampler.draw(0, step).rows.tolist()) == sorted(told)


def test_stored_order_runs_class_by_class_and_every_epoch_is_alike():
    classes = [
        ClassRows(name="gaps", rows=np.array([0, 1, 5]), chunk=4),
        ClassRows(name="full", rows=np.arange(4), chunk=2),
    ]
    sampler = Sampler(classes, 4, shuffle=False, seed=7)
    assert sampler.steps == 2
    for epoch in (0, 1, 9):
        first, second = (sampler.draw(epoch, step) for step in range(2))
        assert first.classes.tolist() == second.classes.tolist() == [0, 0, 1, 1]
        assert first.rows.tolist() == [0, 1, 0, 1]
        assert second.rows.tolist() == [5, 0, 2, 3]


def test_seeds_epochs_steps_and_classes_have_different_orders():
    draws = [
        tuple(Sampler(rows_of([64]), 64, seed=seed, steps=2).draw(epoch, step).rows.tolist())
        for seed in (0, 1, 2**63 - 1)
        for epoch in (0, 1)
        for step in (0, 1)
    ]
    assert len(set(draws)) == len(draws)
    twins = Sampler(rows_of([64, 64]), 128, mix="all", steps=1)
    draw = twins.draw(0, 0)
    first, second = (draw.rows[draw.classes == k].tolist() for k in (0, 1))
    assert first != second


@given(sizes=st.lists(st.integers(1, 90), min_size=1, max_size=4), batch_size=st.integers(1, 40))
def test_the_longest_epoch_shows_every_case_once_on_average(sizes, batch_size):
    sampler = Sampler(rows_of(sizes), batch_size)
    shown = [share * sampler.steps for share in sampler.shares.exact]
    assert all(n >= size for n, size in zip(shown, sizes, strict=True))
    fewer = [share * (sampler.steps - 1) for share in sampler.shares.exact]
    assert any(n < size for n, size in zip(fewer, sizes, strict=True))


def test_the_four_folders_of_the_design_take_19_steps():
    sampler = Sampler(rows_of([600, 250, 100, 50]), 128)
    assert sampler.steps == 19
    assert sampler.shares.at(5) == (32, 32, 32, 32)
    assert repr(sampler) == (
        "Sampler(batch_size=128, steps=19, seed=0, shuffle=True, replacement=False, mix=4; cases "
        "of a class in a batch: class-0 32 of 600, class-1 32 of 250, class-2 32 of 100, "
        "class-3 32 of 50)"
    )


def test_a_class_of_weight_zero_stays_out_and_may_be_empty():
    sampler = Sampler(rows_of([9, 0, 5]), 8, weights=[1, 0, 3])
    assert sampler.steps == 5
    assert all(1 not in sampler.draw(0, step).classes for step in range(5))
    for options in ({"shuffle": False}, {"replacement": True}):
        draw = Sampler(rows_of([9, 0, 5]), 8, weights=[1, 0, 3], **options).draw(0, 0)
        assert 1 not in draw.classes


def test_a_million_cases_are_drawn_in_any_order():
    one = ClassRows(name="many", rows=np.arange(0, 2_000_000, 2), chunk=32)
    for mix in (4, "all"):
        sampler = Sampler([one], 100_000, mix=mix)
        rows = np.concatenate(
            [sampler.draw(0, step).rows for step in (7, 0, 9, 1, 8, 2, 6, 3, 5, 4)]
        )
        assert np.array_equal(np.sort(rows), one.rows)


def test_threads_agree():
    places = [(epoch, step) for epoch in range(6) for step in range(19)]
    alone = Sampler(rows_of([600, 250, 100, 50]), 128)
    expected = [alone.draw(*place) for place in places]
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(8) as pool:
        patch.setattr(streams, "_KEPT", 1)
        shared = Sampler(rows_of([600, 250, 100, 50]), 128)
        drawn = list(pool.map(lambda place: shared.draw(*place), places))
    assert all(map(equal, drawn, expected))


def test_later_changes_of_the_rows_that_were_given_change_nothing():
    rows = np.arange(10)
    sampler = Sampler([ClassRows(name="own", rows=rows, chunk=4)], 10)
    rows[:] = 77
    assert sorted(sampler.draw(0, 0).rows.tolist()) == list(range(10))
    with pytest.raises(ValueError, match="read-only"):
        sampler.classes[0].rows[0] = 1


def test_unsigned_rows_are_rows():
    one = ClassRows(name="unsigned", rows=np.array([1, 4], np.uint32), chunk=2)
    assert sorted(Sampler([one], 2).draw(0, 0).rows.tolist()) == [1, 4]


def test_a_sample_generator_is_a_function_of_its_four_numbers():
    base = (1, 2, 3, 4)
    others = [(*base[:i], 9, *base[i + 1 :]) for i in range(4)] + [(4, 3, 2, 1)]
    first = sample_generator(*base).random(5)
    assert np.array_equal(first, sample_generator(*base).random(5))
    assert all(not np.array_equal(first, sample_generator(*other).random(5)) for other in others)
    with pytest.raises(OptionError, match=r"epoch: got -1.*\nposition: got 1.5"):
        sample_generator(0, -1, 0, 1.5)


def test_no_two_purposes_share_a_word():
    taken = [
        word(4, purpose, index, place)
        for purpose in range(1, 4)
        for index in range(3)
        for place in range(40)
    ]
    batch = np.random.Philox(key=[4, 4], counter=[0, 0, 0, 0]).random_raw(40).tolist()
    sample = sample_generator(4, 0, 0, 0).bit_generator.random_raw(40).tolist()
    assert len(set(taken + batch + sample)) == len(taken) + 80


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "batch_size: got 0"),
        (
            {"steps": 0},
            "steps: got 0, expected a whole number .* or one of longest, .*; pass",
        ),
        ({"steps": 1.5}, "steps: got 1.5"),
        ({"seed": -1}, "seed: got -1, expected a whole number from 0 to below"),
        ({"seed": 2**63}, "seed: got 9223372036854775808"),
        ({"mix": 0}, 'mix: got 0, .* or "all"; pass'),
        ({"mix": "some"}, "mix: got 'some'"),
        ({"weights": [1]}, r"weights: got 1, expected one for each of the 2 classes \(class-0, c"),
        ({"weights": [1, -1]}, r"weights\[1\]: got -1"),
        ({"weights": [0, 0]}, "weights: got all 0"),
        ({"replacement": True, "shuffle": False}, "replacement: got True with shuffle=False"),
        ({"classes": []}, "classes: got none, expected at least one"),
        ({"classes": rows_of([3, 0])}, r"class-1\) rows: got none with weight 1, expected a case"),
        ({"classes": rows_of([3], chunk=0)}, r"classes\[0\] \(class-0\) chunk: got 0"),
    ],
)
def test_what_cannot_be_is_refused(options, words):
    arguments = {"classes": rows_of([3, 3]), "batch_size": 4} | options
    with pytest.raises(OptionError, match=words):
        Sampler(arguments.pop("classes"), arguments.pop("batch_size"), **arguments)


@pytest.mark.parametrize("rows", [[3, 1], [1, 1], [-1, 2], [[1, 2]], [0.5, 1.5]])
def test_rows_have_to_be_ascending_row_numbers(rows):
    with pytest.raises(OptionError, match=r"classes\[0\] \(odd\) rows: got .*, expected"):
        Sampler([ClassRows(name="odd", rows=np.array(rows), chunk=2)], 1)


def test_all_problems_are_told_at_once():
    with pytest.raises(OptionError) as caught:
        Sampler(rows_of([3], chunk=0), 0, weights=[-1], steps=0, seed=-1, mix=0)
    assert len(str(caught.value).splitlines()) == 6


def test_a_step_or_epoch_outside_is_refused():
    sampler = Sampler(rows_of([8]), 4)
    for step in (-1, 2):
        with pytest.raises(IndexError, match=f"step: got {step}, expected 0 to 1"):
            sampler.draw(0, step)
    for epoch in (-1, 0.0, 2**63):
        with pytest.raises(OptionError, match="epoch: got"):
            sampler.draw(epoch, 0)


# Literal draws: whoever changes one breaks every training run that is to be repeated or resumed.
GOLDEN = {
    "window": ({"mix": 1}, (0, 0), [0, 0, 1, 1, 0, 0, 1, 0, 1], [1, 2, 2, 1, 0, 5, 4, 21, 1]),
    "late": ({"mix": 2}, (3, 2), [0, 1, 0, 1, 0, 1, 0, 1, 0], [8, 1, 5, 2, 1, 1, 0, 4, 20]),
    "all": ({"mix": "all"}, (2**40, 1), [1, 1, 0, 1, 1, 0, 0, 0, 1], [4, 1, 2, 1, 2, 5, 8, 1, 2]),
    "weighted": (
        {"weights": [1, 2.5]},
        (1, 3),
        [0, 1, 1, 1, 0, 1, 1, 1, 0],
        [0, 2, 1, 4, 20, 4, 1, 2, 7],
    ),
    "replacement": (
        {"replacement": True},
        (1, 1),
        [1, 1, 1, 1, 0, 0, 0, 0, 1],
        [4, 2, 4, 2, 0, 1, 7, 1, 4],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_streams_never_change(name):
    options, place, classes, rows = GOLDEN[name]
    one = [
        ClassRows(name="gaps", rows=np.array([0, 1, 2, 5, 6, 7, 8, 15, 20, 21]), chunk=3),
        ClassRows(name="few", rows=np.array([1, 2, 4]), chunk=2),
    ]
    draw = Sampler(one, 9, seed=2024, steps=4, **options).draw(*place)
    assert draw.classes.tolist() == classes
    assert draw.rows.tolist() == rows


def test_the_generators_of_samples_never_change():
    words = sample_generator(2024, 1, 2, 3).bit_generator.random_raw(3).tolist()
    assert words == [13809054557601073248, 15957665515425692807, 1962113504887004369]


def test_steps_by_name():
    # 32 of each class in a batch: 600 cases need 18.75 batches, 50 need 1.6, 1000 of 128 7.8.
    classes = rows_of([600, 250, 100, 50])
    by_name = {name: Sampler(classes, 128, steps=name).steps for name in LENGTHS}
    assert by_name == {None: 19, "longest": 19, "shortest": 2, "total": 8}


def test_steps_by_name_leave_out_what_weight_0_leaves_out():
    classes = rows_of([600, 250, 100, 50])
    weights = [0, 1, 1, 0]
    by_name = {name: Sampler(classes, 50, weights=weights, steps=name).steps for name in LENGTHS}
    assert by_name == {None: 10, "longest": 10, "shortest": 4, "total": 7}


def test_a_name_that_steps_does_not_have():
    with pytest.raises(
        OptionError, match=r"steps: got 'most', expected .* longest, shortest, total"
    ):
        Sampler(rows_of([4]), 2, steps="most")
