"""What a handful of raw times supports: percentiles only from enough runs, outliers named, never removed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.stats import binom

from datapipe.records import Seconds

CONFIDENCE = 0.99
PERCENTILES = (50, 90, 95, 99)
OUTLIER_MADS = 14.826
"""Ten standard deviations of a normal distribution, in median absolute deviations (as hyperfine has it)."""
FEWEST_ABOVE = 2
"""Order statistics from the top that bound a percentile: the largest time alone is no bound to rely on."""


@cache
def runs_needed(percentile: int) -> int:
    """Fewest runs that support a percentile: with 99 % confidence two of them lie above the true one.

    The number of runs above the true percentile is binomial; at this n, at most one is with P <= 1 %.
    11, 64, 130 and 662 for p50, p90, p95 and p99 (MLPerf's early stopping; 662 stands in its mlperf.conf).
    """
    share_above = 1 - percentile / 100
    num_runs = FEWEST_ABOVE
    while binom.cdf(FEWEST_ABOVE - 1, num_runs, share_above) > 1 - CONFIDENCE:
        num_runs += 1
    return num_runs


def supported(num_runs: int) -> tuple[int, ...]:
    """Percentiles that this many runs support; none below eleven."""
    return tuple(each for each in PERCENTILES if num_runs >= runs_needed(each))


def percentile_of(values: Sequence[float], percentile: int) -> float:
    """Estimate a percentile by linear interpolation; p50 is the median."""
    return float(np.percentile(np.asarray(values), percentile))


def upper_bound(values: Sequence[float], percentile: int) -> float:
    """Raw value that the true percentile does not exceed, with 99 % confidence.

    Raises `ValueError` when there are too few values (`runs_needed`).
    """
    if len(values) < runs_needed(percentile):
        raise ValueError(f"p{percentile} needs {runs_needed(percentile)} runs, there are {len(values)}")
    num_above = int(binom.ppf(1 - CONFIDENCE, len(values), 1 - percentile / 100))
    while binom.cdf(num_above, len(values), 1 - percentile / 100) > 1 - CONFIDENCE:
        num_above -= 1
    return sorted(values, reverse=True)[num_above]


def outliers(values: Sequence[float]) -> tuple[int, ...]:
    """Indices of values further than `OUTLIER_MADS` median absolute deviations from the median."""
    middle = statistics.median(values)
    away = np.abs(np.asarray(values) - middle)
    return tuple(int(k) for k in np.flatnonzero(away > OUTLIER_MADS * np.median(away)))


def headline(seconds: Sequence[Seconds]) -> str:
    """Name the statistic that a table shows: `median of 3`, or `p50 (n=11)` from eleven runs on."""
    return f"p50 (n={len(seconds)})" if len(seconds) >= runs_needed(50) else f"median of {len(seconds)}"
