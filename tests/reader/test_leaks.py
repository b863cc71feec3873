"""One image in several folds is warned of."""

from __future__ import annotations

import shutil
import warnings

import nibabel
import pytest
from helpers import make_cache

from niicache import BalancedSequence, OrderedSequence, open_cache
from niicache.errors import LeakWarning
from niicache.splits import fold_of

SPLIT = {"train": 0.5, "val": 0.2, "test": 0.3}


@pytest.fixture(scope="module")
def doubled(vector_source, tmp_path_factory):
    """Return a source in which six images of the first class lie twice."""
    source = tmp_path_factory.mktemp("doubled") / "source"
    shutil.copytree(vector_source, source)
    for half in ("images", "labels"):
        files = sorted((source / "axial" / half).iterdir())[:6]
        for number, file in enumerate(files):
            shutil.copy(file, file.with_name(f"copy_{number}{''.join(file.suffixes)}"))
    return source


def leaks(cache, seed, folds):
    """Return the pairs of copies in different folds."""
    view = cache["axial"]
    by_hash = {}
    for name, image in zip(view.cases, view.column("image_hash").tolist(), strict=True):
        row = int(view.rows[view.cases.index(name)])
        by_hash.setdefault(image, []).append(view.members[row])
    pairs = [pair for pair in by_hash.values() if len(pair) > 1]
    assert len(pairs) == 6
    splits = dict(zip(view.cases, view.splits, strict=True))
    pairs = [pair for pair in pairs if all(splits[one.name] != "test" for one in pair)]
    return [pair for pair in pairs if len({fold_of(seed, folds, one) for one in pair}) > 1]


@pytest.mark.parametrize("split", [None, SPLIT])
def test_copies_in_different_folds_are_named(doubled, tmp_path, split):
    cache = open_cache(make_cache(doubled, tmp_path / "cache", split=split, on_duplicates="warn"))
    found = leaks(cache, "", 5)
    assert found
    with pytest.warns(LeakWarning, match="are the same image in different folds") as caught:
        BalancedSequence(cache, 4, split="train", fold=(0, 5))
    (warning,) = caught
    text = str(warning.message)
    assert any(f"axial/{one.name} and axial/{two.name}" in text for one, two in found) or any(
        f"axial/{two.name} and axial/{one.name}" in text for one, two in found
    )
    assert (f"{len(found) - 1} more such pairs" in text) == (len(found) > 1)


def test_copies_in_files_of_other_bytes_are_copies(doubled, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(doubled, source)
    for file in (source / "axial" / "images").glob("copy_*"):
        image = nibabel.load(file)
        image.header["descrip"] = b"again"
        image.to_filename(file)
    cache = open_cache(make_cache(source, tmp_path / "cache", on_duplicates="warn"))
    hashes = cache["axial"].column("image_hash").tolist()
    assert len(set(hashes)) == len(hashes)
    with pytest.warns(LeakWarning, match="axial/copy_|and axial/copy_"):
        BalancedSequence(cache, 4, split="train", fold=(0, 5))


def test_copies_of_one_group_and_no_copies_are_none(doubled, vector_source, tmp_path):
    grouped = make_cache(doubled, tmp_path / "one", group_by="(axial|coronal|sagittal|oblique)/")
    plain = make_cache(vector_source, tmp_path / "two")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OrderedSequence(grouped, 4, split="train", fold=(0, 5))
        OrderedSequence(plain, 4, split="train", fold=(0, 5))
        OrderedSequence(open_cache(grouped), 4)


def test_copies_that_where_leaves_out_are_none(doubled, tmp_path):
    cache = open_cache(make_cache(doubled, tmp_path / "c", on_duplicates="warn"))
    assert leaks(cache, "", 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OrderedSequence(
            cache,
            4,
            split="train",
            fold=(0, 5),
            where={"name": lambda name: not name.startswith("copy")},
        )
