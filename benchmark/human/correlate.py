"""How well each metric goes with people: rank correlations, with intervals over clips.

A metric's values are turned so that more is better (`ranking.badness`), so +1 is always full agreement. Draws
of clips are exact for both coefficients without building any resample: Spearman's ranks and Kendall's pairs
are sums over clips, weighted by how often each clip is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected

from ..intervals import MIN_CLIPS, bounded
from ..metrics.timing import NAMES as TIMES
from ..ranking import badness, rankable
from ..records import GROUND_TRUTH, MetricInfo, Run, Score
from .opinions import times_drawn
from .records import Correlation, Method, Rated, Shown

NUM_DRAWS = 500
MIN_POINTS = 3
"""Below, no correlation: two points always lie on a line."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Points:
    """What a metric and people say of the same things."""

    metric_N: Floats
    """More is better."""
    people_N: Floats
    clips_N: NDArray[np.int64]
    """Which clip each is of."""
    num_clips: int


def spearman(points: Points, times_BC: Floats) -> Floats:
    """Spearman's coefficient (midranks) in every draw, (draws,); NaN where one side does not vary."""
    weights_BN = times_BC[:, points.clips_N]
    first, second = (_ranks(side, points, times_BC) for side in (points.metric_N, points.people_N))
    total = weights_BN.sum(axis=1, keepdims=True)
    first, second = (
        side - (weights_BN * side).sum(axis=1, keepdims=True) / total for side in (first, second)
    )
    between = (weights_BN * first * second).sum(axis=1)
    spread = np.sqrt((weights_BN * first**2).sum(axis=1) * (weights_BN * second**2).sum(axis=1))
    return _ratio(between, spread)


def _ranks(values_N: Floats, points: Points, times_BC: Floats) -> Floats:
    """Midranks of every point among the drawn ones, (draws, N), up to a constant."""
    by_clip_CN = np.eye(points.num_clips)[:, points.clips_N]
    before_NN = (values_N[None, :] < values_N[:, None]) + 0.5 * (values_N[None, :] == values_N[:, None])
    return np.asarray(times_BC @ (by_clip_CN @ before_NN.T))


def kendall(points: Points, times_BC: Floats) -> Floats:
    """Kendall's tau-b in every draw, (draws,); NaN where one side does not vary."""
    first, second = (np.sign(side[:, None] - side[None, :]) for side in (points.metric_N, points.people_N))
    between, one, other = (_pairs(each, points, times_BC) for each in (first * second, first**2, second**2))
    return _ratio(between, np.sqrt(one * other))


def _pairs(values_NN: Floats, points: Points, times_BC: Floats) -> Floats:
    """Sum over all drawn pairs; a point drawn twice is a tie with itself and adds nothing."""
    by_clip_CN = np.eye(points.num_clips)[:, points.clips_N]
    pairs_CC = by_clip_CN @ values_NN @ by_clip_CN.T
    return np.asarray(((times_BC @ pairs_CC) * times_BC).sum(axis=1))


def _ratio(above_B: Floats, below_B: Floats) -> Floats:
    return np.asarray(np.divide(above_B, below_B, out=np.full(len(above_B), np.nan), where=below_B > 1e-12))


METHODS: dict[Method, Callable[[Points, Floats], Floats]] = {"spearman": spearman, "kendall": kendall}


def correlations(run: Run, systems: Sequence[Rated], shown: Sequence[Shown]) -> tuple[Correlation, ...]:
    """Every metric of the run with every dimension, per clip and per system; ground truth is left out.

    Raises `Rejected("bad_input")` when the run scored other videos than the raters saw.
    """
    rows = {row.name: row for row in run.systems if row.kind == "system"}
    rated = [each for each in systems if each.name in rows]
    _check_same(run, rated, shown)
    found = []
    for info in run.metrics:
        if not rankable(info) or not info.name.startswith("video/") or info.name in TIMES:
            continue  # nobody saw single keyframes, or how long a video took
        scores = {row.name: _score(rows[row.name].scores, info.name) for row in rated}
        for number, opinion in enumerate(rated[0].opinions):
            people = {each.name: each.opinions[number].per_clip for each in rated}
            found += _of_metric(info, opinion.dimension, scores, people)
    return tuple(found)


def _check_same(run: Run, rated: Sequence[Rated], shown: Sequence[Shown]) -> None:
    if not rated:
        names = ", ".join(row.name for row in run.systems if row.kind == "system")
        raise Rejected(
            "bad_input", f"no system of the kit is in the run ({names}); give the run of the same videos"
        )
    scored = {(row.name, case): video for row in run.systems for case, video in row.videos.items()}
    for each in shown:
        video = scored.get((each.system, each.case))
        if each.system != GROUND_TRUTH and video is not None and video != each.source:
            what = f"the run scored another video of {each.system} for {each.case} than the raters saw"
            raise Rejected("bad_input", f"{what}; give the run of the same videos")


def _score(scores: Sequence[Score], metric: str) -> Score | None:
    return next((score for score in scores if score.metric == metric), None)


def _of_metric(
    info: MetricInfo,
    dimension: str,
    scores: Mapping[str, Score | None],
    people: Mapping[str, Mapping[str, float]],
) -> list[Correlation]:
    values = {
        name: {case: -badness(info, value) for case, value in score.per_clip.items()}
        for name, score in scores.items()
        if score and score.per_clip
    }
    blank = _blank(info, dimension)
    return [*_per_clip(blank, values, people), *_per_system(blank, info, scores, values, people)]


def _per_clip(
    blank: Correlation, values: Mapping[str, Mapping[str, float]], people: Mapping[str, Mapping[str, float]]
) -> list[Correlation]:
    cases = sorted({case for name in values for case in values[name].keys() & people[name].keys()})
    both = [
        (values[name][case], people[name][case], cases.index(case))
        for name in values
        for case in sorted(values[name].keys() & people[name].keys())
    ]
    blank = replace(blank, level="clip", num=len(both))
    if not values or len(both) < MIN_POINTS:
        why = f"{len(both)} of at least {MIN_POINTS} points" if values else "no value per clip"
        return [replace(blank, method=method, why=why) for method in METHODS]
    metric, felt, clips = (np.array(column) for column in zip(*both, strict=True))
    points = Points(metric, felt, clips, len(cases))
    return [_over_clips(blank, method, coefficient, points) for method, coefficient in METHODS.items()]


def _over_clips(
    blank: Correlation, method: Method, coefficient: Callable[[Points, Floats], Floats], points: Points
) -> Correlation:
    value = float(coefficient(points, np.ones((1, points.num_clips)))[0])
    if points.num_clips < MIN_CLIPS:
        return _filled(blank, method, value, None)
    return _filled(blank, method, value, coefficient(points, times_drawn(points.num_clips, 0, NUM_DRAWS)))


def _per_system(
    blank: Correlation,
    info: MetricInfo,
    scores: Mapping[str, Score | None],
    values: Mapping[str, Mapping[str, float]],
    people: Mapping[str, Mapping[str, float]],
) -> list[Correlation]:
    """Correlate the systems' own scores; clips are drawn anew where both sides have them all."""
    both = [
        (-badness(info, score.value), float(np.mean(list(people[name].values()))))
        for name, score in scores.items()
        if score and score.value is not None and people[name]
    ]
    blank = replace(blank, level="system", num=len(both))
    if len(both) < MIN_POINTS:
        why = f"{len(both)} of at least {MIN_POINTS} systems"
        return [replace(blank, method=method, why=why) for method in METHODS]
    metric_S, felt_S = (np.array(side, np.float64) for side in zip(*both, strict=True))
    drawn = _drawn_means(scores, values, people)
    return [
        _filled(
            blank,
            method,
            float(coefficient(metric_S[None], felt_S[None])[0]),
            coefficient(*drawn) if drawn else None,
        )
        for method, coefficient in ROW_METHODS.items()
    ]


def _drawn_means(
    scores: Mapping[str, Score | None],
    values: Mapping[str, Mapping[str, float]],
    people: Mapping[str, Mapping[str, float]],
) -> tuple[Floats, Floats] | None:
    """Means of both sides over drawn clips, (draws, systems) each; None where a system lacks a clip."""
    names = [name for name, score in scores.items() if score and score.value is not None and people[name]]
    cases = sorted({case for name in names for case in people[name]})
    whole = all(name in values and set(cases) <= values[name].keys() & people[name].keys() for name in names)
    if not whole or len(cases) < MIN_CLIPS:
        return None
    times_BC = times_drawn(len(cases), 0, NUM_DRAWS)
    sides = (np.array([[side[name][case] for case in cases] for name in names]) for side in (values, people))
    metric, felt = (times_BC @ side_SC.T / len(cases) for side_SC in sides)
    return metric, felt


def _rows_spearman(first_BS: Floats, second_BS: Floats) -> Floats:
    first, second = (
        (side[:, None, :] < side[:, :, None]).sum(axis=2)
        + 0.5 * (side[:, None, :] == side[:, :, None]).sum(axis=2)
        for side in (first_BS, second_BS)
    )
    first, second = (side - side.mean(axis=1, keepdims=True) for side in (first, second))
    return _ratio((first * second).sum(axis=1), np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1)))


def _rows_kendall(first_BS: Floats, second_BS: Floats) -> Floats:
    first, second = (np.sign(side[:, :, None] - side[:, None, :]) for side in (first_BS, second_BS))
    one, other = (abs(side).sum(axis=(1, 2)) for side in (first, second))
    return _ratio((first * second).sum(axis=(1, 2)), np.sqrt(one * other))


ROW_METHODS: dict[Method, Callable[[Floats, Floats], Floats]] = {
    "spearman": _rows_spearman,
    "kendall": _rows_kendall,
}


def _blank(info: MetricInfo, dimension: str) -> Correlation:
    """The record of a correlation that is not computed yet."""
    return Correlation(
        metric=info.name,
        protocol_hash=info.protocol_hash,
        dimension=dimension,
        level="clip",
        method="spearman",
        value=None,
        low=None,
        high=None,
        num=0,
    )


def _filled(blank: Correlation, method: Method, value: float, resampled: Floats | None) -> Correlation:
    """The same with a value, and an interval when most of the draws vary."""
    if np.isnan(value):
        return replace(blank, method=method, why="one side does not vary")
    varied = np.zeros(0) if resampled is None else resampled[~np.isnan(resampled)]
    low, high = bounded(value, varied) if len(varied) > NUM_DRAWS / 2 else (None, None)
    return replace(blank, method=method, value=value, low=low, high=high)
