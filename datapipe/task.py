"""One clip's turn: taken over when it is known, else sent through the flow, timed and bounded."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache as once
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

from . import cache
from .cell import Cell, CellLost, Message
from .config import BuildConfig
from .flow import Call, complete, flow, prepare
from .ledger import Row
from .limits import TimeUp, time_limit
from .pack import Packed, draft_from_members, draft_to_members
from .records import Clip, Rejected, Seconds, from_dict, to_dict

P = ParamSpec("P")
ResultT = TypeVar("ResultT")
GRACE: Seconds = 10.0
"""Time that a clip has beyond its limit to end by itself, before its process is ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One clip and all that a worker needs for it."""

    clip: Clip
    config: BuildConfig
    folder: Path
    """The cache."""
    timeout: Seconds
    memory_bytes: int
    """Most that the process may hold while it works on the clip."""
    isolate: bool
    """Whether the clip is worked on in a child process."""
    stamp: str
    """What clip and settings look like from outside."""
    reproduce: str
    """The command that tries this clip alone."""
    part: Literal["whole", "draft", "rest"] = "whole"
    """What is done of the clip: everything, all but super-resolution, or that with what follows."""
    before: Row | None = None
    """The clip's outcome in the last run."""
    stands: bool = False
    """Whether that outcome is taken over while input and settings are the same."""


def run_batch(tasks: Sequence[Task]) -> list[Row]:
    """Give every clip its turn: what a worker of a cluster does."""
    return [run_task(task) for task in tasks]


def complete_batch(tasks: Sequence[Task], rows: Sequence[Row]) -> list[Row]:
    """Go on with what was drafted: what a worker with a GPU does."""
    return [
        _joined(row, run_task(replace(task, part="rest"))) if row.status == "drafted" else row
        for task, row in zip(tasks, rows, strict=True)
    ]


def run_task(task: Task) -> Row:
    """Give one clip its turn, in a child process if the task says so; raises on interruption only."""
    if not task.isolate:
        return make_sample(task)
    try:
        answer = _cell().ask(to_dict(task), task.timeout + GRACE, task.memory_bytes)
    except CellLost as lost:
        message = f"{task.clip.id}: {lost}; leave it out, or look at its file"
        return _finished(rejection(task.clip.id, lost.how, message), task)
    return from_dict(answer, Row)


def end_cell() -> None:
    """End this process's child, with the networks that it holds; the next clip starts another."""
    _cell().close()


def answer(message: Message) -> Message:
    """Do in the child what `run_task` asks for."""
    result: Message = to_dict(make_sample(from_dict(message, Task)))
    return result


def make_sample(task: Task) -> Row:
    """Take one clip through the flow, or take over what is known of it; raises on interruption only."""
    started = time.monotonic()
    stages: dict[str, Seconds] = {}
    inputs = key = ""
    try:
        inputs = cache.inputs_key(task.clip)
        key = cache.sample_key(task.clip, task.config)
        known = task.before if task.before is not None and task.before.key == key else None
        if cache.load(cache.cache_path(task.folder, key)) is not None:
            return replace(_taken_over(task, known), key=key, inputs=inputs, stamp=task.stamp)
        if task.stands and known is not None:
            return replace(known, reused=True, stamp=task.stamp)
        with time_limit(task.timeout):
            outcome = PARTS[task.part](task, key, _caller(task, inputs, stages))
    except Rejected as rejected:
        outcome = rejection(task.clip.id, rejected.reason, rejected.message)
    except TimeUp:
        message = f"{task.clip.id} took more than {task.timeout:.0f} s; raise --timeout or leave it out"
        outcome = rejection(task.clip.id, "timeout", message)
    except MemoryError:
        message = f"{task.clip.id} does not fit into memory; give the worker more or leave it out"
        outcome = rejection(task.clip.id, "too_large", message)
    except Exception as error:  # noqa: BLE001 - a bug ends this clip alone, and is on record with its traceback
        outcome = failure(task.clip.id, error)
    timed = replace(outcome, key=key, inputs=inputs, stages=stages)
    return _finished(timed, task, time.monotonic() - started)


def _whole(task: Task, key: str, call: Call) -> Row:
    return _stored(task, key, flow(task.clip, task.config, call, call))


def _draft(task: Task, key: str, call: Call) -> Row:
    drafted = prepare(task.clip, task.config, call)
    cache.store(cache.draft_path(task.folder, key), drafted.meta.key, draft_to_members(drafted))
    return Row(clip=task.clip.id, status="drafted")


def _rest(task: Task, key: str, call: Call) -> Row:
    path = cache.draft_path(task.folder, key)
    members = cache.load(path)
    if members is None:
        return _whole(task, key, call)  # somebody cleared the cache meanwhile
    row = _stored(task, key, complete(draft_from_members(members), task.config, call, call))
    path.unlink(missing_ok=True)
    return row


PARTS = {"whole": _whole, "draft": _draft, "rest": _rest}


def _stored(task: Task, key: str, packed: Packed) -> Row:
    cache.store(cache.cache_path(task.folder, key), packed.meta.key, packed.members)
    return Row(clip=task.clip.id, status="done")


def rejection(clip_id: str, reason: str, message: str) -> Row:
    """Put a clip on record that cannot become a sample."""
    return Row(clip=clip_id, status="rejected", reason=reason, message=message)


def failure(clip_id: str, error: BaseException) -> Row:
    """Put a bug on record, with its traceback."""
    text = "".join(traceback.format_exception(error))
    return Row(clip=clip_id, status="failed", reason=type(error).__name__, message=str(error), traceback=text)


def _caller(task: Task, inputs: str, stages: dict[str, Seconds]) -> Call:
    """Time every stage, and keep the results of the slow ones."""

    def call(stage: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        started = time.monotonic()
        try:
            return _kept(task, inputs, stage, lambda: stage(*args, **kwargs))
        finally:
            stages[stage.__name__] = round(time.monotonic() - started, 3)

    return call


def _kept(task: Task, inputs: str, stage: Callable[..., Any], compute: Callable[[], ResultT]) -> ResultT:
    name = stage.__name__
    if name not in cache.DEPENDS:
        return compute()
    path = cache.stage_path(task.folder, inputs, name, task.config)
    known: ResultT | None = cache.load_stage(path, name)
    if known is None:
        known = compute()
        cache.store_stage(path, name, known)
    return known


def _joined(first: Row, rest: Row) -> Row:
    """Make one row of a clip's two turns."""
    return replace(rest, stages=first.stages | rest.stages, seconds=round(first.seconds + rest.seconds, 3))


def _taken_over(task: Task, known: Row | None) -> Row:
    """Report a sample that is in the cache; with what the last run measured, if it is the same one."""
    if known is not None and known.status == "done":
        return replace(known, reused=True)
    return Row(clip=task.clip.id, status="done", reused=True)


def _finished(row: Row, task: Task, seconds: Seconds = 0.0) -> Row:
    attempt = 1 if task.before is None else task.before.attempt + 1
    reproduce = "" if row.status == "done" else task.reproduce
    return replace(row, stamp=task.stamp, attempt=attempt, seconds=round(seconds, 3), reproduce=reproduce)


@once
def _cell() -> Cell:
    return Cell(f"{__package__}.task:answer")
