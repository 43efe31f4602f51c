"""Runs as an append-only database of JSON files: a finished run is never changed.

A file may come from a stranger: every fault is named by file and field before a table is made of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cattrs

from datapipe.files import write_text
from datapipe.records import Rejected, from_dict, to_json

from .records import RUN_SCHEMA, Run, Score, SystemRun

HOW = "make the run again with `avatarsync bench run`"
Fault = tuple[str, str]
"""A field, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class RunFile:
    """A run and where it came from."""

    path: Path
    run: Run


def write_run(path: Path, run: Run, replace: bool = False) -> None:
    """Write a run; an existing file is kept unless `replace` says otherwise."""
    check_free(path, replace)
    write_text(path, to_json(run) + "\n")


def check_free(path: Path, replace: bool) -> None:
    """Refuse to write over a run, before any work is done."""
    if path.exists() and not replace:
        raise Rejected("bad_input", f"{path} is there already; name another file or add --replace")


def read_run_files(paths: Sequence[Path]) -> tuple[RunFile, ...]:
    """Read and check files, and every *.json of folders, in their order.

    Raises `Rejected("bad_input")` naming file and field for what is no run, contradicts itself, or is there
    twice.
    """
    places = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not places:
        raise Rejected("bad_input", "no run files; name one or a folder of them")
    files = tuple(RunFile(place, read_run(place)) for place in places)
    _check_twice(files)
    return files


def read_runs(paths: Sequence[Path]) -> tuple[Run, ...]:
    """Read files, and every *.json of folders; raises as `read_run_files` does."""
    return tuple(file.run for file in read_run_files(paths))


def read_run(path: Path) -> Run:
    """Read a run back and check it; raises `Rejected("bad_input")` naming the file and its first fault."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Rejected("bad_input", f"{path} is not there; make it with `avatarsync bench run`") from error
    except (ValueError, RecursionError, OSError) as error:
        raise Rejected("bad_input", f"{path} is no JSON file ({_short(error)}); {HOW}") from error
    if not isinstance(content, dict) or content.get("schema") != RUN_SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else None
        raise Rejected("bad_input", f"{path} is not a run: schema is {found!r}, not {RUN_SCHEMA!r}; {HOW}")
    try:
        run = from_dict(content, Run)
    except (ValueError, TypeError, AttributeError, RecursionError, cattrs.BaseValidationError) as error:
        raise Rejected("bad_input", f"{path} is not a run: {_field(error)}; {HOW}") from error
    for field, problem in faults(run):
        raise Rejected("bad_input", f"{path}: {field} {problem}; {HOW}")
    return run


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _field(error: Exception) -> str:
    """Where in the file the first fault is, as `$.systems[0].scores[2].value`."""
    try:
        return str(cattrs.transform_error(error)[0])[:300]
    except (AttributeError, TypeError, IndexError):
        return _short(error)


def faults(run: Run) -> Iterator[Fault]:
    """Say where a run contradicts itself: names twice, scores of nothing, clips that are not there."""
    yield from _twice([info.name for info in run.metrics], "metrics[{}].name")
    yield from _twice([system.name for system in run.systems], "systems[{}].name")
    known = {info.name for info in run.metrics}
    for number, system in enumerate(run.systems):
        yield from _system_faults(f"systems[{number}]", system, known, run)


def _twice(names: Sequence[str], field: str) -> Iterator[Fault]:
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name in seen:
            yield field.format(number), f"is {name!r}, which is there already; names must differ"
        seen.add(name)


def _system_faults(field: str, system: SystemRun, known: set[str], run: Run) -> Iterator[Fault]:
    if not system.name.strip():
        yield f"{field}.name", "is empty"
    yield from _twice([score.metric for score in system.scores], f"{field}.scores[{{}}].metric")
    for number, score in enumerate(system.scores):
        place = f"{field}.scores[{number}]"
        if score.metric not in known:
            yield f"{place}.metric", f"is {score.metric!r}, which `metrics` does not describe"
        yield from _score_faults(place, score, run.reference)


def _score_faults(field: str, score: Score, reference: dict[str, str]) -> Iterator[Fault]:
    numbers = {"value": score.value, "low": score.low, "high": score.high}
    clips = {f"per_clip[{key!r}]": value for key, value in score.per_clip.items()}
    for name, value in (numbers | clips).items():
        if value is not None and not math.isfinite(value):
            yield f"{field}.{name}", f"is {value}, which is no number to rank"
    if not 0 <= score.num_ok <= score.num_total <= len(reference):
        counted = f"{score.num_ok} of {score.num_total} clips"
        yield f"{field}.num_ok", f"says {counted}; the reference set has {len(reference)}"
    for key in sorted((score.per_clip.keys() | score.failures.keys()) - reference.keys()):
        yield f"{field}.per_clip", f"has a clip {key!r} that `reference` does not have"


def _check_twice(files: Sequence[RunFile]) -> None:
    """Refuse a system that two files have from one moment: the same run, given twice."""
    seen: dict[tuple[str, str, str], Path] = {}
    for file in files:
        for number, system in enumerate(file.run.systems):
            if system.kind != "system":
                continue
            mark = (file.run.reference_hash, system.name, file.run.created)
            if mark in seen:
                what = f"{file.path}: systems[{number}].name is {system.name!r} of {file.run.created}"
                raise Rejected("bad_input", f"{what}, which {seen[mark]} has already; give each run once")
            seen[mark] = file.path
