"""Checksums of voxels against zlib's, of the bytes that a NIfTI file would have."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import pytest
from building import build0, voxels, write
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from niicache import open_cache
from niicache_builder.checksum import voxels_crc

if TYPE_CHECKING:
    from pathlib import Path


@given(st.data())
def test_it_is_that_of_the_first_axis_fastest_however_the_voxels_lie(data: Any) -> None:
    dtype = data.draw(st.sampled_from(["uint8", "int16", "float32", "float64"]))
    array = data.draw(arrays(dtype, array_shapes(min_dims=2, max_dims=4, max_side=5)))
    axes = data.draw(st.permutations(range(array.ndim)))
    steps = tuple(slice(None, None, data.draw(st.sampled_from([1, -1, 2]))) for _ in axes)
    seen = array.transpose(axes)[steps]
    assert voxels_crc(seen) == zlib.crc32(seen.tobytes(order="F"))


@pytest.mark.parametrize("channels", [(), (2,)])
def test_the_column_is_of_the_real_voxels_as_they_are_stored(
    tmp_path: Path, channels: tuple[int, ...]
) -> None:
    for number in range(4):
        write(tmp_path / f"s/a/{number}.nii.gz", voxels(number, (5 + number % 2, 4, 6, *channels)))
    build0(tmp_path / "s", tmp_path / "c")
    view = open_cache(tmp_path / "c")["a"]
    told = view.column("voxels_crc")
    assert told.shape == (4, *(channels or (1,)))
    for at in range(len(view)):
        real = view[at].image[view.box(at).slices]
        want = [zlib.crc32(real[..., c].tobytes(order="F")) for c in range(real.shape[-1])]
        assert told[at].tolist() == want
