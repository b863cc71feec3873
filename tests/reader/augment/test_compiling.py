"""How loops are compiled: stored where there is a place, and said once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from helpers import run_python

from niicache.augment.kernels import compiling, intensity, many, smoothing

LOOPS = {"many": many, "intensity": intensity, "smoothing": smoothing}
FOLDER = Path(compiling.__file__).parent

USED = """
import sys
import numpy as np
from niicache.augment import Brightness, Rescale
for one in (Rescale(scale=2.0), Brightness()):
    image, _ = one(np.ones((4, 5, 1), np.float32), np.zeros(1), np.random.default_rng(0))
print("compiling its loops" in sys.stderr.written, sys.stderr.written.count("\\n"), image.max())
"""
PIECE = """
import numba
@numba.njit
def piece(): return {}
"""
LOOP = """
import numba
from piece import piece
PIECES = "{}"
@numba.njit(cache=True)
def loop(): return piece()
"""
LISTEN = """
import io, sys
class Written(io.StringIO):
    written = ""
    def write(self, text):
        self.written += text
        return len(text)
sys.stderr = Written()
"""


def test_the_first_compilation_is_said_once_and_none_where_it_is_stored(tmp_path):
    place = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert run_python(LISTEN + USED, **place).split() == ["True", "1", "1.0"]
    assert any(tmp_path.rglob("*.nbc"))
    assert run_python(LISTEN + USED, **place).split() == ["False", "0", "1.0"]


def pieces():
    """Return a digest of the files without loops, whatever the ends of their lines."""
    texts = {one.stem: one.read_text(encoding="utf-8") for one in FOLDER.glob("*.py")}
    kept = sorted((name, text) for name, text in texts.items() if name not in LOOPS)
    return hashlib.sha256(repr(kept).encode()).hexdigest()[:16]


def test_files_with_loops_are_those_that_hold_a_digest_of_the_others():
    with_loops = {
        one.stem
        for one in FOLDER.glob("*.py")
        if any(line in {"@compiled", "@loose"} for line in one.read_text("utf-8").splitlines())
    }
    assert with_loops - {"compiling"} == set(LOOPS)  # its one loop is made of no piece


@pytest.mark.parametrize("name", LOOPS)
def test_a_file_with_loops_changes_with_the_pieces_that_they_are_made_of(name):
    """Else who upgrades goes on with what numba compiled of the version before."""
    found = pieces()
    assert found == LOOPS[name].PIECES, f'{name}.py: write PIECES = "{found}"'


def test_a_stored_loop_goes_when_its_file_changes(tmp_path):
    """What the digest is for: so numba does, and it looks at no other file."""
    (tmp_path / "piece.py").write_text(PIECE.format(1))
    (tmp_path / "loop.py").write_text(LOOP.format("a"))
    place = {"NUMBA_CACHE_DIR": str(tmp_path / "stored"), "PYTHONPATH": str(tmp_path)}
    place["PYTHONDONTWRITEBYTECODE"] = "1"  # both pieces are of one size and second
    said = [run_python("import loop; print(loop.loop())", **place)]
    (tmp_path / "piece.py").write_text(PIECE.format(2))
    (tmp_path / "loop.py").write_text(LOOP.format("b"))
    said.append(run_python("import loop; print(loop.loop())", **place))
    assert [one.strip() for one in said] == ["1", "2"]


def test_functions_without_a_module_are_compiled_beside_ours():
    code = """
import numba, niicache.augment
names = {}
exec("def one_more(x): return x + 1", names)
names["one_more"].__module__ = None
print(numba.njit(names["one_more"])(1))
"""
    assert run_python(code).strip() == "2"
