"""One block of cases: decode, align, extract, measure. A pure function of files; it runs in any process."""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datapipe.files import hash_once
from datapipe.records import Rejected

from .alignment import align, check_rate
from .controls import CONTROLS
from .extract import Batches
from .footage import Footage, Store, open_footage
from .keyframes import keyframe_pair
from .machine import use_one_thread
from .metrics import Metric, Pair, metrics_for
from .records import GROUND_TRUTH, Case, System
from .states import FeatureSets, Values

if TYPE_CHECKING:
    from .evaluate import EvaluateConfig


@dataclass(frozen=True, slots=True)
class Job:
    """One case with all that is to be measured on it."""

    case: Case
    systems: tuple[System, ...]
    config: EvaluateConfig
    missing: tuple[str, ...]
    """Metrics whose weights are not here."""
    cache: Path | None

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the table's rows, ground truth first."""
        return (GROUND_TRUTH, *self.config.controls, *(system.name for system in self.systems))

    @property
    def metrics(self) -> list[Metric]:
        """What can be measured."""
        return [each for name, each in metrics_for(self.config.metrics).items() if name not in self.missing]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What one case adds: a state per row and metric, and each row's video hash and note."""

    key: str
    truth: str
    """sha256 of the ground truth; empty when there is no such file."""
    states: dict[tuple[str, str], Any] = field(default_factory=dict)
    videos: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds per stage, of the block's first case for all of the block."""


@dataclass(frozen=True, slots=True)
class _Later:
    """A metric that waits for rows of the block's batches."""

    result: CaseResult
    row: str
    metric: Metric
    pair: Pair


def measure_block(jobs: Sequence[Job]) -> list[CaseResult]:
    """Measure some cases, whose networks' inputs share batches; the split into blocks changes no bit."""
    use_one_thread()
    store, batches = Store(jobs[0].cache), Batches()
    results, later = [], []
    for job in jobs:
        result = CaseResult(job.case.key, hash_once(job.case.video) if job.case.video.is_file() else "")
        results.append(result)
        later += list(_measure_case(job, result, store, batches))
    batches.finish()
    for each in later:
        each.result.states[each.row, each.metric.name] = measured(each.metric, each.pair, store)
    results[0].seconds.update(store.seconds)
    return results


def _measure_case(job: Job, result: CaseResult, store: Store, batches: Batches) -> Iterator[_Later]:
    """Measure what needs the frames now, and yield what waits for the networks."""
    metrics = job.metrics
    try:
        truth = _truth(job.case, store)
    except Rejected as rejected:
        for row in job.rows:
            result.states.update(failed_states(row, metrics, job.case.key, rejected.message))
        return
    for row in job.rows:
        try:
            pairs = _pairs(job, row, truth, result)
        except Rejected as rejected:
            result.states.update(failed_states(row, metrics, job.case.key, rejected.message))
            continue
        for metric in metrics:
            yield from _measure_row(result, row, metric, pairs, batches)


def _truth(case: Case, store: Store) -> Footage:
    if not case.video.is_file():
        what = f"{case.key}: the ground truth {case.video.name} is no file"
        raise Rejected("missing_file", f"{what}; put it back, or leave the clip out")
    return open_footage(case.video, store)


def _measure_row(
    result: CaseResult, row: str, metric: Metric, pairs: dict[str, Pair | Rejected], batches: Batches
) -> Iterator[_Later]:
    """Measure one metric of one row, or ask for its rows and measure it when the block's batches are done."""
    pair = pairs[metric.namespace]
    try:
        if isinstance(pair, Rejected):
            raise pair
        for extractor in metric.needs:
            for footage in (pair.generated,) if metric.of == "sound" else (pair.generated, pair.truth):
                batches.ask(footage, extractor)
    except Rejected as rejected:
        result.states[row, metric.name] = metric.kind.failed(result.key, rejected.message)
        return
    if metric.needs:
        yield _Later(result, row, metric, _without_frames(pair))
    else:
        result.states[row, metric.name] = measured(metric, pair, pair.truth.store)


def _without_frames(pair: Pair) -> Pair:
    """The pair without its pictures: a block holds the frames of one case at a time."""
    return replace(pair, truth=pair.truth.without_frames(), generated=pair.generated.without_frames())


def _pairs(job: Job, row: str, truth: Footage, result: CaseResult) -> dict[str, Pair | Rejected]:
    """The row's video beside the truth, and its keyframes beside the truth's; notes go into the result."""
    case, config = job.case, job.config
    if row == GROUND_TRUTH:
        result.videos[row] = truth.source
        pair = _pair(case, truth, truth, None)
        return {
            "video": pair,
            "keyframe": Rejected("missing_file", f"{case.key}: the truth has no keyframes"),
        }
    if row in CONTROLS:
        aligned = align(case.key, truth, CONTROLS[row](case, truth), replace(config.alignment, offset="keep"))
        keyframe = Rejected("missing_file", f"{case.key}: a control row has no keyframes")
        return {"video": _pair(case, aligned.truth, aligned.generated, None), "keyframe": keyframe}
    system = next(each for each in job.systems if each.name == row)
    generated, notes = _video(case, truth, system, job)
    aligned = align(case.key, truth, generated, config.alignment)
    result.videos[row] = generated.source
    result.notes.update({row: "; ".join((*notes, *aligned.notes))} if notes or aligned.notes else {})
    return {
        "video": _pair(case, aligned.truth, aligned.generated, system),
        "keyframe": keyframe_pair(case, truth, system),
    }


def _video(case: Case, truth: Footage, system: System, job: Job) -> tuple[Footage, tuple[str, ...]]:
    path = system.folder / f"{case.key}.mp4"
    if not path.is_file():
        why = f": {system.failures[case.key]}" if case.key in system.failures else ""
        raise Rejected("missing_file", f"{case.key}: {system.name} has no video for it{why}")
    generated = open_footage(path, truth.store)
    notes = (*check_rate(case.key, path, job.config.alignment), *_held(generated))
    if generated.audio is None and truth.audio is not None:
        return replace(generated, audio=truth.audio, sound=truth.sound), (
            *notes,
            "silent file: sound of the truth",
        )
    return generated, notes


def _held(generated: Footage) -> tuple[str, ...]:
    if not generated.num_held:
        return ()
    return (f"its last picture stands for {generated.num_held} more: the file ends before its own length",)


def _pair(case: Case, truth: Footage, generated: Footage, system: System | None) -> Pair:
    return Pair(
        key=case.key,
        truth=truth,
        generated=generated,
        timing=system.timings.get(case.key) if system else None,
        language=case.sample.language if case.sample else None,
    )


def measured(metric: Metric, pair: Pair, store: Store) -> Any:
    """State of one case; one that cannot be measured is a counted failure."""
    try:
        state = store.timed(f"metric {metric.name}", lambda: metric.measure(pair))
    except Rejected as rejected:
        return metric.kind.failed(pair.key, rejected.message)
    except (OSError, MemoryError):
        raise  # the machine's trouble, not the clip's
    except Exception as error:  # noqa: BLE001 - a bug costs this clip's cell alone, and says where it is
        return metric.kind.failed(pair.key, _bug(pair.key, metric, error))
    if all_finite(state):
        return state
    return metric.kind.failed(pair.key, f"{pair.key}: {metric.name} is no finite number; look at the video")


def _bug(key: str, metric: Metric, error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {error}"
    return f"{key}: {metric.name} broke off ({what}); this is a bug: please report it"


def all_finite(state: Values | FeatureSets) -> bool:
    """Whether a state holds numbers only: one NaN would take the score of all clips with it."""
    if isinstance(state, Values):
        return all(math.isfinite(value) for value in state.by_case.values())
    return all(np.isfinite(rows.load()).all() for both in state.by_case.values() for rows in both)


def failed_states(row: str, metrics: Sequence[Metric], key: str, why: str) -> dict[tuple[str, str], Any]:
    """One failed case, for every metric of a row."""
    return {(row, metric.name): metric.kind.failed(key, why) for metric in metrics}
