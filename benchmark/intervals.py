"""Intervals and paired differences over clips. The clip is the unit: frames of a clip are not independent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected

from .extract import Rows
from .frechet import frechet_distance, frechet_from_grams, frechet_from_moments, grams
from .records import Estimate
from .states import Moments

SEED = 20250917
NUM_RESAMPLES = 2000
NUM_FRECHET_RESAMPLES = 200
MAX_FRECHET_ROWS = 1500
BLOCK_ROWS = 4096
LOW, HIGH = 2.5, 97.5


def mean_estimate(values_N: NDArray[np.float64]) -> Estimate:
    """Mean with the percentile bootstrap over clips; no interval below three clips."""
    value = math.fsum(values_N) / len(values_N)
    if len(values_N) < 3:
        return Estimate(value)
    drawn = np.random.default_rng(SEED).integers(0, len(values_N), (NUM_RESAMPLES, len(values_N)))
    low, high = np.percentile(values_N[drawn].mean(axis=1), [LOW, HIGH])
    return Estimate(value, min(float(low), value), max(float(high), value))


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
    note = (
        f"{counts[0]} rows of {len(clips)} clips for {dim} dimensions: reads high"
        if min(counts) < dim
        else ""
    )
    if max(counts) >= dim:
        first, second = (_streamed([clip[side] for clip in clips]) for side in (0, 1))
        return Estimate(max(0.0, frechet_from_moments(first, second, ddof)), note=note)
    loaded = [(generated.load(), truth.load()) for generated, truth in clips]
    first_ND, second_ND = (np.concatenate([clip[side] for clip in loaded]) for side in (0, 1))
    value = max(0.0, frechet_distance(first_ND, second_ND, ddof))
    return replace(frechet_estimate(value, loaded, ddof), note=note)


def _streamed(rows: Sequence[Rows]) -> Moments:
    """Moments of all rows, in blocks of at least `BLOCK_ROWS` that do not depend on who computed them."""
    total, block, held = None, [], 0
    for number, each in enumerate(rows):
        block.append(each.load())
        held += each.num
        if held >= BLOCK_ROWS or number == len(rows) - 1:
            moments = Moments.of(np.concatenate(block))
            total = moments if total is None else total + moments
            block, held = [], 0
    assert total is not None
    return total


def frechet_estimate(
    value: float, clips: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]], ddof: int = 1
) -> Estimate:
    """Interval of a Fréchet distance by resampling clips, from inner products computed once.

    Drawing a clip twice adds no information and so raises the distance; the resampled distances are
    shifted by that bias (their mean minus the value). None above `MAX_FRECHET_ROWS` rows: too dear.
    """
    num_rows = sum(len(generated) for generated, _ in clips)
    if len(clips) < 3 or num_rows > MAX_FRECHET_ROWS:
        return Estimate(value)
    first, second = (np.concatenate([clip[side] for clip in clips]) for side in (0, 1))
    gram1, gram2, cross = grams(first, second)
    rows1, rows2 = _rows_of_clips([len(a) for a, _ in clips]), _rows_of_clips([len(b) for _, b in clips])
    random = np.random.default_rng(SEED)
    distances = []
    for _ in range(NUM_FRECHET_RESAMPLES):
        drawn = random.integers(0, len(clips), len(clips))
        i, j = (np.concatenate([rows[k] for k in drawn]) for rows in (rows1, rows2))
        resampled = gram1[np.ix_(i, i)], gram2[np.ix_(j, j)], cross[np.ix_(i, j)]
        distances.append(frechet_from_grams(*resampled, ddof))
    shifted = np.array(distances) - (float(np.mean(distances)) - value)
    low, high = np.percentile(shifted, [LOW, HIGH])
    return Estimate(value, max(0.0, float(low)), float(high), tuple(float(each) for each in shifted))


def _rows_of_clips(lengths: Sequence[int]) -> list[NDArray[np.int64]]:
    ends = np.cumsum(lengths)
    return [np.arange(end - length, end) for end, length in zip(ends, lengths, strict=True)]
