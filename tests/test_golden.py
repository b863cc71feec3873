"""Caches that earlier releases wrote, read by the code of today.

zarr 3.1 on Python 3.11 and zarr 3.4 on Python 3.13 write the golden cache to the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import zarr

import niicache
from niicache.format.names import FORMAT_VERSION
from niicache_builder import BuildOptions, build, verify

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

from make_golden import CASES, PADDED, SHAPE, image_of, mask_of, write_source  # noqa: E402 - it lies beside them

FILES = sorted(GOLDEN.glob("*.tar.xz"))

MEANT = ("shape", "data_type", "chunk_grid", "dimension_names")

# What six batches have to be for ever: the sampler, the layout and the decoder in one number.
BATCHES = "e4df85c0b711e63a46012d832c6f83bdf92c5200f0e51b9b648e5df295bb52dd"


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def cache_path(request, tmp_path):
    with tarfile.open(request.param) as packed:
        # Python has the filter since 3.11.4.
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        packed.extractall(tmp_path / "cache", **safely)  # noqa: S202 - the archive is our own
    return tmp_path / "cache"


def test_there_is_one_for_each_format_version():
    assert [path.name for path in FILES] == [
        f"format-{n + 1}.tar.xz" for n in range(FORMAT_VERSION)
    ]


def test_values_and_facts(cache_path):
    cache = niicache.open_cache(cache_path)
    assert {view.name: view.cases for view in cache} == CASES
    widths = [((n - m) // 2, n - m - (n - m) // 2) for m, n in zip(SHAPE, PADDED, strict=True)]
    for view in cache:
        for case in view.cases:
            image, label = view[case]
            for got, want in (
                (image, image_of(view.name, case)),
                (label, mask_of(view.name, case)),
            ):
                assert got.dtype == want.dtype
                np.testing.assert_array_equal(got[..., 0], np.pad(want, widths))
        np.testing.assert_array_equal(view.column("spacing"), [[0.5, 2.0]] * len(view))
        np.testing.assert_array_equal(view.column("box_start"), [[1, 1]] * len(view))
        means = [image_of(view.name, case).mean() for case in view.cases]
        np.testing.assert_allclose(view.column("mean")[:, 0], means)


def test_it_is_whole(cache_path):
    assert verify(cache_path).problems == ()


def test_plain_zarr_reads_it(cache_path):
    cache = niicache.open_cache(cache_path)
    for view in cache:
        stored = zarr.open_array(cache_path / view.name / "image", mode="r")[...]
        for row, case in enumerate(view.slot_names):
            np.testing.assert_array_equal(stored[row], view[case].image)


def test_what_is_built_today_has_its_keys_and_the_shapes_of_its_columns(cache_path, tmp_path):
    """So a rebuild by a newer release has nothing to do: what came later leaves no trace here."""
    write_source(tmp_path / "s")
    options = BuildOptions(shape=PADDED, workers=0, chunk=(2,))
    now = build(tmp_path / "s", tmp_path / "c", options).manifest
    then = niicache.open_cache(cache_path).manifest
    assert now.recipe.to_json() == then.recipe.to_json()
    assert now.shards == then.shards
    for path in then.files:
        if path.endswith("/zarr.json"):
            old, new = (
                json.loads((root / path).read_bytes()) for root in (cache_path, tmp_path / "c")
            )
            assert [new.get(k) for k in MEANT] == [old.get(k) for k in MEANT]


def test_batches_are_what_they_were(cache_path):
    sequence = niicache.BalancedSequence(cache_path, 4, seed=7, steps=3)
    batches = [sequence.batch(epoch, step) for epoch in range(2) for step in range(3)]
    content = b"".join(array.tobytes() for batch in batches for array in batch)
    assert hashlib.sha256(content).hexdigest() == BATCHES
