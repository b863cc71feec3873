"""The command line, through click's runner and as a process."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from building import (
    build0,
    command,
    environment,
    folders,
    masks,
    run,
    stamps,
    tree,
    vectors,
    write,
)
from click.testing import CliRunner, Result

import niicache_builder
from niicache import __version__
from niicache.cache import open_cache
from niicache_builder import BuildOptions, plan_build
from niicache_builder.cli.bar import Bar
from niicache_builder.cli.main import build_cache, main
from niicache_builder.cli.progress import Heartbeat, watch
from niicache_builder.lock import hold
from niicache_builder.measure import decoded_bytes
from niicache_builder.report.plan import plan_json


def call(*arguments: str | Path) -> Result:
    """Run ``niicache ...`` in this process; builds take no others."""
    words = [str(argument) for argument in arguments]
    if words[0] == "build":
        words += ["--workers", "0"]
    result = CliRunner().invoke(main, words, prog_name="niicache")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return masks(tmp_path / "s", {"a": 3, "b": 2})


@pytest.fixture
def built(source: Path, tmp_path: Path) -> Path:
    build0(source, tmp_path / "c")
    return tmp_path / "c"


def spoil(source: Path) -> Path:
    path = source / "a" / "labels" / "case001.nii.gz"
    path.unlink()
    return source / "a" / "images" / path.name


# Exit codes.


def test_0_done(source: Path, tmp_path: Path) -> None:
    result = call("build", source, tmp_path / "c")
    assert result.exit_code == 0
    assert f"{tmp_path / 'c'}: 5 cases in 2 classes" in result.stdout
    assert "2 of 2 shards written" in result.stdout
    assert "images-labels layout" in result.stderr
    assert call("build", source, tmp_path / "c").stdout.endswith(
        "nothing had changed, nothing was written\n"
    )
    result = call("verify", tmp_path / "c")
    assert (result.exit_code, result.stderr) == (0, "")
    assert ": whole (" in result.stdout
    assert "voxels were not read (--quick)" in call("verify", "--quick", tmp_path / "c").stdout
    result = call("stats", tmp_path / "c")
    assert (result.exit_code, result.stderr) == (0, "")
    for words in ("labels mask", "class", "5x4x6x1 .. 7x4x6x1", "60.0%", "40.0%"):
        assert words in result.stdout


def test_1_failed(source: Path, tmp_path: Path) -> None:
    image = spoil(source)
    result = call("build", source, tmp_path / "c")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error [source]: 1 problem\n" in result.stderr
    assert f"{image}: [unpaired-image] got" in result.stderr
    assert not (tmp_path / "c").exists()
    for name in ("verify", "stats"):
        result = call(name, tmp_path / "c")
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"error [not-a-cache]: {tmp_path / 'c'}: got no such folder" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nonsense",),
        ("--codec", "gzip"),
        ("--dtype", "float"),
        ("--shape", "64,a"),
        ("--shape", ""),
        ("--shape", "64"),
        ("--shape", "0,64"),
        ("--chunk", "2,4,4,4"),
        ("--patch", "abc"),
        ("--patch", "-1,2,3"),
        ("--spatial-dims", "4"),
        ("--pad-value", "nan"),
        ("--pad-mode", "mean"),
        ("--on-error", "maybe"),
        ("--workers", "-1"),
    ],
)
def test_2_wrong_usage(source: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    words = ["build", str(source), str(tmp_path / "c"), *arguments]
    result = CliRunner().invoke(main, words, prog_name="niicache")
    assert (result.exit_code, result.stdout) == (2, "")
    assert arguments[0].lstrip("-").replace("-", "_")[:6] in result.stderr.replace("-", "_")
    assert not (tmp_path / "c").exists()


def test_2_an_example_is_one_of_the_option(source: Path) -> None:
    for option, example in (("--shape", "64,64 or"), ("--chunk", "32 or"), ("--patch", "64,64 or")):
        words = ["build", str(source), "c", option, "foo"]
        result = CliRunner().invoke(main, words, prog_name="niicache")
        assert example in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "words", [("build",), ("build", "one"), ("nothing",), ("verify",), ("stats", "a", "b")]
)
def test_2_wrong_words(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, list(words), prog_name="niicache")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: niicache" in result.stderr


@pytest.mark.parametrize("shape", ["99999999,99999999,9", "99999,99999,99999"])
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_1_a_case_that_no_machine_holds(
    source: Path, tmp_path: Path, shape: str, more: tuple[str, ...]
) -> None:
    result = call("build", source, tmp_path / "c", "--shape", shape, *more)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error [memory]: shape: got a padded case of (99999" in result.stderr
    assert "give a smaller --shape" in result.stderr
    assert not (tmp_path / "c").exists()


def test_1_memory_runs_out(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise MemoryError("Unable to allocate 9 PiB")

    monkeypatch.setattr(niicache_builder, "stats", refuse)
    result = call("stats", built)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("error [memory]: memory ran out: Unable to allocate 9 PiB; run the")
    assert parsed(call("stats", built, "--json"))["code"] == "memory"


def test_2_a_target_in_its_source(source: Path) -> None:
    result = call("build", source, source / "c")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "error [option]: target: got" in result.stderr


def test_3_skipped(source: Path, tmp_path: Path) -> None:
    spoil(source)
    for _ in range(2):
        result = call("build", source, tmp_path / "c", "--on-error", "skip")
        assert result.exit_code == 3
        assert f"skipped: {tmp_path / 'c'}/skipped.csv" in result.stdout
    assert call("build", source, tmp_path / "d", "--on-error", "skip", "--dry-run").exit_code == 3
    result = call("verify", tmp_path / "c")
    assert result.exit_code == 0
    assert "skipped; see skipped.csv" in result.stdout
    assert "skipped; see skipped.csv" in call("stats", tmp_path / "c").stdout


def test_4_damage(built: Path, source: Path) -> None:
    shard = next(built.glob("a/image/c/0/0/0/0/0"))
    raw = bytearray(shard.read_bytes())
    raw[20] ^= 1
    shard.write_bytes(raw)
    result = call("verify", built)
    assert (result.exit_code, result.stderr) == (4, "")
    assert f"{built}: DAMAGED" in result.stdout
    assert f"{shard}: [chunk-damaged]" in result.stdout
    assert "class a, cases case00" in result.stdout
    assert call("verify", "--quick", built).exit_code == 0
    column = built / "a" / "cases" / "mean" / "c" / "0" / "0"
    column.unlink()
    assert call("verify", "--quick", built).exit_code == 4
    result = call("stats", built)
    assert (result.exit_code, result.stdout) == (4, "")
    assert "error [damage]: 1 problem" in result.stderr
    (built / "zarr.json").write_bytes(b"{}")
    for words in (("verify", built), ("stats", built), ("build", source, built)):
        assert call(*words).exit_code == 4


def test_5_locked(built: Path, source: Path) -> None:
    with hold(built):
        result = call("build", source, built)
    assert (result.exit_code, result.stdout) == (5, "")
    assert "error [locked]" in result.stderr
    assert f"process {os.getpid()} on " in result.stderr


# JSON.


def parsed(result: Result) -> Any:
    """Return what is on stdout, which must be JSON and nothing else, without NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(result.stdout, parse_constant=refuse)


def test_build_json(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "c"
    value = parsed(call("build", source, target, "--dry-run", "--json"))
    assert value["schema"] == "niicache.plan/1"
    assert (value["shards"], value["shards_to_write"]) == (2, 2)
    assert value["recipe"]["image"]["shape"] == [7, 4, 6, 1]
    assert value["disk_bytes"] > 0
    assert value["problems"] == []
    value = parsed(call("build", source, target, "--json"))
    assert value["schema"] == "niicache.build/1"
    assert value["path"] == str(target)
    assert (value["changed"], value["shards_written"], value["shards_resumed"]) == (True, 2, 0)
    assert value["classes"] == [
        {"name": "a", "cases": 3, "slots": 3},
        {"name": "b", "cases": 2, "slots": 2},
    ]
    assert value["disk_bytes"] == sum(map(len, tree(target).values())) - len(
        (target / "zarr.json").read_bytes()
    )
    assert not parsed(call("build", source, target, "--json"))["changed"]


def test_verify_json(built: Path) -> None:
    value = parsed(call("verify", built, "--json"))
    assert value["schema"] == "niicache.verify/1"
    assert (value["whole"], value["problems"], value["quick"]) == (True, [], False)
    (built / "README.txt").unlink()
    result = call("verify", built, "--json", "--quick")
    value = parsed(result)
    assert result.exit_code == 4
    assert (value["whole"], value["quick"]) == (False, True)
    (problem,) = value["problems"]
    assert problem["code"] == "missing"
    assert problem["path"] == str(built / "README.txt")
    assert set(problem) == {"code", "path", "got", "expected", "hint", "class_name", "case"}


def test_stats_json(built: Path) -> None:
    value = parsed(call("stats", built, "--json"))
    assert value["schema"] == "niicache.stats/1"
    assert [(c["name"], c["cases"]) for c in value["classes"]] == [("a", 3), ("b", 2)]


def test_errors_in_json(source: Path, built: Path, tmp_path: Path) -> None:
    def error(*words: str | Path) -> Any:
        result = call(*words, "--json")
        value = parsed(result)
        assert value["schema"] == "niicache.error/1"
        assert value["message"] in result.stderr
        return result.exit_code, value["code"], [p["code"] for p in value["problems"]]

    assert error("build", source, source / "c") == (2, "option", [])
    assert error("stats", tmp_path / "nothing") == (1, "not-a-cache", [])
    (built / "b" / "cases" / "mean" / "zarr.json").unlink()
    assert error("stats", built) == (4, "damage", ["damaged"])
    spoil(source)
    write(source / "b" / "images" / "case009.nii.gz", np.zeros((2, 2, 2), "int16"))
    assert error("build", source, tmp_path / "d") == (
        1,
        "source",
        ["unpaired-image", "unpaired-image"],
    )


# The rest of what a user sees.


@pytest.mark.parametrize("words", [(), ("build",), ("verify",), ("stats",)])
def test_help_says_the_exit_codes(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*words, "--help"], prog_name="niicache")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "0 done, 1 failed, 2 wrong usage, 3 done but some cases were skipped" in text
    assert "4 damage found, 5 another build holds the target" in text


def test_help_has_every_option() -> None:
    text = CliRunner().invoke(main, ["build", "--help"]).stdout
    names = "shape spatial-dims dtype codec chunk labels pad-value pad-mode workers on-error"
    for name in [*names.split(), "dry-run", "json"]:
        assert f"--{name} " in text


def test_version() -> None:
    result = CliRunner().invoke(main, ["--version"], prog_name="niicache")
    assert result.stdout == f"niicache, version {__version__}\n"


def test_every_option_arrives(source: Path, tmp_path: Path) -> None:
    words = "--shape 9x8,7 --spatial-dims 3 --dtype float32 --codec none --chunk 1,4,4,4"
    words += " --labels mask --pad-value -1.5 --pad-mode constant --on-error skip"
    assert call("build", source, tmp_path / "c", *words.split()).exit_code == 0
    recipe = open_cache(tmp_path / "c").manifest.recipe
    assert recipe.image.shape == (9, 8, 7, 1)
    assert recipe.image.chunk == (1, 4, 4, 4, 1)
    assert (recipe.image.dtype, recipe.image.fill, recipe.image.codec) == ("float32", -1.5, None)
    assert (recipe.spatial_dims, recipe.label_kind) == (3, "mask")
    assert call("build", source, tmp_path / "d", "--pad-mode", "edge").exit_code == 0
    assert open_cache(tmp_path / "d").manifest.recipe.pad_mode == "edge"


def test_dry_run_writes_nothing(source: Path, built: Path, tmp_path: Path) -> None:
    result = call("build", source, tmp_path / "new", "--dry-run")
    assert result.exit_code == 0
    for words in ("labels", "mask: 5 of 5 labels", "shape    (7, 4, 6, 1)", "to write 2 of 2"):
        assert words in result.stdout
    assert not (tmp_path / "new").exists()
    before = stamps(tmp_path)
    result = call("build", source, built, "--dry-run", "--shape", "9,9,9")
    assert "to write 2 of 2 shards" in result.stdout
    assert "to write 0 of 2 shards" in call("build", source, built, "--dry-run").stdout
    assert stamps(tmp_path) == before


def test_a_plan_says_what_a_reader_may_keep_in_memory(source: Path, tmp_path: Path) -> None:
    for name, options in {"c": {}, "d": {"chunk": (1, 2, 2, 2)}, "e": {"chunk": (2,)}}.items():
        plan = plan_build(source, tmp_path / name, BuildOptions(**options))
        build0(source, tmp_path / name, **options)
        assert plan_json(plan)["decoded_bytes"] == decoded_bytes(open_cache(tmp_path / name))


def test_a_plan_names_the_table_that_it_is_made_from(source: Path, tmp_path: Path) -> None:
    table = source / "cases.csv"
    table.write_text("class,image,label\na,a/images/case000.nii.gz,a/labels/case000.nii.gz\n")
    result = call("build", table, tmp_path / "c", "--dry-run")
    assert f"source   {table}: table layout" in result.stdout


def test_the_alias(source: Path, tmp_path: Path) -> None:
    words = [str(source), str(tmp_path / "c"), "--workers", "0", "--json"]
    result = CliRunner().invoke(build_cache, words)
    assert result.exit_code == 0
    assert parsed(result)["schema"] == "niicache.build/1"


def test_warnings_and_notes_are_talk(tmp_path: Path) -> None:
    real = folders(tmp_path / "real", {"a": 2})
    (tmp_path / "s" / "a").mkdir(parents=True)
    for file in (real / "a").iterdir():
        (tmp_path / "s" / "a" / file.name).symlink_to(file)
    result = call("build", tmp_path / "s", tmp_path / "c", "--json")
    (note,) = parsed(result)["plan"]["notes"]
    assert "link" in note
    assert note in result.stderr


def test_a_heartbeat_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    beat = Heartbeat(beat_seconds=0)
    beat.begin("build", 2000, "cases")
    beat.advance(0)
    beat.advance(1500)
    beat.end()
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0] == "build: 0 of 2,000 cases, 0 a second, waiting"
    assert lines[1].startswith("build: 1,500 of 2,000 cases, ")
    assert lines[1].endswith(" s left")
    assert lines[2] == "build: 1,500 of 2,000 cases"


def test_a_short_piece_of_work_has_no_heartbeat(capsys: pytest.CaptureFixture[str]) -> None:
    beat = Heartbeat()
    beat.begin("scan", 3, "cases")
    beat.advance(3)
    beat.end()
    assert capsys.readouterr().err == ""
    assert isinstance(watch(), Heartbeat)


def test_a_bar_counts_bytes_and_cases(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar()
    for unit in ("bytes", "cases"):
        bar.begin("verify", 3000, unit)
        bar.advance(3000)
        bar.end()
    bar.advance(1)
    bar.note("[red]as it is[/red]")
    out, err = capsys.readouterr()
    assert out == ""
    assert "verify" in err
    assert "3000/3000" in err
    assert "[red]as it is[/red]" in err


# As a process.


def test_a_process(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "c"
    done = run("build", source, target, "--json")
    assert (done.returncode, json.loads(done.stdout)["schema"]) == (0, "niicache.build/1")
    assert "images-labels layout" in done.stderr
    done = run("verify", target, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["whole"]
    done = run("stats", target)
    assert (done.returncode, done.stderr) == (0, "")
    assert "│ a" in done.stdout
    assert max(map(len, done.stdout.splitlines())) > 100
    (target / "README.txt").unlink()
    assert run("verify", target).returncode == 4
    done = run("build", source, target, "--nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    spoil(source)
    done = run("build", source, target)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert run("build", source, target, "--on-error", "skip").returncode == 3


def test_the_alias_as_a_process(tmp_path: Path) -> None:
    source = vectors(tmp_path / "s", {"a": 2})
    code = "from niicache_builder.cli.main import build_cache; build_cache()"
    done = subprocess.run(
        [sys.executable, "-c", code, source, tmp_path / "c", "--workers", "0"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("layout:")) == (0, 1)
    assert len(open_cache(tmp_path / "c")["a"]) == 2


SLOW = """
import time
import niicache_builder.case as case
import niicache_builder.cli.progress as progress
read = case.read_voxels
def slowly(path):
    time.sleep(0.1)
    return read(path)
case.read_voxels = slowly
progress.Heartbeat.__init__.__kwdefaults__['beat_seconds'] = 0.15
"""


def test_a_log_gets_heartbeats(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 8})
    done = run("build", source, tmp_path / "c", "--workers", "0", "--json", before=SLOW)
    assert done.returncode == 0, done.stderr
    beats = [line for line in done.stderr.splitlines() if line.startswith("build: ")]
    assert len(beats) >= 3
    assert beats[-1] == "build: 8 of 8 cases"
    assert json.loads(done.stdout)["changed"]


def test_a_terminal_gets_a_bar(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", {"a": 8})
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("build", source, tmp_path / "c", "--workers", "0", "--json", before=SLOW),
        env={**environment(), "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that the other side hung up
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert json.loads(out)["schema"] == "niicache.build/1"
    assert b"8/8" in shown
    assert b"cases/s" in shown


def test_nobody_reads_what_is_said(built: Path) -> None:
    """As ``niicache stats C | head -0`` would: no traceback."""
    for words in (("stats", built), ("stats", built, "--json"), ("verify", built)):
        process = subprocess.Popen(
            command(*words),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate()
        assert "Traceback" not in err
        assert "Exception ignored" not in err
        assert process.returncode in {0, 1}


def outputs(source: Path, built: Path) -> list[tuple[str | Path, ...]]:
    dry = ("build", source, built, "--dry-run")
    return [dry, ("stats", built), ("stats", built, "--json"), ("verify", built)]


def test_output_that_cannot_be_written_is_one_line(source: Path, built: Path) -> None:
    with Path("/dev/full").open("w") as full:
        for words in outputs(source, built):
            done = subprocess.run(
                command(*words),
                env=environment(),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            assert done.returncode == 1
            assert done.stderr.splitlines()[-1:] == [
                "error [disk]: the file system refused: No space left on device"
            ]
            assert "Traceback" not in done.stderr
            assert "Exception ignored" not in done.stderr


def test_who_reads_the_first_line_alone_gets_it_from_every_command(
    source: Path, built: Path
) -> None:
    for words in outputs(source, built):
        process = subprocess.Popen(
            command(*words), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate()
        assert (process.returncode, b"Traceback" in err) == (0, False)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_names_that_stdout_has_no_letters_for(tmp_path: Path, encoding: str) -> None:
    source = folders(tmp_path / "s", {"日本": 2})
    build0(source, tmp_path / "c")
    for words in (("stats", tmp_path / "c"), ("build", source, tmp_path / "c", "--dry-run")):
        done = subprocess.run(
            command(*words),
            env={**environment(), "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert b"2" in done.stdout
