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
from niicache.errors import OptionError
from niicache.format.names import FORMAT_VERSION
from niicache_builder import BuildOptions, build, repair, restore, verify

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

from make_golden import CASES, PADDED, SHAPE, image_of, mask_of, write_source  # noqa: E402 - beside

FILES = sorted(GOLDEN.glob("format-?.tar.xz"))
PREPARED = GOLDEN / "format-1-prepared.tar.xz"

MEANT = ("shape", "data_type", "chunk_grid", "dimension_names")

# What six batches have to be for ever: the sampler, the layout and the decoder in one number.
BATCHES = "e4df85c0b711e63a46012d832c6f83bdf92c5200f0e51b9b648e5df295bb52dd"


def unpacked(golden, target):
    with tarfile.open(golden) as packed:
        # Python has the filter since 3.11.4.
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        packed.extractall(target, **safely)  # noqa: S202 - the archive is our own
    return target


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def cache_path(request, tmp_path):
    return unpacked(request.param, tmp_path / "cache")


@pytest.fixture
def prepared(tmp_path):
    return niicache.open_cache(unpacked(PREPARED, tmp_path / "cache"))


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


def codes_of(image):
    return int(image.header["sform_code"]), int(image.header["qform_code"])


def test_what_it_holds_comes_back_with_the_codes_that_nibabel_gives(cache_path):
    cache = niicache.open_cache(cache_path)
    back = restore(cache, ("cat", "two"), cache["cat"]["two"].image)
    np.testing.assert_array_equal(back.dataobj, image_of("cat", "two"))
    np.testing.assert_array_equal(back.affine, np.diag([0.5, 2.0, 1.0, 1.0]))
    assert codes_of(back) == (2, 0)


def test_a_repair_gives_its_old_bytes(cache_path, tmp_path):
    before = {path: path.read_bytes() for path in cache_path.rglob("*") if path.is_file()}
    write_source(tmp_path / "source")
    for path in ("cat/image/c/0/0/0/0", "dog/cases/affine/c/0/0/0", "dog/cases/name/zarr.json"):
        (cache_path / path).unlink()
    repair(cache_path, tmp_path / "source", workers=0)
    assert {path: path.read_bytes() for path in before} == before


def test_brought_up_to_date_it_gets_columns_and_no_other_voxels(cache_path, tmp_path):
    write_source(tmp_path / "source")
    before = niicache.open_cache(cache_path).manifest
    options = BuildOptions(shape=PADDED, workers=0, chunk=(2,))
    built = build(tmp_path / "source", cache_path, options)
    assert (built.written, built.changed) == (0, True)
    assert built.manifest.columns == ("qform_code", "sform_code")
    assert built.manifest.recipe == before.recipe
    assert built.manifest.shards == before.shards
    assert all(built.manifest.files[path] == entry for path, entry in before.files.items())
    assert verify(cache_path).problems == ()
    cache = niicache.open_cache(cache_path)
    assert cache["cat"].column("sform_code").tolist() == [2, 2, 2]
    assert codes_of(restore(cache, ("cat", "two"), np.zeros(PADDED))) == (2, 0)
    assert not build(tmp_path / "source", cache_path, options).changed


def test_statistics_that_it_does_not_hold_are_not_made_up(cache_path, tmp_path):
    write_source(tmp_path / "source")
    with pytest.raises(OptionError, match="asks for nonzero of each case"):
        niicache.BalancedSequence(cache_path, 2, normalize=("zscore", "nonzero"))
    # All of its shards are written again, so all statistics are known.
    built = build(tmp_path / "source", cache_path, BuildOptions(shape=(9, 9), workers=0))
    assert "nonzero" in built.manifest.columns
    niicache.BalancedSequence(cache_path, 2, normalize=("zscore", "nonzero"))[0]


def test_prepared_cases_are_what_they_were(prepared):
    assert verify(prepared.path).problems == ()
    assert {view.name: view.cases for view in prepared} == CASES
    columns = ("crop_start", "crop_stop", "qform_code", "sform_code")
    assert prepared.manifest.columns == columns
    for name, case in prepared.cases:
        view = prepared[name]
        assert (view.grid(case).shape, view.grid(case).spacing) == ((2, 8), (1.25, 1.0))
        want = np.diag([1.25, 1.0, 1.0, 1.0])
        want[:2, 3] = 0.5 * 0.75 - 1.25, 2 * -0.25 - 1.0
        np.testing.assert_allclose(view.affine(case), want)
        image, label = (one[view.box(case).slices][..., 0] for one in view[case])
        # Column i + 1/2 of both grids lies at 2.5 * that in the source, row j + 1/2 at half.
        rows, columns = np.indices((2, 8))
        x = 2.5 * (rows + 0.5) - 0.5
        y = np.clip((columns + 0.5) / 2 - 0.5, 0, 3)
        np.testing.assert_array_equal(image, np.rint(image_of(view.name, case)[0, 0] + 4 * x + y))
        want = mask_of(view.name, case)[[1, 3]][:, [0, 0, 1, 1, 2, 2, 3, 3]]
        np.testing.assert_array_equal(label, want)


def test_prepared_cases_go_back_to_their_sources_grid(prepared):
    label = prepared["dog"]["four"].label
    back = restore(prepared, ("dog", "four"), label)
    assert (back.shape, codes_of(back)) == (SHAPE, (2, 0))
    want = mask_of("dog", "four")[[1, 1, 3, 3, 3]]
    want[2] = np.minimum(want[1], want[3])  # as near to both
    np.testing.assert_array_equal(back.dataobj, want)
