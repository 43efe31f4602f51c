"""From summed states to the record of a run: scores, differences, weights and environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from datapipe.records import Rejected
from datapipe.weights import lookup, resolve

from .checks import check_controls
from .controls import CONTROLS
from .failures import filled, policy_settings
from .machine import environment
from .measure import CaseResult
from .metrics import Metric
from .records import GROUND_TRUTH, MetricInfo, RowKind, Run, Score, System, SystemRun
from .states import Values
from .stats import differences

if TYPE_CHECKING:
    from .evaluate import EvaluateConfig


def unmeasured(metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Metrics whose weights cannot be had, with the reason."""
    missing = {}
    for name, metric in metrics.items():
        if metric.unavailable:
            missing[name] = metric.unavailable
        try:
            for weight in metric.weights:
                resolve(weight)
        except Rejected as rejected:
            missing[name] = rejected.message
    return missing


def make_run(
    results: Sequence[CaseResult],
    systems: Sequence[System],
    config: EvaluateConfig,
    metrics: Mapping[str, Metric],
    missing: Mapping[str, str],
) -> Run:
    """Add the cases up in the order of their keys and score every row."""
    ordered = sorted(results, key=lambda result: result.key)
    rows = (GROUND_TRUTH, *config.controls, *(system.name for system in systems))
    used = {name: metric for name, metric in metrics.items() if name not in missing}
    settings = config.alignment.settings()
    infos = tuple(_info(metric, config) for metric in metrics.values())
    states = {(row, name): _sum(ordered, row, used[name]) for row in rows for name in used}
    states |= _filled(states, infos, systems, config)
    weights = sorted({weight for metric in used.values() for weight in metric.weights})
    with threadpool_limits(limits=1, user_api="blas"):  # many small matrices: threads would only wait
        systems_run = tuple(_row(row, ordered, metrics, missing, states, systems) for row in rows)
    return Run(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        reference={result.key: result.truth for result in ordered},
        metrics=infos,
        systems=systems_run,
        differences=differences(systems_run),
        checks=check_controls(infos, systems_run),
        alignment=settings,
        on_failure=config.on_failure,
        weights={weight: lookup(weight).sha256 for weight in weights},
        environment=environment(config.workers),
        seconds=_seconds(ordered),
    )


def _info(metric: Metric, config: EvaluateConfig) -> MetricInfo:
    """The metric's record; all of the run's settings that its values depend on are in the protocol."""
    policy = policy_settings(config.on_failure) if metric.kind is Values else {}
    return metric.info(**config.alignment.settings(), **policy)


def _filled(
    states: Mapping[tuple[str, str], Any],
    infos: Sequence[MetricInfo],
    systems: Sequence[System],
    config: EvaluateConfig,
) -> dict[tuple[str, str], Values]:
    """The states of metrics with a value per clip, after the failure policy."""
    names = frozenset(system.name for system in systems)
    changed = {}
    for info in infos:
        rows = {row: state for (row, name), state in states.items() if name == info.name}
        if all(isinstance(state, Values) for state in rows.values()):
            found = filled(rows, names, info, config.on_failure)
            changed.update({(row, info.name): values for row, values in found.items()})
    return changed


def _seconds(results: Sequence[CaseResult]) -> dict[str, float]:
    total: dict[str, float] = {}
    for result in results:
        for stage, seconds in result.seconds.items():
            total[stage] = total.get(stage, 0.0) + seconds
    return {name: round(value, 3) for name, value in sorted(total.items())}


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
    given = {system.name: system for system in systems}
    scores = []
    for name, metric in metrics.items():
        why = missing.get(name) or _not_for(row, metric) or _not_given(metric, given.get(row), results)
        scores.append(_unmeasured_score(name, why, len(results)) if why else score(metric, states[row, name]))
    return SystemRun(
        name=row,
        kind=_kind(row),
        scores=tuple(scores),
        videos={result.key: result.videos[row] for result in results if row in result.videos},
        notes={result.key: result.notes[row] for result in results if row in result.notes},
        load_seconds=given[row].load_seconds if row in given else None,
    )


def _kind(row: str) -> RowKind:
    if row in CONTROLS:
        return "control"
    return "truth" if row == GROUND_TRUTH else "system"


def _not_for(row: str, metric: Metric) -> str | None:
    """Why a metric says nothing about a row: nobody made the truth or a control, in any time."""
    if _kind(row) == "system" or (metric.of != "timing" and metric.namespace == "video"):
        return None
    return "not applicable to the ground truth" if row == GROUND_TRUTH else "not applicable to a control row"


def _not_given(metric: Metric, system: System | None, results: Sequence[CaseResult]) -> str | None:
    """Why nothing can be said of a system that gave none of what a metric is about, which is no failure."""
    if system is None:
        return None
    if metric.of == "timing" and not system.timings:
        return "it has no timing.json"
    folders = (system.folder / f"{result.key}.keyframes" for result in results)
    if metric.namespace == "keyframe" and not any(folder.is_dir() for folder in folders):
        return "it writes no keyframes"
    return None


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
    imputed = tuple(sorted(state.by_case.keys() & state.failures.keys()))
    num_ok = len(state.by_case) - len(imputed)
    return Score(
        metric=metric.name,
        value=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        num_ok=num_ok,
        num_total=num_ok + len(state.failures),
        failures=dict(sorted(state.failures.items())),
        per_clip=per_clip,
        not_measured=None if estimate else why,
        replicates=tuple(float(f"{value:.6g}") for value in estimate.replicates) if estimate else (),
        note=estimate.note if estimate else "",
        imputed=imputed,
    )
