"""isal's own speed: every .nii.gz below a folder is inflated in memory, and nothing else is done.

Run as a program: SOURCE PROCESSES.
"""

from __future__ import annotations

import sys
from multiprocessing import Pool
from pathlib import Path

from isal import igzip


def inflate(path: Path) -> int:
    """Return the bytes that a file holds."""
    return len(igzip.decompress(path.read_bytes()))


def main(source: Path, processes: int) -> None:
    """Inflate all."""
    with Pool(processes) as pool:
        for _ in pool.imap_unordered(inflate, sorted(source.rglob("*.nii.gz"))):
            pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
