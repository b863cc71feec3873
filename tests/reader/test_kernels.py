"""Compiled loops: numpy's own indexing and the codec of the format are the judges."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest
from helpers import counts_reads, flips, reads_of

from niicache import kernels
from niicache.format.codec import CRC_BYTES, ChunkError, crc32c, decode, encode, stored_crc
from niicache.kernels import read_chunks
from niicache_builder.options import CODECS

GUARD = 64
"""Bytes around each target that nobody may touch."""


def address(array):
    return array.__array_interface__["data"][0]


@dataclass
class Shelf:
    """Chunks of noise in one open file, and targets between guards."""

    fd: int
    chunks: list
    stored: list
    codec: object

    def __post_init__(self):
        self.nbytes = self.chunks[0].nbytes
        self.memory = np.full(len(self.chunks) * (self.nbytes + GUARD) + GUARD, 0xA5, np.uint8)
        places = np.arange(len(self.chunks)) * (self.nbytes + GUARD) + GUARD
        self.targets = [self.memory[place : place + self.nbytes] for place in places]
        sizes = [len(one) for one in self.stored]
        offsets = np.cumsum([0, *sizes[:-1]])
        columns = [
            [self.fd] * len(sizes),
            offsets,
            sizes,
            [address(target) for target in self.targets],
            [self.nbytes] * len(sizes),
            [stored_crc(one) for one in self.stored],
        ]
        self.jobs = np.array(columns, np.int64).T.copy()

    def read(self, jobs=None, scratch=None):
        """Read into wiped targets and return which are sound; sound ones must be right."""
        jobs = self.jobs if jobs is None else jobs
        self.memory[:] = 0xA5
        scratch = np.full(kernels.RUN_BYTES, 0x5A, np.uint8) if scratch is None else scratch
        sound = read_chunks(jobs, scratch, compressed=self.codec is not None)
        assert self.guards_hold()
        for number in np.flatnonzero(sound):
            assert self.targets[number].tobytes() == self.chunks[number].tobytes()
        return sound.tolist()

    def guards_hold(self):
        outside = np.ones(len(self.memory), np.bool_)
        for target in self.targets:
            start = address(target) - address(self.memory)
            outside[start : start + self.nbytes] = False
        return bool((self.memory[outside] == 0xA5).all())


def smooth(number, shape=(2, 5, 7)):
    """Return a chunk that compresses a little, as images do."""
    noisy = np.random.default_rng(number).integers(0, 40, shape)
    return (noisy + np.arange(noisy.size).reshape(shape) // 2).astype(np.int16)


@pytest.fixture(params=list(CODECS))
def codec(request):
    return CODECS[request.param]


@pytest.fixture
def shelve(tmp_path):
    """Return a function that writes chunks one behind the other."""
    opened = []

    def make(chunks, codec, stored=None):
        stored = [encode(one, codec) for one in chunks] if stored is None else stored
        path = tmp_path / f"{len(opened)}"
        path.write_bytes(b"".join(stored))
        opened.append(os.open(path, os.O_RDWR))
        return Shelf(opened[-1], chunks, stored, codec)

    yield make
    for fd in opened:
        os.close(fd)


def test_sound_chunks_are_what_the_codec_decodes(shelve, codec):
    shelf = shelve([smooth(number) for number in range(9)], codec)
    for chunk, data in zip(shelf.chunks, shelf.stored, strict=True):
        judge = np.empty_like(chunk)
        decode(data, codec, judge)
        np.testing.assert_array_equal(judge, chunk)
    assert shelf.read() == [True] * 9
    for order in ([4], [0, 1, 5, 6, 7], [8, 0, 3], [3, 3], []):
        sound = read_chunks(
            shelf.jobs[order], np.empty(10**6, np.uint8), compressed=codec is not None
        )
        assert sound.tolist() == [True] * len(order)


def test_runs_beyond_the_most_that_is_read_at_once(shelve, codec):
    big = [np.random.default_rng(n).integers(0, 2**15, 200_000, np.int16) for n in range(6)]
    shelf = shelve(big, codec)
    assert min(map(len, shelf.stored)) * 4 > kernels.RUN_BYTES > max(map(len, shelf.stored))
    assert shelf.read() == [True] * 6
    # Where the scratch holds no whole run, what does not fit is left to the careful way.
    for nbytes in (max(map(len, shelf.stored)), 16, 0):
        shelf.read(scratch=np.empty(nbytes, np.uint8))


def test_a_chunk_larger_than_a_run(shelve, codec):
    big = np.random.default_rng(0).integers(0, 2**15, kernels.RUN_BYTES, np.int16)
    small = np.arange(big.size, dtype=np.int16)
    shelf = shelve([small, big, small], codec)
    scratch = np.empty(max(map(len, shelf.stored)), np.uint8)
    assert shelf.read(scratch=scratch) == [True] * 3


@counts_reads
def test_a_run_of_chunks_is_one_read(shelve, codec):
    shelf = shelve([smooth(number) for number in range(1000)], codec)
    nbytes = sum(map(len, shelf.stored))
    assert shelf.read() == [True] * 1000
    assert nbytes < kernels.RUN_BYTES
    scratch = np.empty(kernels.RUN_BYTES, np.uint8)

    def read(rows):
        read_chunks(shelf.jobs[list(rows)], scratch, compressed=codec is not None)

    whole = 1 if codec else -(-1000 // kernels.RUN_CHUNKS)
    for rows, reads in [(range(1000), whole), (range(0, 1000, 2), 500), ([3, 4, 7, 8, 9], 2)]:
        assert reads_of(lambda rows=rows: read(rows)) == reads


@pytest.mark.parametrize("trusted", [True, False])
def test_a_chunk_that_was_proven_is_not_looked_at_again(shelve, trusted):
    chunks = [smooth(number) for number in range(3)]
    shelf = shelve(chunks, None)
    shelf.chunks[1] = np.zeros_like(chunks[1])  # of which nobody knows the crc32c
    os.pwrite(shelf.fd, shelf.chunks[1].tobytes(), shelf.jobs[1, kernels.OFFSET])
    if trusted:
        shelf.jobs[1, kernels.CRC] = kernels.PROVEN
    assert shelf.read() == [True, trusted, True]


def test_neighbours_of_a_broken_chunk_are_sound(shelve, codec):
    stored = [encode(smooth(number), codec) for number in range(5)]
    stored[2] = next(data for bit, data in flips(stored[2]) if bit == 300)
    shelf = shelve([smooth(number) for number in range(5)], codec, stored)
    assert shelf.read() == [True, True, False, True, True]


def test_every_flipped_bit_is_found(shelve, codec):
    chunk = smooth(1, (1, 3, 5))
    good = encode(chunk, codec)
    changed = [data for _, data in flips(good)]
    shelf = shelve([chunk] * len(changed), codec, changed)
    shelf.jobs[:, kernels.CRC] = stored_crc(good)
    # What is not compressed is proven by its own bytes: the four after them say nothing new.
    seen = 8 * (len(good) - (CRC_BYTES if codec is None else 0))
    assert shelf.read() == [bit >= seen for bit in range(len(changed))]


def test_a_file_that_ends_early_at_any_byte(codec, tmp_path):
    chunk = smooth(1, (1, 3, 5))
    data = encode(chunk, codec)
    for nbytes in range(len(data)):
        path = tmp_path / "short"
        path.write_bytes(data[:nbytes])
        with path.open("rb") as file:
            shelf = Shelf(file.fileno(), [chunk], [data], codec)
            assert shelf.read() == [False]


def test_the_crc_of_another_place_a_wrong_size_and_a_wrong_offset_are_found(shelve, codec):
    shelf = shelve([smooth(number) for number in range(3)], codec)
    for column, by in [
        (kernels.CRC, 1),
        (kernels.CRC, 2**32),
        (kernels.OFFSET, 1),
        (kernels.OFFSET, 10**9),
        (kernels.OFFSET, -(10**9)),
        (kernels.STORED, 1),
        (kernels.STORED, -1),
        (kernels.DECODED, -2),
    ]:
        jobs = shelf.jobs.copy()
        jobs[1, column] += by
        assert shelf.read(jobs) == [True, False, True], (column, by)


@pytest.mark.parametrize("nbytes", range(21))
def test_a_chunk_too_short_to_be_one(shelve, codec, nbytes):
    # Its crc32c holds, so only its length can give it away.
    payload = bytes(nbytes)
    stored = payload + crc32c(payload).to_bytes(CRC_BYTES, "little")
    shelf = shelve([smooth(0)] * 2, codec, [stored, encode(smooth(0), codec)])
    assert shelf.read() == [False, True]


def test_a_closed_descriptor_gives_nothing(shelve, codec):
    shelf = shelve([smooth(number) for number in range(3)], codec)
    for fd in (-1, 10**6):
        shelf.jobs[1, kernels.FD] = fd
        assert shelf.read() == [True, False, True]


@pytest.mark.parametrize("name", [name for name, codec in CODECS.items() if codec is not None])
def test_a_header_that_lies_under_a_right_crc_fools_no_more_than_the_codec(shelve, name):
    codec, chunk = CODECS[name], smooth(1)
    good = encode(chunk, codec)[:-CRC_BYTES]
    lies = []
    for place in range(16):
        for value in {0, 1, 2, 3, 127, 255, good[place] ^ 1, good[place] ^ 128} - {good[place]}:
            payload = bytearray(good)
            payload[place] = value
            lies.append(bytes(payload) + crc32c(bytes(payload)).to_bytes(CRC_BYTES, "little"))
    shelf = shelve([chunk] * len(lies), codec, lies)
    # What a lie about the shuffle decodes to is no chunk of ours, yet all of it is in its place.
    sound = read_chunks(shelf.jobs, np.empty(2**20, np.uint8), compressed=True)
    assert shelf.guards_hold()
    for data, target, found in zip(lies, shelf.targets, sound.tolist(), strict=True):
        judge = np.empty_like(chunk)
        try:
            decode(data, codec, judge)
        except ChunkError:
            assert not found
        else:
            assert found
            assert target.tobytes() == judge.tobytes()
    sizes = [i for i, one in enumerate(lies) if one[4:8] != good[4:8] or one[12:16] != good[12:16]]
    assert len(sizes) > 40
    assert not sound[sizes].any()


def test_reading_lets_other_threads_run(shelve):
    chunk = np.zeros(4_000_000, np.int16)
    shelf = shelve([chunk], CODECS["fast"])
    assert shelf.read() == [True]
    jobs, scratch = np.repeat(shelf.jobs, 40, axis=0), np.empty(2**20, np.uint8)
    ticks, sound = [], []
    thread = threading.Thread(
        target=lambda: sound.append(read_chunks(jobs, scratch, compressed=True))
    )
    thread.start()
    while thread.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0.001)
    thread.join()
    assert sound[0].all()
    assert len(ticks) > 3
