"""Whatever an attacker writes into a cache is refused by name, or read right; nothing else."""

from __future__ import annotations

import pytest
from breaks.hostile_metadata import TABLE, check, once
from breaks.resealing import base

RANDOM = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


def test_the_table_is_long():
    assert len(TABLE) >= 200


@pytest.mark.parametrize("outcome", ["open", "verify", "harmless"])
def test_every_attack_of_the_table_is_refused_by_name_or_changes_nothing(folder, outcome):
    failed = {}
    for name, hostile in TABLE.items():
        if hostile.outcome != outcome:
            continue
        draft = base(hostile.codec).draft()
        hostile.change(draft)
        try:
            check(hostile, draft, folder)
        except Exception as error:  # noqa: BLE001 - every attack is tried, whatever one does
            failed[name] = f"{type(error).__name__}: {error!s:.300}"
    assert not failed, "\n".join(f"{name}: {said}" for name, said in failed.items())


def test_random_changes_are_refused_by_name_or_change_nothing(folder):
    for seed in range(RANDOM):
        once(seed, folder)
