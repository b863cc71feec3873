"""What a NIfTI header says of a patient goes nowhere, and no path of this machine is kept."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner
from numcodecs import zstd

from niicache_builder.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "PAT1"
"""Short, for that it fits into every field (the shortest has ten bytes with its end)."""

FIELDS = {"descrip": 80, "aux_file": 24, "intent_name": 16, "db_name": 18, "data_type": 10}


def named(shape=(6, 5), seed=0):
    """Return an image whose every text names a patient."""
    voxels = np.random.default_rng(seed).integers(0, 9, shape).astype("int16")
    image = nib.Nifti1Image(voxels, np.diag([1.0, 1, 2, 1]), dtype="int16")
    for i, (field, room) in enumerate(FIELDS.items()):
        text = f"{CANARY}{i}".encode()
        image.header[field] = text * (room // len(text))
    for code in (0, 2, 4, 6):
        extension = nib.nifti1.Nifti1Extension(code, f"<{CANARY}>".encode() * 3)
        image.header.extensions.append(extension)
    return image


def kept(root: Path) -> dict[str, bytes]:
    """Return every byte of a folder, compressed columns also as they are when decompressed."""
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found[path.relative_to(root).as_posix()] = data
            if data[:4] == b"\x28\xb5\x2f\xfd":
                found[f"{path.relative_to(root)} inside"] = bytes(zstd.decompress(data))
    return found


def said(*words: object) -> str:
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.stdout + result.stderr


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number, name in enumerate(("a", "b")):
        (tmp_path / "home" / "s" / name).mkdir(parents=True)
        for case in range(3):
            path = tmp_path / "home" / "s" / name / f"case{case}.nii.gz"
            nib.save(named(seed=10 * number + case), path)
    return tmp_path / "home" / "s"


def test_the_canary_is_in_the_sources(source: Path, tmp_path: Path) -> None:
    nib.save(named(), tmp_path / "x.nii")
    raw = (tmp_path / "x.nii").read_bytes()
    assert raw.count(CANARY.encode()) >= 4 * 3 + len(FIELDS)
    assert all(f"{CANARY}{i}".encode() in raw for i in range(len(FIELDS)))
    assert len(list(source.rglob("*.nii.gz"))) == 6


def test_no_text_of_a_header_is_kept_or_said(source, tmp_path, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    # What is refused, and what is odd: both are spoken of.
    raw = named().to_bytes()
    (source / "a" / "short.nii").write_bytes(raw[:-8])
    (source / "a" / "odd.nii").write_bytes(raw[:252] + b"\x63\0" + raw[254:])
    (source / "a" / "head.nii").write_bytes(b"\xff\xff" + raw[2:])
    (source / "a" / "text.nii").write_bytes(CANARY.encode() * 200)
    cache = tmp_path / "c"
    words = ("--on-error", "skip", "--workers", 0)
    texts = [said("build", source, cache, *words, "--dry-run")]
    texts += [said("build", source, cache, "--workers", 0)]
    texts += [said("build", source, cache, *words), said("build", source, cache, *words, "--json")]
    for command in ("verify", "stats"):
        texts += [said(command, cache), said(command, cache, "--json")]
    for text in texts:
        assert text
        assert CANARY not in text
    assert CANARY not in caplog.text
    held = kept(cache)
    assert any(name.endswith("inside") for name in held)
    for name, data in held.items():
        assert CANARY.encode() not in data, name


def test_no_absolute_path_is_kept(source, tmp_path) -> None:
    said("build", source, tmp_path / "c", "--workers", 0)
    home = str(tmp_path / "home").encode()
    for name, data in kept(tmp_path / "c").items():
        assert home not in data, name


def test_no_absolute_path_is_kept_of_what_is_skipped(source, tmp_path) -> None:
    (source / "a" / "short.nii").write_bytes(named().to_bytes()[:-8])
    said("build", source, tmp_path / "c", "--workers", 0, "--on-error", "skip")
    manifest = json.loads((tmp_path / "c" / "zarr.json").read_bytes())["attributes"]["niicache"]
    assert [entry["case"] for entry in manifest["skipped"]] == ["short"]
    home = str(tmp_path / "home").encode()
    for name, data in kept(tmp_path / "c").items():
        assert home not in data, name
