"""Mutated files are refused by name or read right; none crashes, hangs or takes memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
from building import build0, opened
from fuzz import fuzz, write
from limits import alarm, limited
from zoo import MNI152, SHAPE, squeezed
from zoo import brain as real

from niicache_builder.nifti import NiftiError, read_voxels

if TYPE_CHECKING:
    from pathlib import Path

MUTATIONS, FLIPS = 2000, 300


def test_mutations_are_refused_by_name_or_read_as_nibabel_reads_them(tmp_path: Path) -> None:
    tally = fuzz(tmp_path, seed=1, count=MUTATIONS)
    assert tally.count == MUTATIONS
    # A fuzzer whose files are all refused, or all read, finds nothing.
    assert tally.accepted > MUTATIONS / 10
    assert tally.judged > tally.accepted / 2
    assert len(tally.refused) >= 8


def test_a_reading_that_is_wrong_is_told_with_seed_and_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(path: Path) -> object:
        voxels = read_voxels(path)
        voxels.data[...] = voxels.data[::-1]
        return voxels

    monkeypatch.setattr("fuzz.read_voxels", wrong)
    with pytest.raises(AssertionError, match=r"seed 1, mutation \d+: .*differ from nibabel's"):
        fuzz(tmp_path, seed=1, count=50)


def test_time_and_memory_are_bounded_while_it_runs() -> None:
    with pytest.raises(TimeoutError), alarm(0.05):
        time.sleep(60)
    with limited(2**20), pytest.raises(MemoryError):
        np.ones(2**28)
    assert np.ones(2**20).all()


def test_a_flipped_bit_in_a_gz_is_refused_or_changes_no_voxel(tmp_path: Path) -> None:
    image = nib.load(MNI152).slicer[60:110, 60:110, 60:90]
    voxels = np.asanyarray(image.dataobj)
    whole = squeezed(nib.Nifti1Image(voxels, image.affine, dtype="uint8").to_bytes())
    path = tmp_path / "a.nii.gz"
    rng = np.random.default_rng(1)
    refused = 0
    for bit in rng.integers(0, 8 * len(whole), FLIPS).tolist():
        raw = bytearray(whole)
        raw[bit // 8] ^= 1 << bit % 8
        path.write_bytes(raw)
        try:
            read = read_voxels(path).data
        except NiftiError:
            refused += 1
            continue
        np.testing.assert_array_equal(read, voxels)
    assert refused > FLIPS * 0.9


def test_sound_files_beside_mutated_ones_are_built_as_they_are(tmp_path: Path) -> None:
    for number in range(40):
        folder = tmp_path / "s" / f"class{number % 4}"
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        path = write(np.random.default_rng((2, number)), scratch)
        for file in scratch.iterdir():
            file.rename(folder / f"beast{number}{file.name[1:]}")
        assert not path.exists()
    data = np.asanyarray(real().dataobj)
    for number in range(60):
        image = nib.Nifti1Image(data + np.int16(number), real().affine)
        image.to_filename(tmp_path / "s" / f"class{number % 4}" / f"sound{number}.nii")
    built = build0(tmp_path / "s", tmp_path / "c", on_error="skip", spatial_dims=3)
    held = opened(tmp_path / "c")
    ours = {int(name[5:]): found[0] for (_, name), found in held.items() if name[:5] == "sound"}
    assert sorted(ours) == list(range(60))
    shape = built.plan.recipe.image.shape
    inner = tuple(
        slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(shape[:3], SHAPE, strict=True)
    )
    for number, image in ours.items():
        np.testing.assert_array_equal(image[inner][..., 0], data + np.int16(number))
    assert len(built.manifest.skipped) >= 10
