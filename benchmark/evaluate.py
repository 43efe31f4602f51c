"""READ FIRST: cases and systems in, one `Run` out.

Each case is one job: its ground truth is decoded once, each system's video is laid beside it and every metric
measures the pair. States add up in any order. What cannot be measured is a counted failure, never a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datapipe.console import track
from datapipe.files import sha256_of
from datapipe.machine import usable_cores
from datapipe.records import Rejected

from .cases import pair_up
from .features import Store, open_footage
from .machine import use_one_thread
from .metrics import Metric
from .records import GROUND_TRUTH, Case, Run, System
from .scoring import failed_states, make_run, measure, unmeasured


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What one case adds: a state per row and metric, and each row's video hash and note."""

    key: str
    truth: str
    states: dict[tuple[str, str], Any] = field(default_factory=dict)
    videos: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def evaluate(
    cases: Sequence[Case],
    systems: Sequence[System],
    metrics: dict[str, Metric],
    cache: Path | None = None,
    workers: int | None = None,
) -> Run:
    """Score every system on every case; ground truth is the first row."""
    store = Store(cache)
    missing = unmeasured(metrics)
    present = [metric for name, metric in metrics.items() if name not in missing]
    with ThreadPoolExecutor(workers or usable_cores(), initializer=use_one_thread) as pool:
        jobs = [pool.submit(_measure_case, case, systems, present, store) for case in cases]
        try:
            results = [job.result() for job in track(as_completed(jobs), "scoring clips", len(jobs))]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return make_run(results, systems, metrics, missing, dict(store.seconds))


def _measure_case(
    case: Case, systems: Sequence[System], metrics: Sequence[Metric], store: Store
) -> CaseResult:
    result = CaseResult(case.key, sha256_of(case.video))
    try:
        truth = open_footage(case.video, store)
    except Rejected as rejected:
        names = (GROUND_TRUTH, *(system.name for system in systems))
        result.states.update(failed_states(names, metrics, case.key, rejected.message))
        return result
    for system in (None, *systems):
        name = system.name if system else GROUND_TRUTH
        try:
            pair, note = pair_up(case, truth, system, store)
        except Rejected as rejected:
            result.states.update(failed_states([name], metrics, case.key, rejected.message))
            continue
        result.videos[name] = pair.generated.sha256
        result.notes.update({name: note} if note else {})
        result.states.update({(name, metric.name): measure(metric, pair, store) for metric in metrics})
    return result
