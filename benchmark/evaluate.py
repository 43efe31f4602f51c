"""READ FIRST: cases and systems in, one `Run` out.

A job is one case: its ground truth is decoded once, each row's video is laid beside it and every metric
measures the pair. Jobs travel in blocks; what networks see is extracted in batches shared by a block. States
add up in any order. What cannot be measured is a counted failure, never a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from datapipe.console import track
from datapipe.machine import usable_cores
from datapipe.records import Rejected

from .alignment import Alignment
from .controls import CONTROLS
from .journal import Journal
from .measure import CaseResult, Job, measure_block
from .metrics import MetricConfig, metrics_for
from .records import Case, FailurePolicy, Run, System
from .scoring import make_run, unmeasured
from .workers import spread


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """What is measured, and how; everything here that a score depends on is part of its protocol."""

    metrics: MetricConfig = field(default_factory=MetricConfig)
    alignment: Alignment = field(default_factory=Alignment)
    controls: tuple[str, ...] = tuple(CONTROLS)
    """Control rows, by name; see `controls.py`."""
    on_failure: FailurePolicy = "exclude"
    cluster: str = "inline"
    """`inline` for threads of this process, `local` for processes, or the address of a Dask scheduler."""
    workers: int = field(default_factory=usable_cores)
    """Clips that are measured at a time."""


def evaluate(
    cases: Sequence[Case],
    systems: Sequence[System],
    config: EvaluateConfig = EvaluateConfig(),
    cache: Path | None = None,
    journal: Path | None = None,
) -> Run:
    """Score every system and control on every case; the ground truth is the first row.

    `cache` keeps what networks saw, by content; `journal` keeps finished cases, so that a killed run goes on.
    """
    metrics = metrics_for(config.metrics)
    if not metrics:
        raise Rejected("bad_input", "--metrics names no metric; leave it out for the table's, or name one")
    if config.workers < 1:
        raise Rejected("bad_input", f"--workers is {config.workers}; give at least 1")
    missing = unmeasured(metrics)
    jobs = [Job(case, tuple(systems), config, tuple(missing), cache) for case in cases]
    with Journal.open(journal, jobs) as kept:
        results = [*kept.results, *_measured(kept.remaining(jobs), config, kept)]
        return make_run(results, systems, config, metrics, missing)


def _measured(jobs: Sequence[Job], config: EvaluateConfig, journal: Journal) -> Iterator[CaseResult]:
    results = spread(measure_block, jobs, config.cluster, config.workers)
    for result in track(results, "scoring clips", len(jobs)):
        journal.append(result)
        yield result
