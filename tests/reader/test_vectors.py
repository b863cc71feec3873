"""Vectors kept in memory are those of the chunks, and damage names its samples."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import flip_bit

from niicache import open_cache, vectors
from niicache.chunks import ChunkReader
from niicache.vectors import Vectors, are_small


def labels(cache):
    return [view.label for view in cache]


def every(cache):
    """Return (classes, rows) of every case, mixed, and the label that its view reads."""
    pairs = [(view.number, row) for view in cache for row in view.occupied.tolist()]
    order = np.random.default_rng(1).permutation(len(pairs))
    classes, rows = np.array(pairs, np.int64)[order].T
    views = list(cache)
    names = [views[k].slot_names[row] for k, row in zip(classes, rows, strict=True)]
    want = [views[k][name].label for k, name in zip(classes, names, strict=True)]
    return classes, rows, np.stack(want)


@pytest.mark.parametrize("name", ["vector", "sharded"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_vectors_in_memory_are_those_of_the_chunks(request, name, dtype):
    cache = open_cache(request.getfixturevalue(f"{name}_cache"))
    classes, rows, want = every(cache)
    slots = np.random.default_rng(2).permutation(len(rows) + 3)[: len(rows)]
    out = np.full((len(rows) + 3, 4), 77, dtype)
    problems, lost = Vectors(labels(cache)).fill(classes, rows, out, slots)
    assert problems == []
    assert (lost.dtype, lost.shape, lost.any()) == (np.bool_, (len(rows),), False)
    np.testing.assert_array_equal(out[slots], want.astype(dtype))
    np.testing.assert_array_equal(np.delete(out, slots, axis=0), 77)


def test_they_are_read_once_by_any_number_of_threads(vector_cache, monkeypatch):
    cache = open_cache(vector_cache)
    classes, rows, want = every(cache)
    table, seen, read = Vectors(labels(cache)), [], ChunkReader.read

    def counted(self, number, out):
        seen.append((self.class_name, number))
        read(self, number, out)

    monkeypatch.setattr(ChunkReader, "read", counted)
    gate = threading.Barrier(4)

    def work(_):
        gate.wait()
        out = np.empty((len(rows), 4), "float32")
        table.fill(classes, rows, out, np.arange(len(rows)))
        return out

    with ThreadPoolExecutor(4) as pool:
        for out in pool.map(work, range(4)):
            np.testing.assert_array_equal(out, want)
    assert len(seen) == len(set(seen)) == sum(map(len, labels(cache)))


def test_damage_names_its_samples_and_leaves_the_others_right(copy_of, sharded_cache):
    path = copy_of(sharded_cache)
    clean = open_cache(sharded_cache)
    classes, rows, want = every(clean)
    size = clean["coronal"].label.layout.chunk[0]
    flip_bit(path / "coronal/label/c/0/0", 0.01)  # in its first chunk
    out = np.zeros((len(rows), 4), "float32")
    table = Vectors(labels(open_cache(path)))
    number = clean["coronal"].number
    bad = (classes == number) & (rows < size)
    for _ in range(2):  # told every time, not only when the table is read
        problems, lost = table.fill(classes, rows, out, np.arange(len(rows)))
        np.testing.assert_array_equal(lost, bad)
        (problem,) = problems
        assert problem.class_name == "coronal"
        assert problem.case.split(", ")[0] == clean["coronal"].slot_names[0]
        np.testing.assert_array_equal(out[~bad], want[~bad])
    # Who draws none of them hears nothing.
    picked = np.flatnonzero(~bad)[:5]
    problems, lost = table.fill(classes[picked], rows[picked], out, np.arange(5))
    assert problems == []
    assert not lost.any()


def test_a_missing_shard_loses_all_of_its_cases(copy_of, sharded_cache):
    path = copy_of(sharded_cache)
    (path / "axial/label/c/0/0").unlink()
    cache = open_cache(path)
    layout = cache["axial"].label.layout
    classes, rows, _ = every(open_cache(sharded_cache))
    out = np.zeros((len(rows), 4), "float32")
    problems, lost = Vectors(labels(cache)).fill(classes, rows, out, np.arange(len(rows)))
    np.testing.assert_array_equal(lost, (classes == 0) & (rows < layout.shard_cases))
    assert len(problems) == layout.shard_chunks


def test_what_is_small(monkeypatch):
    monkeypatch.setattr(vectors, "MOST_BYTES", 100)

    class Reader(SimpleNamespace):
        def __len__(self):
            return self.count

    assert are_small([Reader(count=4, nbytes=10), Reader(count=6, nbytes=10)])
    assert not are_small([Reader(count=4, nbytes=10), Reader(count=6, nbytes=11)])
    assert are_small([])
