"""Add a submission to a board: a folder whose runs/ is an append-only database."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datapipe.records import Rejected, to_dict

from ..headlines import subject_and_baseline
from ..records import MetricInfo, Run
from ..runs import read_runs, write_run
from .pack import Submission, chain_of

RUNS = "runs"
LONGEST_STEM = 40


def merge(submission: Submission, name: str, board: Path, new_reference: bool) -> Path:
    """Write the submission's run into BOARD/runs under a name of our own, and return where.

    Raises `Rejected("bad_input")` when the board has the run already, when nothing in it is new, when its
    ground truth is not the board's (unless `new_reference`), or when a metric has another protocol there.
    """
    folder = board / RUNS
    there = read_runs((folder,)) if folder.is_dir() and any(folder.glob("*.json")) else ()
    _check_new(submission, name, there)
    same = [run for run in there if run.reference_hash == submission.run.reference_hash]
    if there and not same and not new_reference:
        ours = ", ".join(dict.fromkeys(run.reference_hash for run in there))
        what = f"{name}: reference {submission.run.reference_hash} is not the board's ({ours})"
        raise Rejected("bad_input", f"{what}; score the board's clips, or open a table with --new-reference")
    _check_protocols(submission.run, name, same)
    path = folder / f"{_stem(submission.run)}-{submission.hash[:12]}.json"
    write_run(path, submission.run)
    return path


def _stem(run: Run) -> str:
    """Letters, digits and dashes of the name of the system in question: never a path."""
    subject, _ = subject_and_baseline(run)
    return re.sub(r"[^a-z0-9]+", "-", subject.lower()).strip("-")[:LONGEST_STEM] or "run"


def _check_new(submission: Submission, name: str, there: Sequence[Run]) -> None:
    hashes = {chain_of(to_dict(run))[-1].sha256 for run in there}
    if submission.hash in hashes:
        raise Rejected("bad_input", f"{name}: the board has this run already; nothing is to be done")
    moments = {(run.reference_hash, run.created) for run in there}
    if (submission.run.reference_hash, submission.run.created) in moments:
        what = f"{name}: run, created: the board has a run of {submission.run.created}"
        raise Rejected("bad_input", f"{what}, which this one differs from; score the videos again")
    known = {(run.reference_hash, *_scored(run, row.name)) for run in there for row in run.systems}
    run = submission.run
    rows = [row.name for row in run.systems if row.kind == "system"]
    if all((run.reference_hash, *_scored(run, row)) in known for row in rows):
        what = f"{name}: the board has scores of {', '.join(rows)} on the same videos already"
        raise Rejected("bad_input", f"{what}; submit a run with something new")


def _scored(run: Run, name: str) -> tuple[str, tuple[tuple[str, str], ...], frozenset[str]]:
    """A row's name, its videos, and the columns that it has values in."""
    row = next(row for row in run.systems if row.name == name)
    protocols = {info.name: info.protocol_hash for info in run.metrics}
    columns = (f"{score.metric}@{protocols[score.metric]}" for score in row.scores if score.value is not None)
    return name, tuple(sorted(row.videos.items())), frozenset(columns)


def _check_protocols(run: Run, name: str, there: Sequence[Run]) -> None:
    known = {info.name: info for other in there for info in other.metrics}
    for info in run.metrics:
        board = known.get(info.name)
        if board and board.protocol_hash != info.protocol_hash:
            what = f"{name}: run, metrics, {info.name}: protocol {info.protocol_hash} is not the board's"
            differing = "; ".join(_differing(info.protocol, board))
            raise Rejected(
                "bad_input",
                f"{what} {board.protocol_hash} ({differing}); score the videos with the board's settings",
            )


def _differing(ours: Mapping[str, Any], theirs: MetricInfo) -> list[str]:
    names = sorted(ours.keys() | theirs.protocol.keys())
    return [
        f"{name}: {ours.get(name, 'not set')} here, {theirs.protocol.get(name, 'not set')} there"
        for name in names
        if ours.get(name) != theirs.protocol.get(name)
    ]
