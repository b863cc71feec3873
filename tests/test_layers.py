"""The house keeps its shape: who may import whom, and what importing costs."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from importlib import resources
from pathlib import Path

import pytest
from helpers import run_python

import niicache
import niicache_builder

PACKAGES = {"niicache": niicache, "niicache_builder": niicache_builder}
ROOTS = {name: Path(package.__file__).parent for name, package in PACKAGES.items()}

# The modules that may import a library. Nothing else from outside is imported but numpy.
OWNERS = {
    "niicache": {
        "google_crc32c": r"format\.codec",
        # resume is a callback, made where a Sequence asks for it; epochs names its type
        "keras": "sequence|resume|epochs",
        "llvmlite": r"native|halves|augment\.kernels\.vectors",
        # the loops of the reader, and those of the transforms
        "numba": r"compiling|copying|halves|kernels|augment\.kernels\.\w+",
        "numcodecs": r"format\.codec",
    },
    "niicache_builder": {
        "click": r"cli\.\w+",
        "filelock": "lock",
        "isal": "inflate|checksum",
        "nibabel": "nifti_record|nifti_image|restore",  # restore names a type
        "rich": r"(cli|report)\.\w+",
        "scipy": "resample",
        "zarr": "tables",
    },
}
READS_OR_WRITES = {"os", "io", "shutil", "socket", "subprocess", "tempfile", "mmap", "asyncio"}
READS_OR_WRITES |= {"fcntl", "urllib", "threading", "multiprocessing", "concurrent", "zarr"}


def modules(package):
    """Return dotted name below the package to syntax tree of every module."""
    root = ROOTS[package]
    trees = {}
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[name] = ast.parse(file.read_text())
    return trees


def for_types(tree):
    """Return the nodes that only type checkers run."""
    blocks = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    return {id(inner) for block in blocks for part in block.body for inner in ast.walk(part)}


def imports(tree, *, types):
    """Return the dotted names that a module imports, inside functions too."""
    skipped = set() if types else for_types(tree)
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tops(tree, *, types=True):
    return {name.partition(".")[0] for name in imports(tree, types=types)}


def own(package, *, types):
    """Return module to the modules of its package that it imports."""
    trees = modules(package)
    graph = {}
    for name, tree in trees.items():
        found = {one.removeprefix(f"{package}.") for one in imports(tree, types=types)}
        # ``from cache import open_cache`` means cache, ``from sources import folder`` means that.
        homes = {one if one in trees else one.rpartition(".")[0] for one in found}
        graph[name] = homes & set(trees)
    return graph


def cycle(graph):
    """Return a cycle of a graph as a list, or an empty one."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        path.append(node)
        for after in sorted(graph.get(node, ())):
            if found := visit(after):
                return found
        done.add(path.pop())
        return []

    return next((found for node in sorted(graph) if (found := visit(node))), [])


def test_the_search_for_cycles_finds_one():
    assert cycle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle({"a": {"a"}}) == ["a", "a"]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_library_is_imported_by_the_module_that_owns_it_and_by_no_other(package):
    importers = {}
    for name, tree in modules(package).items():
        for library in tops(tree) - sys.stdlib_module_names - {"numpy", *PACKAGES}:
            importers.setdefault(library, set()).add(name)
    assert set(importers) == set(OWNERS[package])
    for library, names in importers.items():
        strangers = {name for name in names if not re.fullmatch(OWNERS[package][library], name)}
        assert not strangers, f"{library} is imported by {strangers}"


def test_the_reader_knows_nothing_of_the_builder():
    for name, tree in modules("niicache").items():
        forbidden = {"niicache_builder", "nibabel", "click", "rich", "isal", "filelock"}
        assert not tops(tree) & forbidden, name


@pytest.mark.parametrize(
    ("package", "types"),
    [("niicache", True), ("niicache", False), ("niicache_builder", False)],
)
def test_the_modules_of_a_package_import_each_other_in_no_circle(package, types):
    graph = own(package, types=types)
    graph.pop("")  # the front door names everything behind it
    assert len(graph) > 10
    assert cycle(graph) == []


def pure_modules():
    """Return the modules that say that they are pure, and those that the design says it of."""
    found = []
    for package in PACKAGES:
        for name, tree in modules(package).items():
            says = re.search(r"\b[Pp]ure\b", ast.get_docstring(tree) or "")
            contract = package == "niicache" and name.split(".")[0] in {"format", "streams"}
            sampled = package == "niicache" and name in {"sampling", "shares"}
            if says or contract or sampled:
                found.append(pytest.param(tree, id=f"{package}.{name}"))
    return found


@pytest.mark.parametrize("tree", pure_modules())
def test_what_is_called_pure_touches_no_file_and_no_thread(tree):
    assert not tops(tree, types=False) & READS_OR_WRITES
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "open"]
    reached = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    assert not reached & {"read_bytes", "read_text", "write_bytes", "write_text", "stat", "exists"}


def test_the_pure_modules_are_those_that_decide():
    ids = {param.id for param in pure_modules()}
    assert ids >= {
        *("niicache.sampling", "niicache.shares", "niicache.streams", "niicache.options"),
        *(f"niicache.format.{name}" for name in ("codec", "geometry", "manifest", "shard")),
        *(f"niicache_builder.{name}" for name in ("plan", "prepare", "arrays", "slots", "checks")),
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_types_are_shipped(package):
    assert resources.files(package).joinpath("py.typed").is_file()


COST = """
import sys, time
before = time.perf_counter()
import niicache
spent = time.perf_counter() - before
print(spent, *{name.partition(".")[0] for name in sys.modules})
"""


def test_importing_niicache_is_quick_and_brings_nothing_heavy():
    spent, names = [], set()
    for _ in range(5):
        first, *rest = run_python(COST).split()
        spent.append(float(first))
        names |= set(rest)
    assert min(spent) < 0.3
    assert not names & {"keras", "tensorflow", "numba", "zarr", "nibabel", "niicache_builder"}


OPENED = """
import sys, niicache
cache = niicache.open_cache(sys.argv[1])
for view in cache:
    view[0], view.column("mean")
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_reading_cases_needs_no_keras_and_nothing_of_the_builder(vector_cache):
    names = set(run_python(OPENED, vector_cache).split())
    assert "numcodecs" in names
    heavy = {"keras", "tensorflow", "numba", "zarr", "nibabel", "click"}
    assert not names & {"niicache_builder", *heavy}


LACKING = """
import sys
from importlib.abc import MetaPathFinder

class Lacking(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2:]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Lacking())
import niicache
cache = niicache.open_cache(sys.argv[1])
assert cache["axial"][0].image.shape == (16, 15, 3)
for _ in range(2):
    try:
        niicache.BalancedSequence
    except niicache.errors.BackendError as error:
        assert isinstance(error, ImportError)
        print(error)
try:
    from niicache import BalancedSequence
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(("lacking", "backend"), [("keras", "tensorflow"), ("torch", "torch")])
def test_without_keras_or_its_backend_everything_else_works_and_the_message_helps(
    vector_cache, lacking, backend
):
    said = run_python(LACKING, vector_cache, lacking, KERAS_BACKEND=backend).splitlines()
    assert len(said) == 3
    for line in said:
        assert f"No module named '{lacking}'" in line
        assert "pip install 'niicache[tensorflow]'" in line


@pytest.mark.parametrize("module", ["niicache", "niicache.view", "niicache_builder.cli.main"])
def test_a_warning_of_our_own_modules_is_an_error_here(module):
    with pytest.raises(UserWarning, match="ours"):
        warnings.warn_explicit("ours", UserWarning, "file.py", 1, module=module)
