"""A forked child reads on where what it inherited is whole, and is told where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import run_python

FORKS = '''
import gc, json, os, pickle, signal, sys, threading
from multiprocessing import get_context

sys.path.insert(0, sys.argv[2])
from niicache import BalancedSequence, OrderedSequence, open_cache
from niicache.hot import SHARED
from test_sequence import digest, digests

cache = open_cache(sys.argv[1])
said = {}


def forked(make):
    """Return what a child says, or the kind and the message of its error, or None."""
    ours, theirs = os.pipe()
    if not os.fork():
        signal.alarm(30)  # or it might wait for ever
        try:
            answer = make()
        except BaseException as error:
            answer = [type(error).__name__, str(error), os.getpid(), os.getppid()]
        os.write(theirs, json.dumps(answer).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as answer:
        text = answer.read()
    os.wait()
    return json.loads(text or "null")


def looped(sequence):
    return [digest(batch) for batch in sequence]


sequence = BalancedSequence(cache, 8, seed=2, workers=3)
said["before any batch"] = forked(lambda: digests(sequence))
said["before any batch, by threads"] = forked(lambda: looped(sequence))
said["here"] = digests(sequence)
said["no thread left"] = forked(lambda: digests(sequence))
said["looped here"] = looped(sequence)
said["loop over"] = forked(lambda: looped(sequence))
said["child of a child"] = forked(lambda: forked(lambda: looped(sequence)))

loop = iter(sequence)
parts = [digest(next(loop)), digest(next(loop))]
other, ordered = BalancedSequence(cache, 8), OrderedSequence(cache, 8)
said["threads live"] = forked(lambda: digests(sequence))
said["threads live, by threads"] = forked(lambda: looped(sequence))
said["threads live, another sequence"] = forked(lambda: digest(other[0]))
said["threads live, every case"] = forked(lambda: digest(ordered[0]))
said["threads live, a new cache"] = forked(
    lambda: digest(BalancedSequence(sys.argv[1], 8, seed=2)[0])
)
said["parent goes on"] = parts + [digest(batch) for batch in loop]
said["loop over again"] = forked(lambda: looped(sequence))

# Left before its end, by a loop that a user breaks out of.
for batch in sequence:
    break
gc.collect()
said["loop left"] = forked(lambda: looped(sequence))

# A thread that makes no batch is in nobody's way.
gate = threading.Event()
idle = threading.Thread(target=gate.wait)
idle.start()
said["an idle thread"] = forked(lambda: digests(sequence))
gate.set()

# Nor is one that had the lock of what is kept, though in the child nobody gives it back.
with SHARED._lock:
    said["a lock is held"] = forked(lambda: digests(sequence))

with get_context("spawn").Pool(1) as pool:
    loop = iter(sequence)
    next(loop)
    said["spawned"] = pool.apply(digests, (sequence,))
    loop.close()

print(json.dumps(said))
'''


@pytest.fixture(scope="module")
def said(vector_cache):
    """Return what each process made of it."""
    return json.loads(run_python(FORKS, vector_cache, Path(__file__).parent).splitlines()[-1])


SOUND = [
    *("before any batch", "before any batch, by threads", "no thread left", "looped here"),
    *("loop over", "child of a child", "parent goes on", "loop over again", "loop left"),
    *("an idle thread", "a lock is held", "spawned"),
]


@pytest.mark.parametrize("when", SOUND)
def test_batches_are_the_same_in_every_process(said, when):
    assert len(said["here"]) > 10
    assert said[when] == said["here"]


@pytest.mark.parametrize(
    "which",
    ["threads live", *(f"threads live, {which}" for which in ("by threads", "another sequence"))]
    + [f"threads live, {which}" for which in ("every case", "a new cache")],
)
def test_a_child_that_was_forked_from_working_threads_is_told_so(said, which):
    kind, message, child, parent = said[which]
    assert kind == "ForkedError"
    assert message == (
        f"process {child} was forked from {parent} while threads there prepared batches, and what "
        'it inherited may be half done; start it with multiprocessing.get_context("spawn"), or '
        "fork before the first batch"
    )
