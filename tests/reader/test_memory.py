"""Memory is had again when nobody can reach it, and never before."""

from __future__ import annotations

import gc
import pickle
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from niicache import memory
from niicache.memory import LEFT_OVER, Piece, empty

SIZE = 12_344
"""Bytes that nothing else asks for."""


@pytest.fixture(autouse=True)
def _nothing_left():
    gc.collect()
    memory._left.pop(SIZE, None)


def left(nbytes=SIZE):
    """Return the addresses of the pieces that nobody holds."""
    return [array.__array_interface__["data"][0] for array in memory._left[nbytes]]


def address(array):
    return array.__array_interface__["data"][0]


VIEWS = {
    "slice": lambda array: array[3:],
    "reversed": lambda array: array[::-1],
    "reshaped": lambda array: array.reshape(-1, 1),
    "transposed": lambda array: array.T,
    "other dtype": lambda array: np.ascontiguousarray(array.reshape(-1))[:8].view(np.uint8),
    "memoryview": lambda array: np.asarray(memoryview(array)),
    "buffer": lambda array: np.frombuffer(np.ascontiguousarray(array), np.uint8),
    "dlpack": np.from_dlpack,
    "broadcast": lambda array: np.broadcast_to(array, (2, *array.shape)),
    "readonly": lambda array: np.lib.stride_tricks.as_strided(array, writeable=False),
}


def viewed(array, kind):
    """Return a view of a kind; DLPack takes no array that is read only."""
    return array[:] if kind == "dlpack" and not array.flags.writeable else VIEWS[kind](array)


def reaches(view, place):
    """Say whether a view looks into the piece at an address, or into a copy."""
    low, high = np.lib.array_utils.byte_bounds(view)
    return place <= low < high <= place + SIZE


@pytest.mark.parametrize("kind", [kind for kind in VIEWS if kind != "buffer"])
def test_every_kind_of_view_holds_the_memory(kind):
    array = empty((SIZE // 4,), np.dtype(np.float32))
    place = address(array)
    view = VIEWS[kind](array)
    assert reaches(view, place)
    del array
    gc.collect()
    assert place not in left()
    del view
    gc.collect()
    assert place in left()


@settings(max_examples=40)
@given(
    kinds=st.lists(st.tuples(st.integers(0, 99), st.sampled_from(list(VIEWS))), max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_views_of_views_in_any_order_of_going(kinds, order):
    held = [empty((SIZE // 4,), np.dtype(np.float32))]
    place = address(held[0])
    for which, kind in kinds:
        held.append(viewed(held[which % len(held)], kind))
    order.shuffle(held)
    while any(reaches(one, place) for one in held):
        assert place not in left()
        held.pop()
    assert place in left()


def test_a_piece_is_held_by_itself_and_by_arrays_made_of_it():
    piece = Piece(SIZE)
    place = piece.begin
    assert place == address(piece.array)
    view = np.asarray(piece).view(np.float32).reshape(2, -1)
    del piece
    assert place not in left()
    view[:] = 1
    del view
    assert place in left()


def test_the_same_memory_comes_back():
    first = empty((SIZE // 8,), np.dtype(np.float64))
    place = address(first)
    del first
    again = empty((2, SIZE // 2), np.dtype(np.uint8))
    assert address(again) == place


def test_a_pickled_copy_is_a_copy():
    array = empty((SIZE // 4,), np.dtype(np.float32))
    array[:] = np.arange(len(array))
    judge, place = array.copy(), address(array)
    copied = pickle.loads(pickle.dumps(array))  # noqa: S301  # a copy of our own making
    del array
    assert place in left()
    other = empty((SIZE // 4,), np.dtype(np.float32))
    other[:] = -1
    np.testing.assert_array_equal(copied, judge)


def test_what_is_left_over_is_bounded():
    pieces = [Piece(SIZE) for _ in range(3 * LEFT_OVER)]
    assert len({piece.begin for piece in pieces}) == 3 * LEFT_OVER
    pieces.clear()
    assert len(left()) == len(set(left())) == LEFT_OVER


def test_what_is_left_over_of_other_sizes_is_bounded(monkeypatch):
    monkeypatch.setattr(memory, "OTHERS_BYTES", 1000)
    memory.forget()
    for size in range(300, 340):
        held = [Piece(size) for _ in range(3)]
        held.clear()
        sizes = [n for n, pieces in memory._left.items() if pieces]
        assert sizes[-1] == size
        assert sum(n * len(memory._left[n]) for n in sizes if n != size) <= 1000
    memory.forget()
    assert not memory._left


def test_no_two_pieces_overlap():
    for nbytes in (1, 63, 64, 65, SIZE):
        pieces = [Piece(nbytes) for _ in range(2 * LEFT_OVER)]
        places = sorted(piece.begin for piece in pieces)
        assert all(b - a >= nbytes for a, b in pairwise(places))
        assert all(piece.array.nbytes == nbytes for piece in pieces)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4, 2), ()])
def test_shapes_without_voxels_and_without_axes(shape):
    for dtype in ("float16", "int64"):
        array = empty(shape, np.dtype(dtype))
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
        array[...] = 1


@given(
    shape=st.lists(st.integers(1, 6), max_size=4).map(tuple),
    dtype=st.sampled_from(["uint8", "float16", "int16", "float32", "float64"]),
)
def test_arrays_are_like_those_of_numpy(shape, dtype):
    array, judge = empty(shape, np.dtype(dtype)), np.empty(shape, dtype)
    assert (array.shape, array.dtype, array.strides) == (judge.shape, judge.dtype, judge.strides)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.flags.aligned


def test_no_two_threads_have_the_same_memory():
    gate = threading.Barrier(4)

    def work(seed):
        rng, held = random.Random(seed), []  # noqa: S311  # no secret
        gate.wait()
        for turn in range(3000):
            array = empty((SIZE // 8,), np.dtype(np.int64))
            array[::97] = seed * 10_000 + turn
            held.append((array, seed * 10_000 + turn))
            if len(held) > rng.randrange(6):
                past, number = held.pop(rng.randrange(len(held)))
                assert (past[::97] == number).all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    gc.collect()
    assert len(left()) == len(set(left())) <= LEFT_OVER
