"""What a model checks of a cache: that it is proven, mended and built as it has to be."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from building import build0, live

from breaks.state_bench import BUILD, small_shards
from breaks.state_disk import differing
from breaks.state_reading import read_all
from niicache.cache import open_cache
from niicache.errors import CacheError, DamageError, SourceError
from niicache.format.names import ROOT
from niicache_builder import repair, verify
from niicache_builder.slots import hashed_order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from breaks.state_bench import Bench


def is_new(slots: tuple[str, ...]) -> bool:
    """Return whether cases are where a first build puts them."""
    return list(slots) == hashed_order(slots)


def verified(bench: Bench) -> None:
    """Check that verification finds what is damaged, and nothing else."""
    try:
        problems = verify(bench.cache).problems
    except CacheError:
        assert bench.is_lost, "verification finds no cache"
        return
    found = {Path(one.path).relative_to(bench.cache).as_posix() for one in problems}
    if bench.is_lost:
        assert found == {ROOT}
        return
    assert bench.must <= found, f"damage is not found: {bench.must - found}"
    allowed = bench.may | bench.foreign
    allowed |= {parent.as_posix() for path in bench.foreign for parent in Path(path).parents}
    assert found <= allowed, f"called damaged and is not: {found - allowed}"
    quick = verify(bench.cache, quick=True).problems
    assert {one.path for one in quick} <= {one.path for one in problems}


def compared_with_sources(bench: Bench) -> None:
    """Check that verification tells how the sources differ from the cache."""
    assert bench.now is not None
    if any("/cases/" in path for path in bench.may):
        return
    try:
        stale = verify(bench.cache, quick=True, source=bench.sources.root).stale
    except SourceError:
        assert not bench.sources.cases, "not taken for a source"
        return
    there, held = bench.sources.cases, bench.now.cases
    expected = {(*case, "source-new") for case in there.keys() - held.keys() - bench.now.skipped}
    for case, version in held.items():
        if case not in there:
            expected.add((*case, "source-missing"))
        elif not version.is_copy_of(there[case]):
            expected.add((*case, "source-changed"))
    assert {(one.class_name, one.case, one.code) for one in stale} == expected


def built_elsewhere(bench: Bench, other: Path, options: Mapping[str, Any]) -> None:
    """Check that a fresh build of the same sources is the same, to the byte if both are new."""
    assert bench.now is not None
    if bench.hurt or bench.now.cases != bench.sources.cases or not bench.sources.cases:
        return
    with small_shards():
        build0(bench.sources.root, other, **BUILD, **options)
    opened = open_cache(other)
    assert read_all(bench, opened, bench.now, strict=True) == len(bench.now.cases)
    same = opened.manifest.recipe == open_cache(bench.cache).manifest.recipe
    if same and not bench.now.skipped and all(map(is_new, bench.now.slots.values())):
        assert live(other) == dict(bench.files), "not as a build elsewhere makes it"
    shutil.rmtree(other)


def repaired(bench: Bench, *, quarantine: bool, remove: bool) -> None:
    """Repair a cache: all of it from the same sources, or nothing, or what is left of it."""
    bench.generations += 1
    before, source = bench.tree(), bench.sources.root
    if bench.is_lost:
        with pytest.raises(CacheError):
            repair(bench.cache, source, quarantine=quarantine, workers=0)
        assert bench.tree() == before
        return
    assert bench.now is not None
    now, may, foreign = bench.now, bench.may, bench.foreign
    least = bench.gone(bench.needed(bench.must, columns=False))
    most = bench.gone(bench.needed(may, columns=True))
    try:
        done = repair(
            bench.cache, source, quarantine=quarantine, remove_unexpected=remove, workers=0
        )
    except (SourceError, DamageError) as error:
        excuse = bench.untold() or most
        if isinstance(error, DamageError):
            excuse = foreign and not remove
        elif quarantine:
            excuse = bench.untold() or bench.unproven(most) or bench.emptied(most)
        if not excuse:
            raise AssertionError(f"the repair is refused: {error}") from error
        assert bench.tree() == before, "a repair that is refused changes the cache"
        return
    lost = {(one.class_name, one.case) for one in done.quarantined}
    assert least <= lost <= most, f"left out {lost}, not {least}"
    assert quarantine or not lost
    if (bench.cache / ROOT).read_bytes() != now.files[ROOT]:
        # Times of files that were touched are read again where they are damaged.
        assert lost or any("/cases/" in path for path in may), "the repair changes the manifest"
        bench.committed(without=lost)
    assert not differing(bench.cache, bench.files), "not mended to the byte"
    assert not (remove and bench.foreign), "what is foreign stays"
    bench.hurt &= bench.foreign
