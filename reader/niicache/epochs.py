"""A Sequence whose batches change from epoch to epoch, and which knows where Keras stands."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from niicache.options import check_count
from niicache.passes import Passes, asked_to_shuffle
from niicache.sequence import CacheSequence

if TYPE_CHECKING:
    from pathlib import Path

    import keras


class EpochSequence(CacheSequence):
    """Batches of one epoch after another, as Keras goes through its passes."""

    _passes: Passes
    _resumed: bool

    def _count_passes(self, steps: int) -> None:
        """Begin with epoch 0, each of so many batches."""
        self._passes = Passes(steps)
        self._resumed = False

    @abstractmethod
    def _stream(self) -> dict[str, Any]:
        """Return all that the batches depend on, see :func:`niicache.identity.describe`."""

    @property
    def epoch(self) -> int:
        """Number of the epoch that ``sequence[step]`` gives now, from 0."""
        return self._passes.epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        check_count("epoch", value, 0)
        self._passes.open(value)

    @property
    def num_batches(self) -> Any:
        """Keras: batches in a pass. After :meth:`resume` an array, see ``Passes.length``."""
        return self._passes.length if self._resumed else len(self)

    def resume(self, run: str | Path) -> keras.callbacks.Callback:
        """Return a callback with which a restarted ``fit`` goes on with the batch that is next.

        Where training stands is told by the step that the optimizer of the restored model has
        counted, so weights and position cannot be out of step. Beside it give ``fit`` what saves
        and restores the model: ``BackupAndRestore``, in the list before this one, or
        ``ModelCheckpoint`` and what you load yourself before ``fit``, with its optimizer. Epochs
        have the numbers that Keras gives them; leave out ``initial_epoch`` in a restart. ``fit``
        must be given ``shuffle=False``, and a validation Sequence should not shuffle.

        The logs of the epoch that was broken off are means of the batches after the restart. A
        checkpoint after the last batch of an epoch goes on with the next one. Random streams of
        layers, which Keras does not save, go on too, where each batch draws equally often. Your own
        functions are the only parts of the stream that are not compared.

        Args:
            run: Folder that keeps the record of this run, made if there is none. A new run needs
                a new one.

        Raises:
            OptionError: The run was begun with other options or another cache; the message names
                each difference.
        """
        from niicache.resume import Resume

        self._resumed = True
        return Resume(run, self._passes, self._stream())

    def on_epoch_begin(self) -> None:
        """Keras: a pass starts. With several workers its first batches are already under way."""
        self._passes.begin()

    def on_epoch_end(self) -> None:
        """Keras: a pass ended. Also called once before the first, which does not count."""
        self._passes.end(shuffled=asked_to_shuffle(self))

    def _place(self, step: int) -> tuple[int, int]:
        return self._passes.at(step)
