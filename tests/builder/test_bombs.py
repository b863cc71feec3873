"""Files that promise more than there is are refused under a limit of memory, the rest is built."""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
from building import build0, folders, opened, run
from zoo import SHAPE, brain, fields, sound, squeezed

from niicache_builder.statistics import channel_statistics

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 700 * 2**20
BEFORE = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({LIMIT}, {LIMIT}))"
BLOCK = 10 * 2**20


def header(*shape: int, datatype: int = 2) -> bytes:
    dim = [len(shape), *shape, *[1] * (7 - len(shape))]
    bitpix = 8 if datatype == 2 else 64
    return fields(dim=dim, datatype=datatype, bitpix=bitpix)(sound())[:352]


def zeros(head: bytes, count: int) -> bytes:
    """Return a header and zeros as one gzip member, 1000 times smaller than they are."""
    packer = zlib.compressobj(9, wbits=-15)
    body, crc, left = packer.compress(head), zlib.crc32(head), count
    while left:
        block = bytes(min(BLOCK, left))
        body, crc, left = body + packer.compress(block), zlib.crc32(block, crc), left - len(block)
    body += packer.flush()
    frame = b"\x1f\x8b\x08\0\0\0\0\0\2\xff"
    return frame + body + struct.pack("<II", crc, (count + len(head)) % 2**32)


def bombs(folder: Path) -> dict[str, str]:
    """Write one of each kind and return the code that each is to be refused with."""
    count = 720 * 1024 * 1024
    honest = zeros(header(720, 1024, 1024), count)
    assert len(honest) * 900 < count
    small = zeros(header(*SHAPE), 300 * 2**20)
    found = {
        # What it promises is there, and no memory holds it.
        "honest": (honest, "too-large"),
        "longer": (small, "too-long"),
        # The last four bytes agree with the header, so only reading it finds it out.
        "sly": (small[:-4] + struct.pack("<I", 352 + int(np.prod(SHAPE))), "too-long"),
        "cubed": (squeezed(header(32767, 32767, 32767)), "truncated"),
        "members": (squeezed(header(710, 1024, 1024)) + squeezed(bytes(BLOCK)) * 71, "too-large"),
    }
    for name, (content, _) in found.items():
        (folder / f"{name}.nii.gz").write_bytes(content)
    return {name: code for name, (_, code) in found.items()}


def skipped_of(result: Any) -> dict[str, str]:
    assert "Traceback" not in result.stderr
    assert result.returncode == 3, result.stderr
    skipped: list[dict[str, str]] = json.loads(result.stdout)["skipped"]
    return {entry["case"]: entry["code"] for entry in skipped}


@pytest.mark.parametrize("workers", [0, 2])
def test_bombs_stay_out_and_the_others_are_built(tmp_path: Path, workers: int) -> None:
    (tmp_path / "s" / "a").mkdir(parents=True)
    codes = bombs(tmp_path / "s" / "a")
    data = np.asanyarray(brain().dataobj)
    for number in range(3):
        image = nib.Nifti1Image(data + np.int16(number), brain().affine)
        image.to_filename(tmp_path / "s" / "a" / f"sound{number}.nii.gz")
    words = ("--on-error", "skip", "--json", "--workers", workers, "--shape", "13,11,9")
    result = run("build", tmp_path / "s", tmp_path / "c", *words, before=BEFORE)
    assert skipped_of(result) == codes
    held = opened(tmp_path / "c")
    assert len(held) == 3
    for number in range(3):
        np.testing.assert_array_equal(
            held["a", f"sound{number}"][0][..., 0], data + np.int16(number)
        )


def test_an_image_that_no_memory_pads_the_others_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "s" / "a").mkdir(parents=True)
    data = np.asanyarray(brain().dataobj)
    nib.Nifti1Image(data, brain().affine).to_filename(tmp_path / "s" / "a" / "sound.nii")
    big = tmp_path / "s" / "a" / "big.nii.gz"
    big.write_bytes(zeros(fields(scl_slope=3)(header(200, 1024, 1024)), 200 * 2**20))
    result = run("build", tmp_path / "s", tmp_path / "c", "--workers", 0, before=BEFORE)
    assert result.returncode == 1
    assert "[memory]" in result.stderr
    assert f"such as {big}" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_case_that_runs_out_of_memory_when_it_is_read_stays_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folders(tmp_path / "s", {"a": 3})

    def greedy(voxels: np.ndarray[Any, Any]) -> object:
        if voxels.sum() == first:
            raise MemoryError
        return channel_statistics(voxels)

    image = nib.load(source / "a" / "case001.nii.gz")
    first = np.asanyarray(image.dataobj)[..., 0].sum()
    monkeypatch.setattr("niicache_builder.case.channel_statistics", greedy)
    built = build0(source, tmp_path / "c", on_error="skip")
    (skipped,) = built.manifest.skipped
    assert (skipped.case, skipped.code) == ("case001", "too-large")
    # Another machine, or a moment later, may have more.
    assert skipped.size == 0
    assert len(opened(tmp_path / "c")) == 2
