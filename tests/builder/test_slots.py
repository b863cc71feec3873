"""Slots: cases stay where they are, and a change costs one shard."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from niicache_builder.slots import assign_slots, hashed_order

NAMES = st.sets(st.integers(0, 30).map("case{}".format), max_size=20)
SIZE = st.integers(1, 5)


@st.composite
def histories(draw: st.DrawFn) -> tuple[tuple[str, ...], int]:
    """Draw slots as a few builds after one another leave them, with vacancies in between."""
    size = draw(SIZE)
    slots: tuple[str, ...] = ()
    for _ in range(draw(st.integers(1, 4))):
        slots = assign_slots(draw(NAMES), before=slots, shard_cases=size)
    return slots, size


def dirty(before: tuple[str, ...], after: tuple[str, ...], size: int) -> set[int]:
    """Return the shards of ``after`` that hold something else than before."""
    count = -(-len(after) // size)
    return {
        i
        for i in range(count)
        if before[i * size : (i + 1) * size] != after[i * size : (i + 1) * size]
    }


@given(histories(), NAMES, NAMES)
def test_each_case_once_and_kept_ones_never_move(
    history: tuple[tuple[str, ...], int], names: set[str], changed: set[str]
) -> None:
    before, size = history
    after = assign_slots(names, before=before, changed=changed & names, shard_cases=size)
    assert sorted(filter(None, after)) == sorted(names)
    assert not after or after[-1]
    for slot, name in enumerate(before):
        if name in names:
            assert after[slot] == name


@given(histories(), NAMES)
def test_vacancies_are_filled_before_the_array_grows(
    history: tuple[tuple[str, ...], int], names: set[str]
) -> None:
    before, size = history
    after = assign_slots(names, before=before, shard_cases=size)
    if len(after) > len(before):
        assert "" not in after


@given(histories())
def test_nothing_changed_nothing_moves(history: tuple[tuple[str, ...], int]) -> None:
    before, size = history
    assert assign_slots(filter(None, before), before=before, shard_cases=size) == before


@given(histories(), st.data())
def test_one_case_costs_one_shard(
    history: tuple[tuple[str, ...], int], data: st.DataObject
) -> None:
    before, size = history
    held = set(filter(None, before))
    added = assign_slots({*held, "new"}, before=before, shard_cases=size)
    assert len(dirty(before, added, size)) == 1
    if held:
        gone = data.draw(st.sampled_from(sorted(held)))
        removed = assign_slots(held - {gone}, before=before, shard_cases=size)
        lost = -(-len(before) // size) - -(-len(removed) // size)
        assert len(dirty(before, removed, size)) <= 1
        assert lost or len(dirty(before, removed, size)) == 1


@given(histories(), st.data())
def test_a_new_case_joins_a_shard_that_is_written_anyway(
    history: tuple[tuple[str, ...], int], data: st.DataObject
) -> None:
    before, size = history
    held = sorted(filter(None, before))
    if not held:
        return
    changed = data.draw(st.sampled_from(held))
    shard = before.index(changed) // size
    after = assign_slots({*held, "new"}, before=before, changed=[changed], shard_cases=size)
    if "" in before[shard * size : (shard + 1) * size]:
        assert after.index("new") // size == shard


@given(NAMES, st.randoms(use_true_random=False), SIZE)
def test_a_first_build_does_not_care_how_names_come(
    names: set[str], rng: object, size: int
) -> None:
    shuffled = sorted(names)
    rng.shuffle(shuffled)
    assert assign_slots(shuffled, shard_cases=size) == assign_slots(names, shard_cases=size + 1)
    assert list(assign_slots(shuffled, shard_cases=size)) == hashed_order(names)


def test_neighbours_in_the_source_are_none_in_the_cache() -> None:
    names = [f"case{i:03}" for i in range(100)]
    order = hashed_order(names)
    numbers = [names.index(name) for name in order]
    assert sum(abs(a - b) == 1 for a, b in itertools.pairwise(numbers)) < 10
