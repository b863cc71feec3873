"""Batches are filled with the cases that were drawn, by any number of threads alike."""

from __future__ import annotations

import gc
import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import counts_reads, make_cache, reads_of, write_source
from hypothesis import given, settings
from hypothesis import strategies as st

from niicache import decoding, open_cache, shards
from niicache.batch import Filler
from niicache.chunks import ChunkReader
from niicache.claims import Wanted
from niicache.gathering import plan_gathering
from niicache.hot import HotChunks
from niicache.kernels import CRC, FD, OFFSET, PROVEN, TARGET

CACHES = ["vector", "mask", "volume", "sharded"]
LARGE = 2**26


@pytest.fixture(params=CACHES)
def cache(request):
    return open_cache(request.getfixturevalue(f"{request.param}_cache"))


def drawn(cache, size, seed=0):
    """Return (classes, rows) of random cases."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, len(cache), size)
    views = list(cache)
    return classes, np.array([rng.choice(views[number].rows) for number in classes], np.int64)


def one_by_one(cache, classes, rows, half="image"):
    views = list(cache)
    samples = [
        views[number][views[number].slot_names[row]]
        for number, row in zip(classes, rows, strict=True)
    ]
    return np.stack([getattr(sample, half) for sample in samples])


def filler_of(memory=0, **options):
    return Filler(memory=memory, **{"store": HotChunks(), **options})


def plan_of(cache, classes, rows, half="image", again=1):
    readers = [getattr(view, half) for view in cache]
    return plan_gathering(readers, classes, rows, np.full(len(rows), again), np.arange(len(rows)))


def fill(filler, cache, classes, rows, half="image", dtype="float32"):
    """Return a batch, and what is wrong."""
    plan = plan_of(cache, classes, rows, half)
    out = np.full((len(rows), *plan.chunks[0][0].layout.shape), 77, dtype)
    return out, filler.fill(plan, out)


def sound(filler, cache, classes, rows, half="image", dtype="float32"):
    out, damage = fill(filler, cache, classes, rows, half, dtype)
    assert not damage
    return out


@pytest.fixture
def jobs(monkeypatch):
    """Return the jobs that chunks were decoded by, as they come."""
    done = []
    read = decoding.read_chunks

    def counted(table, scratch, *, compressed):
        done.extend(table.tolist())
        return read(table, scratch, compressed=compressed)

    monkeypatch.setattr(decoding, "read_chunks", counted)
    return done


def places(jobs):
    return [(job[FD], job[OFFSET]) for job in jobs]


@st.composite
def samples(draw):
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    sample = st.tuples(
        st.integers(0, len(sizes) - 1), st.integers(0, 60), st.integers(0, 9), st.integers(0, 99)
    )
    return sizes, draw(st.lists(sample, min_size=1, max_size=40))


@given(samples())
def test_a_plan_covers_every_sample_once_and_every_chunk_once(drawing):
    sizes, pairs = drawing
    classes, rows, again, slots = np.array(pairs, np.int64).T
    readers = [SimpleNamespace(layout=SimpleNamespace(chunk=(size, 3))) for size in sizes]
    plan = plan_gathering(readers, classes, rows, again, slots)
    numbers = {id(reader): number for number, reader in enumerate(readers)}
    chunks = [(numbers[id(reader)], number) for reader, number in plan.chunks]
    assert len(set(chunks)) == len(chunks) == len(plan.again)
    assert set(plan.which.tolist()) == set(range(len(chunks)))
    latest = {}
    for i, (number, row, steps, slot) in enumerate(pairs):
        chunk = chunks[plan.which[i]]
        assert chunk == (number, row // sizes[number])
        assert plan.rows[i] == row % sizes[number]
        assert plan.slots[i] == slot
        latest[chunk] = max(latest.get(chunk, 0), steps)
    assert plan.again == tuple(latest[chunk] for chunk in chunks)


@pytest.mark.parametrize("memory", [0, 5000, LARGE])
@pytest.mark.parametrize("dtype", ["float32", "float16", "stored"])
@pytest.mark.parametrize("half", ["image", "label"])
def test_a_batch_equals_reading_case_by_case(cache, half, dtype, memory):
    classes, rows = drawn(cache, 50)
    want = one_by_one(cache, classes, rows, half)
    dtype = want.dtype if dtype == "stored" else dtype
    filler = filler_of(memory)
    for _ in range(2):  # the second finds what the first has kept or proven
        got = sound(filler, cache, classes, rows, half, dtype)
        np.testing.assert_array_equal(got, want.astype(dtype))
    assert filler.store.nbytes <= memory


@pytest.mark.parametrize("name", CACHES)
@settings(max_examples=12)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    memory=st.sampled_from([0, 5000, LARGE]),
    check=st.sampled_from(["first", "always"]),
)
def test_any_batches_one_after_the_other(request, name, sizes, memory, check):
    cache = open_cache(request.getfixturevalue(f"{name}_cache"))
    filler = filler_of(memory, check=check)
    for seed, size in enumerate(sizes):
        classes, rows = drawn(cache, size, seed)
        got = sound(filler, cache, classes, rows)
        np.testing.assert_array_equal(got, one_by_one(cache, classes, rows).astype("float32"))


@pytest.mark.parametrize("memory", [0, 5000, LARGE])
def test_threads_fill_alike_and_decode_each_chunk_once_where_there_is_room(cache, jobs, memory):
    draws = [drawn(cache, 40, seed) for seed in range(6)]
    want = [one_by_one(cache, *draw).astype("float32") for draw in draws]
    filler = filler_of(memory, check="always")
    gate = threading.Barrier(6)

    def work(draw):
        gate.wait()
        return sound(filler, cache, *draw)

    with ThreadPoolExecutor(6) as pool:
        for got, judge in zip(pool.map(work, draws), want, strict=True):
            np.testing.assert_array_equal(got, judge)
    if memory == LARGE:
        assert max(Counter(places(jobs)).values()) == 1
    assert filler.store.nbytes <= memory


def test_a_chunk_in_memory_is_not_read_again(vector_cache, jobs):
    cache = open_cache(vector_cache)
    classes, rows = drawn(cache, 40)
    filler = filler_of(LARGE)
    first = sound(filler, cache, classes, rows)
    count = len({(k, row // 4) for k, row in zip(classes, rows, strict=True)})
    assert len(filler.store) == len(jobs) == count
    np.testing.assert_array_equal(sound(filler, cache, classes, rows), first)
    assert len(jobs) == count
    filler.close()
    assert len(filler.store) == 0
    np.testing.assert_array_equal(sound(filler, cache, classes, rows), first)
    assert len(jobs) == 2 * count


@pytest.mark.parametrize(("half", "dtype"), [("image", "float32"), ("label", "uint8")])
def test_a_chunk_of_one_case_is_decoded_into_the_batch(mask_source, tmp_path, jobs, half, dtype):
    cache = open_cache(make_cache(mask_source, tmp_path / "cache", chunk=(1,)))
    classes, rows = drawn(cache, 20)
    want = one_by_one(cache, classes, rows, half)
    assert want.dtype == dtype
    inside = {}
    for memory, kind in [(0, dtype), (LARGE, dtype), (0, "float64")]:
        jobs.clear()
        plan = plan_of(cache, classes, rows, half)
        out = np.full(want.shape, 77, kind)
        assert not filler_of(memory).fill(plan, out)
        np.testing.assert_array_equal(out, want)  # 20 of 14 cases: some twice
        low, high = np.lib.array_utils.byte_bounds(out)
        inside[memory, kind] = {low <= job[TARGET] < high for job in jobs}
    # Memory of its own where the chunk is kept, or is of another dtype.
    assert inside == {(0, dtype): {True}, (LARGE, dtype): {False}, (0, "float64"): {False}}


def shard_of(path, name):
    return next(file for file in sorted((path / name / "image").rglob("0")) if file.is_file())


def spoil(path):
    """Invert every bit of the first half of a file, in place: whoever has it open sees that."""
    size = path.stat().st_size // 2
    with path.open("r+b") as file:
        data = bytes(255 - byte for byte in file.read(size))
        file.seek(0)
        file.write(data)


@pytest.mark.parametrize("check", ["first", "always"])
def test_uncompressed_cases_are_proven_once_or_always(copy_of, sharded_cache, jobs, check):
    path = copy_of(sharded_cache)
    cache = open_cache(path)
    rows = np.arange(8)
    classes = np.zeros(8, np.int64)
    filler = filler_of(check=check)
    want = sound(filler, cache, classes, rows)
    assert len(jobs) == 4
    np.testing.assert_array_equal(sound(filler, cache, classes, rows), want)
    assert len(jobs) == (4 if check == "first" else 8)
    spoil(shard_of(path, "axial"))
    out, damage = fill(filler, cache, classes, rows)
    if check == "always":
        assert 0 in damage
        assert damage[0].problems[0].class_name == "axial"
    else:
        assert not damage
        assert len(jobs) == 4
        assert not np.array_equal(out, want)  # straight from the file, as the option says


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "float16"])
def test_cases_straight_from_the_file_are_the_same(sharded_cache, jobs, dtype):
    cache = open_cache(sharded_cache)
    classes, rows = drawn(cache, 60)
    filler = filler_of()
    want = one_by_one(open_cache(sharded_cache), classes, rows).astype(dtype)
    for _ in range(3):
        np.testing.assert_array_equal(sound(filler, cache, classes, rows, dtype=dtype), want)
        chunks = len({(k, row // 2) for k, row in zip(classes, rows, strict=True)})
        assert len(jobs) == chunks  # those that prove them


def test_what_is_kept_in_memory_is_proven_whenever_it_is_read(volume_source, tmp_path, jobs):
    path = make_cache(volume_source, tmp_path / "cache", chunk=(1, 8, 8, 8), codec="none")
    cache = open_cache(path)
    classes, rows = np.array([0, 1]), np.array([0, 1])
    sound(filler_of(), cache, classes, rows)  # proves
    for memory, trusted in [(0, True), (LARGE, False)]:
        jobs.clear()
        sound(filler_of(memory), cache, classes, rows)
        assert {job[CRC] == PROVEN for job in jobs} == {trusted}


@counts_reads
@pytest.mark.parametrize("codec", ["none", "fast"])
def test_the_blocks_of_a_case_are_one_read(volume_source, tmp_path, jobs, codec):
    path = make_cache(volume_source, tmp_path / "cache", chunk=(1, 8, 8, 8), codec=codec)
    cache = open_cache(path)
    classes, rows = np.array([0, 1, 0]), np.array([0, 1, 2])
    want = one_by_one(cache, classes, rows).astype("float32")
    blocks = cache.manifest.recipe.image.blocks
    assert blocks > 10
    filler = filler_of()
    sound(filler, cache, classes, rows)  # opens shards and proves
    jobs.clear()
    out = []
    assert reads_of(lambda: out.append(sound(filler, cache, classes, rows))) == 3
    np.testing.assert_array_equal(out[0], want)
    assert len(set(places(jobs))) == len(jobs) == 3 * blocks
    assert all((job[CRC] == PROVEN) == (codec == "none") for job in jobs)


def test_a_proven_chunk_whose_file_ends_early_is_looked_at_again(copy_of, sharded_cache):
    path = copy_of(sharded_cache)
    cache = open_cache(path)
    classes, rows = np.zeros(8, np.int64), np.arange(8)
    filler = filler_of()
    want = sound(filler, cache, classes, rows)
    size = cache["axial"].image.case_nbytes
    with shard_of(path, "axial").open("r+b") as file:
        file.truncate(5 * size)
    out, damage = fill(filler, cache, classes, rows)
    assert sorted(damage) == [2, 3]
    np.testing.assert_array_equal(out[:4], want[:4])


def test_a_rebuild_never_mixes_into_what_is_open(tmp_path, monkeypatch):
    # With more shards than may be open, a proven chunk's file is opened again: another by then.
    monkeypatch.setattr(shards, "open_limit", lambda: 1)
    source, path = tmp_path / "source", tmp_path / "cache"

    def build(seed):
        shutil.rmtree(source, ignore_errors=True)
        shape = {"low": (6, 6), "high": (6, 6), "dtype": "int16", "labels": "folder"}
        write_source(source, {"a": 8, "b": 8}, **shape, seed=seed)
        make_cache(source, path, shards=4, chunk=(2,), codec="none")

    build(0)
    cache = open_cache(path)
    classes, rows = np.divmod(np.arange(16), 8)
    filler = filler_of()
    first = sound(filler, cache, classes, rows)
    build(1)
    assert not np.array_equal(sound(filler_of(), open_cache(path), classes, rows), first)
    np.testing.assert_array_equal(sound(filler, cache, classes, rows), first)


@pytest.mark.parametrize("memory", [0, LARGE])
def test_damage_is_told_by_position_and_other_samples_are_right(copy_of, cache, memory):
    name = cache.classes[1]
    want_cache = cache
    cache = open_cache(copy_of(cache.path))
    spoil(shard_of(cache.path, name))
    for view in reversed(list(cache)):
        view.image.locate(0)  # so that descriptors do not rise with the classes
    classes, rows = drawn(cache, 60)
    want = one_by_one(want_cache, classes, rows).astype("float32")
    filler = filler_of(memory)
    for _ in range(2):
        plan = plan_of(cache, classes, rows)
        out = np.full(want.shape, 77, "float32")
        damage = filler.fill(plan, out)
        assert damage
        lost = np.isin(plan.which, list(damage))
        assert set(classes[lost].tolist()) == {1}
        np.testing.assert_array_equal(out[~lost], want[~lost])
        for position, error in damage.items():
            reader, number = plan.chunks[position]
            assert error.problems  # one a block
            for problem in error.problems:
                assert (problem.class_name, problem.code) == (name, "damaged")
                first = want_cache[name].slot_names[number * reader.layout.chunk[0]]
                assert first in problem.case.split(", ")
        assert all(kept.ready for kept in filler.store._kept.values())


def test_an_interrupt_gives_back_what_was_claimed(vector_cache, monkeypatch):
    cache = open_cache(vector_cache)
    classes, rows = drawn(cache, 30)
    filler = filler_of(LARGE)

    def interrupted(*_arguments, **_options):
        assert len(filler.store) > 0  # claimed
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(decoding, "read_chunks", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fill(filler, cache, classes, rows)
    assert len(filler.store) == filler.store.nbytes == 0
    want = one_by_one(cache, classes, rows)
    np.testing.assert_array_equal(sound(filler, cache, classes, rows), want)


def abandoned(filler, plan):
    """Claim every chunk of a plan, as a thread that then vanished; return its memory."""
    filler.store.join(filler, LARGE)
    wanted = [Wanted(reader.key(n), reader.nbytes, 1) for reader, n in plan.chunks]
    claim = filler.store.claim(wanted, range(len(wanted)))
    assert len(claim.mine) == len(wanted)
    for piece in claim.mine.values():
        piece.array[:] = 0x55
    return {wanted[i].key: piece for i, piece in claim.mine.items()}


def test_the_claim_of_a_thread_that_vanished_is_taken_over(vector_cache, monkeypatch):
    monkeypatch.setattr(decoding, "PATIENCE_SECONDS", 0.05)
    cache = open_cache(vector_cache)
    classes, rows = drawn(cache, 30)
    want = one_by_one(cache, classes, rows)
    filler = filler_of(LARGE)
    lost = abandoned(filler, plan_of(cache, classes, rows))
    np.testing.assert_array_equal(sound(filler, cache, classes, rows), want)
    filler.store.settle(lost, lost)  # it was only slow, and what it has is of no effect
    np.testing.assert_array_equal(sound(filler, cache, classes, rows), want)
    assert not {id(piece) for piece in lost.values()} & {
        id(kept.piece) for kept in filler.store._kept.values()
    }


def test_what_is_handed_over_between_the_look_and_the_wait_is_not_waited_for(
    vector_cache, monkeypatch
):
    monkeypatch.setattr(decoding, "PATIENCE_SECONDS", 60.0)
    cache = open_cache(vector_cache)
    classes, rows = drawn(cache, 30)
    filler = filler_of(LARGE)
    plan = plan_of(cache, classes, rows)
    others = abandoned(filler, plan)
    claim = filler.store.claim

    def overtaken(*arguments, placed=()):
        made = claim(*arguments, placed=placed)
        filler.store.settle({}, others)
        return made

    monkeypatch.setattr(filler.store, "claim", overtaken)
    out = []
    thread = threading.Thread(
        target=lambda: out.append(sound(filler, cache, classes, rows)), daemon=True
    )
    thread.start()
    thread.join(4)
    waited = thread.is_alive()
    filler.store.settle({}, {})  # wakes it
    thread.join(10)
    assert not waited
    np.testing.assert_array_equal(out[0], one_by_one(cache, classes, rows))


def test_memory_is_kept_to_its_budget(vector_cache):
    cache = open_cache(vector_cache)
    filler = filler_of(20_000)
    for seed in range(5):
        fill(filler, cache, *drawn(cache, 40, seed))
        assert 0 < filler.store.nbytes <= 20_000


def test_a_filler_that_is_gone_leaves_its_memory(vector_cache):
    cache = open_cache(vector_cache)
    store = HotChunks()
    filler = Filler(memory=LARGE, store=store)
    fill(filler, cache, *drawn(cache, 40))
    assert store.nbytes > 0
    del filler
    gc.collect()
    assert store.nbytes == store.budget == 0


def test_filling_starts_no_thread(vector_cache):
    cache = open_cache(vector_cache)
    before = threading.active_count()
    fill(filler_of(LARGE), cache, *drawn(cache, 40))
    assert threading.active_count() == before


def test_sound_chunks_never_take_the_careful_way(cache, monkeypatch):
    classes, rows = drawn(cache, 40)
    want = one_by_one(cache, classes, rows)

    def careful(self, number, _out):
        raise AssertionError((self.class_name, number))

    monkeypatch.setattr(ChunkReader, "read", careful)
    np.testing.assert_array_equal(sound(filler_of(LARGE), cache, classes, rows), want)
