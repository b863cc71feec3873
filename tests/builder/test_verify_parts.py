"""Verification of a part of a cache, and against its sources."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from building import build0, copy, folders, masks, shards, tree, vectors, voxels, write
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from niicache.errors import OptionError, SourceError
from niicache_builder import verify
from niicache_builder.cli.main import main
from niicache_builder.examine import digest_of
from niicache_builder.shard_damage import ShardName
from niicache_builder.subset import part

if TYPE_CHECKING:
    from niicache.errors import Problem


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a source and its cache of 4 + 1 shards, twice."""
    root = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("niicache_builder.arrays.SHARD_CASES", 2)
        source = masks(root / "s", {"a": 7, "b": 2})
        build0(source, root / "c")
    return source, root / "c"


# In parts.


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(0, 60), st.text(max_size=5), st.integers(0, 30))
def test_each_shard_is_of_one_part_whatever_comes_after_it(
    parts: int, index: int, name: str, others: int
) -> None:
    shard = ShardName(path="", class_name=name, array="image", index=index)
    assert sum(part(shard, (k, parts)) for k in range(1, parts + 1)) == 1
    more = [ShardName(path="", class_name=name, array="image", index=n) for n in range(others)]
    counts = [sum(part(one, (k, parts)) for one in more) for k in range(1, parts + 1)]
    assert max(counts) - min(counts) <= 1  # even work


@pytest.mark.parametrize("parts", [1, 3, 10])
def test_as_many_runs_as_parts_read_everything(
    state: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    cache = state[1]
    runs: list[list[str]] = []

    def recorded(path: Path) -> str | OSError:
        runs[-1].append(path.relative_to(cache).as_posix())
        return digest_of(path)

    monkeypatch.setattr("niicache_builder.examine.digest_of", recorded)
    for number in range(1, parts + 1):
        runs.append([])
        found = verify(cache, subset=(number, parts))
        assert (found.problems, found.subset) == ((), (number, parts))
        assert found.nbytes == sum((cache / path).stat().st_size for path in runs[-1])
    small = tree(cache).keys() - shards(cache) - {"zarr.json"}
    assert all(small <= set(run) for run in runs)
    assert sorted(path for run in runs for path in run if path not in small) == sorted(
        shards(cache)
    )


def test_damage_shows_in_one_part_and_what_is_missing_in_all(
    state: tuple[Path, Path], tmp_path: Path
) -> None:
    cache = copy(state[1], tmp_path / "c")
    path = cache / "a/image/c/2/0/0/0/0"
    data = bytearray(path.read_bytes())
    data[9] ^= 4
    path.write_bytes(data)
    (cache / "b/label/c/0/0/0/0/0").unlink()
    found = [[p.code for p in verify(cache, subset=(k, 4)).problems] for k in range(1, 5)]
    assert sorted(found) == [["chunk-damaged", "missing"], ["missing"], ["missing"], ["missing"]]


@pytest.mark.parametrize("subset", [(0, 3), (4, 3), (1, 0)])
def test_no_such_part(state: tuple[Path, Path], subset: tuple[int, int]) -> None:
    with pytest.raises(OptionError, match=r"expected k/n with k from 1 to n"):
        verify(state[1], subset=subset)
    with pytest.raises(OptionError, match="give one of both"):
        verify(state[1], subset=(1, 2), quick=True)


# Against the sources.


def stale(cache: Path, source: Path) -> list[tuple[str, str, str, str]]:
    """Return code, class, case and path below the source."""
    found = verify(cache, quick=True, source=source)
    assert found.problems == ()
    root = source if source.is_dir() else source.parent

    def told(problem: Problem) -> tuple[str, str, str, str]:
        path = Path(problem.path).relative_to(root).as_posix()
        return problem.code, problem.class_name, problem.case, path

    return [told(problem) for problem in found.stale]


def rewritten(path: Path) -> None:
    """Write other content of the same size, which is sound too, and keep the time."""
    info = path.stat()
    data = bytearray(path.read_bytes())
    data[4] ^= 1  # the time in the header of a gzip stream
    path.write_bytes(data)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert path.stat().st_size == info.st_size


def test_sources_that_are_what_they_were(state: tuple[Path, Path], tmp_path: Path) -> None:
    source, cache = state
    assert stale(cache, source) == []
    touched = copy(source, tmp_path / "s")
    for path in touched.rglob("*.gz"):
        os.utime(path, ns=(0, 0))
    assert stale(cache, touched) == []


def test_content_that_keeps_size_and_time_is_told(
    state: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("niicache_builder.arrays.SHARD_CASES", 2)
    source = copy(state[0], tmp_path / "s")
    for name in ("a/images/case003.nii.gz", "b/labels/case001.nii.gz"):
        rewritten(source / name)
    assert stale(state[1], source) == [
        ("source-changed", "a", "case003", "a/images/case003.nii.gz"),
        ("source-changed", "b", "case001", "b/labels/case001.nii.gz"),
    ]
    before = tree(state[1])
    assert not build0(source, copy(state[1], tmp_path / "c")).changed  # a build goes by the time
    assert tree(state[1]) == before


def test_sources_that_went_and_that_came(state: tuple[Path, Path], tmp_path: Path) -> None:
    source = copy(state[0], tmp_path / "s")
    for half in ("images", "labels"):
        (source / "a" / half / "case002.nii.gz").unlink()
        (source / "b" / half / "case000.nii.gz").rename(source / "b" / half / "new.nii.gz")
    assert stale(state[1], source) == [
        ("source-missing", "a", "case002", "a/images/case002.nii.gz"),
        ("source-missing", "a", "case002", "a/labels/case002.nii.gz"),
        ("source-missing", "b", "case000", "b/images/case000.nii.gz"),
        ("source-missing", "b", "case000", "b/labels/case000.nii.gz"),
        ("source-new", "b", "new", "b/images/new.nii.gz"),
    ]


def test_a_case_that_was_skipped_is_not_new(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 3})
    (source / "a" / "case001.nii.gz").write_bytes(b"nothing")
    build0(source, tmp_path / "c", on_error="skip")
    assert stale(tmp_path / "c", source) == []


def test_a_table_and_labels_that_nobody_uses(tmp_path: Path) -> None:
    source = vectors(tmp_path / "s", {"a": 2})
    (source / "t.csv").write_text(
        "class,image,label\n"
        + "".join(f"a,a/images/case00{i}.nii.gz,a/labels/case00{i}.nii.gz\n" for i in range(2))
    )
    build0(source / "t.csv", tmp_path / "c", labels="folder")
    rewritten(source / "a" / "labels" / "case001.nii.gz")
    assert stale(tmp_path / "c", source / "t.csv") == []
    rewritten(source / "a" / "images" / "case001.nii.gz")
    assert [one[:3] for one in stale(tmp_path / "c", source / "t.csv")] == [
        ("source-changed", "a", "case001")
    ]


def test_damage_and_stale_sources_are_told_apart(state: tuple[Path, Path], tmp_path: Path) -> None:
    source, cache = copy(state[0], tmp_path / "s"), copy(state[1], tmp_path / "c")
    write(source / "b" / "images" / "case000.nii.gz", voxels(1, (5, 4, 6)))
    write(source / "a" / "images" / "case000.nii.gz", voxels(1, (5, 4, 6)))
    (cache / "a/cases/image_hash/c/0").unlink()
    found = verify(cache, source=source)
    assert [p.code for p in found.problems] == ["missing"]
    # What class a was made of cannot be told any more.
    assert [(p.code, p.class_name) for p in found.stale] == [("source-changed", "b")]


def test_a_source_of_other_cases_is_one_problem(state: tuple[Path, Path], tmp_path: Path) -> None:
    other = folders(tmp_path / "other", {"x": 3})
    with pytest.raises(SourceError, match=r"other-source.*without one case of") as caught:
        verify(state[1], source=other)
    assert len(caught.value.problems) == 1


def test_what_is_no_source(state: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="source-missing"):
        verify(state[1], source=tmp_path / "nothing")


def test_the_hint_makes_a_build_look(state: tuple[Path, Path], tmp_path: Path) -> None:
    source = copy(state[0], tmp_path / "s")
    rewritten(source / "a" / "images" / "case001.nii.gz")
    (problem,) = verify(state[1], quick=True, source=source).stale
    assert "touch the file" in problem.hint
    os.utime(source / "a" / "images" / "case001.nii.gz")
    target = copy(state[1], tmp_path / "c")
    assert build0(source, target).changed
    assert verify(target, source=source).stale == ()


# The command line.


def test_the_options_arrive(state: tuple[Path, Path], tmp_path: Path) -> None:
    def call(*words: str | Path) -> Result:
        return CliRunner().invoke(main, ["verify", *map(str, words)])

    source, cache = copy(state[0], tmp_path / "s"), state[1]
    assert call(cache, "--source", source).exit_code == 0
    assert "; part 2 of 3 of the voxels" in call(cache, "--subset", "2/3").stdout
    for text in ("3", "0/3", "4/3", "a/b"):
        refused = call(cache, "--subset", text)
        assert refused.exit_code == 2
        assert "such as 1/10" in refused.stderr
    assert call(cache, "--subset", "1/2", "--quick").exit_code == 2
    rewritten(source / "a" / "images" / "case003.nii.gz")
    told = call(cache, "--source", source, "--subset", "2/3")
    assert told.exit_code == 4
    assert "the sources are not those that it was made of" in told.stdout
    value = json.loads(call(cache, "--source", source, "--subset", "2/3", "--json").stdout)
    assert (value["whole"], value["subset"], value["problems"]) == (True, [2, 3], [])
    assert [one["case"] for one in value["stale"]] == ["case003"]
