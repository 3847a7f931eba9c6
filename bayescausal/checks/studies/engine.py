"""Replicates on any executor: in this process, on threads, on processes, on a cluster.

Whatever has ``submit`` and gives futures of :mod:`concurrent.futures` will do
(``ProcessPoolExecutor``, ``ThreadPoolExecutor``, loky, Dask's ``client.get_executor()``,
``MPIPoolExecutor``). The recipe is pickled once, by value; a worker unpacks it on its first
replicate and keeps what it compiled. Every replicate has its own seeds, so rows do not depend on
who computed them or in which order they arrive.

*Failures.* What goes wrong inside a replicate comes back as rows. A worker that dies takes its
replicates with it: they are submitted again. Where the executor itself is broken by it (a
``BrokenProcessPool``), what is missing is rerun in fresh processes, one replicate at a time each,
so that a replicate that kills its process is found, and becomes a row after :data:`TRIES` deaths.
Rows that were written stay.

*Warnings* of the sampler are not shown: their content is in the diagnostics of the rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
import warnings
from collections import Counter, OrderedDict, deque
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    ProcessPoolExecutor,
    wait,
)
from typing import TYPE_CHECKING, Any

from threadpoolctl import ThreadpoolController

from bayescausal.checks.studies.recipe import Bench
from bayescausal.checks.studies.rows import blank
from bayescausal.types import StudyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from bayescausal.annotations import Executor
    from bayescausal.checks.studies.recipe import Recipe

__all__ = ["TRIES", "check_executor", "run_study", "work"]

#: How often a replicate is tried whose worker dies.
TRIES = 3
#: Benches that a worker keeps, and replicates that are in flight at a time.
KEPT, FLIGHT = 4, 64

_Rows = list[dict[str, Any]]


class _Benches(threading.local):
    """What a thread of a worker has unpacked and compiled."""

    def __init__(self) -> None:
        self.of: OrderedDict[str, Bench] = OrderedDict()


_BENCHES = _Benches()
_BUILD = threading.Lock()


def check_executor(executor: Executor | None) -> Executor | None:
    """Return the executor, or refuse what is none.

    Raises StudyError if it has no ``submit``; a Dask client is told how to give one.
    """
    if executor is None:
        return None
    if hasattr(executor, "get_executor"):
        raise StudyError(
            f"executor is a {type(executor).__name__}.",
            expected="A concurrent.futures.Executor.",
            remedy="Pass executor=client.get_executor().",
        )
    if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
        raise StudyError(
            f"executor={executor!r} runs nothing.",
            expected="None, or a concurrent.futures.Executor such as ProcessPoolExecutor(4).",
        )
    return executor


def run_study(
    recipe: Recipe,
    replicates: Iterable[int],
    *,
    executor: Executor | None = None,
    on_rows: Callable[[int, _Rows], None],
) -> tuple[str, ...]:
    """Run replicates, and hand over the rows of each as it is finished.

    ``replicates``: numbers of those to run.
    ``executor``: None: one after the other, here.
    ``on_rows``: ``(replicate, rows)``, called in this thread, in the order of completion.
    Result: what a reader should know of the run.
    Raises StudyError if the models or questions cannot travel to the executor, or it was shut down.
    """
    numbers = list(replicates)
    if not numbers:
        return ()
    with quiet():
        if executor is None:
            bench = Bench(recipe)
            for number in numbers:
                on_rows(number, bench.run(number))
            return ()
        return _Dispatch(recipe, executor, on_rows).run(numbers)


def work(key: str, payload: bytes, replicate: int) -> _Rows:
    """Run one replicate where the payload was sent.

    ``key``: of the payload.
    ``payload``: the recipe, pickled.
    """
    with quiet():
        kept = _BENCHES.of
        if key not in kept:
            import cloudpickle

            with _BUILD:
                kept[key] = Bench(cloudpickle.loads(payload))
            while len(kept) > KEPT:
                kept.popitem(last=False)
        kept.move_to_end(key)
        return kept[key].run(replicate)


class _Quiet:
    """Silence, shared by threads: the first one in makes it, the last one out ends it.

    Linear algebra stays on one core meanwhile: the matrices of a replicate are tiny, threads only
    take the core from another replicate, and rounding must not depend on their number.
    """

    def __init__(self) -> None:
        self.controller: Any = None
        self.lock = threading.Lock()
        self.inside = 0
        self.stack = contextlib.ExitStack()

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with self.lock:
            if not self.inside:
                self.stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
                logger = logging.getLogger("pymc")
                before = logger.level
                logger.setLevel(logging.ERROR)
                self.stack.callback(logger.setLevel, before)
                if self.controller is None:
                    self.controller = ThreadpoolController()
                self.stack.enter_context(self.controller.limit(limits=1, user_api="blas"))
            self.inside += 1
        try:
            yield
        finally:
            with self.lock:
                self.inside -= 1
                if not self.inside:
                    self.stack.close()


quiet = _Quiet()


class _Dispatch:
    """Submits, collects, submits again."""

    def __init__(
        self, recipe: Recipe, executor: Executor, on_rows: Callable[[int, _Rows], None]
    ) -> None:
        self.recipe, self.executor, self.on_rows = recipe, executor, on_rows
        self.payload = _packed(recipe)
        self.key = hashlib.sha256(self.payload).hexdigest()
        self.died: Counter[int] = Counter()
        self.again: set[int] = set()

    def run(self, numbers: list[int]) -> tuple[str, ...]:
        waiting = deque(numbers)
        live: dict[Future[_Rows], int] = {}
        workers = getattr(self.executor, "_max_workers", None)
        most = max(FLIGHT, 4 * workers) if isinstance(workers, int) else FLIGHT
        broken = False
        try:
            while waiting or live:
                while waiting and len(live) < most and not broken:
                    broken = not self._submitted(waiting, live)
                if broken and not live:
                    break
                done, _ = wait(list(live), return_when=FIRST_COMPLETED)
                for future in done:
                    broken |= self._collected(future, live.pop(future), waiting)
        finally:
            for future in live:
                future.cancel()
        if waiting:
            self._rescue(sorted(waiting), workers)
        if not self.again:
            return ()
        count = len(self.again)
        which = "replicate was" if count == 1 else "replicates were"
        return (f"{count} {which} run again because a worker died.",)

    def _submitted(self, waiting: deque[int], live: dict[Future[_Rows], int]) -> bool:
        """Submit the next one; False where the executor is broken."""
        try:
            future = self.executor.submit(work, self.key, self.payload, waiting[0])
        except BrokenExecutor:
            self.again.update(waiting)
            return False
        except RuntimeError as error:
            raise StudyError(
                f"The executor takes no work: {error}.",
                expected="An executor that is open until the study is done.",
            ) from error
        live[future] = waiting.popleft()
        return True

    def _collected(self, future: Future[_Rows], number: int, waiting: deque[int]) -> bool:
        """Hand over what came back; True where the executor is broken."""
        try:
            rows = future.result()
        except BrokenExecutor:
            self.again.add(number)
            waiting.append(number)
            return True
        except (CancelledError, Exception) as error:
            self._lost(number, error, waiting)
            return False
        self.on_rows(number, rows)
        return False

    def _lost(self, number: int, error: BaseException, waiting: deque[int]) -> None:
        """Try a replicate again, or give it up."""
        self.died[number] += 1
        self.again.add(number)
        if self.died[number] < TRIES:
            waiting.append(number)
            return
        said = f"The worker died {TRIES} times: {type(error).__name__}: {error}".strip(": ")
        self.on_rows(
            number, [blank(number, name, "estimand", said) for name in self.recipe.questions]
        )

    def _rescue(self, numbers: list[int], workers: int | None) -> None:
        """Run what a broken executor left over, in fresh processes of one replicate each."""
        count = min(workers if isinstance(workers, int) else 2, len(numbers))
        context = getattr(self.executor, "_mp_context", None)
        free = [ProcessPoolExecutor(1, mp_context=context) for _ in range(count)]
        waiting, live = deque(numbers), dict[Any, tuple[int, ProcessPoolExecutor]]()
        try:
            while waiting or live:
                while waiting and free:
                    pool, number = free.pop(), waiting.popleft()
                    live[pool.submit(work, self.key, self.payload, number)] = (number, pool)
                done, _ = wait(list(live), return_when=FIRST_COMPLETED)
                for future in done:
                    number, pool = live.pop(future)
                    try:
                        rows = future.result()
                    except Exception as error:
                        pool.shutdown(wait=False)
                        pool = ProcessPoolExecutor(1, mp_context=context)
                        self._lost(number, error, waiting)
                    else:
                        self.on_rows(number, rows)
                    free.append(pool)
        finally:
            for pool in (*free, *(p for _, p in live.values())):
                pool.shutdown(wait=False, cancel_futures=True)


def _packed(recipe: Recipe) -> bytes:
    """Return the recipe as bytes: models, questions and functions by value."""
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(recipe))
    except Exception as error:
        raise StudyError(
            f"The study cannot be sent to another process: {error}",
            expected="Models, estimands and functions that can be pickled.",
            remedy="Leave locks, open files and connections out of them, or run without executor.",
        ) from error
