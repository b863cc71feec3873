"""Chunks that threads share: nobody waits for ever, and no more is held than a group."""

from __future__ import annotations

import threading
import time
import types

import numpy as np
import pytest

from niicache import decoding, open_cache
from niicache import hot as hot_module
from niicache.claims import Wanted
from niicache.decoding import Decoder
from niicache.hot import HotChunks
from niicache.kernels import read_chunks

NBYTES = 10


class Numbers:
    """A stand-in for a reader whose chunk n is full of n, and is had the careful way."""

    nbytes = NBYTES
    layout = types.SimpleNamespace(codec=None, dtype="uint8", chunk=(NBYTES,))

    def key(self, number):
        return number

    def locate(self, number):
        del number

    def read(self, number, out):
        out[...] = number


def decoded(store, numbers):
    """Return what each chunk is full of, and how many came at once."""
    got, groups = {}, []

    def deliver(chunks):
        groups.append(len(chunks))
        got.update({i: set(chunk.array.tolist()) for i, chunk in chunks.items()})

    chunks = [(Numbers(), number) for number in numbers]
    damage = Decoder(store).decode(chunks, [1] * len(chunks), {}, deliver)
    assert not damage
    return got, groups


@pytest.mark.parametrize("budget", [0, 35, 10**6])
def test_chunks_come_a_group_at_a_time_whether_they_are_kept_or_not(monkeypatch, budget):
    monkeypatch.setattr(hot_module, "GROUP_BYTES", 3 * NBYTES)
    store = HotChunks()
    store.join(Numbers, budget)
    got, groups = decoded(store, range(20))
    assert got == {i: {i} for i in range(20)}
    assert max(groups) == 3


def test_a_claim_that_nobody_honours_is_void_though_others_are_at_work(monkeypatch):
    monkeypatch.setattr(decoding, "PATIENCE_SECONDS", 0.2)
    store = HotChunks()
    store.join(Numbers, 10**6)
    store.claim([Wanted(0, NBYTES, 1)], [0])  # its thread was interrupted right here
    done = threading.Event()

    def busy():
        number = 1
        while not done.is_set():
            decoded(store, [number % 200 + 1])
            store.settle({}, {})  # news, but none of the chunk that is waited for
            number += 1
            time.sleep(0.01)

    others = threading.Thread(target=busy)
    others.start()
    got = []
    waiter = threading.Thread(target=lambda: got.append(decoded(store, [0])), daemon=True)
    waiter.start()
    waiter.join(20)
    done.set()
    others.join()
    assert got == [({0: {0}}, [1])]


def test_what_cannot_be_decoded_for_want_of_memory_is_given_up(monkeypatch):
    store = HotChunks()
    store.join(Numbers, NBYTES)  # room for the first; the second needs memory of its own

    def refuse(_nbytes):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(decoding, "Piece", refuse)
        with pytest.raises(MemoryError):
            decoded(store, [1, 2])
    assert len(store) == store.nbytes == 0
    assert decoded(store, [1, 2])[0] == {0: {1}, 1: {2}}


def test_scratch_holds_what_it_is_asked_for():
    decoder = Decoder(HotChunks())
    for nbytes in (1, 2**20 + 1, 2**22, 10):
        assert decoder.scratch(nbytes).nbytes >= max(nbytes, 2**20)
        assert decoder.scratch(nbytes).dtype == np.uint8


def test_every_shard_stays_open_until_all_chunks_are_read(sharded_cache, monkeypatch):
    """Its number would be the next shard's, and chunks would be looked for in that one."""
    reader = open_cache(sharded_cache)["axial"].image
    reader._shards._limit = 1
    looks = []

    def look(table, scratch, **options):
        sound = read_chunks(table, scratch, **options)
        looks.append((len(set(table[:, 0].tolist())), sound.all()))
        return sound

    monkeypatch.setattr(decoding, "read_chunks", look)
    got = {}
    chunks = [(reader, number) for number in range(len(reader))]
    Decoder(HotChunks()).decode(
        chunks, [1] * len(chunks), {}, lambda found: got.update(dict.fromkeys(found))
    )
    assert len(got) == len(chunks)
    assert looks == [(5, True)]
