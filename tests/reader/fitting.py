"""Trains in processes that may be killed. Importing Keras takes seconds, so one process imports it
and forks one child for each training, before TensorFlow has started a thread.

Reads a JSON list of trainings on stdin, writes a JSON list of how each ended on stdout:
the status of its process, and what it had written to its log.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
import traceback
import warnings
from pathlib import Path

import keras
import tensorflow as tf

from niicache import BalancedSequence


def model_of(kill: int):
    """Return a model with state beside its weights, and a loss that may kill the process.

    Args:
        kill: Die in the middle of the step that follows this many; never if below 0.
    """
    keras.utils.set_random_seed(3)
    tf.config.experimental.enable_op_determinism()
    image = keras.Input((16, 15, 3))
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1e-3)(image))
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(8, activation="relu")(flat))
    model = keras.Model(image, keras.layers.Dense(4)(keras.layers.Dropout(0.2)(hidden)))

    def tick(count):
        if count == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return count

    def loss(want, got):
        with tf.control_dependencies(
            [tf.numpy_function(tick, [model.optimizer.iterations.value], tf.int64)]
        ):
            return tf.reduce_mean(tf.square(want - got), axis=-1)

    return model, loss


class Curve(keras.callbacks.Callback):
    """Writes the loss of each batch alone, exactly, under the step that the optimizer counted."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def on_train_batch_end(self, batch, logs=None):
        del batch
        self.log.write(f"{int(self.model.optimizer.iterations.numpy())} {logs['loss'].hex()}\n")
        self.log.flush()
        self.model.reset_metrics()


def train(job, log):
    """Train as a user's script would, which does not know whether it was run before."""
    model, loss = model_of(job.get("kill", -1))
    threads = job["workers"]
    sequence = BalancedSequence(job["cache"], 8, steps=job["steps"], workers=threads)
    held_out = BalancedSequence(job["cache"], 8, shuffle=False, steps=2, workers=threads)
    folder = Path(job["folder"])
    resume = sequence.resume(folder / "run")
    saved = folder / "saved.weights.h5"
    model.compile(keras.optimizers.Adam(1e-2), loss, steps_per_execution=job.get("execution", 1))
    if job["saver"] == "backup":
        saver = keras.callbacks.BackupAndRestore(folder / "backup", save_freq=job["every"])
    else:
        saver = keras.callbacks.ModelCheckpoint(
            saved, save_weights_only=True, save_freq=job["every"]
        )
        if saved.exists():
            model.optimizer.build(model.trainable_variables)
            model.load_weights(saved)
    callbacks = [saver, resume, Curve(log)]
    if job.get("first"):
        callbacks = [resume, saver, Curve(log)]
    model.fit(
        sequence,
        epochs=job["epochs"],
        shuffle=False,
        validation_data=held_out,
        callbacks=callbacks,
        verbose=job.get("verbose", 0),
    )
    digest = hashlib.sha256()
    for variable in [*model.variables, *model.optimizer.variables]:
        digest.update(variable.numpy().tobytes())
    log.write(f"end {digest.hexdigest()}\n")


def child(job, path):
    """Train, write what happened to a file, and leave without the parent's clean-up."""
    # What Keras says when a pass is shorter than it was told, and whatever niicache says.
    warnings.filterwarnings("error", message="Your input ran out of data")
    warnings.filterwarnings("error", module="niicache")
    warnings.filterwarnings("ignore", message=".*starts over")
    with path.open("w") as log:
        try:
            train(job, log)
        except BaseException:  # noqa: BLE001 - the parent is told everything
            log.write(traceback.format_exc())
    os._exit(0)


def main():
    """Run the trainings of stdin, one after another."""
    ended = []
    for number, job in enumerate(json.load(sys.stdin)):
        path = Path(job["folder"]) / f"{number}.log"
        path.parent.mkdir(exist_ok=True, parents=True)
        pid = os.fork()
        if not pid:
            child(job, path)
        _, status = os.waitpid(pid, 0)
        ended.append([os.waitstatus_to_exitcode(status), path.read_text()])
    sys.stdout.write(f"{json.dumps(ended)}\n")


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
