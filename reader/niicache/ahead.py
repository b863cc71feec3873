"""Results of a function in the order of its arguments, made ahead by a few threads."""

from __future__ import annotations

import itertools
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from niicache.compiling import CompilerNeeded, without_compiler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def ahead(
    function: Callable[[Argument], Result], arguments: Iterable[Argument], *, threads: int
) -> Iterator[Result]:
    """Yield ``function(argument)`` for each argument, in order.

    While a result is in use ``threads`` threads make the next ones, and while the next is waited
    for one more is in the queue, so that no thread waits for work. With those of a caller who
    takes the next before it lets go of the last, ``threads + 2`` results exist at most: more
    would cost memory, and push each other out of the processor's cache. When the caller stops
    early, what is begun is finished and the threads end. What the function raises is raised in
    its turn. What has to be compiled first is made by the caller, so the function may be called
    twice with an argument.
    """

    def make(argument: Argument) -> Result:
        with without_compiler():
            return function(argument)

    left = iter(arguments)
    with ThreadPoolExecutor(threads, thread_name_prefix="niicache") as pool:
        under_way: deque[tuple[Argument, Future[Result]]] = deque(
            (one, pool.submit(make, one)) for one in itertools.islice(left, threads + 1)
        )
        try:
            while under_way:
                argument, future = under_way.popleft()
                # Not by except: what the caller's call raises has nothing to do with this.
                late = isinstance(future.exception(), CompilerNeeded)
                result = function(argument) if late else future.result()
                del future
                yield result
                del result  # the batch is the caller's alone, and may go when the caller is done
                under_way.extend((one, pool.submit(make, one)) for one in itertools.islice(left, 1))
        finally:
            for _, future in under_way:
                future.cancel()


def usual_threads() -> int:
    """Return the CPUs of this process, at most 4: more threads than that wait for each other."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(4, cpus or 1)
