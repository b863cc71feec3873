"""Processes that end in the middle of things. Importing Keras takes seconds, so one process imports
it and forks one child for each ending, before TensorFlow has started a thread.

``exiting.py CACHE``: writes a JSON table on stdout, ending to its status, the seconds from what
ended it to the end, and what it said on stderr and on its pipe.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import keras
import numpy as np

from niicache import BalancedSequence, open_cache

PATIENCE = 10  # seconds; then the child is killed, and its status tells

KEPT = []  # what is alive when an interpreter exits


def model_of():
    model = keras.Sequential(
        [keras.Input((16, 15, 3)), keras.layers.Flatten(), keras.layers.Dense(4)]
    )
    model.compile("sgd", "mse")
    return model


class Call(keras.callbacks.Callback):
    """Calls a function once, at the end of batch 3."""

    def __init__(self, function):
        super().__init__()
        self.function, self.over = function, False

    def on_train_batch_end(self, batch, logs=None):
        del logs
        if batch == 3 and not self.over:
            self.over = True
            self.function()


def slowly(images, labels):
    """Keep the threads busy when the end comes."""
    time.sleep(0.05)
    return images / 1000, labels


def fit(cache, tell, *, workers):
    sequence = BalancedSequence(cache, 8, steps=100, workers=workers, collate_fn=slowly)
    model_of().fit(sequence, epochs=1000, verbose=0, callbacks=[Call(tell)])


def loop(cache, tell, *, workers):
    sequence = BalancedSequence(cache, 8, steps=1000, workers=workers, collate_fn=slowly)
    for number, _ in enumerate(sequence):
        if number == 3:
            tell()


def leave(cache, tell, *, workers, end):
    """Leave the interpreter with an iterator alive."""
    sequence = BalancedSequence(cache, 8, steps=1000, workers=workers, collate_fn=slowly)
    KEPT.append(iter(sequence))
    for _ in range(4):
        next(KEPT[0])
    tell()
    end()


def leave_fit(cache, tell, *, workers):
    def end():
        tell()
        sys.exit(3)

    fit(cache, end, workers=workers)


def fail():
    raise ZeroDivisionError("mine")


def left_over(folder):
    """Return the cache's open files, the number of all, and the threads that niicache started."""
    gc.collect()
    files = []
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the folder itself
            files.append(str(one.readlink()))
    threads = [one.name for one in threading.enumerate() if one.name.startswith("niicache")]
    return [one for one in files if one.startswith(folder)], len(files), threads


def go_on(cache, tell):
    """Use Sequences in every way, drop them, and tell what is left of them."""
    model = model_of()
    model.fit(np.zeros((8, 16, 15, 3)), np.zeros((8, 4)), verbose=0)  # TensorFlow keeps its own
    before = left_over(cache)
    seen = {}
    for name in ("loop", "half a loop", "error in a transform", "fit", "error in fit"):
        for workers in (1, 4):
            use(model, cache, name, workers)
            seen[f"{name}, {workers}"] = left_over(cache)
    sequence = BalancedSequence(open_cache(cache), 8, workers=2)
    kept = iter(sequence)
    next(kept)
    held = left_over(cache)
    tell(json.dumps({"before": before, "seen": seen, "held": held}))


def use(model, cache, name, workers):
    cache = open_cache(cache)
    transform = (lambda *_: fail()) if name == "error in a transform" else None
    sequence = BalancedSequence(cache, 8, workers=workers, transform=transform)
    callbacks = [Call(fail)] if name == "error in fit" else []
    with contextlib.suppress(Exception):
        if "fit" in name:
            model.fit(sequence, epochs=2, verbose=0, callbacks=callbacks)
        else:
            for number, _ in enumerate(sequence):
                if name == "half a loop" and number == 3:
                    break
    del sequence, cache


ENDINGS = {
    **{f"Ctrl-C in fit, {n}": (lambda c, t, n=n: fit(c, t, workers=n)) for n in (1, 4)},
    **{f"Ctrl-C in a loop, {n}": (lambda c, t, n=n: loop(c, t, workers=n)) for n in (1, 4)},
    "exit": lambda c, t: leave(c, t, workers=4, end=lambda: sys.exit(3)),
    "end of script": lambda c, t: leave(c, t, workers=4, end=lambda: None),
    "error": lambda c, t: leave(c, t, workers=4, end=fail),
    "exit in fit": lambda c, t: leave_fit(c, t, workers=4),
    "goes on": go_on,
}


def wait_for(pid):
    """Return the status of a child and the seconds until it came."""
    start = time.monotonic()
    while time.monotonic() - start < PATIENCE:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), time.monotonic() - start
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), PATIENCE


def come_to(name, cache):
    """Let a child come to its end; return what to say of it, or None in the child."""
    with tempfile.TemporaryFile() as errors:
        ours, theirs = os.pipe()
        pid = os.fork()
        if not pid:
            os.dup2(errors.fileno(), 2)
            # A shell that starts something in the background lets it ignore Ctrl-C.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            ENDINGS[name](cache, lambda text="ready": os.write(theirs, text.encode()))
            return None
        os.close(theirs)
        said = os.read(ours, 2**16).decode()
        if name.startswith("Ctrl-C"):
            os.kill(pid, signal.SIGINT)
        status, seconds = wait_for(pid)
        os.close(ours)
        errors.seek(0)
        return [status, seconds, errors.read().decode(), said]


def main():
    """Let a child come to each end, one after another."""
    ended = {}
    for name in ENDINGS:
        ended[name] = come_to(name, sys.argv[1])
        if ended[name] is None:
            return  # the child leaves as any script does, through the end of this module
    sys.stdout.write(json.dumps(ended))


if __name__ == "__main__":
    main()
