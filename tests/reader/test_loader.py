"""Draws become the images and labels that reading case by case gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from helpers import flip_bit

from niicache import open_cache, vectors
from niicache.batch import Filler
from niicache.chunks import some
from niicache.errors import DamageError
from niicache.hot import SHARED, HotChunks
from niicache.loader import Loader
from niicache.sampling import Draw

CACHES = ["vector", "mask", "folder", "volume", "sharded"]


@pytest.fixture(params=CACHES)
def cache(request):
    return open_cache(request.getfixturevalue(f"{request.param}_cache"))


def draw_of(cache, size=30, seed=0):
    """Return a draw of random cases, some of them twice."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, len(cache), size)
    views = list(cache)
    rows = np.array([rng.choice(views[k].occupied) for k in classes], np.int64)
    return Draw(classes=classes, rows=rows, again=rng.integers(1, 9, size))


def loader_of(cache, dtype="float32", memory=2**20, check="first"):
    return Loader(cache, dtype=np.dtype(dtype), memory=memory, check=check)


def one_by_one(cache, draw):
    views = list(cache)
    pairs = zip(draw.classes.tolist(), draw.rows.tolist(), strict=True)
    samples = [views[k][views[k].slot_names[row]] for k, row in pairs]
    return np.stack([one.image for one in samples]), np.stack([one.label for one in samples])


def bytes_of(batch):
    return [half.tobytes() for half in batch]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_batch_is_what_the_cases_are(cache, dtype):
    draw = draw_of(cache)
    images, labels = loader_of(cache, dtype).load(draw)
    want, told = one_by_one(cache, draw)
    assert images.dtype == dtype
    np.testing.assert_array_equal(images, want.astype(dtype))
    kind = cache.manifest.recipe.label_kind
    if kind == "folder":
        assert labels.dtype == dtype
        np.testing.assert_array_equal(labels, np.eye(len(cache))[draw.classes])
    elif kind == "mask":
        assert labels.dtype == told.dtype
        np.testing.assert_array_equal(labels, told)
    else:
        # 2049 is no number in half precision, so labels to be learned stay what they are.
        assert labels.dtype == (told.dtype if dtype == "float16" else dtype)
        np.testing.assert_array_equal(labels, told.astype(labels.dtype))


def test_vectors_too_many_for_memory_come_by_chunks_and_are_the_same(vector_cache, monkeypatch):
    cache = open_cache(vector_cache)
    small = loader_of(cache)
    assert small._vectors is not None
    monkeypatch.setattr(vectors, "MOST_BYTES", 10)
    large = loader_of(cache)
    assert large._vectors is None
    for seed in range(3):
        draw = draw_of(cache, seed=seed)
        assert bytes_of(large.load(draw)) == bytes_of(small.load(draw))


def test_a_batch_does_not_change_when_later_ones_are_made(cache):
    loader = loader_of(cache)
    draws = [draw_of(cache, seed=seed) for seed in range(6)]
    batches = [loader.load(draw) for draw in draws]
    before = [bytes_of(batch) for batch in batches]
    for draw in draws:
        loader.load(draw)
    assert [bytes_of(batch) for batch in batches] == before
    loader.close()
    assert [bytes_of(loader.load(draw)) for draw in draws] == before


def test_threads_make_the_same_batches(cache):
    draws = [draw_of(cache, seed=seed) for seed in range(8)]
    alone = [bytes_of(loader_of(cache, memory=0).load(draw)) for draw in draws]
    loader = loader_of(cache)
    with ThreadPoolExecutor(4) as pool:
        assert [bytes_of(one) for one in pool.map(loader.load, draws)] == alone


HALVES = {
    "image": [(1, "image")],
    "label": [(1, "label")],
    "both": [(1, "image"), (0, "label")],
}


@pytest.mark.parametrize("name", ["vector", "mask", "volume"])
@pytest.mark.parametrize("halves", HALVES)
@pytest.mark.parametrize("large", [False, True])
def test_damage_loses_its_samples_and_no_other(request, copy_of, monkeypatch, name, halves, large):
    monkeypatch.setattr(vectors, "MOST_BYTES", 0 if large else vectors.MOST_BYTES)
    sound = request.getfixturevalue(f"{name}_cache")
    path = copy_of(sound)
    names = [(open_cache(sound).classes[number], half) for number, half in HALVES[halves]]
    for class_name, half in names:
        files = sorted((path / class_name / half).rglob("0"))
        flip_bit(next(file for file in files if file.is_file()), 0.05)
    broken, whole = open_cache(path), open_cache(sound)
    draw = draw_of(whole)
    lost_cases = unreadable(broken, draw)
    assert lost_cases.any()
    loader = loader_of(broken)
    slots = np.random.default_rng(3).permutation(len(draw.rows))
    images, labels = loader.empty(draw)
    SHARED.clear()
    problems, lost = loader.fill(draw, slots, images, labels)
    np.testing.assert_array_equal(lost, lost_cases)
    assert {problem.class_name for problem in problems} == {one for one, _ in names}
    want = one_by_one(whole, draw)
    np.testing.assert_array_equal(images[slots][~lost], want[0][~lost])
    np.testing.assert_array_equal(labels[slots][~lost], want[1][~lost])
    with pytest.raises(DamageError) as caught:
        loader.load(draw)
    assert [replace(one, got="") for one in caught.value.problems] == [
        replace(one, got="") for one in problems
    ]
    # Of all cases of a chunk the message tells which were drawn.
    names = loader.names(draw, lost_cases)
    for told, plain in zip(caught.value.problems, problems, strict=True):
        held = plain.case.split(", ")
        drawn = sorted({case for owner, case in names if owner == plain.class_name} & {*held})
        assert drawn
        assert (told.got == plain.got) == (len(held) == 1)
        assert told.got.startswith(plain.got)
        shown = told.got.removeprefix(f"{plain.got}, needed for ")
        assert len(held) == 1 or shown == some(drawn)


def unreadable(cache, draw):
    views, bad = list(cache), []
    for k, row in zip(draw.classes.tolist(), draw.rows.tolist(), strict=True):
        try:
            views[k][views[k].slot_names[row]]
            bad.append(False)
        except DamageError:
            bad.append(True)
    return np.array(bad)


def test_names_are_those_of_the_samples(cache):
    draw = draw_of(cache)
    loader = loader_of(cache)
    names = loader.names(draw)
    views = list(cache)
    pairs = zip(draw.classes.tolist(), draw.rows.tolist(), strict=True)
    assert names == tuple((views[k].name, views[k].slot_names[row]) for k, row in pairs)
    assert loader.names(draw, np.array([4, 1])) == (names[4], names[1])
    picked = np.arange(len(draw.rows)) % 3 == 0
    assert loader.names(draw, picked) == names[::3]


def test_closing_gives_back_the_memory(vector_cache):
    # Not the store of all: who else allows it memory may be held by an error, or by TensorFlow.
    cache, store = open_cache(vector_cache), HotChunks()
    first, second = loader_of(cache), loader_of(cache)
    for loader, memory in ((first, 2**20), (second, 2**16)):
        assert loader._filler.store is SHARED
        loader._filler = Filler(memory=memory, store=store)
        loader.load(draw_of(cache))
    assert store.budget == 2**20
    first.close()
    assert store.budget == 2**16
    assert 0 < store.nbytes <= 2**16
    second.close()
    assert store.nbytes == store.budget == 0


def test_each_batch_moves_the_time_on_by_which_uses_are_told(vector_cache):
    cache = open_cache(vector_cache)
    loader = loader_of(cache)
    draws = [draw_of(cache, seed=seed) for seed in range(3)]
    begin = SHARED._now
    for number, draw in enumerate(draws, 1):
        loader.load(draw)
        assert SHARED._now == begin + number
