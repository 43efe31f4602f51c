"""Intervals and paired differences over clips. The clip is the unit: frames of a clip are not independent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .frechet import frechet_from_grams, grams
from .records import Estimate

SEED = 20250917
NUM_RESAMPLES = 2000
NUM_FRECHET_RESAMPLES = 200
MAX_FRECHET_ROWS = 1500
LOW, HIGH = 2.5, 97.5


def mean_estimate(values_N: NDArray[np.float64]) -> Estimate:
    """Mean with the percentile bootstrap over clips; no interval below three clips."""
    value = math.fsum(values_N) / len(values_N)
    if len(values_N) < 3:
        return Estimate(value)
    drawn = np.random.default_rng(SEED).integers(0, len(values_N), (NUM_RESAMPLES, len(values_N)))
    low, high = np.percentile(values_N[drawn].mean(axis=1), [LOW, HIGH])
    return Estimate(value, min(float(low), value), max(float(high), value))


def frechet_estimate(
    value: float, clips: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]
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
        distances.append(frechet_from_grams(gram1[np.ix_(i, i)], gram2[np.ix_(j, j)], cross[np.ix_(i, j)]))
    bias = float(np.mean(distances)) - value
    low, high = np.percentile(np.array(distances) - bias, [LOW, HIGH])
    return Estimate(value, max(0.0, float(low)), float(high))


def _rows_of_clips(lengths: Sequence[int]) -> list[NDArray[np.int64]]:
    ends = np.cumsum(lengths)
    return [np.arange(end - length, end) for end, length in zip(ends, lengths, strict=True)]
