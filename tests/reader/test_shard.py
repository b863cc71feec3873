"""The index of a shard: every lie is found, and zarr reads it."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import flips
from hypothesis import given
from hypothesis import strategies as st

from niicache.format.codec import ChunkError, crc32c
from niicache.format.shard import ABSENT, index_nbytes, pack_index, unpack_index


@st.composite
def indexes(draw):
    """Draw (extents, places, bytes of the chunks)."""
    lengths = draw(st.lists(st.integers(1, 5000), max_size=20))
    starts = np.cumsum([0, *lengths]).tolist()
    places = len(lengths) + draw(st.integers(0, 5))
    return list(zip(starts[:-1], lengths, strict=True)), max(places, 1), starts[-1]


def lying(offset, nbytes):
    """Return an index of one place, sealed as if it were sound."""
    body = np.array([[offset, nbytes]], "<u8").tobytes()
    return body + crc32c(body).to_bytes(4, "little")


@given(indexes())
def test_an_index_comes_back(index):
    extents, places, chunks = index
    data = pack_index(extents, places)
    assert len(data) == index_nbytes(places)
    table = unpack_index(data, places, chunks + len(data))
    assert [tuple(row) for row in table[: len(extents)].tolist()] == extents
    assert (table[len(extents) :] == ABSENT).all()


def test_every_flipped_bit_is_found():
    data = pack_index([(0, 10), (10, 20)], 4)
    for _, damaged in flips(data):
        with pytest.raises(ChunkError, match="crc32c of the shard index"):
            unpack_index(damaged, 4, 30 + len(data))


@pytest.mark.parametrize("change", [-68, -1, 1, 16])
def test_an_index_of_another_length_is_refused(change):
    data = pack_index([(0, 10)], 4)
    with pytest.raises(ChunkError, match=f"{len(data) + change} bytes in place of {len(data)}"):
        unpack_index((data + bytes(16))[: len(data) + change], 4, 1000)


@pytest.mark.parametrize(
    ("offset", "nbytes"),
    [
        (0, 31),
        (1, 30),
        (30, 1),
        (31, 0),
        (2**63, 2**63),
        (2**64 - 2, 2),
        (2**64 - 2, 3),
        (5, 2**64 - 5),
        (0, ABSENT),
        (7, ABSENT),
    ],
)
def test_a_chunk_outside_the_file_is_refused_though_the_checksum_holds(offset, nbytes):
    data = lying(offset, nbytes)
    with pytest.raises(ChunkError, match="outside the file"):
        unpack_index(data, 1, 30 + len(data))


@pytest.mark.parametrize(("offset", "nbytes"), [(0, 30), (29, 1), (30, 0), (ABSENT, ABSENT)])
def test_a_chunk_that_just_fits_is_taken(offset, nbytes):
    data = lying(offset, nbytes)
    assert unpack_index(data, 1, 30 + len(data)).tolist() == [[offset, nbytes]]


@pytest.mark.parametrize("extents", [[(0, 10), (9, 10)], [(0, 10), (0, 10)], [(9, 10), (0, 10)]])
def test_chunks_that_share_bytes_are_refused(extents):
    data = pack_index(extents, 2)
    with pytest.raises(ChunkError, match="share bytes"):
        unpack_index(data, 2, 30 + len(data))


def test_a_chunk_longer_than_any_of_its_kind_is_refused():
    data = pack_index([(0, 10)], 1)
    assert unpack_index(data, 1, 30 + len(data), most=10).tolist() == [[0, 10]]
    with pytest.raises(ChunkError, match="more than 9 bytes"):
        unpack_index(data, 1, 30 + len(data), most=9)
