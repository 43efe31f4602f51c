"""percentiles: none without the runs that it needs, and its bound holds."""

import math

import numpy as np
import pytest

from benchmark.speed.percentiles import (
    headline,
    percentile_of,
    runs_needed,
    supported,
    upper_bound,
)


@pytest.mark.parametrize(("percentile", "runs"), [(50, 11), (90, 64), (95, 130), (99, 662)])
def test_runs_that_a_percentile_needs(percentile: int, runs: int) -> None:
    def at_most_one_above(count: int) -> float:
        share = 1 - percentile / 100
        return math.fsum(math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in (0, 1))

    assert runs_needed(percentile) == runs
    assert at_most_one_above(runs) <= 0.01 < at_most_one_above(runs - 1)


def test_no_percentile_without_the_runs_for_it() -> None:
    assert supported(10) == ()
    assert supported(11) == supported(63) == (50,)
    assert supported(64) == (50, 90)
    assert supported(662) == (50, 90, 95, 99)
    assert (headline([1.0] * 10), headline([1.0] * 11)) == ("median of 10", "p50 (n=11)")
    with pytest.raises(ValueError, match="p90 needs 64 runs, there are 63"):
        upper_bound([1.0] * 63, 90)


@pytest.mark.parametrize(("percentile", "runs"), [(50, 11), (50, 40), (90, 64), (90, 200)])
def test_the_bound_holds_in_99_of_100_sessions(percentile: int, runs: int) -> None:
    times = np.random.default_rng(3).exponential(size=(700, runs))
    truth = -math.log(1 - percentile / 100)
    held = np.mean([upper_bound(session, percentile) >= truth for session in times])
    assert held >= 0.985
    assert np.mean([percentile_of(session, percentile) >= truth for session in times]) < 0.7
