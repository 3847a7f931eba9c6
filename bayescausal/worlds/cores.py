"""Both cores, where a trial says that they help; the numbers do not depend on it.

Blocks are evaluated and reduced on threads and handed on in their own order, so that sums are
formed in the same order whatever the number of threads: the result is the same to the last bit.
NumPy's kernels release the interpreter's lock, but between them it is fought over: expensive
equations gain from a second core, cheap ones lose. So the first blocks are evaluated on one
thread, the next ones on all, and the faster way is kept.

A compiled function must not be entered twice at once: each thread has its own copy. What has
compiled functions inside (abducted noise, a scan) stays on one thread: copies would share them.
"""

from __future__ import annotations

import os
import queue
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from bayescausal.inference.progress import tracked
from bayescausal.worlds.evaluate import Block, block_of, count_tasks, tasks
from bayescausal.worlds.noise import FreshNoise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bayescausal.worlds.evaluate import Task, Units
    from bayescausal.worlds.program import Program

__all__ = ["each_block"]

#: Blocks of a trial, and of the run on one thread before it.
TRIAL = 8
#: Seconds of work from which a trial pays.
WORTH = 0.3
#: How much faster several threads must be.
GAIN = 1.1
#: Threads at most.
THREADS = 8


def each_block[Part](
    program: Program,
    units: Units,
    draws: slice,
    noise: Any,
    reduce: Callable[[Block], Part],
    *,
    groups: range = range(1),
    replicates: int | None = None,
    whole_units: bool = False,
    threads: int | None = None,
) -> Iterator[Part]:
    """Evaluate a program block by block and reduce each block, on one thread or several.

    Parameters
    ----------
    program, units, draws, noise, groups, replicates, whole_units
        As for :func:`~bayescausal.worlds.evaluate.evaluate`.
    reduce : callable
        From a block to what is kept of it; called on any thread, so it must change nothing.
    threads : int, optional
        How many; default: one, or as many as there are cores if a trial says so.

    Yields
    ------
    object
        What `reduce` returned, in the order of the blocks.

    Examples
    --------
    >>> import pymc as pm, bayescausal as bc
    >>> from bayescausal.worlds.cores import each_block
    >>> from bayescausal.worlds.evaluate import units_of
    >>> from bayescausal.worlds.program import Request, build_program
    >>> with pm.Model(coords={"unit": [0]}) as model:
    ...     x = pm.Normal("x", dims="unit")
    ...     y = pm.Normal("y", 2 * x, 1, dims="unit")
    >>> known = bc.truth(model, {}, {"x": [0.0, 1.0], "y": [0.0, 1.0]})
    >>> program = build_program(
    ...     known.structure, {"w": {"x": bc.Set(3.0)}}, [Request("w", "y")],
    ...     recomputed=frozenset(["y"]), varying=known.varies)
    >>> parts = each_block(program, units_of(known), slice(0, 1), None, lambda b: b.values[0].sum())
    >>> [float(p) for p in parts]
    [12.0]
    """
    cutting: dict[str, Any] = {
        "groups": groups,
        "replicates": replicates,
        "whole_units": whole_units,
    }
    parts = _parts(program, units, draws, noise, reduce, threads, cutting)
    yield from tracked(parts, lambda: count_tasks(program, units, draws, **cutting))


def _parts[Part](
    program: Program,
    units: Units,
    draws: Any,
    noise: Any,
    reduce: Callable[[Block], Part],
    threads: int | None,
    cutting: dict[str, Any],
) -> Iterator[Part]:
    """Yield what is kept of each block, on one thread or on several."""
    work = tasks(program, units, draws, **cutting)

    def one(task: Task, call: Any) -> Part:
        return reduce(block_of(program, units, task, noise, call))

    most = min(_cores(), THREADS) if threads is None else threads
    if most < 2 or not (noise is None or isinstance(noise, FreshNoise)):
        for task in work:
            yield one(task, program.call)
        return
    if program.call.alone:
        for task in work:
            yield one(task, program.call)
        return
    if threads is not None:
        yield from _spread(work, one, program, most, 0.0)
        return
    for task in islice(work, 1):  # the first block pays for what is made once
        yield one(task, program.call)
    start = time.perf_counter()
    for task in islice(work, TRIAL):
        yield one(task, program.call)
    pace = (time.perf_counter() - start) / TRIAL
    if pace * count_tasks(program, units, draws, **cutting) < WORTH:
        for task in work:
            yield one(task, program.call)
        return
    yield from _spread(work, one, program, most, pace)


def _spread[Part](
    work: Iterator[Task], one: Callable[[Task, Any], Part], program: Program, n: int, pace: float
) -> Iterator[Part]:
    """Evaluate on n threads; fall back on one if that takes longer than `pace` a block."""
    calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
    calls.put(program.call)
    for _ in range(n - 1):
        calls.put(program.call.copy())

    def run(task: Task) -> Part:
        call = calls.get()
        try:
            return one(task, call)
        finally:
            calls.put(call)

    with ThreadPoolExecutor(n) as pool:
        if pace:
            trial = list(islice(work, TRIAL * n))
            start = time.perf_counter()
            yield from list(pool.map(run, trial))
            slow = (time.perf_counter() - start) / max(len(trial), 1)
            if slow * GAIN > pace:
                for task in work:
                    yield one(task, program.call)
                return
        waiting: deque[Any] = deque()
        try:
            for task in work:
                waiting.append(pool.submit(run, task))
                if len(waiting) > 2 * n:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _cores() -> int:
    count = getattr(os, "process_cpu_count", os.cpu_count)()
    return int(count or 1)
