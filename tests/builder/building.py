"""What the tests of the builder share: sources, builds, and what a cache holds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from niicache.cache import Cache, open_cache
from niicache_builder import BuildOptions, Built, build
from niicache_builder.cases import CaseFiles, Layout
from niicache_builder.nifti import Header
from niicache_builder.scan import CaseScan, Scan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from niicache_builder.progress import Progress

NIBABEL_DATA = Path(nib.__file__).parent / "tests" / "data"
ROOT = Path(__file__).parents[2]

Shape = tuple[int, ...]


def write(path: Path, data: np.ndarray, *, affine: np.ndarray | None = None) -> Path:
    """Write a NIfTI file with nibabel, voxels stored as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = nib.Nifti1Pair if path.suffix in {".img", ".hdr"} else nib.Nifti1Image
    grid = np.diag([1.5, 2.0, 2.5, 1.0]) if affine is None else affine
    image = kind(data, grid, dtype=data.dtype)
    image.header.set_slope_inter(1, 0)
    image.to_filename(path)
    return path


def voxels(number: int, shape: Shape, dtype: str = "int16") -> np.ndarray:
    """Return voxels that no other number has."""
    rng = np.random.default_rng(number)
    return rng.integers(0, 120, shape).astype(dtype) + np.array(number % 7).astype(dtype)


def vectors(root: Path, counts: Mapping[str, int], *, shape: Shape = (5, 4, 3)) -> Path:
    """Write ``<class>/images`` and ``<class>/labels``; labels are vectors of two."""
    for c, (name, count) in enumerate(counts.items()):
        for i in range(count):
            write(root / name / "images" / f"case{i:03}.nii.gz", voxels(100 * c + i, shape))
            label = np.array([c, i], "float32")
            write(root / name / "labels" / f"case{i:03}.nii.gz", label)
    return root


def masks(root: Path, counts: Mapping[str, int], *, shape: Shape = (5, 4, 6)) -> Path:
    """Write volumes of growing size, each with a mask of 0, 1, 2."""
    for c, (name, count) in enumerate(counts.items()):
        for i in range(count):
            size = (shape[0] + i % 3, *shape[1:])
            image = voxels(100 * c + i, size)
            write(root / name / "images" / f"case{i:03}.nii.gz", image)
            write(root / name / "labels" / f"case{i:03}.nii.gz", (image % 3).astype("uint8"))
    return root


def folders(root: Path, counts: Mapping[str, int], *, shape: Shape = (5, 4, 3)) -> Path:
    """Write ``<class>/*.nii.gz``: the folder is the label."""
    for c, (name, count) in enumerate(counts.items()):
        for i in range(count):
            write(root / name / f"case{i:03}.nii.gz", voxels(100 * c + i, shape))
    return root


def build0(
    source: Path, target: Path, *, progress: Progress | None = None, **options: Any
) -> Built:
    """Build in this process; of one image in two places it warns, unless it is told to stop."""
    options = {"on_duplicates": "warn", **options}
    return build(source, target, BuildOptions(workers=0, **options), progress=progress)


def tree(root: Path) -> dict[str, bytes]:
    """Return path to bytes of everything of a cache, but for the lock."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def live(root: Path) -> dict[str, bytes]:
    """Return the tree without what a rebuild keeps for open readers."""
    return {path: data for path, data in tree(root).items() if not path.startswith(".retired/")}


def stamps(root: Path) -> dict[str, tuple[int, int, int]]:
    """Return path to inode, modification time and size of everything but the lock."""
    return {
        path.relative_to(root).as_posix(): (s.st_ino, s.st_mtime_ns, s.st_size)
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".lock"
        for s in [path.stat()]
    }


def shards(root: Path) -> set[str]:
    """Return the paths of the shards."""
    return {path for path in tree(root) if path.split("/")[1:3] in (["image", "c"], ["label", "c"])}


def contents(cache: Cache) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray, str]]:
    """Return every case: image, label, and the path that it came from."""
    return {
        (view.name, name): (*view[name], str(view.column("image")[i]))
        for view in cache
        for i, name in enumerate(view.cases)
    }


def same(one: Mapping[Any, tuple[Any, ...]], other: Mapping[Any, tuple[Any, ...]]) -> bool:
    """Return whether two contents are equal, dtypes and NaN included."""
    return one.keys() == other.keys() and all(
        np.array_equal(a[0], b[0], equal_nan=a[0].dtype.kind == "f")
        and np.array_equal(a[1], b[1])
        and a[0].dtype == b[0].dtype
        and a[2] == b[2]
        for a, b in ((one[key], other[key]) for key in one)
    )


def opened(target: Path) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray, str]]:
    """Open a cache and return its contents."""
    return contents(open_cache(target))


def copy(source: Path, target: Path) -> Path:
    """Copy a folder, times included."""
    shutil.copytree(source, target, symlinks=True)
    return target


def older(path: Path, seconds: int = 100) -> None:
    """Make a file look as if it had been written some time before it was."""
    info = path.stat()
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns - seconds * 10**9))


def header(
    shape: Shape = (5, 4, 3),
    *,
    dtype: str = "int16",
    slope: float = 1.0,
    inter: float = 0.0,
    affine: np.ndarray | None = None,
    size: int = 1000,
    mtime_ns: int = 1,
) -> Header:
    """Return a header as a scan would."""
    grid = np.diag([1.5, 2.0, 2.5, 1.0]) if affine is None else affine
    lengths = np.linalg.norm(grid[:3, :3], axis=0).tolist()
    return Header(
        shape=shape,
        dtype=dtype,
        slope=slope,
        inter=inter,
        affine=tuple(map(tuple, grid.tolist())),
        spacing=(lengths[0], lengths[1], lengths[2]),
        size=size,
        mtime_ns=mtime_ns,
        warnings=(),
        sform_code=1,
        qform_code=0,
    )


def case(
    name: str, image: Header | None = None, label: Header | None = None, *, class_name: str = "a"
) -> CaseScan:
    """Return a case as a scan would."""
    files = CaseFiles(
        class_name=class_name,
        name=name,
        images=(f"{class_name}/images/{name}.nii.gz",),
        label=None if label is None else f"{class_name}/labels/{name}.nii.gz",
    )
    return CaseScan(files=files, images=(image or header(),), label=label)


def scanned(*cases: CaseScan, problems: tuple[Any, ...] = ()) -> Scan:
    """Return a scan of some cases."""
    layout = Layout(
        name="images-labels",
        reason="made up",
        root=Path("source"),
        classes=tuple(sorted({case.files.class_name for case in cases})),
        cases=tuple(case.files for case in cases),
        problems=problems,
    )
    return Scan(layout=layout, cases=cases, problems=problems, warnings=())


def environment() -> dict[str, str]:
    """Return an environment in which a new process finds both packages, and buffers its output.

    Without a buffer nothing is left to be written at exit, and what happens then is not seen.
    """
    paths = [str(ROOT / "reader"), str(ROOT / "builder")]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}


def command(*arguments: str | Path, before: str = "") -> list[str]:
    """Return the command line ``niicache ...`` as a process of this Python.

    Args:
        arguments: What follows ``niicache``.
        before: Statements that run first.
    """
    # The guard keeps spawned workers, which import this again, from starting a command too.
    code = (
        f"import sys\n{before}\n"
        "from niicache_builder.cli.main import main\n"
        "if __name__ == '__main__':\n    main(prog_name='niicache')\n"
    )
    return [sys.executable, "-c", code, *map(str, arguments)]


def run(
    *arguments: str | Path, before: str = "", timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run ``niicache ...`` and return what it said."""
    return subprocess.run(
        command(*arguments, before=before),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
