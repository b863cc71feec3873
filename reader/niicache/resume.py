"""The callback that lets a restarted ``fit`` go on with the batch that would have come next."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras

from niicache.errors import OptionError
from niicache.position import Position, Record, Skip, differences
from niicache.runs import open_run, read_record, write_record
from niicache.seeds import read_seeds, write_seeds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from niicache.passes import Passes

OTHER = "give fit the Sequence that resume was called on"


class Resume(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Made by ``Sequence.resume``; see there."""

    def __init__(self, run: str | Path, passes: Passes, stream: Mapping[str, Any]) -> None:
        """Read the record of the run, if it has one, and hold it against the stream of now.

        Args:
            run: Folder of the record.
            passes: Those of the Sequence that is to be resumed.
            stream: Everything that its batches depend on, by name.

        Raises:
            OptionError: The run was begun with other batches, or its record cannot be read.
        """
        super().__init__()
        self._run, self._passes = open_run(run), passes
        self._stream = json.loads(json.dumps(stream))
        self._record = read_record(self._run)
        self._opened = False
        self._before = 0
        if self._record is not None:
            found = differences(self._record.stream, self._stream)
            if found:
                raise OptionError(
                    f"resume: the run in {self._run} was begun with other batches; pass what was "
                    "passed then, or delete the folder to begin a new run\n" + "\n".join(found)
                )

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Keras: nothing was trained yet. Callbacks before this one have loaded their weights."""
        del logs
        self._opened = False
        self._check_fit()
        if self._record is not None:
            # The same door that BackupAndRestore uses; there is no other for a callback.
            self.model._initial_epoch = self._standing(self._record).epoch  # noqa: SLF001

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keras: an epoch starts, and no worker has begun with it."""
        del logs
        position = Position(epoch=epoch, step=0) if self._opened else self._open(epoch)
        self._passes.open(position.epoch, position.step)
        record = self._recorded()
        self._before = (position.epoch - record.epoch) * record.steps + position.step

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keras: the optimizer made a step. JAX brings its state back at the epoch's end only."""
        del logs
        if not self._passes.begun:
            raise OptionError(f"resume: {OTHER}")
        if keras.backend.backend() != "jax":
            # With several steps an execution, the last of an epoch may name more than there are.
            self._check_count(self._before + min(batch + 1, int(self._passes.length)), whole=False)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keras: an epoch ended, or was broken off."""
        del logs
        if not self.model.stop_training:
            record = self._recorded()
            self._check_count((epoch + 1 - record.epoch) * record.steps, whole=True)

    def _open(self, epoch: int) -> Position:
        """Return where the run goes on; begin its record if it has none."""
        # Keras has read it. Left where it is, it would overrule initial_epoch of the next fit.
        self.model._initial_epoch = None  # noqa: SLF001
        self._opened = True
        count, scale = self._state()
        if self._record is None:
            seeds, steps = read_seeds(self.model), self._passes.steps
            self._keep(
                Record(stream=self._stream, steps=steps, epoch=epoch, count=count, seeds=seeds)
            )
            return Position(epoch=epoch, step=0)
        record = self._record.upto(count, scale)
        position = record.position(count)
        self._check_start(epoch, position)
        batches = record.batches(count)
        if not batches:
            warnings.warn(
                f"the run in {self._run} starts over: the optimizer has counted no step of it. "
                "If fit had ended, BackupAndRestore has deleted its backup: save the model, load "
                "it and go on, or give delete_checkpoint=False. If weights were loaded, the "
                "optimizer's were not: compile and build model and optimizer before load_weights",
                stacklevel=2,
            )
        seeds = record.seeds_after(batches)
        if len(seeds) == len(read_seeds(self.model)):
            write_seeds(self.model, seeds)
        else:
            record = replace(record, seeds=(), draws=())
        self._keep(record)
        return position

    def _check_start(self, epoch: int, position: Position) -> None:
        """See that what Keras is about to do is what comes next."""
        if position.epoch != epoch:
            raise OptionError(
                f"resume: fit starts with epoch {epoch}, and the model stands at batch "
                f"{position.step} of epoch {position.epoch} of the run in {self._run}; leave out "
                "initial_epoch, put resume after BackupAndRestore in callbacks, and delete the "
                "folder if this is a new run"
            )
        if position.step and self.params.get("steps") is not self._passes.length:
            raise OptionError(
                f"resume: the run goes on at batch {position.step} of an epoch, and fit cannot be "
                "given a shorter one: it got steps_per_epoch, or this Keras "
                f"({keras.__version__}) takes a copy of the number of batches; leave "
                "steps_per_epoch out, or go on with a checkpoint of an epoch's end"
            )

    def _standing(self, record: Record) -> Position:
        count, scale = self._state()
        return record.upto(count, scale).position(count)

    def _recorded(self) -> Record:
        if self._record is None:
            raise OptionError("resume: a callback of its own for each Sequence, given to fit alone")
        return self._record

    def _state(self) -> tuple[int, float | None]:
        """Return what the optimizer has counted, and its loss scale."""
        optimizer = self.model.optimizer
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        # ``iterations`` counts updates: where gradients are accumulated, one in several batches.
        (count, *_) = (one for one in inner.variables if one.name == "iteration")
        scale = getattr(optimizer, "dynamic_scale", None)
        return int(count.numpy()), None if scale is None else float(scale.numpy())

    def _check_fit(self) -> None:
        problems = []
        if self._passes.shuffled:
            problems.append(
                "shuffle: got True, expected False; pass shuffle=False to fit, for Keras permutes "
                "the batches by a state that a restart does not have (the Sequence shuffles cases)"
            )
        steps = self.params.get("steps")
        if steps is not self._passes.length and steps != self._passes.steps:
            problems.append(
                f"steps_per_epoch: got {steps}, expected {self._passes.steps}, the Sequence's own; "
                f"leave it out, shorten an epoch with steps of the Sequence, and {OTHER}"
            )
        if self.model.optimizer is None:
            problems.append("optimizer: got none, expected one, for it counts the batches")
        if problems:
            raise OptionError("\n".join(f"resume: {one}" for one in problems))

    def _check_count(self, batches: int, *, whole: bool) -> None:
        """See that the optimizer counted each batch, and note those that it passed over.

        Args:
            batches: How many the run has seen.
            whole: They are whole epochs: a time to look at every generator, too.
        """
        record = self._recorded()
        count, scale = self._state()
        missing = batches - record.batches(count)
        if missing > 0 and scale is not None:
            skip = Skip(count=count, scale=scale, batches=missing)
            record = replace(record, skips=(*record.skips, skip))
        elif missing:
            raise OptionError(
                f"resume: got {count - record.count} steps of the optimizer in {batches} batches, "
                "expected as many; a train_step must apply one optimizer, that of compile, once"
            )
        if record.seeds and (whole or not record.draws):
            record = record.following(read_seeds(self.model), batches)
        if record is not self._record:
            self._keep(record)

    def _keep(self, record: Record) -> None:
        write_record(self._run, record)
        self._record = record
