"""The threads that compute: a team of workers, and how many of them are worth having.

A batch is cut into shards, and one worker computes a whole shard. This scales better than letting
several threads share each operator: small operators end too soon to be shared, and a machine that
is busy with something else makes all threads wait for the slowest at each of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch

from edgekit.errors import UsageError

In = TypeVar("In")
Out = TypeVar("Out")
_TRIALS = 3
MOST_THREADS = 256  # beyond what a system lets a program have, OpenMP ends it without a word


def cores() -> int:
    """Processors this program may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Team:
    """Workers for up to `shards` parts at a time.

    With at most one thread a shard, results do not depend on the number of threads. Further
    threads are shared out among the workers and act within operators, whose sums they reorder.

    Args:
        threads: in all, 1 to `MOST_THREADS`.
        shards: parts of a batch.
    """

    def __init__(self, threads: int, shards: int) -> None:
        if not 1 <= threads <= MOST_THREADS:
            raise UsageError(f"Training takes 1 to {MOST_THREADS} threads, not {threads}.")
        self.threads = threads
        workers = min(threads, shards)
        self._within = max(1, threads // workers)
        self._before = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(workers, "edgekit-training", initializer=self._prepare)

    def _prepare(self) -> None:
        torch.set_num_threads(self._within)
        # Dying gradients become denormal numbers, on which processors are ten times slower.
        torch.set_flush_denormal(True)

    def map(self, function: Callable[[In], Out], parts: Iterable[In]) -> list[Out]:
        """`function` of each part, side by side; results in the order of the parts."""
        return list(self._pool.map(function, parts))

    def run(self, function: Callable[[], Out]) -> Out:
        """One call by a worker: the caller's own thread keeps its floating-point mode."""
        return self._pool.submit(function).result()

    def __enter__(self) -> Team:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown()
        torch.set_num_threads(self._before)


def pick_threads(seconds: Callable[[int], float], available: int | None = None) -> int:
    """One thread or all of them, whichever computes faster.

    More are not always better: cores may be virtual, or busy, or fewer than the system says.

    Args:
        seconds: time of one step with so many threads.
        available: cores; by default those of this program.
    """
    most = cores() if available is None else available
    return 1 if most == 1 or seconds(1) <= seconds(most) else most


def best_time(step: Callable[[], object]) -> float:
    """Seconds of the fastest of a few calls, after one that warms up."""
    step()
    times = []
    for _ in range(_TRIALS):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return min(times)
