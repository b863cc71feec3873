"""Chunks as bytes: numcodecs and zarr read what we write, and no damage goes through."""

from __future__ import annotations

import asyncio
import struct

import numcodecs
import numpy as np
import pytest
from helpers import flips
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.core.array_spec import ArrayConfig, ArraySpec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.dtype import UInt8

from niicache.format.codec import (
    BLOSC_HEADER_BYTES,
    CRC_BYTES,
    Blosc,
    ChunkError,
    crc32c,
    decode,
    encode,
    one_thread,
    stored_crc,
    unzstd,
)
from niicache_builder.options import CODECS, DTYPES

# RFC 3720, B.4: 32 bytes of each kind, and an iSCSI read command. The check value of the
# polynomial's catalogue entry comes last.
READ_COMMAND = bytes.fromhex(
    "01c00000000000000000000000000000140000000000040000000014000000182800000000000000"
    "0200000000000000"
)
RFC_3720 = [
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(reversed(range(32))), 0x113FDB5C),
    (READ_COMMAND, 0xD9963A56),
    (b"123456789", 0xE3069283),
]

PRESETS = pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
EVERY_KIND = [
    *CODECS.values(),
    *(Blosc(cname="lz4", clevel=1, shuffle=how) for how in ("noshuffle", "bitshuffle")),
]


def sealed(payload):
    return payload + crc32c(payload).to_bytes(CRC_BYTES, "little")


def small_chunk(codec):
    chunk = np.arange(60, dtype="<i2").reshape(3, 5, 4) // 7
    return chunk, encode(chunk, codec)


@st.composite
def chunks(draw):
    dtype = np.dtype(draw(st.sampled_from(DTYPES))).newbyteorder("<")
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=9))
    return draw(hnp.arrays(dtype, shape))


@given(chunk=chunks(), codec=st.sampled_from(EVERY_KIND))
def test_a_chunk_comes_back_bit_for_bit(chunk, codec):
    out = np.empty_like(chunk)
    data = encode(chunk, codec)
    decode(data, codec, out, crc=stored_crc(data))
    assert out.tobytes() == chunk.tobytes()


@pytest.mark.parametrize(("data", "crc"), RFC_3720)
def test_the_checksum_is_that_of_rfc_3720(data, crc):
    assert crc32c(data) == crc


@given(st.binary(max_size=300))
def test_the_checksum_agrees_with_the_polynomial_bit_by_bit(data):
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    assert crc32c(data) == register ^ 0xFFFFFFFF


@given(chunk=chunks(), codec=st.sampled_from(EVERY_KIND))
def test_numcodecs_and_zarr_read_what_we_write(chunk, codec):
    data = encode(chunk, codec)
    prototype = default_buffer_prototype()
    spec = ArraySpec(
        shape=(len(data),),
        dtype=UInt8(),
        fill_value=np.uint8(0),
        config=ArrayConfig(order="C", write_empty_chunks=True),
        prototype=prototype,
    )

    async def strip(buffer):
        for made in [Crc32cCodec(), *([] if codec is None else [zarr_blosc(codec, chunk)])]:
            (buffer,) = await made.decode([(buffer, spec)])
        return buffer.to_bytes()

    assert asyncio.run(strip(prototype.buffer.from_bytes(data))) == chunk.tobytes()
    if codec is not None:
        judge = numcodecs.Blosc(cname=codec.cname, clevel=codec.clevel)
        assert bytes(judge.decode(data[:-CRC_BYTES])) == chunk.tobytes()


def zarr_blosc(codec, chunk):
    return BloscCodec(
        cname=codec.cname, clevel=codec.clevel, shuffle=codec.shuffle, typesize=chunk.itemsize
    )


@PRESETS
def test_every_flipped_bit_is_found(codec):
    chunk, data = small_chunk(codec)
    out = np.empty_like(chunk)
    for _, damaged in flips(data):
        with pytest.raises(ChunkError):
            decode(damaged, codec, out)


@PRESETS
def test_every_truncation_is_found(codec):
    chunk, data = small_chunk(codec)
    out = np.empty_like(chunk)
    for length in range(len(data)):
        with pytest.raises(ChunkError):
            decode(data[:length], codec, out)
    for length in range(len(data) - CRC_BYTES):
        with pytest.raises(ChunkError):
            decode(sealed(data[:length]), codec, out)


@PRESETS
def test_more_bytes_than_the_chunk_has_are_refused_though_their_checksum_holds(codec):
    chunk, data = small_chunk(codec)
    with pytest.raises(ChunkError):
        decode(sealed(data[:-CRC_BYTES] + bytes(2)), codec, np.empty_like(chunk))


@PRESETS
def test_a_sound_chunk_of_another_place_is_refused(codec):
    chunk, data = small_chunk(codec)
    other = encode(chunk + 1, codec)
    out = np.empty_like(chunk)
    decode(other, codec, out)
    with pytest.raises(ChunkError, match=f"another chunk.*in place of {stored_crc(data):08x}"):
        decode(other, codec, out, crc=stored_crc(data))


@PRESETS
def test_a_sound_chunk_of_another_size_is_refused(codec):
    chunk, data = small_chunk(codec)
    for shape in ((3, 5, 5), (3, 5, 3), (1, 1, 1)):
        with pytest.raises(ChunkError, match=str(chunk.nbytes)):
            decode(data, codec, np.empty(shape, chunk.dtype))


@pytest.mark.parametrize("offset", [4, 12])
@pytest.mark.parametrize("lie", [0, 1, 119, 121, 2**20, 2**31, 2**32 - 1])
def test_a_lying_blosc_header_is_refused_before_blosc_sees_it(offset, lie, monkeypatch):
    chunk, data = small_chunk(CODECS["fast"])
    payload = bytearray(data[:-CRC_BYTES])
    payload[offset : offset + 4] = struct.pack("<I", lie)
    monkeypatch.setattr("niicache.format.codec.blosc.decompress", lambda *_: pytest.fail("seen"))
    with pytest.raises(ChunkError, match="blosc header"):
        decode(sealed(bytes(payload)), CODECS["fast"], np.empty_like(chunk))


@pytest.mark.parametrize("length", [1, 4, BLOSC_HEADER_BYTES - 1])
def test_bytes_too_few_for_a_blosc_header_are_refused(length):
    with pytest.raises(ChunkError, match=f"{length} bytes are too few"):
        decode(sealed(bytes(length)), CODECS["fast"], np.empty(3, "u1"))


def test_what_blosc_itself_refuses_is_a_chunk_error():
    chunk, data = small_chunk(CODECS["fast"])
    payload = bytearray(data[:-CRC_BYTES])
    payload[0] = 77  # a format version of blosc that there is not
    with pytest.raises(ChunkError, match="blosc refused"):
        decode(sealed(bytes(payload)), CODECS["fast"], np.empty_like(chunk))


@PRESETS
def test_the_same_chunk_gives_the_same_bytes(codec):
    chunk = np.random.default_rng(0).integers(0, 50, (16, 64, 64, 3)).astype("<i2")
    with one_thread():
        assert len({encode(chunk.copy(), codec) for _ in range(3)}) == 1


def test_one_thread_puts_back_what_was_set(monkeypatch):
    blosc = numcodecs.blosc
    for before in (None, True, False):
        monkeypatch.setattr(blosc, "use_threads", before)
        with one_thread():
            assert blosc.use_threads is False
        assert blosc.use_threads is before


@given(size=st.sampled_from([1, 255, 256, 257, 65791, 65792, 70000]), level=st.integers(1, 9))
def test_a_zstd_frame_comes_back_if_it_is_not_longer_than_allowed(size, level):
    data = bytes(numcodecs.zstd.compress(bytes(size), level))
    assert unzstd(data, size) == bytes(size)
    with pytest.raises(ChunkError, match=f"of {size} bytes, expected at most {size - 1}"):
        unzstd(data, size - 1)


@pytest.mark.parametrize("data", [b"", b"\x28\xb5\x2f\xfd", bytes(20), b"\x28\xb5\x2f\xfd\x00\x00"])
def test_what_is_no_zstd_frame_of_known_length_is_refused(data):
    with pytest.raises(ChunkError):
        unzstd(data, 100)
