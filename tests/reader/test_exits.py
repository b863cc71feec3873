"""Ctrl-C and the end of a script end the process, and a process that goes on keeps nothing.

``exiting.py`` lets a process of its own come to each end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLED, INTERRUPTED = -9, {-2, 130}  # as Python ends itself, as a shell would say it


@pytest.fixture(scope="module")
def ended(vector_cache):
    """Return ending to its status, seconds, stderr, and what it told."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("exiting.py")), str(vector_cache)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def held_against(ended, name, codes, last_line):
    """Hold how a process ended against how it should have; ``seconds`` are for who reads on."""
    code, seconds, errors, told = ended[name]
    assert told == "ready", errors
    assert code != KILLED, f"still there after {seconds:.0f} s"
    assert code in codes, errors
    last = (errors.strip().splitlines() or [""])[-1]
    assert last.startswith(last_line), errors
    for word in ("Exception ignored", "Fatal Python error", "cannot schedule", "in thread"):
        assert word not in errors, errors


@pytest.mark.parametrize(
    "where",
    [
        "fit, 1",
        *("fit, 4", "a loop, 1", "a loop, 4"),
    ],
)
def test_ctrl_c_ends_the_process(ended, where):
    held_against(ended, f"Ctrl-C in {where}", INTERRUPTED, "KeyboardInterrupt")


@pytest.mark.parametrize(
    ("name", "code", "last_line"),
    [
        ("exit", 3, ""),
        ("exit in fit", 3, ""),
        ("end of script", 0, ""),
        ("error", 1, "ZeroDivisionError: mine"),
    ],
)
def test_an_interpreter_ends_though_a_loop_did_not(ended, name, code, last_line):
    held_against(ended, name, {code}, last_line)


@pytest.fixture
def left(ended):
    """Return use of a Sequence to the files and the threads that it left."""
    code, _, errors, told = ended["goes on"]
    assert code == 0, errors
    told = json.loads(told)
    files, _, threads = told["held"]
    assert files, "what is open can be seen at all"
    assert len(threads) == 2
    return told["seen"]


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("use", ["loop", "half a loop", "error in a transform"])
def test_nothing_is_left_of_a_sequence_that_is_dropped(left, use, workers):
    files, count, threads = left[f"{use}, {workers}"]
    assert (files, threads) == ([], [])
    assert count == left["loop, 1"][1]


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("use", ["fit", "error in fit"])
def test_no_thread_is_left_of_a_fit(left, use, workers):
    assert left[f"{use}, {workers}"][2] == []


@pytest.mark.xfail(strict=True, reason="TensorFlow keeps whatever fit was given for ever")
def test_no_file_is_left_of_a_fit(left):
    assert left["error in fit, 4"][0] == []
