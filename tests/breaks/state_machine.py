"""A life of a cache: sources change, builds are killed, files spoil; a model knows what holds."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import hypothesis
import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from breaks.state_bench import Bench
from breaks.state_checks import (
    built_elsewhere,
    compared_with_sources,
    repaired,
    verified,
)
from breaks.state_disk import WAYS, killed_at, spoil
from breaks.state_model import HEADLESS, ROTTEN, SOUND, Generation, Identity, Version
from breaks.state_reading import opens, read_all, read_by_sequences
from breaks.tiny import SHARDS_OF_2, said_by
from breaks.warm import start
from niicache.cache import Cache, open_cache
from niicache.format.names import ROOT

RUNS, STEPS = 11, 20
"""The first run is the simplest that there is, and does not count."""

SHAPES = ((3, 4, 2), (2, 4, 2), (3, 2, 2))
CASES = [(owner, f"c{number}") for owner in "ab" for number in range(5)]

# No draw and no rule depends on what is on disk, so that a run may be repeated to shrink it.
cases = st.sampled_from(CASES)
shapes = st.sampled_from((SHAPES[0], *SHAPES))
places = st.integers(0, 10**6)
marks = st.sampled_from([".image", "/image/c/", "placed", ".retired", ROOT, "rmdir", "link"])
instants = st.one_of(
    st.tuples(st.integers(1, 40), st.just("")),
    st.tuples(st.integers(1, 500), st.just("")),
    st.tuples(st.integers(1, 4), marks),
)


class Life(RuleBasedStateMachine):
    """One of them."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.top = Path(mkdtemp(dir=folder))
        self.bench = Bench(self.top)
        self.number = 0
        self.options: dict[str, Any] = {}
        self.reader: tuple[Cache, Generation, int] | None = None

    def version(self, shape: tuple[int, ...], state: str = SOUND) -> Version:
        """Return content that no case has had."""
        self.number += 1
        time_ = self.bench.sources.tick()
        return Version(number=self.number, shape=shape, state=state, time=time_)

    @initialize(codec=st.sampled_from(["none", "fast"]), chunk=st.sampled_from([1, 2]))
    def begin(self, codec: str, chunk: int) -> None:
        self.options = {"codec": codec, "chunk": (chunk,)}
        for case in (*CASES[:3], *CASES[5:7]):
            self.bench.sources.put(case, self.version(SHAPES[0]))
        self.bench.build(skip=False, **self.options)

    @rule(
        case=cases,
        shape=shapes,
        how=st.sampled_from(["edit", "edit", "remove", "move", "touch", "hide", ROTTEN, HEADLESS]),
        to=cases,
    )
    def change(self, case: Identity, shape: tuple[int, ...], how: str, to: Identity) -> None:
        """Change a case of the sources; "hide" is new content of the same size and time."""
        sources, new = self.bench.sources, self.version(shape)
        there = sources.cases.get(case)
        if how == "edit":
            sources.put(case, new)
        elif there is None:
            return
        elif how == "remove":
            sources.remove(case)
        elif how == "move":
            sources.remove(case)
            sources.put(to, there)
        elif how == "touch":
            sources.put(case, replace(there, time=new.time))
        elif how == "hide":
            sources.put(case, replace(there, number=new.number))
        else:
            sources.put(case, replace(new, state=how))

    @rule(what=st.sampled_from(["sources", "sources", "manifest", "nothing"]))
    def bring_back(self, what: str) -> None:
        """Bring something back from a backup; or delete the cache."""
        bench = self.bench
        if what == "nothing":
            shutil.rmtree(bench.cache, ignore_errors=True)
            bench.now, self.reader = None, None
            bench.hurt.clear()
        elif bench.now is not None and what == "sources":
            for case in bench.sources.cases.keys() - bench.now.cases.keys():
                bench.sources.remove(case)
            for case, version in bench.now.cases.items():
                if bench.sources.cases.get(case) != version:
                    bench.sources.put(case, version)
        elif bench.now is not None and bench.is_lost:
            path = bench.cache / ROOT
            if path.is_dir():
                path.rmdir()
            path.unlink(missing_ok=True)
            path.write_bytes(bench.files[ROOT])
            bench.hurt.discard(ROOT)

    @rule(skip=st.booleans(), other=st.integers(0, 5))
    def build(self, skip: bool, other: int) -> None:
        if other == 1:  # all shards become other ones
            self.options["codec"] = {"none": "fast", "fast": "none"}[self.options["codec"]]
        self.bench.build(skip=skip, **self.options)

    @rule(case=cases, instant=instants, skip=st.booleans())
    def kill_build(self, case: Identity, instant: tuple[int, str], skip: bool) -> None:
        """Kill a build, which has something to do."""
        self.bench.sources.put(case, self.version(SHAPES[0]))
        with killed_at(*instant):
            self.bench.build(skip=skip, **self.options)
        self.bench.look()

    @rule(way=st.sampled_from([*WAYS, "swap", "foreign"]), place=places, voxels=st.booleans())
    def corrupt(self, way: str, place: int, voxels: bool) -> None:
        if not self.bench.is_lost:
            self.bench.hurt |= spoil(self.bench.cache, way, place, only_shards=voxels)
        if not (self.bench.cache / ROOT).exists() and (self.bench.cache / ".build").exists():
            self.bring_back("manifest")  # else it would be a first build that somebody began

    @rule(quarantine=st.booleans(), remove=st.booleans())
    def mend(self, quarantine: bool, remove: bool) -> None:
        repaired(self.bench, quarantine=quarantine, remove=remove)

    @rule(way=st.sampled_from([*WAYS]), place=places, instant=instants)
    def kill_repair(self, way: str, place: int, instant: tuple[int, str]) -> None:
        """Kill a repair, which has something to do if the sources are there."""
        self.corrupt(way, place, voxels=place % 2 == 0)
        with killed_at(*instant):
            repaired(self.bench, quarantine=False, remove=False)
        if self.bench.is_lost and self.bench.now is not None and ROOT not in self.bench.hurt:
            # Nothing was left out, but times of files that were touched were read again.
            self.bench.committed(without=set())

    @rule(how=st.sampled_from(["verify", "verify", "sources", "read", "stay", "another"]))
    def prove(self, how: str) -> None:
        bench = self.bench
        if how == "verify" or bench.is_lost or bench.now is None:
            verified(bench)
        elif how == "sources":
            compared_with_sources(bench)
        elif how == "read":
            read_all(bench, open_cache(bench.cache), bench.now, strict=True)
            read_by_sequences(bench)
        elif how == "another":
            built_elsewhere(bench, self.top / "other", self.options)
        elif self.reader is None:
            self.reader = open_cache(bench.cache), bench.now, bench.generations
        else:  # it has been open while others changed it
            cache, now, since = self.reader
            lasts = bench.generations - since <= 1 and not bench.hurt
            read_all(bench, cache, now, strict=lasts)
            self.reader = None

    def teardown(self) -> None:
        """Whatever has happened, the sources can be brought into the cache."""
        if sys.exc_info()[0] is None:
            self.end()
        shutil.rmtree(self.top)

    def end(self) -> None:
        """Repair, build, and look at everything once more."""
        self.bring_back("manifest")
        bench = self.bench
        bench.sources.put(CASES[0], self.version(SHAPES[0]))
        verified(bench)
        repaired(bench, quarantine=False, remove=True)
        bench.build(skip=True, **self.options)
        repaired(bench, quarantine=True, remove=True)
        verified(bench)
        if bench.now is not None:
            read_all(bench, open_cache(bench.cache), bench.now, strict=True)

    @invariant()
    def opens(self) -> None:
        opens(self.bench)


class HardLife(Life):
    """With processes that are killed for real, at instants that no seed repeats."""

    @rule(milliseconds=st.integers(0, 400), workers=st.sampled_from("02"))
    def kill_process(self, milliseconds: int, workers: str) -> None:
        bench = self.bench
        expected = bench.may_build(skip=False) and not bench.is_blocked
        options = [f"--codec={self.options['codec']}", f"--chunk={self.options['chunk'][0]}"]
        build = start(
            *("build", bench.sources.root, bench.cache, "--workers", workers, *options),
            *("--spatial-dims=3", "--labels=mask", "--on-duplicates=warn"),
            before=SHARDS_OF_2,
        )
        time.sleep(milliseconds / 1000)
        build.kill()
        done = build.wait()
        assert done.code in ({0, -9} if expected else {0, 1, 4, -9}), said_by(done)
        bench.generations += 1
        bench.look()


def explore(seed: int, folder: Path, *, runs: int, steps: int, life: type[Life] = Life) -> None:
    """Go through some lives.

    Raises:
        AssertionError: Something did not hold; says the steps to it.
    """
    options = settings(
        max_examples=runs,
        stateful_step_count=steps,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        deadline=None,
        database=None,
        report_multiple_bugs=False,
    )
    factory = hypothesis.seed(seed)(lambda: life(folder))
    try:
        run_state_machine_as_test(factory, settings=options)
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *getattr(error, "__notes__", [])])) from error


def once(seed: int, folder: Path) -> None:
    """Go through ten lives of twenty steps.

    Raises:
        AssertionError: As :func:`explore`.
    """
    explore(seed, folder, runs=RUNS, steps=STEPS, life=HardLife)
