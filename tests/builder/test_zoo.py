"""Each animal of the zoo gets its verdict, and spoils the build of no other file."""

from __future__ import annotations

import gzip
import io
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest
from building import build0
from zoo import SHAPE, ZOO, Animal, brain, sound, squeezed

from niicache.cache import open_cache

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [animal.name for animal in ZOO]


def sources_of(animal: Animal, folder: Path) -> list[Path]:
    """Write the animal's file, or a .nii and a .nii.gz of it."""
    changed = animal.mutate(sound())
    if animal.file:
        files = {f"beast{animal.file}": changed}
    else:
        files = {"beast.nii": changed, "beast_gz.nii.gz": squeezed(changed)}
    paths = []
    for name, content in files.items():
        (folder / name).write_bytes(content)
        paths.append(folder / name)
    return paths


def judged(path: Path, animal: Animal) -> np.ndarray[Any, Any]:
    """Return the voxels as nibabel reads them, scaled."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    if animal.same:
        return np.asanyarray(brain().dataobj)
    with suppress(nib.spatialimages.HeaderDataError):
        image = nib.Nifti1Image.from_stream(io.BytesIO(raw))
        return np.asanyarray(image.dataobj).reshape(SHAPE)
    raise AssertionError(f"nibabel refuses {animal.name}, which we accept")


def others(root: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Write sound files beside the animals: two classes, zipped and plain."""
    data = np.asanyarray(brain().dataobj)
    found = {}
    for number, name in enumerate(("sick/a.nii", "sick/b.nii.gz", "well/c.nii.gz")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        found[name.partition(".")[0]] = data + np.int16(number + 1)
        nib.Nifti1Image(found[name.partition(".")[0]], brain().affine).to_filename(root / name)
    return found


@pytest.mark.parametrize("animal", ZOO, ids=NAMES)
def test_the_verdict_is_as_the_table_says(animal: Animal, tmp_path: Path) -> None:
    sound_ones = others(tmp_path / "s")
    beasts = sources_of(animal, tmp_path / "s" / "sick")
    built = build0(tmp_path / "s", tmp_path / "c", on_error="skip")

    found = {str(path): set() for path in beasts}
    for problem in (*built.manifest.skipped, *built.warnings):
        assert problem.got
        assert problem.expected
        # Paths of skipped cases count from the source; warnings name them as they were given.
        found[str(tmp_path / "s" / problem.path)].add(problem.code)
    expected = {str(path): set(animal.codes) for path in beasts}
    if animal.verdict != "reject" and "image-constant" not in animal.codes:
        for zipped in beasts[1:]:  # the same voxels as the first
            expected[str(zipped)].add("image-twice")
    assert found == expected
    skipped = {str(tmp_path / "s" / entry.path) for entry in built.manifest.skipped}
    assert skipped == ({*map(str, beasts)} if animal.verdict == "reject" else set())

    cache = open_cache(tmp_path / "c")
    held = {f"{view.name}/{name}": view[i] for view in cache for i, name in enumerate(view.cases)}
    # A file that is left out has no say in the shape of the others.
    assert cache.manifest.recipe.image.shape == (*SHAPE, 1)
    for name, voxels in sound_ones.items():
        np.testing.assert_array_equal(held.pop(name).image[..., 0], voxels)
    if animal.verdict == "reject":
        assert held == {}
    else:
        assert len(held) == len(beasts)
        for path in beasts:
            image = held[f"sick/{path.name.partition('.')[0]}"].image[..., 0]
            with np.errstate(under="ignore"):
                np.testing.assert_array_equal(image, judged(path, animal).astype(image.dtype))


def test_the_table_is_whole() -> None:
    assert len(set(NAMES)) == len(NAMES) > 110
    for animal in ZOO:
        assert animal.why
        assert animal.verdict in {"accept", "warn", "reject"}
        assert bool(animal.codes) == (animal.verdict != "accept")
        assert all(re.fullmatch(r"[a-z0-9-]+", code) for code in animal.codes)
