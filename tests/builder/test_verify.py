"""Damage of every kind is found, with its code, its class and its cases."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from building import build0, copy, masks, opened, same, shards, tree, vectors, voxels, write

from niicache.cache import open_cache
from niicache.errors import FormatError, NotACacheError, UncommittedError
from niicache.format.codec import crc32c
from niicache.format.shard import index_nbytes
from niicache_builder import stats, verify
from niicache_builder.examine import digest_of

if TYPE_CHECKING:
    from niicache.errors import Problem

ABSENT = 2**64 - 1
OPTIONS: dict[str, dict[str, Any]] = {
    "one case a chunk": {"chunk": (1,)},
    "two, not compressed": {"chunk": (2,), "codec": "none"},
    "blocks": {"chunk": (1, 4, 4, 4)},
}


@pytest.fixture(scope="module", params=OPTIONS)
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a source, its cache, and the options of the build."""
    root = tmp_path_factory.mktemp("state")
    options = OPTIONS[request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("niicache_builder.arrays.SHARD_CASES", 4)
        source = masks(root / "s", {"a": 7, "b": 2})
        build0(source, root / "c", **options)
    return source, root / "c", options


@pytest.fixture
def cache(state: Any, tmp_path: Path) -> Path:
    """Return a copy of the cache that may be broken."""
    return copy(state[1], tmp_path / "c")


def flip(path: Path, bit: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[bit // 8] ^= 1 << bit % 8
    path.write_bytes(raw)


def owner(path: str) -> str:
    return path.split("/", maxsplit=1)[0] if "/" in path else ""


def cases_at(cache: Path, path: str, offset: int) -> str | None:
    """Return the cases whose chunk covers a byte of a shard, None for a byte of the index."""
    opened_cache = open_cache(cache)
    klass, array, _, index, *_ = path.split("/")
    recipe = opened_cache.manifest.recipe
    layout = recipe.image if array == "image" else recipe.label
    assert layout is not None
    table = extents(cache / path, layout.shard_chunks)
    for place, (start, size) in enumerate(table):
        if start != ABSENT and start <= offset < start + size:
            first = int(index) * layout.shard_cases + place // layout.blocks * layout.chunk[0]
            names = opened_cache[klass].slot_names[first : first + layout.chunk[0]]
            return ", ".join(filter(None, names))
    return None


def extents(path: Path, places: int) -> list[list[int]]:
    """Return (offset, nbytes) of each chunk, from the index alone: Zarr v3, sharding_indexed."""
    raw = path.read_bytes()
    table: list[list[int]] = (
        np.frombuffer(raw[-4 - 16 * places : -4], "<u8").reshape(-1, 2).tolist()
    )
    return table


def only(cache: Path, **options: Any) -> Problem:
    found = verify(cache, **options).problems
    assert len(found) == 1, found
    return found[0]


def test_a_whole_cache(state: Any) -> None:
    _, cache, _ = state
    for quick in (False, True):
        found = verify(cache, quick=quick)
        assert found.problems == ()
        assert found.notes == ()
        assert found.files == len(tree(cache))
        assert found.quick == quick
        sizes = {path: len(data) for path, data in tree(cache).items() if path != "zarr.json"}
        read = sum(n for path, n in sizes.items() if not (quick and path in shards(cache)))
        assert found.nbytes == read


def by_path(cache: Path, **options: Any) -> dict[str, Problem]:
    """Verify, and return the one problem of each file that has one."""
    found = verify(cache, **options).problems
    problems = {Path(p.path).relative_to(cache).as_posix(): p for p in found}
    assert len(problems) == len(found)
    return problems


def test_every_flipped_bit_of_a_shard_is_found(state: Any, cache: Path) -> None:
    rng = np.random.default_rng(0)
    intact = {path: data for path, data in tree(cache).items() if path in shards(cache)}
    for _ in range(25):
        bits = {path: int(rng.integers(0, 8 * len(data))) for path, data in intact.items()}
        for path, bit in bits.items():
            flip(cache / path, bit)
        problems = by_path(cache)
        assert problems.keys() == bits.keys()
        for path, problem in problems.items():
            cases = cases_at(state[1], path, bits[path] // 8)
            assert problem.class_name == owner(path)
            if cases is None:
                assert problem.code == "index-damaged"
            else:
                assert (problem.code, problem.case) == ("chunk-damaged", cases)
        for path, data in intact.items():
            (cache / path).write_bytes(data)
    assert verify(cache).problems == ()


def test_every_flipped_bit_of_other_files_is_found(cache: Path) -> None:
    rng = np.random.default_rng(1)
    small = tree(cache).keys() - shards(cache)
    for _ in range(3):
        intact = {path: data for path, data in tree(cache).items() if path in small}
        for path, data in intact.items():
            if path != "zarr.json":
                flip(cache / path, int(rng.integers(0, 8 * len(data))))
        for quick in (False, True):
            problems = by_path(cache, quick=quick)
            assert problems.keys() == small - {"zarr.json"}
            for path, problem in problems.items():
                assert (problem.code, problem.class_name) == ("damaged", owner(path))
        for path, data in intact.items():
            (cache / path).write_bytes(data)


def test_every_flipped_bit_of_the_manifest_is_found(cache: Path) -> None:
    data = (cache / "zarr.json").read_bytes()
    for bit in np.random.default_rng(2).integers(0, 8 * len(data), 60).tolist():
        flip(cache / "zarr.json", bit)
        problem = only(cache, quick=True)
        assert problem.code == "manifest-damaged"
        assert problem.path == str(cache / "zarr.json")
        (cache / "zarr.json").write_bytes(data)
    assert verify(cache).problems == ()


def damaged(path: Path, how: str, aside: Path) -> None:
    raw = path.read_bytes()
    if how == "truncated":
        path.write_bytes(raw[:-1])
    elif how == "emptied":
        path.write_bytes(b"")
    elif how == "extended":
        path.write_bytes(raw + b"\0")
    elif how == "zeroed":
        path.write_bytes(bytes(len(raw)))
    elif how == "deleted":
        path.unlink()
    elif how == "linked":
        shutil.move(path, aside)
        path.symlink_to(aside)
    else:
        path.rename(path.with_name(path.name + ".old"))


CODES = {
    # of any file, of a shard with --quick
    "truncated": ("truncated", "truncated"),
    "emptied": ("truncated", "truncated"),
    "extended": ("extended", "extended"),
    "zeroed": ("zero-filled", None),
    "deleted": ("missing", "missing"),
    "linked": ("link", "link"),
}


@pytest.mark.parametrize("how", CODES)
def test_whatever_happens_to_a_shard_is_found(
    state: Any, cache: Path, tmp_path: Path, how: str
) -> None:
    paths = shards(cache)
    for i, path in enumerate(sorted(paths)):
        damaged(cache / path, how, tmp_path / f"aside{i}")
    kind, quick = CODES[how]
    problems = by_path(cache)
    assert problems.keys() == paths
    for path, problem in problems.items():
        assert (problem.code, problem.class_name) == (kind, owner(path))
        index = int(path.split("/")[3])
        held = open_cache(state[1])[owner(path)].slot_names[4 * index : 4 * index + 4]
        assert problem.case.split(", ") == list(held)
    codes = {path: problem.code for path, problem in by_path(cache, quick=True).items()}
    assert codes == ({} if quick is None else dict.fromkeys(paths, quick))


@pytest.mark.parametrize("how", CODES)
def test_whatever_happens_to_another_file_is_found(cache: Path, tmp_path: Path, how: str) -> None:
    paths = tree(cache).keys() - shards(cache) - {"zarr.json"}
    for i, path in enumerate(sorted(paths)):
        damaged(cache / path, how, tmp_path / f"aside{i}")
    for quick in (False, True):
        problems = by_path(cache, quick=quick)
        assert problems.keys() == paths
        for path, problem in problems.items():
            assert (problem.code, problem.class_name) == (CODES[how][0], owner(path))


@pytest.mark.parametrize("how", ["truncated", "emptied", "extended", "zeroed"])
def test_a_manifest_that_is_not_whole(cache: Path, tmp_path: Path, how: str) -> None:
    damaged(cache / "zarr.json", how, tmp_path / "aside")
    for quick in (False, True):
        problem = only(cache, quick=quick)
        assert problem.code == "manifest-damaged"
        assert problem.path == str(cache / "zarr.json")
        assert "delete the cache and build it again" in problem.hint


def test_a_damaged_manifest_is_told_alike_by_all_with_the_next_step(cache: Path) -> None:
    text = (cache / "zarr.json").read_bytes()
    for data in (text.replace(b'"cases": 7', b'"cases": 6'), text[:100], b"{}", b""):
        (cache / "zarr.json").write_bytes(data)
        problem = only(cache)
        assert str(problem).count("expected") == str(problem).count("got ") == 1
        with pytest.raises(FormatError) as caught:
            stats(cache)
        assert str(caught.value) == f"{problem.path}: {problem.got}; {problem.hint}"
        assert "Error" not in problem.got


def test_a_cache_of_another_version_is_not_to_be_deleted_at_once(cache: Path) -> None:
    text = (cache / "zarr.json").read_text()
    (cache / "zarr.json").write_text(text.replace('"format_version": 1', '"format_version": 2'))
    assert only(cache).hint.startswith("install a newer niicache")


def test_a_manifest_elsewhere(cache: Path, tmp_path: Path) -> None:
    damaged(cache / "zarr.json", "linked", tmp_path / "aside")
    assert only(cache).code == "link"


def test_a_manifest_that_went(cache: Path) -> None:
    (cache / "zarr.json").unlink()
    with pytest.raises(NotACacheError):
        verify(cache)
    (cache / ".build").mkdir()
    with pytest.raises(UncommittedError):
        verify(cache)
    with pytest.raises(NotACacheError):
        verify(cache / "nothing here")


def test_a_manifest_that_says_something_else(cache: Path) -> None:
    """Valid JSON, tampered with: the digest tells."""
    text = (cache / "zarr.json").read_text()
    (cache / "zarr.json").write_text(text.replace('"cases": 7', '"cases": 6'))
    assert only(cache).code == "manifest-damaged"
    (cache / "zarr.json").write_text(text.replace("\n ", "\n  "))
    assert only(cache).code == "manifest-damaged"


def test_renamed_files(state: Any, cache: Path) -> None:
    for path in [*sorted(shards(state[1])), "a/cases/key/c/0", "README.txt"]:
        damaged(cache / path, "renamed", cache)
        found = {p.code: p for p in verify(cache).problems}
        assert set(found) == {"missing", "unexpected"}
        assert found["missing"].path == str(cache / path)
        assert found["unexpected"].path == str(cache / path) + ".old"
        (cache / f"{path}.old").rename(cache / path)


@pytest.mark.parametrize(
    "path", ["x", "a/x", "a/image/c/9/0/0/0/0", "a/image/x.partial", "c/image/zarr.json", "a/.lock"]
)
def test_files_that_do_not_belong(cache: Path, path: str) -> None:
    (cache / path).parent.mkdir(parents=True, exist_ok=True)
    (cache / path).write_bytes(b"12345")
    for quick in (False, True):
        problem = only(cache, quick=quick)
        assert (problem.code, problem.path) == ("unexpected", str(cache / path))
        assert problem.got == "5 bytes"
        assert problem.class_name == ("a" if path.startswith("a/") else "")


def test_a_linked_folder(cache: Path, tmp_path: Path) -> None:
    shutil.move(cache / "a", tmp_path / "a")
    (cache / "a").symlink_to(tmp_path / "a")
    for quick in (False, True):
        codes = {p.code for p in verify(cache, quick=quick).problems}
        assert codes == {"missing", "unexpected"}
    (cache / "a").unlink()
    (cache / "link").symlink_to(tmp_path / "a")
    shutil.move(tmp_path / "a", cache / "a")
    problem = only(cache)
    assert (problem.code, problem.path) == ("unexpected", str(cache / "link"))


def test_swapped_shards(state: Any, cache: Path) -> None:
    one, other = "a/image/c/0/0/0/0/0", "a/image/c/1/0/0/0/0"
    for pair in ((one, other), (one, "b/image/c/0/0/0/0/0")):
        first, second = ((cache / path).read_bytes() for path in pair)
        (cache / pair[0]).write_bytes(second)
        (cache / pair[1]).write_bytes(first)
        found = verify(cache).problems
        assert [p.code for p in found] == ["swapped", "swapped"]
        assert {(p.path, p.got) for p in found} == {
            (str(cache / pair[0]), f"the bytes of {pair[1]}"),
            (str(cache / pair[1]), f"the bytes of {pair[0]}"),
        }
        (cache / pair[0]).write_bytes(first)
        (cache / pair[1]).write_bytes(second)
    assert verify(cache).problems == ()
    assert state[1] != cache


def test_a_shard_of_an_older_build(state: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("niicache_builder.arrays.SHARD_CASES", 4)
    source, target = copy(state[0], tmp_path / "s"), tmp_path / "c"
    build0(source, target, **state[2])
    old = tree(target)
    write(source / "a" / "images" / "case003.nii.gz", voxels(99, (5, 4, 6)))
    build0(source, target, **state[2])
    view = open_cache(target)["a"]
    slot = list(view.slot_names).index("case003")
    path = f"a/image/c/{slot // 4}/0/0/0/0"
    (target / path).write_bytes(old[path])
    found = verify(target).problems
    assert {p.code for p in found} == {"replayed"}
    assert {p.class_name for p in found} == {"a"}
    size = view.image.layout.chunk[0]
    first = slot // size * size
    assert {p.case for p in found} == {", ".join(view.slot_names[first : first + size])}


def resealed(path: Path, table: list[list[int]]) -> None:
    """Write another index into a shard, with a crc32c that holds."""
    raw = path.read_bytes()
    body = np.array(table, "<u8").tobytes()
    path.write_bytes(raw[: -4 - len(body)] + body + crc32c(body).to_bytes(4, "little"))


def test_chunks_in_each_others_place(state: Any, cache: Path) -> None:
    layout = open_cache(cache).manifest.recipe.image
    path = "a/image/c/0/0/0/0/0"
    table = extents(cache / path, layout.shard_chunks)
    assert len(table) == layout.shard_chunks
    assert index_nbytes(layout.shard_chunks) == 16 * len(table) + 4
    table[0], table[-1] = table[-1], table[0]
    resealed(cache / path, table)
    found = verify(cache).problems
    assert [p.code for p in found] == ["chunk-swapped"] * 2
    names = open_cache(cache)["a"].slot_names
    size = layout.chunk[0]
    assert [p.case for p in found] == [", ".join(names[:size]), ", ".join(names[4 - size : 4])]
    assert state[1] != cache


def test_a_chunk_that_is_said_to_be_absent(state: Any, cache: Path) -> None:
    layout = open_cache(cache).manifest.recipe.image
    path = "b/image/c/0/0/0/0/0"
    table = extents(cache / path, layout.shard_chunks)
    table[0] = [ABSENT, ABSENT]
    resealed(cache / path, table)
    problem = only(cache)
    assert problem.code == "chunk-missing"
    assert set(problem.case.split(", ")) <= {"case000", "case001"}
    assert state[1] != cache


def test_much_at_once(state: Any, cache: Path) -> None:
    flip(cache / "a/image/c/0/0/0/0/0", 5)
    (cache / "a/label/c/1/0/0/0/0").unlink()
    flip(cache / "b/cases/key/c/0", 5)
    (cache / "x").write_bytes(b"")
    codes = sorted(p.code for p in verify(cache).problems)
    assert codes == ["chunk-damaged", "damaged", "missing", "unexpected"]
    assert state[1] != cache


def test_damaged_checksums_do_not_hide_a_damaged_shard(cache: Path) -> None:
    flip(cache / "a/chunks/image/c/0", 5)
    flip(cache / "a/image/c/0/0/0/0/0", 5)
    flip(cache / "a/cases/name/c/0", 5)
    found = {p.path: p.code for p in verify(cache).problems}
    assert set(found) == {
        str(cache / path)
        for path in ("a/chunks/image/c/0", "a/image/c/0/0/0/0/0", "a/cases/name/c/0")
    }


def test_quick_reads_no_shard(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def recorded(path: Path) -> str | OSError:
        read.append(path.relative_to(cache).as_posix())
        return digest_of(path)

    monkeypatch.setattr("niicache_builder.examine.digest_of", recorded)
    verify(cache, quick=True)
    assert sorted(read) == sorted(tree(cache).keys() - shards(cache) - {"zarr.json"})


@pytest.mark.parametrize("state", ["two, not compressed"], indirect=True)
@pytest.mark.parametrize("how", ["flipped", "renamed", *CODES])
def test_doing_what_the_hint_says_mends_the_cache(
    state: Any, cache: Path, tmp_path: Path, how: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr("niicache_builder.arrays.SHARD_CASES", 4)
    source, intact, options = state
    for path in ("a/image/c/1/0/0/0/0", "a/label/c/0/0/0/0/0", "a/cases/key/c/0", "zarr.json"):
        if path == "zarr.json" and how in {"deleted", "renamed", "linked"}:
            continue
        if how == "flipped":
            flip(cache / path, 40)
        else:
            damaged(cache / path, how, tmp_path / "aside")
        for problem in verify(cache).problems:
            if "delete the cache" in problem.hint:
                shutil.rmtree(cache)
            elif "delete it" in problem.hint:
                Path(problem.path).unlink()
            else:
                assert "run the same build again" in problem.hint
        build0(source, cache, **options)
        assert verify(cache).problems == ()
        assert same(opened(cache), opened(intact))


def test_vectors_and_folders_are_verified_too(tmp_path: Path) -> None:
    build0(vectors(tmp_path / "s", {"a": 3}), tmp_path / "c")
    flip(tmp_path / "c" / "a/label/c/0/0", 200)
    problem = only(tmp_path / "c")
    assert problem.code == "chunk-damaged"
    assert problem.case.split(", ") == open_cache(tmp_path / "c")["a"].slot_names
