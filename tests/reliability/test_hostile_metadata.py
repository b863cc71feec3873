"""Whatever an attacker writes into a cache is refused by name, or read right; nothing else.

Every third attack of each outcome is made here, so that all kinds are; ``scripts/soak
hostile-attack`` makes all of them, which takes some minutes.
"""

from __future__ import annotations

import numpy as np
import pytest
from breaks import BREAKS
from breaks.hostile_attack import once as attack
from breaks.hostile_metadata import TABLE, VALUES, change_json, once

RANDOM = 60
PART = 3
LEAST = 200


def attacks(outcome):
    """Return the numbers of the attacks of an outcome that are made."""
    found = [number for number, one in enumerate(TABLE.values()) if one.outcome == outcome]
    return found if outcome == "harmless" else found[::PART]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


def test_what_is_planted_is_never_the_same_object_twice():
    """Else sealing one cache fills what the next is given: seeds then depend on those before."""
    for seed in range(200):
        document = {"a": 0, "b": 0}
        change_json(document, np.random.default_rng(seed))
        for one in document.values():
            if isinstance(one, dict):
                one["files"] = 1
            elif isinstance(one, list):
                one.append(1)
    assert VALUES[-2:] == ([], {})


def test_many_are_made():
    assert BREAKS["hostile-attack"].soak == len(TABLE)
    assert sum(len(attacks(outcome)) for outcome in ("open", "verify", "harmless")) >= LEAST


@pytest.mark.parametrize("outcome", ["open", "verify", "harmless"])
def test_every_attack_is_refused_by_name_or_changes_nothing(folder, outcome):
    failed = []
    for number in attacks(outcome):
        try:
            attack(number, folder)
        except AssertionError as error:  # every attack is made, whatever comes of one
            failed.append(str(error))
    assert not failed, "\n".join(failed)


def test_random_changes_are_refused_by_name_or_change_nothing(folder):
    for seed in range(RANDOM):
        once(seed, folder)
