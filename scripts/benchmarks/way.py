"""A way of getting batches: what every row of a table that reads has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from benchmarks.cases import Cases

Item = TypeVar("Item")
Batch = tuple[Any, Any]


class Way(ABC):
    """One row: a name, what it needs, and the batches of an epoch.

    Attributes:
        name: As the table has it.
        needs: Modules without which the way is skipped.
        passes: Epochs in one round, for what is too slow for many; None takes as many as asked.
        exact: Every batch holds an exact share of each class.
        dtype: Of the images that it delivers.
    """

    needs: tuple[str, ...] = ()
    passes: int | None = None
    exact = True
    dtype = "float32"

    def __init__(self, name: str) -> None:
        self.name = name

    def prepare(self, cases: Cases, folder: Path) -> None:  # noqa: B027 - as close
        """Get ready, once: write the same voxels in the way's own format.

        Args:
            cases: The data.
            folder: An empty folder of the way's own.

        Raises:
            ImportError: What the way needs is there and cannot be imported.
        """

    @abstractmethod
    def open(self, number: int, epochs: int) -> Iterator[Batch]:
        """Start a training, and return its batches: images and labels.

        What a training pays once, before its first batch, happens here and is not timed.

        Args:
            number: Number of the round; another one gives another order.
            epochs: Epochs of batches to give.
        """

    def close(self) -> None:  # noqa: B027 - most ways have nothing to let go of
        """Let go of threads and memory."""


def lacking(way: Way) -> str | None:
    """Return why a way cannot run here, None if it can."""
    absent = [name for name in way.needs if find_spec(name) is None]
    if not absent:
        return None
    return f"{', '.join(absent)} not installed; scripts/bench --peers has it"


def prepared(
    make: Callable[[Item], Batch], items: Iterable[Item], *, threads: int
) -> Iterator[Batch]:
    """Make batches ahead on threads, for what has no such thing of its own; in order."""
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
