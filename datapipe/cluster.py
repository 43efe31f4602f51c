"""Run independent tasks on Dask: processes on this machine, or a scheduler that is already there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from .files import sweep
from .limits import leave_interrupts_alone
from .records import Rejected, Seconds

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
PER_WORKER = 4
"""Batches in flight per worker: enough to hide the way to the scheduler."""
FIRST_WORKER: Seconds = 60.0
"""How long a scheduler may be without workers."""
TRIM_SETTING = "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_"
TRIM_BYTES = 256 << 20
"""Free memory a worker keeps. Dask's 64 KiB gives every frame buffer back, to be zeroed for the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaskConfig:
    """Which workers, and how long they may be silent."""

    cluster: str
    """`local`, or the address of a scheduler."""
    workers: int
    """Processes of a local cluster, one thread each."""
    stall: Seconds
    """When nothing ends for this long, what is running counts as hung and the workers are restarted."""
    batch: int
    """Most tasks that travel together; a task on its own costs the scheduler about a millisecond."""
    on_gpu: Callable[..., list[Any]] | None
    """Goes on with a batch and its results, on a worker that was started with `--resources GPU=1`."""
    scratch: Path
    """Folder that is swept of temporary files when the workers are gone."""


def run_on_dask(
    function: Callable[[Sequence[TaskT]], list[ResultT]], tasks: Sequence[TaskT], config: DaskConfig
) -> Iterator[tuple[TaskT, ResultT | BaseException]]:
    """Yield (task, result or exception) as they end; a worker that dies costs its own task alone.

    `function` gives one result per task of a batch. Raises `Rejected("bad_input")` when the scheduler cannot
    be reached or has no workers.
    """
    try:
        with ExitStack() as stack:
            stack.enter_context(_environment_kept())
            client = stack.enter_context(_client(config, stack))
            yield from _in_windows(client, function, tasks, config)
    finally:
        sweep(config.scratch)


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Put the environment back: Dask writes its workers' settings into that of the process that starts them.

    Among them is a memory setting that makes training here and in child processes half as fast.
    """
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _in_windows(
    client: Any,
    function: Callable[[Sequence[TaskT]], list[ResultT]],
    tasks: Sequence[TaskT],
    config: DaskConfig,
) -> Iterator[tuple[TaskT, ResultT | BaseException]]:
    """Keep a few batches per worker in flight: a corpus of 100 000 clips must not sit in the scheduler.

    A worker that dies or hangs takes the batches down that were waiting for it. Their tasks are suspects:
    they run again at the end, one at a time, so that only the guilty one is charged.
    """
    waiting = _batches(tasks, _num_workers(client), config.batch)
    suspects: list[TaskT] = []
    pending: dict[Any, list[TaskT]] = {}
    while True:
        for batch in islice(waiting, max(0, PER_WORKER * _num_workers(client) - len(pending))):
            pending[_submit(client, function, batch, config)] = batch
        if not pending:
            break
        for batch, outcome in _next(client, pending, config.stall):
            if isinstance(outcome, WorkerLost):
                suspects += batch
            else:
                yield from _shared_out(batch, outcome)
    for task in suspects:
        alone = {_submit(client, function, [task], config): [task]}
        for batch, outcome in _next(client, alone, config.stall):
            yield from _shared_out(batch, outcome.verdict if isinstance(outcome, WorkerLost) else outcome)


def _submit(client: Any, function: Callable[..., list[Any]], batch: Sequence[Any], config: DaskConfig) -> Any:
    """Send a batch to any worker, and what is left of it to one that offers a GPU."""
    results = client.submit(function, batch, pure=False, retries=0)
    if config.on_gpu is None:
        return results
    return client.submit(config.on_gpu, batch, results, pure=False, retries=0, resources={"GPU": 1})


def _batches(tasks: Sequence[TaskT], workers: int, largest: int) -> Iterator[list[TaskT]]:
    """Cut the tasks into batches that get smaller, so that all workers have something to do until the end."""
    first = 0
    while first < len(tasks):
        size = max(1, min(largest, (len(tasks) - first) // (workers * 2 * PER_WORKER)))
        yield list(tasks[first : first + size])
        first += size


def _shared_out(
    batch: list[TaskT], outcome: list[ResultT] | BaseException
) -> Iterator[tuple[TaskT, ResultT | BaseException]]:
    if isinstance(outcome, BaseException):
        yield from ((task, outcome) for task in batch)
    else:
        yield from zip(batch, outcome, strict=True)


def _num_workers(client: Any) -> int:
    return max(1, len(client.nthreads()))


class WorkerLost(Exception):
    """The worker that held a task died or hung; `verdict` is what it means when the task was alone."""

    def __init__(self, verdict: Exception) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict


def _next(client: Any, pending: dict[Any, list[TaskT]], stall: Seconds) -> list[tuple[list[TaskT], Any]]:
    """Wait for the first batches to end and take them out of `pending`; all of them when nothing ends."""
    from distributed import wait

    try:
        ended = wait(list(pending), timeout=stall, return_when="FIRST_COMPLETED").done
    except TimeoutError:
        hung = Rejected("timeout", f"nothing ended for {stall:.0f} s; the worker was restarted")
        held = [(batch, WorkerLost(hung)) for batch in pending.values()]
        pending.clear()
        client.restart()
        return held
    return [(pending.pop(future), _outcome(future)) for future in ended]


def _outcome(future: Any) -> Any:
    from distributed import KilledWorker

    error = future.exception()
    if isinstance(error, KilledWorker):
        return WorkerLost(error)
    return future.result() if error is None else error


def _client(config: DaskConfig, stack: ExitStack) -> Any:
    import dask
    from distributed import Client, LocalCluster

    if config.cluster == "local":
        # one death is enough: the suspects are tried again alone
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 0}))
        stack.enter_context(dask.config.set({TRIM_SETTING: TRIM_BYTES}))
        local = LocalCluster(
            n_workers=config.workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs="ERROR",
            resources={} if config.on_gpu is None else {"GPU": 1},
        )
        client = Client(stack.enter_context(local))
        # Ctrl-C reaches the whole process group; this process alone answers it and ends the workers
        client.run(leave_interrupts_alone)
        return client
    if not config.cluster.startswith(("tcp://", "tls://", "ucx://")):
        raise Rejected(
            "bad_input", f"unknown cluster `{config.cluster}`; known: inline, local, tcp://HOST:PORT"
        )
    return _existing(config.cluster, config.on_gpu is not None)


def _existing(address: str, with_gpu: bool) -> Any:
    from distributed import Client

    try:
        client = Client(address, timeout="10s")
    except OSError as error:
        raise Rejected("bad_input", f"no Dask scheduler answers at {address}; start one there") from error
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER)
    except TimeoutError as error:
        message = f"the scheduler at {address} has no workers; start some with `dask worker {address}`"
        raise Rejected("bad_input", message) from error
    workers = client.scheduler_info()["workers"].values()
    if with_gpu and not any(worker["resources"].get("GPU") for worker in workers):
        message = f"no worker of {address} offers a GPU; start one with `dask worker --resources GPU=1`"
        raise Rejected("bad_input", message)
    return client
