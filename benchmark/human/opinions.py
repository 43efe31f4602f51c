"""From answers to means, deviations, intervals, agreement between people and with themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

import numpy as np
from numpy.typing import NDArray

from ..intervals import MIN_CLIPS, NUM_RESAMPLES, SEED, bounded
from ..records import GROUND_TRUTH
from .krippendorff import counts_of, ordinal_alpha
from .records import (
    BEST,
    OVERALL,
    WORST,
    Agreement,
    Answers,
    Item,
    Key,
    Opinion,
    Plan,
    Rated,
    Rater,
    Retest,
)

BROKEN_AT_MOST = 2
"""Answer up to which a damaged clip counts as seen, on each of `BROKEN_DIMENSIONS`."""
BROKEN_DIMENSIONS = ("coherence", "movement")
NUM_ALPHA_DRAWS = 1000
MIN_RATERS = 3
"""Below, no interval over raters."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ratings:
    """All answers that count; NaN where there is none."""

    values_DSRC: Floats
    """Dimension, system, rater, clip."""
    dimensions: tuple[str, ...]
    systems: tuple[str, ...]
    raters: tuple[str, ...]
    cases: tuple[str, ...]

    def with_overall(self) -> Ratings:
        """The same, with the mean over the dimensions as one more."""
        mean = self.values_DSRC.mean(axis=0, keepdims=True)
        return Ratings(
            np.concatenate([self.values_DSRC, mean]),
            (*self.dimensions, OVERALL),
            self.systems,
            self.raters,
            self.cases,
        )


def judge_raters(key: Key, answers: Sequence[Answers]) -> tuple[Rater, ...]:
    """Say of every page of the kit whether its rater counts: all checks passed, and an answer at least."""
    given = {each.rater: each for each in answers}
    return tuple(_judged(plan, given.get(plan.rater)) for plan in key.plans)


def _judged(plan: Plan, answers: Answers | None) -> Rater:
    checks = [item for item in plan.items if item.kind in ("told", "broken")]
    asked = [item.id for item in plan.items if item.kind == "rating"]
    if answers is None:
        return Rater(
            name=plan.rater,
            status="no answers",
            failed_checks=(),
            num_checks=len(checks),
            num_answered=0,
            num_asked=len(asked),
            unplayable=0,
            median_seconds=None,
        )
    failed = tuple(filter(None, (_failed(item, answers) for item in checks)))
    num_answered = sum(id in answers.ratings for id in asked)
    return Rater(
        name=plan.rater,
        status="excluded" if failed or not num_answered else "kept",
        failed_checks=failed or (() if num_answered else ("no item is answered",)),
        num_checks=len(checks),
        num_answered=num_answered,
        num_asked=len(asked),
        unplayable=len(answers.unplayable),
        median_seconds=median(answers.seconds.values()) if answers.seconds else None,
    )


def _failed(item: Item, answers: Answers) -> str | None:
    """Why a check is failed; None when it is passed, or could not be because its video did not play."""
    if item.id in answers.unplayable:
        return None
    given = answers.ratings.get(item.id)
    if given is None:
        return f"{item.id}: left out"
    if item.kind == "told":
        wrong = [name for name, value in given.items() if value != item.choose]
        return f"{item.id}: {item.choose} was asked for, not chosen on {', '.join(wrong)}" if wrong else None
    high = [name for name in BROKEN_DIMENSIONS if given[name] > BROKEN_AT_MOST]
    return f"{item.id}: a damaged clip has more than {BROKEN_AT_MOST} on {', '.join(high)}" if high else None


def ratings_of(key: Key, answers: Sequence[Answers], raters: Sequence[Rater]) -> Ratings:
    """Collect the first answers of the raters that count; repeats and checks are left out."""
    kept = [each for each in answers if each.rater in {rater.name for rater in raters if _is_kept(rater)}]
    plans = {plan.rater: plan for plan in key.plans}
    names = tuple(dimension.name for dimension in key.dimensions)
    shape = (len(names), len(key.systems), len(kept), len(key.cases))
    values = np.full(shape, np.nan)
    for number, each in enumerate(kept):
        for item in plans[each.rater].items:
            if item.kind == "rating" and item.id in each.ratings:
                system, case = key.systems.index(item.system), key.cases.index(item.case)
                values[:, system, number, case] = [each.ratings[item.id][name] for name in names]
    return Ratings(values, names, key.systems, tuple(each.rater for each in kept), key.cases)


def _is_kept(rater: Rater) -> bool:
    return rater.status == "kept"


def opinions_of(ratings: Ratings) -> tuple[Rated, ...]:
    """One row per system: every dimension, then their mean."""
    whole = ratings.with_overall()
    return tuple(
        Rated(
            name=name,
            kind="truth" if name == GROUND_TRUTH else "system",
            opinions=tuple(
                _opinion(dimension, whole.values_DSRC[d, s], ratings.cases)
                for d, dimension in enumerate(whole.dimensions)
            ),
        )
        for s, name in enumerate(ratings.systems)
    )


def _opinion(dimension: str, values_RC: Floats, cases: Sequence[str]) -> Opinion:
    is_there = ~np.isnan(values_RC)
    single = values_RC[is_there]
    by_rater = [
        float(row[there].mean()) for row, there in zip(values_RC, is_there, strict=True) if there.any()
    ]
    by_clip = {
        case: float(column[there].mean())
        for case, column, there in zip(cases, values_RC.T, is_there.T, strict=True)
        if there.any()
    }
    low, high = _interval(values_RC, is_there)
    return Opinion(
        dimension=dimension,
        mean=float(single.mean()) if len(single) else None,
        low=low,
        high=high,
        deviation=float(np.std(by_rater, ddof=1)) if len(by_rater) > 1 else None,
        rating_deviation=float(np.std(single, ddof=1)) if len(single) > 1 else None,
        num_ratings=len(single),
        num_raters=len(by_rater),
        num_clips=len(by_clip),
        per_clip=by_clip,
    )


def _interval(values_RC: Floats, is_there_RC: NDArray[np.bool_]) -> tuple[float | None, float | None]:
    """95 % percentile bootstrap of the mean with raters and clips drawn anew, each by itself (Owen 2007)."""
    num_raters, num_clips = is_there_RC.shape
    if is_there_RC.any(axis=1).sum() < MIN_RATERS or is_there_RC.any(axis=0).sum() < MIN_CLIPS:
        return None, None
    raters_BR, clips_BC = times_drawn(num_raters, 1), times_drawn(num_clips, 0)
    filled = np.where(is_there_RC, values_RC, 0.0)
    sums = ((raters_BR @ filled) * clips_BC).sum(axis=1)
    counts = ((raters_BR @ is_there_RC) * clips_BC).sum(axis=1)
    return bounded(float(values_RC[is_there_RC].mean()), sums[counts > 0] / counts[counts > 0])


@lru_cache(maxsize=4)
def times_drawn(num: int, stream: int, num_draws: int = NUM_RESAMPLES) -> Floats:
    """How often each of `num` is drawn in each resampling, (draws, num); streams are independent."""
    random = np.random.default_rng([SEED, stream])
    times = random.multinomial(num, np.full(num, 1 / num), size=num_draws).astype(np.float64)
    times.flags.writeable = False
    return times


def agreement_of(ratings: Ratings) -> tuple[Agreement, ...]:
    """Alpha per dimension; a unit is one video (system and clip), the interval draws clips."""
    return tuple(
        _agreement(dimension, values)
        for dimension, values in zip(ratings.dimensions, ratings.values_DSRC, strict=True)
    )


def _agreement(dimension: str, values_SRC: Floats) -> Agreement:
    num_systems, num_raters, num_clips = values_SRC.shape
    flat_RU = values_SRC.transpose(1, 0, 2).reshape(num_raters, num_systems * num_clips)
    counts_UV = counts_of(flat_RU, np.arange(WORST, BEST + 1, dtype=np.float64))
    answered = counts_UV.sum(axis=1)
    alpha = ordinal_alpha(counts_UV)
    low, high = None, None
    if alpha is not None and num_clips >= MIN_CLIPS:
        drawn = (
            ordinal_alpha(counts_UV, np.tile(times, num_systems))
            for times in times_drawn(num_clips, 0, NUM_ALPHA_DRAWS)
        )
        low, high = bounded(alpha, np.array([each for each in drawn if each is not None]))
    return Agreement(
        dimension=dimension,
        alpha=alpha,
        low=low,
        high=high,
        num_units=int((answered >= 2).sum()),
        num_ratings=int(answered.sum()),
    )


def retest_of(key: Key, answers: Sequence[Answers], ratings: Ratings) -> tuple[Retest, ...]:
    """Compare the two answers to items that were shown twice, over the raters that count."""
    given = {each.rater: each.ratings for each in answers if each.rater in ratings.raters}
    pairs = [
        (given[plan.rater][item.again], given[plan.rater][item.id])
        for plan in key.plans
        for item in (plan.items if plan.rater in given else ())
        if item.kind == "repeat" and {item.id, item.again} <= given[plan.rater].keys()
    ]
    return tuple(_retest(dimension, pairs) for dimension in ratings.dimensions)


def _retest(dimension: str, pairs: Sequence[tuple[Mapping[str, int], Mapping[str, int]]]) -> Retest:
    steps = np.array([abs(first[dimension] - second[dimension]) for first, second in pairs], np.float64)
    if not len(steps):
        return Retest(dimension=dimension, num_pairs=0, same=None, within_one=None, mean_distance=None)
    return Retest(
        dimension=dimension,
        num_pairs=len(steps),
        same=float((steps == 0).mean()),
        within_one=float((steps <= 1).mean()),
        mean_distance=float(steps.mean()),
    )
