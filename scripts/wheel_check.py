"""Use an installed niicache as a stranger would: no checkout, no Keras backend.

Run by ``scripts/wheel`` in a folder outside the checkout, with the environment's own Python in
isolated mode. Every failure is an AssertionError or a failed command.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, Any]

SHAPE = (8, 8)  # voxels
SIZES = {"a": (5, 6), "b": (8, 7)}  # image sizes by class, smaller than SHAPE along some axis
CASES = {"a": 3, "b": 2}


def check(holds: object, *, said: str) -> None:
    """Raise with what was found unless it holds."""
    if not holds:
        raise AssertionError(said)


def niicache(*words: str | Path) -> str:
    """Run the installed command and return its stdout; what it says to stderr is shown if it fails.

    Raises:
        AssertionError: If its exit status is not 0.
    """
    command = Path(sys.executable).with_name("niicache")
    done = subprocess.run([command, *words], check=False, capture_output=True, text=True)
    check(
        done.returncode == 0,
        said=f"niicache {' '.join(map(str, words))}: status {done.returncode}\n"
        f"{done.stdout}\n{done.stderr}",
    )
    return done.stdout


def write_file(path: Path, voxels: Array) -> None:
    """Write a NIfTI-1 file with 2 mm voxels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([2.0, 2.0, 2.0, 1.0])), path)


def write_source(source: Path, *, masks: bool) -> dict[tuple[str, int], Path]:
    """Write two classes of int16 images; return the image files by class and number.

    With ``masks`` they go to ``<class>/images`` and ``<class>/labels``, else to ``<class>``.
    """
    rng = np.random.default_rng(7)
    files = {}
    for name, count in CASES.items():
        for number in range(count):
            folder = source / name / "images" if masks else source / name
            files[name, number] = folder / f"case{number}.nii.gz"
            image = rng.integers(-1000, 3000, SIZES[name], dtype=np.int16)
            write_file(files[name, number], image)
            if masks:
                write_file(
                    source / name / "labels" / f"case{number}.nii.gz", (image > 0).astype(np.uint8)
                )
    return files


def padded(path: Path) -> Array:
    """Return nibabel's voxels of a file, padded with zeros, before = total // 2, one channel."""
    voxels = np.asanyarray(nibabel.load(path).dataobj)
    totals = [want - have for want, have in zip(SHAPE, voxels.shape, strict=True)]
    return np.pad(voxels, [(total // 2, total - total // 2) for total in totals])[..., np.newaxis]


def check_import(root: Path) -> None:
    """``import niicache`` comes from the wheel, not the checkout, and leaves Keras alone."""
    program = (
        "import sys, niicache; print(niicache.__file__); "
        "print(*sorted({'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], check=True, stdout=subprocess.PIPE, text=True
    )
    where, loaded = done.stdout.splitlines()
    check(Path(where).is_relative_to(sys.prefix), said=f"imported from {where}")
    check(not Path(where).is_relative_to(root), said=f"imported from the checkout: {where}")
    check(not loaded, said=f"import niicache loaded {loaded}")


def check_version() -> None:
    """The command says the version that the wheel's metadata has."""
    from importlib.metadata import version

    said = niicache("--version")
    check(version("niicache") in said, said=f"--version said {said!r}")


def check_cache(folder: Path, *, masks: bool) -> Path:
    """Build, verify, count and read one cache; return its path."""
    from niicache import open_cache

    source, path = folder / "source", folder / "cache"
    files = write_source(source, masks=masks)
    niicache("build", source, path, "--shape", ",".join(map(str, SHAPE)))
    niicache("verify", path)
    stats = json.loads(niicache("stats", path, "--json"))
    check(isinstance(stats, dict) and stats, said=f"stats said {stats!r}")
    cache = open_cache(path)
    check(cache.classes == tuple(CASES), said=f"classes are {cache.classes}")
    for name, count in CASES.items():
        check(len(cache[name]) == count, said=f"class {name} has {len(cache[name])} cases")
    for (name, number), file in files.items():
        image, label = cache[name][number]
        wanted = padded(file)
        check(image.dtype == np.int16, said=f"{file}: dtype {image.dtype}")
        np.testing.assert_array_equal(image, wanted, err_msg=str(file))
        if masks:
            np.testing.assert_array_equal(label, wanted > 0, err_msg=str(file))
    return path


def check_no_backend(path: Path) -> None:
    """Without a Keras backend, asking for a Sequence says what to install."""
    import niicache
    from niicache.errors import BackendError

    def ask() -> object:
        return niicache.BalancedSequence(path, 2)

    said = raised(ask, BackendError)
    check("niicache[tensorflow]" in said, said=f"BackendError said {said!r}")
    check(issubclass(BackendError, ImportError), said="BackendError is no ImportError")


def raised(call: Callable[[], object], kind: type[Exception]) -> str:
    """Return the text of the error that a call must raise."""
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__} was raised")


def main(root: Path) -> None:
    """Check everything; print one line.

    Args:
        root: The checkout, which must not be what is imported.
    """
    check_import(root)
    check_version()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as work:
        folders = [Path(work, "folder"), Path(work, "mask")]
        caches = [
            check_cache(folder, masks=masks)
            for folder, masks in zip(folders, (False, True), strict=True)
        ]
        check_no_backend(caches[0])
    print(f"wheel: installed outside the checkout, built, verified and read {len(caches)} caches")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
