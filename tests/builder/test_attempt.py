"""Which case is to blame for dead workers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from building import case
from hypothesis import given
from hypothesis import strategies as st

from niicache.errors import WorkerDiedError
from niicache_builder.attempt import BETWEEN, KILLS_WORKER, Attempt, after_death, blamed
from niicache_builder.unit import Unit

if TYPE_CHECKING:
    from niicache_builder.scan import CaseScan


def unit(*slots: CaseScan | None) -> Unit:
    return Unit(class_name="a", index=0, slots=slots, id="", nbytes=1)


VACANT = unit(case("one"), None, case("two"), case("three"))


def test_the_case_under_way_twice_is_to_blame_and_named() -> None:
    once = after_death(Attempt(unit=VACANT), 1)
    assert once.alone
    assert once.killers == ()
    twice = after_death(once, 1)
    assert twice.killers == (2,)
    (problem,) = blamed(twice, Path("source")).values()
    assert (problem.code, problem.case, problem.class_name) == (KILLS_WORKER, "two", "a")
    assert problem.path == "source/a/images/two.nii.gz"
    assert problem.got.startswith("2 worker processes")


@given(st.lists(st.integers(-2, 4), max_size=12))
def test_no_unit_is_tried_for_ever(places: list[int]) -> None:
    attempt = Attempt(unit=VACANT)
    assert not attempt.alone
    for done in places:
        try:
            attempt = after_death(attempt, done)
        except WorkerDiedError:
            outside = [place for place in places if not 0 <= place < 3]
            assert len(outside) >= 3
            return
        assert attempt.deaths[BETWEEN if not 0 <= done < 3 else (0, 2, 3)[done]] > 0
    slots = dict(enumerate((0, 2, 3)))
    assert set(attempt.killers) == {slots[i] for i in slots if places.count(i) >= 2}


def test_deaths_that_befall_no_case_end_the_build_at_the_third() -> None:
    attempt = after_death(after_death(Attempt(unit=VACANT), -1), 3)
    assert blamed(attempt, Path()) == {}
    with pytest.raises(WorkerDiedError, match=r"3 worker processes were killed.*one, two, three "):
        after_death(attempt, -2)
