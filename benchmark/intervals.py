"""Intervals over clips. The clip is the unit: frames of a clip are not independent.

All resampling draws the same clips from the same seed, so that systems meet the same draws: differences and
ranks can be taken draw by draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected

from .extract import Rows
from .frechet import Grams, frechet_distance, frechet_from_grams, grams
from .influence import Influence, influence_of_moments, influence_of_rows
from .records import Estimate

SEED = 20250917
NUM_RESAMPLES = 2000
NUM_FRECHET_RESAMPLES = 200
MAX_FRECHET_ROWS = 400
"""Rows up to which every resampled Fréchet distance is computed; above, each clip's influence is."""
MIN_CLIPS = 3
"""Below, no interval."""
MIN_EXTRAPOLATED_CLIPS = 8
LOW, HIGH = 2.5, 97.5
CHUNK = 1 << 20
"""Drawn values held at a time."""


@lru_cache(maxsize=2)
def clip_draws(num_clips: int, num_draws: int) -> NDArray[np.int64]:
    """Clips drawn with replacement, (num_draws, num_clips); fewer draws are the beginning of more."""
    drawn = np.random.default_rng(SEED).integers(0, num_clips, (num_draws, num_clips))
    drawn.flags.writeable = False
    return drawn


def resampled_means(values_N: NDArray[np.float64], num_draws: int = NUM_RESAMPLES) -> NDArray[np.float64]:
    """Means over drawn clips, (num_draws,)."""
    drawn = clip_draws(len(values_N), num_draws)
    step = max(1, CHUNK // len(values_N))
    means = [values_N[drawn[start : start + step]].mean(axis=1) for start in range(0, num_draws, step)]
    return np.concatenate(means)


def bounded(value: float, resampled_B: NDArray[np.float64]) -> tuple[float, float]:
    """95 % percentile interval, which holds the value itself."""
    low, high = np.percentile(resampled_B, [LOW, HIGH])
    return min(float(low), value), max(float(high), value)


def mean_estimate(values_N: NDArray[np.float64]) -> Estimate:
    """Mean with the percentile bootstrap over clips; no interval below three clips."""
    value = math.fsum(values_N) / len(values_N)
    if len(values_N) < MIN_CLIPS:
        return Estimate(value)
    return Estimate(value, *bounded(value, resampled_means(values_N)))


def frechet_of_clips(clips: Sequence[tuple[Rows, Rows]], title: str, ddof: int) -> Estimate:
    """Fréchet distance over the rows of all clips, in their order, with an interval over clips.

    With fewer rows than dimensions everything comes from inner products; else moments are streamed in blocks,
    so that memory does not grow with the clips. Raises `Rejected("too_short")` below two rows a side.
    """
    counts = [sum(clip[side].num for clip in clips) for side in (0, 1)]
    if min(counts) < 2:
        what = f"{title} needs two rows on each side and has {min(counts)}"
        raise Rejected("too_short", f"{what}; add clips, or use --preset full")
    dim = clips[0][0].load().shape[1]
    if max(counts) >= dim:
        return replace(_by_influence(influence_of_moments(clips, ddof)), note=_note(counts, clips, dim))
    note = _note(counts, clips, dim) + _endless(clips, ddof)
    if max(counts) > MAX_FRECHET_ROWS:
        return replace(_by_influence(influence_of_rows(clips, ddof)), note=note)
    loaded = [(generated.load(), truth.load()) for generated, truth in clips]
    first_ND, second_ND = (np.concatenate([clip[side] for clip in loaded]) for side in (0, 1))
    value = max(0.0, frechet_distance(first_ND, second_ND, ddof))
    return replace(frechet_estimate(value, loaded, ddof), note=note)


def _note(counts: Sequence[int], clips: Sequence[tuple[Rows, Rows]], dim: int) -> str:
    if min(counts) >= dim:
        return ""
    return f"{counts[0]} rows of {len(clips)} clips for {dim} dimensions: reads high"


def _by_influence(found: Influence) -> Estimate:
    """Interval from first-order resampling; the draws are those of `frechet_estimate`."""
    num_clips = found.counts_2C.shape[1]
    if num_clips < MIN_CLIPS:
        return Estimate(found.value)
    resampled = found.resampled(clip_draws(num_clips, NUM_FRECHET_RESAMPLES))
    low, high = bounded(found.value, resampled)
    return Estimate(found.value, max(0.0, low), high, tuple(map(float, resampled)))


def frechet_estimate(
    value: float, clips: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]], ddof: int = 1
) -> Estimate:
    """Interval of a Fréchet distance by resampling clips, from inner products computed once.

    Drawing a clip twice adds no information and so raises the distance; the resampled distances are
    shifted by that bias (their mean minus the value).
    """
    if len(clips) < MIN_CLIPS:
        return Estimate(value)
    inner, rows = _inner(clips)
    drawn = clip_draws(len(clips), NUM_FRECHET_RESAMPLES)
    distances = np.array([_distance_of(inner, rows, picked, ddof) for picked in drawn])
    shifted = distances - (float(distances.mean()) - value)
    low, high = bounded(value, shifted)
    return Estimate(value, max(0.0, low), high, tuple(map(float, shifted)))


RowsOfClips = tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]


def _inner(clips: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> tuple[Grams, RowsOfClips]:
    """Inner products of all rows, and which rows each clip has on either side."""
    first, second = (np.concatenate([clip[side] for clip in clips]) for side in (0, 1))
    rows1, rows2 = (_rows_of_clips([len(clip[side]) for clip in clips]) for side in (0, 1))
    return grams(first, second), (rows1, rows2)


def _distance_of(inner: Grams, rows: RowsOfClips, picked: NDArray[np.int64], ddof: int) -> float:
    """Distance over picked clips only."""
    i, j = (np.concatenate([side[k] for k in picked]) for side in rows)
    return frechet_from_grams(inner[0][np.ix_(i, i)], inner[1][np.ix_(j, j)], inner[2][np.ix_(i, j)], ddof)


def _rows_of_clips(lengths: Sequence[int]) -> list[NDArray[np.int64]]:
    ends = np.cumsum(lengths)
    return [np.arange(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def _endless(clips: Sequence[tuple[Rows, Rows]], ddof: int) -> str:
    """Where a straight line over 1 / clips meets endless clips, in words; empty below eight clips."""
    if len(clips) < MIN_EXTRAPOLATED_CLIPS:
        return ""
    limit = extrapolated([(generated.load(), truth.load()) for generated, truth in clips], ddof)
    return f"; extrapolated over 1/clips to endless clips: about {round(limit, 6):.3g}"


def extrapolated(clips: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]], ddof: int = 1) -> float:
    """Distance at 1 / clips = 0 by a line through sub-samples from half to all clips, never below 0.

    After FID-infinity (Chong and Forsyth 2020), with clips drawn instead of rows.
    """
    inner, rows = _inner(clips)
    random = np.random.default_rng(SEED)
    num, draws = len(clips), 4 if len(inner[0]) <= MAX_FRECHET_ROWS else 1
    places, distances = [], []
    for size in sorted({round(num * share) for share in (0.5, 0.625, 0.75, 0.875, 1.0)}):
        picked = [np.sort(random.permutation(num)[:size]) for _ in range(draws if size < num else 1)]
        places.append(1 / size)
        distances.append(float(np.mean([_distance_of(inner, rows, each, ddof) for each in picked])))
    return max(0.0, float(np.polynomial.Polynomial.fit(places, distances, 1)(0.0)))
