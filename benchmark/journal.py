"""Finished cases of a run that is under way: a line each, appended as they end, so that a killed run goes on.

A line counts only while everything it rests on is the same: videos, settings, protocols. The file is removed
when the run is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from datapipe.console import say
from datapipe.files import hash_once
from datapipe.records import to_dict
from datapipe.weights import lookup

from .extract import Rows
from .measure import CaseResult, Job
from .states import FeatureSets, Values


@dataclass(frozen=True, slots=True)
class Journal:
    """Results that stand from before, and the place where new ones go."""

    results: tuple[CaseResult, ...] = ()
    stamps: dict[str, str] = field(default_factory=dict)
    stream: IO[str] | None = None

    @staticmethod
    @contextmanager
    def open(path: Path | None, jobs: Sequence[Job]) -> Iterator[Journal]:
        """Read what stands and append to it; the file is removed when the block ends well."""
        if path is None or any(job.cache is None for job in jobs):
            yield Journal()
            return
        stamps = {job.case.key: stamp_of(job) for job in jobs}
        results = tuple(_standing(path, stamps))
        if results:
            say(f"{len(results)} of {len(jobs)} clips were measured before; going on with the others")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            # a line that a killed run tore must not swallow the next one
            stream.write("\n")
            yield Journal(results, stamps, stream)
        path.unlink()

    def remaining(self, jobs: Sequence[Job]) -> list[Job]:
        """Jobs without a result."""
        known = {result.key for result in self.results}
        return [job for job in jobs if job.case.key not in known]

    def append(self, result: CaseResult) -> None:
        """Write one finished case, at once."""
        if self.stream is not None:
            self.stream.write(json.dumps(_plain(result, self.stamps[result.key]), ensure_ascii=False) + "\n")
            self.stream.flush()


def stamp_of(job: Job) -> str:
    """Hash of all that a case's result rests on."""
    videos = [job.case.video, job.case.other, *(each.folder / f"{job.case.key}.mp4" for each in job.systems)]
    hashes = [hash_once(path) if path and path.is_file() else None for path in videos]
    keyframes = [
        [hash_once(path) for path in sorted((each.folder / f"{job.case.key}.keyframes").glob("*.png"))]
        for each in job.systems
    ]
    told = [
        (each.name, to_dict(each.timings.get(job.case.key)), each.failures.get(job.case.key))
        for each in job.systems
    ]
    protocols = [
        (metric.name, metric.protocol.hash, [lookup(weight).sha256 for weight in metric.weights])
        for metric in job.metrics
    ]
    settings = [job.config.controls, asdict(job.config.alignment), protocols]
    return hashlib.sha256(json.dumps([hashes, keyframes, told, settings]).encode()).hexdigest()


def _standing(path: Path, stamps: dict[str, str]) -> Iterator[CaseResult]:
    """Read the lines that are whole and still true; the last one of a killed run may be neither."""
    seen: set[str] = set()
    for line in path.read_bytes().splitlines() if path.exists() else ():
        result = _result_of(line, stamps)
        if result is not None and result.key not in seen:
            seen.add(result.key)
            yield result


def _result_of(line: bytes, stamps: Mapping[str, str]) -> CaseResult | None:
    """A line as a result; None when it is torn, of something else, or no longer true."""
    try:
        content = json.loads(line)
        stands = stamps.get(content["key"]) == content["stamp"]
        return _read(content) if stands else None
    except (ValueError, TypeError, KeyError):
        return None


def _plain(result: CaseResult, stamp: str) -> dict[str, Any]:
    states = [
        [row, metric, type(state).__name__, _plain_values(state.by_case), dict(state.failures)]
        for (row, metric), state in result.states.items()
    ]
    facts = {name: getattr(result, name) for name in ("key", "truth", "videos", "notes", "seconds")}
    return {**facts, "stamp": stamp, "states": states}


def _plain_values(by_case: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: [[rows.num, str(rows.path)] for rows in value] if isinstance(value, tuple) else value
        for key, value in by_case.items()
    }


def _read(content: dict[str, Any]) -> CaseResult | None:
    """A line as a result; None when rows that it names are gone from the store."""
    names = ("key", "truth", "videos", "notes", "seconds")
    result = CaseResult(**{name: content[name] for name in names})
    for row, metric, kind, by_case, failures in content["states"]:
        if kind == "Values":
            result.states[row, metric] = Values(by_case, failures)
            continue
        rows = {key: _rows(pair) for key, pair in by_case.items()}
        if not all(each.path and each.path.exists() for pair in rows.values() for each in pair):
            return None
        result.states[row, metric] = FeatureSets(rows, failures)
    return result


def _rows(pair: list[list[Any]]) -> tuple[Rows, Rows]:
    first, second = (Rows(num, None, Path(path)) for num, path in pair)
    return first, second
