"""Names that would command a terminal, a spreadsheet or rich are letters and no more."""

from __future__ import annotations

import csv
import json
import unicodedata
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from niicache.errors import Problem
from niicache.inert import inert, inert_lines
from niicache_builder.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("[bold]b[", "[link=https:x]y", "=cmd|x", "+1", "@sum", "\u202etxt.a")
CASES = (
    *("[red]x[red]", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "two\nlines", "a\rb", "\t=1"),
    *("=1+1", "@x", "-2", "\u202egpj.exe", "\x9b31m", "bell\x07", "nel\x85x", "sep\u2028x", "\x7f"),
)
DANGEROUS = {chr(code) for code in (*range(32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), 0x2028)}


def write(path: Path, data: np.ndarray) -> None:
    import nibabel as nib

    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(data, np.eye(4), dtype="int16").to_filename(path)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("names") / "s"
    for i, name in enumerate(CLASSES):
        for j, case in enumerate(CASES):
            write(root / name / f"{case}.nii", np.full((4, 3), 20 * i + j + 1, "int16"))
        broken = root / name / f"{CASES[1]}{CASES[3]}short.nii"
        broken.write_bytes((root / name / "=1+1.nii").read_bytes()[:-3])
    return root


def said(*words: object) -> tuple[str, str]:
    # In colour, for else click takes escape sequences out itself.
    result = CliRunner().invoke(main, list(map(str, words)), color=True)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.stdout, result.stderr


def check_inert(text: str) -> None:
    assert not DANGEROUS & (set(text) - {"\n"})


def test_names_are_inert_in_what_every_command_says(source, tmp_path) -> None:
    cache = tmp_path / "c"
    skip = ("--on-error", "skip", "--workers", 0)
    told = [said("build", source, cache, "--workers", 0)]
    told += [said("build", source, cache, *skip, "--dry-run"), said("build", source, cache, *skip)]
    told += [said("stats", cache), said("verify", cache)]
    shard = next(path for path in cache.rglob("*") if "image/c/" in str(path) and path.is_file())
    data = shard.read_bytes()
    shard.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    told.append(said("verify", cache))
    for out, err in told:
        assert out or err
        check_inert(out)
        check_inert(err)
    everything = "".join(out + err for out, err in told)
    assert "[link=https:x]y" in everything
    assert "\\x1b[31m" in everything
    assert "\\u202e" in everything


def test_names_come_through_json_as_they_are(source, tmp_path) -> None:
    out, err = said("build", source, tmp_path / "c", "--on-error", "skip", "--workers", 0, "--json")
    check_inert(out)
    check_inert(err)
    assert sorted(entry["name"] for entry in json.loads(out)["classes"]) == sorted(CLASSES)
    for command in ("stats", "verify"):
        out, _ = said(command, tmp_path / "c", "--json")
        check_inert(out)
        json.loads(out)


def test_no_cell_of_the_table_of_skipped_cases_is_a_formula(source, tmp_path) -> None:
    said("build", source, tmp_path / "c", "--on-error", "skip", "--workers", 0)
    with (tmp_path / "c" / "skipped.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 1 + len(CLASSES)
    for row in rows:
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@"))
            check_inert(cell)
    assert {row[0] for row in rows[1:]} >= {"'=cmd|x", "'+1", "'@sum", "[bold]b["}


@given(st.text(st.characters()))
def test_nothing_of_an_inert_text_acts_and_the_rest_stays(text) -> None:
    done = inert(text)
    assert not {unicodedata.category(char) for char in done} & {"Cc", "Cs", "Zl", "Zp"}
    assert len(done.splitlines()) <= 1
    assert inert(done) == done
    plain = "".join(char for char in text if char.isalnum())
    assert inert(plain) == plain
    assert inert_lines(text).count("\n") == text.count("\n")


def test_a_problem_is_one_line_whatever_it_is_about() -> None:
    problem = Problem(code="x", path="a\nb\x1b", got="\u2028", expected="\r", hint="h")
    assert str(problem) == "a\\x0ab\\x1b: [x] got \\u2028, expected \\x0d; h"
