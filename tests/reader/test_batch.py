"""Batches are filled with the cases that were drawn, by any number of threads alike."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from niicache import batch, open_cache
from niicache.batch import Filler, plan_picks
from niicache.errors import DamageError

CACHES = ["vector", "mask", "volume"]


@pytest.fixture(params=CACHES)
def cache(request):
    return open_cache(request.getfixturevalue(f"{request.param}_cache"))


def drawn(cache, size, seed=0):
    """Return (classes, rows) of random cases."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, len(cache), size)
    views = list(cache)
    return classes, np.array([rng.choice(views[number].rows) for number in classes], np.int64)


def one_by_one(cache, classes, rows, half):
    views = list(cache)
    samples = [
        views[number][views[number].slot_names[row]]
        for number, row in zip(classes, rows, strict=True)
    ]
    return np.stack([getattr(sample, half) for sample in samples])


def filled(cache, classes, rows, half, dtype, **options):
    readers = [getattr(view, half) for view in cache]
    out = np.full((len(rows), *readers[0].layout.shape), 77, dtype)
    filler = Filler(**{"workers": 1, "memory": 0, **options})
    filler.fill(plan_picks(readers, classes, rows, out))
    filler.close()
    return out


@st.composite
def samples(draw):
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    sample = st.tuples(st.integers(0, len(sizes) - 1), st.integers(0, 60))
    return sizes, draw(st.lists(sample, min_size=1, max_size=40))


@given(samples())
def test_picks_cover_every_sample_once_and_every_chunk_once(drawing):
    sizes, pairs = drawing
    classes, rows = np.array(pairs, np.int64).T
    readers = [SimpleNamespace(layout=SimpleNamespace(chunk=(size, 3))) for size in sizes]
    out = np.empty((len(pairs), 3))
    picks = plan_picks(readers, classes, rows, out)
    numbers, found = {id(reader): number for number, reader in enumerate(readers)}, {}
    for pick in picks:
        assert pick.out is out
        number = numbers[id(pick.reader)]
        assert ((pick.rows >= 0) & (pick.rows < sizes[number])).all()
        for row, slot in zip(pick.rows.tolist(), pick.slots.tolist(), strict=True):
            assert slot not in found
            found[slot] = (number, pick.chunk * sizes[number] + row)
    assert found == dict(enumerate(pairs))
    assert len({(id(pick.reader), pick.chunk) for pick in picks}) == len(picks)


@pytest.mark.parametrize("dtype", ["float32", "float16", "stored"])
@pytest.mark.parametrize("half", ["image", "label"])
def test_a_batch_equals_reading_case_by_case(cache, half, dtype):
    classes, rows = drawn(cache, 50)
    want = one_by_one(cache, classes, rows, half)
    dtype = want.dtype if dtype == "stored" else dtype
    np.testing.assert_array_equal(filled(cache, classes, rows, half, dtype), want.astype(dtype))


@settings(max_examples=25)
@given(size=st.integers(1, 60), workers=st.integers(1, 6), memory=st.sampled_from([0, 5000, 2**24]))
def test_threads_and_memory_change_no_byte(vector_cache, size, workers, memory):
    cache = open_cache(vector_cache)
    classes, rows = drawn(cache, size, seed=size)
    want = filled(cache, classes, rows, "image", "float32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "PART_BYTES", 500)
        got = filled(cache, classes, rows, "image", "float32", workers=workers, memory=memory)
    assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_blocks_of_volumes_are_put_together_alike_by_any_number_of_threads(
    volume_cache, workers, monkeypatch
):
    monkeypatch.setattr(batch, "PART_BYTES", 1)
    cache = open_cache(volume_cache)
    classes, rows = drawn(cache, 30)
    want = one_by_one(cache, classes, rows, "image")
    for memory in (0, 3000, 2**26):
        got = filled(cache, classes, rows, "image", "int16", workers=workers, memory=memory)
        assert got.tobytes() == want.tobytes()


def test_a_chunk_in_memory_is_not_read_again(copy_of, vector_cache):
    path = copy_of(vector_cache)
    cache = open_cache(path)
    classes, rows = drawn(cache, 40)
    readers = [view.image for view in cache]
    filler = Filler(workers=1, memory=2**24)
    first, again = (np.empty((40, 16, 15, 3), "float32") for _ in range(2))
    filler.fill(plan_picks(readers, classes, rows, first))
    assert len(filler.hot) == len({(c, r // 4) for c, r in zip(classes, rows, strict=True)})
    for reader in readers:
        reader.read = None  # whoever reads now fails
    filler.fill(plan_picks(readers, classes, rows, again))
    np.testing.assert_array_equal(first, again)
    filler.close()
    assert len(filler.hot) == 0


def test_memory_is_kept_to_its_budget(vector_cache):
    cache = open_cache(vector_cache)
    filler = Filler(workers=1, memory=20_000)
    readers = [view.image for view in cache]
    for seed in range(5):
        classes, rows = drawn(cache, 40, seed)
        filler.fill(plan_picks(readers, classes, rows, np.empty((40, 16, 15, 3), "float32")))
        assert 0 < filler.hot.nbytes <= 20_000


def threads():
    return [one for one in threading.enumerate() if one.name.startswith("niicache")]


def test_small_batches_start_no_thread_and_closing_ends_every_one(vector_cache, monkeypatch):
    cache = open_cache(vector_cache)
    classes, rows = drawn(cache, 20)
    readers = [view.image for view in cache]
    out = np.empty((20, 16, 15, 3), "float32")
    before = len(threads())
    filler = Filler(workers=4, memory=0)
    filler.fill(plan_picks(readers, classes, rows, out))
    assert len(threads()) == before
    monkeypatch.setattr(batch, "PART_BYTES", 1)
    filler.fill(plan_picks(readers, classes, rows, out))
    assert before < len(threads()) <= before + 3
    filler.close()
    assert len(threads()) == before
    filler.fill(plan_picks(readers, classes, rows, out))  # closed is not broken
    filler.close()


@pytest.mark.parametrize("bad", range(6))
def test_an_error_in_any_thread_comes_out_after_all_have_ended(bad):
    filler, ended = Filler(workers=3, memory=0), []

    def work(items):
        for item in items:
            if item == bad:
                raise KeyError(item)
            time.sleep(0.002)
            ended.append(item)

    with pytest.raises(KeyError, match=str(bad)):
        filler.run(work, range(6), parts=6)
    now = list(ended)
    time.sleep(0.02)
    assert ended == now
    assert len(now) >= 4  # the other two threads' share
    filler.close()


@given(count=st.integers(0, 30), parts=st.integers(0, 9), workers=st.integers(1, 5))
@settings(max_examples=40)
def test_every_item_is_worked_on_once(count, parts, workers):
    filler, seen = Filler(workers=workers, memory=0), []
    filler.run(seen.extend, range(count), parts=parts)
    filler.close()
    assert sorted(seen) == list(range(count))


@pytest.mark.parametrize("workers", [1, 4])
def test_damage_comes_out_of_a_batch(copy_of, vector_cache, workers, monkeypatch):
    monkeypatch.setattr(batch, "PART_BYTES", 1)
    path = copy_of(vector_cache)
    (path / "coronal/image/c/0/0/0/0").unlink()
    cache = open_cache(path)
    with pytest.raises(DamageError, match=r"coronal.*niicache verify"):
        filled(cache, *drawn(cache, 30), "image", "float32", workers=workers)
