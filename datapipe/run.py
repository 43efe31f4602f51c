"""Run the flow over many clips: cached, timed, bounded, counted; here or on a Dask cluster.

Workers hand back rows of the ledger; samples travel as files of the cache. Shards are put together at the
end in the order of the plan, so neither the number of workers, nor their speed, nor how often the build was
killed can change a byte.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from . import cache
from .cluster import DaskConfig, run_on_dask
from .config import BuildConfig
from .console import track
from .files import write_text
from .ledger import Counts, Row, check_retry, count, journalled, read_ledger, wants_retry
from .limits import only_one
from .manifest import FILE as MANIFEST_FILE
from .manifest import read_manifest
from .places import Place, is_inside, place
from .publish import Shelf, publish
from .records import Clip, Manifest, Rejected, Seconds, from_dict, printable, to_dict
from .sources import Found, Unusable, find_clips
from .splits import recorded
from .takedown import lift_takedown, read_takedown
from .task import Task, complete_batch, end_cell, failure, rejection, run_batch, run_task

REPLAY = "build.json"
"""What was built with which settings; `--config` takes it."""
SEGMENTS = ".cache/segments.json"
"""Where long videos were cut, so that they are not listened to again."""


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
    only: str | None = None
    """Take the clip of this id only, and show what became of it."""
    timeout: Seconds = 600.0
    """Longest that one clip may take."""
    memory: float = 8.0
    """Most memory that the process of a clip may take, GiB."""
    isolate: bool = True
    """Work on clips in a child process, so that a crash in native code costs one clip."""
    gpu: bool = False
    """Give super-resolution to workers of the cluster that offer the resource GPU."""
    batch: int = 16
    """Most clips that travel to a worker of a cluster together."""
    per_shard: int = 256
    """Planned clips per tar; those that are rejected leave it smaller."""
    cache: Place | None = None
    """Folder of finished samples, on a file system that all workers see; default OUT/.cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """What a build did."""

    out: Path
    manifest: Manifest
    counts: Counts
    seconds: Seconds
    troubles: tuple[Row, ...]
    """Clips that did not get through."""


def build(source: str, root: Path, out: Path, config: BuildConfig, run: RunConfig) -> BuildReport:
    """Turn a corpus into shards, ledger and manifest; a second run takes over what is still valid.

    Raises `Rejected`: bad_input (root, source, retry, another build at work), disk_full.
    """
    started = time.monotonic()
    _check_out(out, root, source)
    recorded(config.split)  # settings that contradict each other are refused before the work, not after it
    with only_one(out):
        known = read_ledger(out)
        check_retry(run.retry, known)
        found = _listed(source, root, out, config, run, known)
        _write_replay(source, root, out, config)
        shelf = Shelf.of(out, _folder(out, run))
        rows = _worked(found, known, shelf, config, run)
        counts = count(rows, len(found))
        manifest = publish(shelf, source, config, rows, [each.id for each in found], run.per_shard)
    troubles = tuple(row for row in rows if row.status != "done")
    return BuildReport(
        out=out, manifest=manifest, counts=counts, seconds=time.monotonic() - started, troubles=troubles
    )


def plan(source: str, root: Path, out: Path, config: BuildConfig, run: RunConfig) -> dict[str, list[str]]:
    """Say what a build would do, by clip id, without decoding a frame: compute, reuse, skip, unusable."""
    known = read_ledger(out)
    shelf = Shelf.of(out, _folder(out, run))
    result: dict[str, list[str]] = {"compute": [], "reuse": [], "skip": [], "unusable": []}
    for each in _wanted(find_clips(source, root, config.source, _segments(out), run.isolate), out, run):
        result[_prospect(each, out, config, run, known, shelf)].append(each.id)
    return result


def read_replay(path: Path) -> tuple[str, Path, BuildConfig]:
    """Read a `build.json`: source, root and settings; `Rejected("bad_input")` when it is none."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return facts["source"], place(facts["root"]), from_dict(facts["config"], BuildConfig)
    except (OSError, ValueError, KeyError, ExceptionGroup) as error:
        message = f"{path} is no build.json of this version; give the one that a build wrote"
        raise Rejected("bad_input", message) from error


def _listed(
    source: str, root: Path, out: Path, config: BuildConfig, run: RunConfig, known: Mapping[str, Row]
) -> list[Found]:
    segments = _segments(out)
    before = len(segments)
    if run.retry == "purged":
        lift_takedown(out)
    found = _wanted(find_clips(source, root, config.source, segments, run.isolate), out, run)
    if len(segments) != before:
        write_text(out / SEGMENTS, json.dumps(segments, sort_keys=True))
    if run.only is not None and set(known) - {run.only}:
        message = f"{out} holds other clips too, which --only would drop; choose another --out"
        raise Rejected("bad_input", message)
    return found


def _wanted(found: list[Found], out: Path, run: RunConfig) -> list[Found]:
    """Choose the clips that were asked for; those that were taken out on request cannot become samples."""
    asked = read_takedown(out)
    chosen = _selected(found, run)
    return [
        Unusable(id=each.id, reason="purged", message=why)
        if isinstance(each, Clip) and (why := asked.covers(each))
        else each
        for each in chosen
    ]


def _selected(found: list[Found], run: RunConfig) -> list[Found]:
    if run.only is None:
        return found[: run.limit]
    chosen = [each for each in found if each.id == run.only]
    if not chosen:
        near = get_close_matches(run.only, [each.id for each in found], n=3, cutoff=0.0)
        raise Rejected("bad_input", f"no clip has the id `{run.only}`; near: {', '.join(near)}")
    return chosen


def _segments(out: Path) -> dict[str, Any]:
    path = out / SEGMENTS
    segments: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return segments


def _task(clip: Clip, out: Path, config: BuildConfig, run: RunConfig, known: Mapping[str, Row]) -> Task:
    before = known.get(clip.id)
    return Task(
        clip=clip,
        config=config,
        folder=_folder(out, run),
        timeout=run.timeout,
        memory_bytes=int(run.memory * 2**30),
        isolate=run.isolate,
        part="draft" if run.gpu and run.cluster != "inline" else "whole",
        stamp=cache.stamp(clip, config),
        reproduce=_reproduce(clip, out),
        before=before,
        stands=before is not None and before.status != "done" and not wants_retry(before, run.retry),
    )


def _worked(
    found: Sequence[Found], known: Mapping[str, Row], shelf: Shelf, config: BuildConfig, run: RunConfig
) -> list[Row]:
    """Give every clip its outcome: an earlier one that stands, or a new one."""
    out = shelf.out
    tasks = [_task(each, out, config, run, known) for each in found if isinstance(each, Clip)]
    standing = [row for task in tasks if (row := _standing(task, shelf)) is not None]
    kept = {row.clip for row in standing}
    todo = [task for task in tasks if task.clip.id not in kept]
    results = track(_results(todo, run), f"building {out.name}", total=len(todo))
    rejected = [rejection(each.id, each.reason, each.message) for each in found if isinstance(each, Unusable)]
    return [*rejected, *standing, *journalled(out, results)]


def _standing(task: Task, shelf: Shelf) -> Row | None:
    """Give the outcome that can be taken over without looking at the clip's content."""
    before = task.before
    if before is None or before.stamp != task.stamp:
        return None
    stands = shelf.holds(before) if before.status == "done" else task.stands
    return replace(before, reused=True) if stands else None


def _prospect(
    each: Found, out: Path, config: BuildConfig, run: RunConfig, known: Mapping[str, Row], shelf: Shelf
) -> str:
    if isinstance(each, Unusable):
        return "unusable"
    task = _task(each, out, config, run, known)
    row = _standing(task, shelf)
    if row is not None:
        return "reuse" if row.status == "done" else "skip"
    key = cache.sample_key(each, config)
    if cache.cache_path(task.folder, key).exists():
        return "reuse"
    return "skip" if task.stands and task.before is not None and task.before.key == key else "compute"


def _results(tasks: Sequence[Task], run: RunConfig) -> Iterator[Row]:
    """Yield a row per task as they end; what a cluster lost is a failed row."""
    if not tasks:
        return
    if run.cluster == "inline":
        try:
            yield from map(run_task, tasks)
        finally:
            end_cell()
        return
    # a task looks after its own time limit; the cluster only notices workers that never answer
    stall = 2 * run.timeout * run.batch + 60.0
    dask = DaskConfig(
        cluster=run.cluster,
        workers=run.workers,
        stall=stall,
        batch=run.batch,
        on_gpu=complete_batch if run.gpu else None,
        scratch=tasks[0].folder,
    )
    for task, outcome in run_on_dask(run_batch, tasks, dask):
        yield outcome if isinstance(outcome, Row) else _lost(task, outcome)


def _lost(task: Task, error: BaseException) -> Row:
    if isinstance(error, Rejected):
        row = rejection(task.clip.id, error.reason, error.message)
    else:
        row = failure(task.clip.id, error)
    return replace(row, stamp=task.stamp, reproduce=task.reproduce)


def _folder(out: Path, run: RunConfig) -> Path:
    return run.cache or out / ".cache"


def _reproduce(clip: Clip, out: Path) -> str:
    words = ["--config", str(out / REPLAY), "--only", clip.id, "--out", f"{out}.again", "--no-isolate"]
    return printable(f"avatarsync data build {shlex.join(words)}")


def _write_replay(source: str, root: Path, out: Path, config: BuildConfig) -> None:
    facts = {"source": source, "root": str(root.absolute()), "config": to_dict(config)}
    write_text(out / REPLAY, json.dumps(facts, sort_keys=True, indent=1) + "\n")


def _check_out(out: Path, root: Path, source: str) -> None:
    inside = is_inside(out, root)
    if inside:
        raise Rejected(
            "bad_input", f"{out} lies inside {root}, which is never written to; choose another --out"
        )
    if (out / MANIFEST_FILE).exists() and read_manifest(out).source != source:
        raise Rejected("bad_input", f"{out} holds another source's shards; choose another --out")
