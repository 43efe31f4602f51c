"""Run independent tasks on Dask: processes on this machine, or a scheduler that is already there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from .records import Rejected, Seconds

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
PER_WORKER = 4
"""Tasks in flight per worker: enough to hide the way to the scheduler."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaskConfig:
    """Which workers, and how long they may be silent."""

    cluster: str
    """`local`, or the address of a scheduler."""
    workers: int
    """Processes of a local cluster, one thread each."""
    stall: Seconds
    """When nothing ends for this long, what is running counts as hung and the workers are restarted."""
    scratch: Path
    """Folder that is swept of temporary files when the workers are gone."""


def run_on_dask(
    function: Callable[[TaskT], ResultT], tasks: Iterable[TaskT], config: DaskConfig
) -> Iterator[tuple[TaskT, ResultT | BaseException]]:
    """Yield (task, result or exception) as they end; a worker that dies costs its own tasks alone.

    Raises `Rejected("bad_input")` when the scheduler cannot be reached.
    """
    try:
        with ExitStack() as stack:
            client = stack.enter_context(_client(config, stack))
            yield from _in_windows(client, function, iter(tasks), config.stall)
    finally:
        for leftover in config.scratch.rglob(".*.tmp*"):
            leftover.unlink(missing_ok=True)


def _in_windows(
    client: Any, function: Callable[[TaskT], ResultT], tasks: Iterator[TaskT], stall: Seconds
) -> Iterator[tuple[TaskT, ResultT | BaseException]]:
    """Keep a few tasks per worker in flight: a corpus of 100 000 clips must not sit in the scheduler."""
    from distributed import wait

    window = PER_WORKER * max(1, len(client.scheduler_info()["workers"]))
    pending: dict[Any, TaskT] = {}
    while True:
        for task in islice(tasks, window - len(pending)):
            pending[client.submit(function, task, pure=False, retries=0)] = task
        if not pending:
            return
        try:
            ended = wait(list(pending), timeout=stall, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            message = f"nothing ended for {stall:.0f} s; the worker was restarted"
            yield from ((task, Rejected("timeout", message)) for task in pending.values())
            pending.clear()
            client.restart()
            continue
        yield from ((pending.pop(future), _outcome(future)) for future in ended)


def _outcome(future: Any) -> Any:
    error = future.exception()
    return future.result() if error is None else error


def _client(config: DaskConfig, stack: ExitStack) -> Any:
    from distributed import Client, LocalCluster

    if config.cluster == "local":
        local = LocalCluster(
            n_workers=config.workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs="ERROR",
        )
        return Client(stack.enter_context(local))
    if not config.cluster.startswith(("tcp://", "tls://", "ucx://")):
        raise Rejected(
            "bad_input", f"unknown cluster `{config.cluster}`; known: inline, local, tcp://HOST:PORT"
        )
    try:
        return Client(config.cluster, timeout="10s")
    except OSError as error:
        raise Rejected(
            "bad_input", f"no Dask scheduler answers at {config.cluster}; start one there"
        ) from error
