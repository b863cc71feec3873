"""scripts/soak goes on after a failure and says how to repeat it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from breaks import Break, CannotBreakError

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import soak  # needs the path


def falls_at_1(seed: int, folder: Path) -> None:
    assert not list(folder.iterdir())
    (folder / "left behind").touch()
    if seed == 1:
        raise AssertionError("the promise")


def crashes(seed: int, folder: Path) -> None:
    raise ValueError(f"{seed} in {folder.name}")


def cannot(seed: int, folder: Path) -> None:  # noqa: ARG001 - as every break is called
    raise CannotBreakError("no disk")


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    breaks = {}
    for once in (falls_at_1, crashes, cannot):
        module = ModuleType(once.__name__)
        module.once = once
        monkeypatch.setitem(sys.modules, f"breaks.{once.__name__}", module)
        breaks[once.__name__] = Break(once.__name__, tests=(), soak=3)
    monkeypatch.setattr(soak, "BREAKS", breaks)


def test_it_goes_on_after_a_failure_and_names_the_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main([]) == 1
    out = capsys.readouterr().out
    again = "again: scripts/soak falls_at_1 --seed 1 --times 1"
    assert f"falls_at_1, seed 1: the promise\n  {again}" in out
    assert "ValueError: 2 in niicache-soak-" in out
    *_, table = out.split("\n\n")
    rows = [line.split() for line in table.splitlines()]
    assert rows[:4] == [
        ["break", "runs", "failures", "seconds", "skipped"],
        ["falls_at_1", "3", "1", "0"],
        ["crashes", "3", "3", "0"],
        ["cannot", "0", "0", "0", "no", "disk"],
    ]
    assert table.splitlines()[4:] == [
        "failed: scripts/soak falls_at_1 --seed 1 --times 1",
        *(f"failed: scripts/soak crashes --seed {seed} --times 1" for seed in range(3)),
    ]


def test_one_seed_again_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["falls_at_1", "--seed", "1", "--times", "1"]) == 1
    assert soak.main(["falls_at_1", "--seed", "2", "--times", "4"]) == 0
    assert "falls_at_1: 4 of 4" in capsys.readouterr().out


def test_time_that_is_over_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["falls_at_1", "--seed", "2", "--times", "9999999", "--minutes", "0.002"]) == 0
    assert "failures" in capsys.readouterr().out


def test_what_asks_nothing_of_the_disk_gets_a_folder_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, memory = Break("any", tests=(), soak=1), Break("any", tests=(), soak=1, in_memory=True)
    monkeypatch.setattr(soak, "MEMORY", tmp_path)
    assert (soak.place(disk), soak.place(memory)) == (None, tmp_path)
    monkeypatch.setattr(soak, "MEMORY", tmp_path / "missing")
    assert soak.place(memory) is None


@pytest.mark.parametrize(
    "words", [["nothing"], ["--times", "0"], ["--seed", "-1"], ["--minutes", "0"]]
)
def test_wrong_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        soak.main(words)
    assert caught.value.code == 2
    assert "expected" in capsys.readouterr().err or words[0].startswith("--")
