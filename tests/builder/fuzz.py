"""Random mutations of real files, any number of them, from a seed.

    python tests/builder/fuzz.py 200000 7      # mutations, seed

Mutation ``i`` of a seed is the same wherever it runs; what fails names both.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from limits import alarm, limited
from nibabel import imageglobals
from zoo import SINGLE, brain, sound, squeezed, swapped

from niicache_builder.nifti import NiftiError, Voxels, read_header, read_voxels

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 10.0
SPARE_BYTES = 256 * 2**20
"""Memory that reading a file of a few kB may take beyond what the process has."""

TELLING = (
    0,
    1,
    2,
    4,
    8,
    16,
    127,
    128,
    255,
    348,
    352,
    540,
    32767,
    32768,
    65535,
    2**31 - 1,
    2**32 - 1,
)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e30, 3.4e38, float("nan"), float("inf"), float("-inf"))


@dataclass(slots=True)
class Tally:
    """What became of the mutations.

    Attributes:
        accepted: Files that were read.
        judged: Those of them that nibabel read as well, and alike.
        refused: Code to how many.
    """

    accepted: int = 0
    judged: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """How many mutations there were."""
        return self.accepted + self.refused.total()


@cache
def bases() -> tuple[tuple[str, bytes, bytes], ...]:
    """Return name, content and, of a pair, the .img of each sound file."""
    data = np.asanyarray(brain().dataobj)
    series = nib.Nifti2Image(np.stack([data[:5, :4], data[5:10, :4]], -1), np.eye(4))
    floats = nib.Nifti1Image(data[:6, :5, :4].astype("float32") / 7, brain().affine)
    raw = sound()
    pair = raw[:344] + b"ni1\0" + bytes(4)
    header = nib.Nifti1Header(pair[:348], check=False)
    header["vox_offset"] = 0
    return (
        ("a.nii", raw, b""),
        ("a.nii.gz", raw, b""),
        ("b.nii.gz", bytes(series.to_bytes()), b""),
        ("c.nii", swapped(raw), b""),
        ("d.nii", bytes(floats.to_bytes()), b""),
        ("e.hdr", bytes(header.binaryblock) + bytes(4), raw[SINGLE:]),
    )


def mutated(rng: np.random.Generator, data: bytes) -> bytes:
    """Return bytes with one to six things done to them, in the header more often than not."""
    raw = bytearray(data)
    for _ in range(int(rng.integers(1, 7))):
        reach = min(len(raw), 560) if rng.random() < 0.75 else len(raw)
        at = int(rng.integers(0, max(reach, 1)))
        kind = int(rng.integers(0, 8))
        if kind == 0:
            raw[at : at + 1] = (
                bytes([raw[at] ^ 1 << int(rng.integers(8))]) if at < len(raw) else b""
            )
        elif kind == 1:
            width = int(rng.choice([1, 2, 4, 8]))
            value = int(rng.choice(TELLING)) % 2 ** (8 * width)
            order = "big" if rng.random() < 0.2 else "little"
            raw[at : at + width] = value.to_bytes(width, order)
        elif kind == 2:
            at -= at % 4
            raw[at : at + 4] = np.float32(rng.choice(FLOATS)).tobytes()
        elif kind == 3:
            piece = rng.bytes(int(rng.integers(1, 9)))
            raw[at : at + len(piece)] = piece
        elif kind == 4:
            # dim, where most is decided
            place = 40 + 2 * int(rng.integers(8))
            raw[place : place + 2] = int(rng.integers(0, 20)).to_bytes(2, "little")
        elif rng.random() < 0.1:
            del raw[int(rng.integers(0, len(raw) + 1)) :]
        elif kind == 5:
            raw[at:at] = rng.bytes(int(rng.integers(1, 40)))
        elif kind == 6:
            del raw[at : at + int(rng.integers(1, 40))]
    return bytes(raw)


def write(rng: np.random.Generator, folder: Path) -> Path:
    """Write a mutated file and return its path."""
    name, raw, img = bases()[int(rng.integers(len(bases())))]
    path = folder / name
    if name.endswith(".gz"):
        # The image before it is packed, or the stream, or both.
        which = int(rng.integers(3))
        content = squeezed(raw if which == 0 else mutated(rng, raw))
        path.write_bytes(content if which == 1 else mutated(rng, content))
        return path
    beside = img and rng.random() < 0.3
    path.write_bytes(raw if beside else mutated(rng, raw))
    if img:
        path.with_suffix(".img").write_bytes(mutated(rng, img) if beside else img)
    return path


def check(path: Path, tally: Tally) -> None:
    """Read a file in both ways and hold one against the other, and against nibabel.

    Raises:
        AssertionError: Something else than a named refusal or the right voxels came out.
    """
    header, voxels, refusal = None, None, None
    try:
        header = read_header(path)
    except NiftiError as error:
        refusal = error
    try:
        voxels = read_voxels(path)
    except NiftiError as error:
        refusal = error
    if refusal is not None:
        said = (refusal.kind, refusal.got, refusal.expected, refusal.hint)
        assert all(said), f"a refusal that does not say enough: {said}"
        assert refusal.kind != "too-large", "memory of more than a small file may ask for"
        assert header is not None or voxels is None, "the header was refused, the voxels read"
        tally.refused[refusal.kind] += 1
        return
    assert voxels is not None
    assert voxels.header == header, "the header is another when the voxels are read"
    tally.accepted += 1
    tally.judged += agrees(path, voxels)


def agrees(path: Path, voxels: Voxels) -> bool:
    """Return whether nibabel reads the file at all; what it reads has to be the same."""
    judge = nib_voxels(path)
    if judge is None:
        return False
    assert judge.shape == voxels.data.shape
    assert judge.dtype.newbyteorder("=") == voxels.data.dtype
    kept = judge.astype(voxels.data.dtype).tobytes(order="F")
    assert kept == voxels.data.tobytes(order="F"), "voxels differ from nibabel's"
    return True


def nib_voxels(path: Path) -> np.ndarray[Any, Any] | None:
    """Return the stored voxels as nibabel reads them, None where it refuses."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    two = raw[4:7] in {b"n+2", b"ni2"}
    with silent(), np.errstate(all="ignore"):
        try:
            if path.suffix == ".hdr":
                image = (nib.Nifti2Pair if two else nib.Nifti1Pair).from_filename(path)
            else:
                kind = nib.Nifti2Image if two else nib.Nifti1Image
                image = kind.from_stream(io.BytesIO(raw))
            found: np.ndarray[Any, Any] = image.dataobj.get_unscaled()
        except Exception:  # noqa: BLE001 - whatever it is, nibabel has no reading of its own
            return None
        return found


def fuzz(folder: Path, *, seed: int, count: int, first: int = 0) -> Tally:
    """Read mutated files and return what became of them.

    Args:
        folder: Where they are written, one after the other.
        seed: Of all of them.
        count: How many.
        first: Number of the first.

    Raises:
        AssertionError: A crash, ten seconds over one file, memory without bound, or voxels that
            are not nibabel's. Names the seed and the number.
    """
    tally = Tally()
    bases()
    with limited(SPARE_BYTES):
        for number in range(first, first + count):
            try:
                with alarm(SECONDS):
                    check(write(np.random.default_rng((seed, number)), folder), tally)
            except Exception as error:
                what = f"{type(error).__name__}: {error}"
                raise AssertionError(f"seed {seed}, mutation {number}: {what}") from error
    return tally


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep nibabel from saying what it mends."""
    before = imageglobals.logger.disabled
    imageglobals.logger.disabled = True
    try:
        yield
    finally:
        imageglobals.logger.disabled = before


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        found = fuzz(Path(scratch), seed=int(sys.argv[2]), count=int(sys.argv[1]))
    sys.stdout.write(f"{found}\n")
