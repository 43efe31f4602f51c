"""From summed states to the record of a run: scores, paired differences, weights and environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from datapipe.machine import usable_cores
from datapipe.records import Rejected
from datapipe.weights import lookup, resolve

from .features import Store
from .intervals import mean_estimate
from .machine import environment
from .metrics import Metric, Pair
from .records import GROUND_TRUTH, Difference, Run, Score, System, SystemRun
from .states import Values

if TYPE_CHECKING:
    from .evaluate import CaseResult


def unmeasured(metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Metrics whose weights cannot be had, with the reason."""
    missing = {}
    for name, metric in metrics.items():
        try:
            for weight in metric.weights:
                resolve(weight)
        except Rejected as rejected:
            missing[name] = rejected.message
    return missing


def measure(metric: Metric, pair: Pair, store: Store) -> Any:
    """State of one case; one that cannot be measured is a counted failure."""
    try:
        return store.timed(f"metric {metric.name}", lambda: metric.measure(pair))
    except Rejected as rejected:
        return metric.kind.failed(pair.key, rejected.message)


def failed_states(
    rows: Sequence[str], metrics: Sequence[Metric], key: str, why: str
) -> dict[tuple[str, str], Any]:
    """One failed case, for every metric of some rows."""
    return {(row, metric.name): metric.kind.failed(key, why) for row in rows for metric in metrics}


def make_run(
    results: Sequence[CaseResult],
    systems: Sequence[System],
    metrics: Mapping[str, Metric],
    missing: Mapping[str, str],
    seconds: Mapping[str, float],
) -> Run:
    """Add the cases up in the order of their keys and score every row."""
    ordered = sorted(results, key=lambda result: result.key)
    rows = (GROUND_TRUTH, *(system.name for system in systems))
    used = {name: metric for name, metric in metrics.items() if name not in missing}
    states = {(row, name): _sum(ordered, row, used[name]) for row in rows for name in used}
    weights = sorted({weight for metric in used.values() for weight in metric.weights})
    return Run(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        reference={result.key: result.truth for result in ordered},
        metrics=tuple(metric.info() for metric in metrics.values()),
        systems=tuple(_row(row, ordered, metrics, missing, states, systems) for row in rows),
        differences=tuple(_differences(states, used, rows[1:])),
        weights={weight: lookup(weight).sha256 for weight in weights},
        environment=environment(usable_cores()),
        seconds={name: round(value, 3) for name, value in sorted(seconds.items())},
    )


def _sum(results: Sequence[CaseResult], row: str, metric: Metric) -> Any:
    total = metric.kind()
    for result in results:
        total = total + result.states[row, metric.name]
    return total


def _row(
    row: str,
    results: Sequence[CaseResult],
    metrics: Mapping[str, Metric],
    missing: Mapping[str, str],
    states: Mapping[tuple[str, str], Any],
    systems: Sequence[System],
) -> SystemRun:
    loads = {system.name: system.load_seconds for system in systems}
    scores = []
    for name, metric in metrics.items():
        why = missing.get(name) or _not_for(row, metric)
        scores.append(_unmeasured_score(name, why, len(results)) if why else score(metric, states[row, name]))
    return SystemRun(
        name=row,
        scores=tuple(scores),
        videos={result.key: result.videos[row] for result in results if row in result.videos},
        notes={result.key: result.notes[row] for result in results if row in result.notes},
        load_seconds=loads.get(row),
    )


def _not_for(row: str, metric: Metric) -> str | None:
    return "not applicable to the ground truth" if row == GROUND_TRUTH and metric.of == "timing" else None


def _unmeasured_score(name: str, why: str, total: int) -> Score:
    return Score(
        metric=name, value=None, num_ok=0, num_total=total, failures={}, per_clip={}, not_measured=why
    )


def score(metric: Metric, state: Any) -> Score:
    """Compute one cell; a state without any measured case, or with too few, has no value."""
    estimate, why = None, "every clip failed"
    try:
        estimate = metric.compute(state) if state.by_case else None
    except Rejected as rejected:
        why = rejected.message
    per_clip = dict(sorted(state.by_case.items())) if isinstance(state, Values) else {}
    return Score(
        metric=metric.name,
        value=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        num_ok=len(state.by_case),
        num_total=len(state.by_case) + len(state.failures),
        failures=dict(sorted(state.failures.items())),
        per_clip=per_clip,
        not_measured=None if estimate else why,
    )


def _differences(
    states: Mapping[tuple[str, str], Any], metrics: Mapping[str, Metric], rows: Sequence[str]
) -> list[Difference]:
    pairs = [(system, baseline) for system in rows for baseline in rows if system != baseline]
    found = []
    for name, metric in metrics.items():
        if metric.kind is Values:
            each = (paired_difference(name, a, states[a, name], b, states[b, name]) for a, b in pairs)
            found += [difference for difference in each if difference]
    return found


def paired_difference(
    metric: str, system: str, ours: Values, baseline: str, theirs: Values
) -> Difference | None:
    """Mean of system minus baseline over the clips that both have; None when there is none."""
    keys = sorted(ours.by_case.keys() & theirs.by_case.keys())
    if not keys:
        return None
    estimate = mean_estimate(np.array([ours.by_case[key] - theirs.by_case[key] for key in keys]))
    return Difference(
        metric=metric,
        system=system,
        baseline=baseline,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        num_clips=len(keys),
    )
