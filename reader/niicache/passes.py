"""Where a Sequence stands in the passes that Keras makes over it."""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from types import FrameType


class Passes:
    """The epoch that is open, the batch that it opens with, and how many it has left.

    Keras calls an end once before the first pass, and with several workers asks for the first
    batches of a pass before it says that the pass begins. So a pass is opened ahead of both.

    Attributes:
        steps: Batches in a whole epoch.
        length: int64 (), batches in the pass that is open. Keras keeps what ``num_batches`` gives
            it for the whole of ``fit`` and looks at its value when a pass begins. An array that is
            changed in place is therefore how one pass can be shorter than the next. A pass that
            merely runs out of batches is no way: TensorFlow finds out in the middle of one more
            step, after the optimizer has counted it.
        begun: Keras is in a pass.
        shuffled: Keras was asked to permute the batches of the pass that ended last.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.length = np.array(steps, np.int64)
        self.shuffled = False
        self._first = (0, 0)  # one tuple, so that threads see both numbers change at once
        self.begun = False
        self._lock = threading.Lock()

    @property
    def epoch(self) -> int:
        """Number of the epoch that is open."""
        return self._first[0]

    def open(self, epoch: int, step: int = 0) -> None:
        """Let the next pass be an epoch from a batch on. A pass that was broken off ends here."""
        with self._lock:
            self._first, self.begun = (epoch, step), False
            self.length[...] = self.steps - step

    def at(self, index: int) -> tuple[int, int]:
        """Return epoch and step of the batch that Keras calls ``index``."""
        epoch, step = self._first
        return epoch, step + index

    def begin(self) -> None:
        """Keras: a pass starts."""
        with self._lock:
            self.begun = True

    def end(self, *, shuffled: bool) -> None:
        """Keras: a pass ended, or a ``fit`` is being prepared, which does not count."""
        with self._lock:
            if self.begun:
                self._first = (self._first[0] + 1, 0)
                self.length[...] = self.steps
            self.shuffled, self.begun = shuffled, False

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


def asked_to_shuffle(sequence: object) -> bool:
    """Return whether the adapter of Keras that is calling was given ``shuffle=True``.

    Keras hands its adapter to nobody, and the adapter permutes the batches with the global
    ``random``. The frame that calls the Sequence is the one place where it can be seen.

    Args:
        sequence: The Sequence that is being called.
    """
    frame: FrameType | None = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if caller is not sequence and getattr(caller, "py_dataset", None) is sequence:
            return bool(getattr(caller, "shuffle", False))
        frame = frame.f_back
    return False
