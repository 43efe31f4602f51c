"""Run blocks of jobs on threads of this process, on processes, or on a Dask cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from datapipe.cluster import DaskConfig, run_on_dask
from datapipe.records import Seconds

from .machine import use_one_heap

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
BLOCK = 8
"""Most jobs that share batches."""
STALL: Seconds = 1800.0
"""When nothing ends for this long, the workers are restarted."""


def spread(
    function: Callable[[Sequence[JobT]], list[ResultT]], jobs: Sequence[JobT], cluster: str, workers: int
) -> Iterator[ResultT]:
    """Yield the results of all jobs, in any order; what a job raises is raised here."""
    if cluster == "inline":
        yield from _on_threads(function, jobs, workers)
        return
    with tempfile.TemporaryDirectory() as scratch:
        config = DaskConfig(
            cluster=cluster, workers=workers, stall=STALL, batch=BLOCK, on_gpu=None, scratch=Path(scratch)
        )
        for _, outcome in run_on_dask(function, jobs, config):
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome


def _on_threads(
    function: Callable[[Sequence[JobT]], list[ResultT]], jobs: Sequence[JobT], workers: int
) -> Iterator[ResultT]:
    use_one_heap()
    with ThreadPoolExecutor(workers) as pool:
        blocks = [pool.submit(function, block) for block in _blocks(jobs, workers)]
        try:
            yield from _as_they_end(blocks)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _blocks(jobs: Sequence[JobT], workers: int) -> Iterator[Sequence[JobT]]:
    """Cut the jobs into blocks that get smaller, so that all threads have something to do until the end."""
    first = 0
    while first < len(jobs):
        size = max(1, min(BLOCK, (len(jobs) - first) // (2 * workers)))
        yield jobs[first : first + size]
        first += size


def _as_they_end(blocks: Sequence[Future[list[ResultT]]]) -> Iterator[ResultT]:
    """Yield all that is finished; an error is raised last, so that no finished neighbour is lost with it."""
    error: BaseException | None = None
    for block in as_completed(blocks):
        failed = None if block.cancelled() else block.exception()
        if failed is not None:
            error = error or failed
            for each in blocks:
                each.cancel()
        elif not block.cancelled():
            yield from block.result()
    if error is not None:
        raise error
