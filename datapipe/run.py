"""Run the flow over many clips: cached, timed, bounded, counted; here or on a Dask cluster.

Workers hand back rows of the ledger; samples travel as files of the cache. Shards are put together at the
end in the order of the ids, so neither the number of workers nor their speed can change a byte.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from . import cache
from .cluster import DaskConfig, run_on_dask
from .config import BuildConfig
from .console import track
from .flow import Call, flow
from .ledger import Counts, Row, check_retry, count, read_ledger, wants_retry, write_ledger
from .limits import TimeUp, time_limit
from .manifest import FILE as MANIFEST_FILE
from .manifest import make_manifest, read_manifest, write_manifest
from .records import Clip, Manifest, Rejected, Sample, Seconds, Shard, from_json
from .shards import write_shard
from .sources import Found, Unusable, find_clips

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """How a build is run; none of it changes a sample."""

    cluster: str = "inline"
    """`inline`, `local` (processes on this machine) or a Dask scheduler's address (`tcp://HOST:PORT`)."""
    workers: int = 2
    """Processes of a local cluster, one thread each."""
    retry: str | None = None
    """Try again what did not get through: `failed`, `rejected`, or one reason."""
    limit: int | None = None
    """Take the first N clips only."""
    timeout: Seconds = 600.0
    """Longest that one clip may take."""
    per_shard: int = 256
    """Samples per tar."""
    cache: Path | None = None
    """Folder of finished samples, on a file system that all workers see; default OUT/.cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One clip and all that a worker needs for it."""

    clip: Clip
    config: BuildConfig
    folder: Path
    """The cache."""
    timeout: Seconds
    before: Row | None = None
    """The clip's outcome in the last run."""
    stands: bool = False
    """Whether that outcome is taken over while input and settings are the same."""

    @property
    def attempt(self) -> int:
        """Number of this attempt."""
        return 1 if self.before is None else self.before.attempt + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """What a build did."""

    out: Path
    manifest: Manifest
    counts: Counts
    seconds: Seconds


def build(source: str, root: Path, out: Path, config: BuildConfig, run: RunConfig) -> BuildReport:
    """Turn a corpus into shards, ledger and manifest; a second run takes over what is still valid.

    Raises `Rejected`: bad_input (root, source, retry), disk_full.
    """
    started = time.monotonic()
    _check_out(out, root, source)
    known = read_ledger(out)
    check_retry(run.retry, known)
    found = find_clips(source, root, config.source)[: run.limit]
    folder = run.cache or out / ".cache"
    tasks = [_task(each, config, run, folder, known) for each in found if isinstance(each, Clip)]
    rows = [_rejected(each.id, each.reason, each.message) for each in found if isinstance(each, Unusable)]
    rows += track(_results(tasks, run), f"building {source}", total=len(tasks))
    counts = count(rows, len(found))
    manifest = _publish(source, out, config, run, rows, counts)
    return BuildReport(out=out, manifest=manifest, counts=counts, seconds=time.monotonic() - started)


def plan(source: str, root: Path, out: Path, config: BuildConfig, run: RunConfig) -> dict[str, list[str]]:
    """Say what a build would do, by clip id, without decoding a frame: compute, reuse, skip, unusable."""
    known = read_ledger(out)
    result: dict[str, list[str]] = {"compute": [], "reuse": [], "skip": [], "unusable": []}
    for each in find_clips(source, root, config.source)[: run.limit]:
        result[_prospect(each, config, run, run.cache or out / ".cache", known)].append(each.id)
    return result


def build_one(task: Task) -> Row:
    """Take one clip through the flow, or take over what is known of it; never raises but on interruption."""
    started = time.monotonic()
    stages: dict[str, Seconds] = {}
    key = ""
    try:
        key = cache.sample_key(task.clip, task.config)
        path = cache.cache_path(task.folder, key)
        if cache.load(path) is not None:
            return _taken_over(task, key)
        if task.stands and task.before is not None and task.before.key == key:
            return replace(task.before, reused=True)
        with time_limit(task.timeout):
            packed = flow(task.clip, task.config, _timed(stages))
        cache.store(path, packed.meta.key, packed.members)
        outcome = Row(clip=task.clip.id, status="done")
    except Rejected as rejected:
        outcome = _rejected(task.clip.id, rejected.reason, rejected.message)
    except TimeUp:
        message = f"{task.clip.id} took more than {task.timeout:.0f} s; raise --timeout or leave it out"
        outcome = _rejected(task.clip.id, "timeout", message)
    except Exception as error:  # noqa: BLE001 - a bug ends this clip alone, and is on record with its traceback
        outcome = _failure(task.clip.id, error)
    return _finished(outcome, task, key, stages, time.monotonic() - started)


def _results(tasks: Sequence[Task], run: RunConfig) -> Iterator[Row]:
    """Yield a row per task as they end; what a cluster lost is a failed row."""
    if not tasks:
        return
    if run.cluster == "inline":
        yield from map(build_one, tasks)
        return
    # a task looks after its own time limit; the cluster only notices native code that never returns
    stall = 2 * run.timeout + 60.0
    dask = DaskConfig(cluster=run.cluster, workers=run.workers, stall=stall, scratch=tasks[0].folder)
    for task, outcome in run_on_dask(build_one, tasks, dask):
        yield outcome if isinstance(outcome, Row) else _lost(task.clip.id, outcome)


def _task(clip: Clip, config: BuildConfig, run: RunConfig, folder: Path, known: dict[str, Row]) -> Task:
    before = known.get(clip.id)
    stands = before is not None and before.status != "done" and not wants_retry(before, run.retry)
    return Task(
        clip=clip,
        config=config,
        folder=folder,
        timeout=run.timeout,
        before=before,
        stands=stands,
    )


def _prospect(each: Found, config: BuildConfig, run: RunConfig, folder: Path, known: dict[str, Row]) -> str:
    if isinstance(each, Unusable):
        return "unusable"
    key = cache.sample_key(each, config)
    if cache.cache_path(folder, key).exists():
        return "reuse"
    task = _task(each, config, run, folder, known)
    return "skip" if task.stands and task.before is not None and task.before.key == key else "compute"


def _publish(
    source: str, out: Path, config: BuildConfig, run: RunConfig, rows: Sequence[Row], counts: Counts
) -> Manifest:
    """Write shards, ledger and, last, the manifest; the old manifest goes first, so it never lies."""
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST_FILE).unlink(missing_ok=True)
    done = sorted((row for row in rows if row.status == "done"), key=lambda row: row.clip)
    folder = run.cache or out / ".cache"
    shards, samples = [], list[Sample]()
    for first in range(0, len(done), run.per_shard):
        path = out / f"{source}-{first // run.per_shard:06d}.tar"
        shards.append(_write(path, done[first : first + run.per_shard], folder, samples))
    for stale in {path.name for path in out.glob("*.tar")} - {shard.name for shard in shards}:
        (out / stale).unlink()
    write_ledger(out, rows)
    manifest = make_manifest(source, config, shards, samples, counts)
    write_manifest(out, manifest)
    return manifest


def _write(path: Path, rows: Sequence[Row], folder: Path, samples: list[Sample]) -> Shard:
    def entries() -> Iterator[tuple[str, dict[str, bytes]]]:
        for row in rows:
            members = cache.load(cache.cache_path(folder, row.key))
            if members is None:
                raise Rejected("bad_input", f"the sample of {row.clip} left {folder} meanwhile; run it again")
            samples.append(from_json(members["meta.json"].decode("utf-8"), Sample))
            yield samples[-1].key, members

    return write_shard(path, entries())


def _check_out(out: Path, root: Path, source: str) -> None:
    inside = out.resolve().is_relative_to(root.resolve())
    if inside:
        raise Rejected(
            "bad_input", f"{out} lies inside {root}, which is never written to; choose another --out"
        )
    if (out / MANIFEST_FILE).exists() and read_manifest(out).source != source:
        raise Rejected("bad_input", f"{out} holds another source's shards; choose another --out")


def _timed(stages: dict[str, Seconds]) -> Call:
    def call(stage: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        started = time.monotonic()
        try:
            return stage(*args, **kwargs)
        finally:
            stages[stage.__name__] = round(time.monotonic() - started, 3)

    return call


def _rejected(clip_id: str, reason: str, message: str) -> Row:
    return Row(clip=clip_id, status="rejected", reason=reason, message=message)


def _failure(clip_id: str, error: BaseException) -> Row:
    text = "".join(traceback.format_exception(error))
    return Row(clip=clip_id, status="failed", reason=type(error).__name__, message=str(error), traceback=text)


def _taken_over(task: Task, key: str) -> Row:
    """Report a sample that is in the cache; with what the last run measured, if it is the same one."""
    before = task.before
    if before is not None and before.status == "done" and before.key == key:
        return replace(before, reused=True)
    return Row(clip=task.clip.id, status="done", key=key, reused=True)


def _lost(clip_id: str, error: BaseException) -> Row:
    if isinstance(error, Rejected):
        return _rejected(clip_id, error.reason, error.message)
    return _failure(clip_id, error)


def _finished(row: Row, task: Task, key: str, stages: dict[str, Seconds], seconds: Seconds) -> Row:
    return replace(row, key=key, stages=stages, attempt=task.attempt, seconds=round(seconds, 3))
