"""Rank correlations in every draw are those of the drawn points themselves, computed by scipy."""

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from benchmark.human.correlate import METHODS, ROW_METHODS, Points
from benchmark.human.opinions import times_drawn

BY_SCIPY = {"spearman": spearmanr, "kendall": kendalltau}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("levels", [3, 1000])
def test_a_draw_is_what_scipy_says_of_the_drawn_points(method: str, levels: int) -> None:
    random = np.random.default_rng(levels)
    clips = np.repeat(np.arange(6), 4)
    metric = random.integers(0, levels, len(clips)).astype(float)
    people = metric + random.integers(0, levels, len(clips))
    times = times_drawn(6, 0, 40)
    found = METHODS[method](Points(metric, people, clips, 6), times)
    for drawn, each in zip(times, found, strict=True):
        points = np.repeat(np.arange(len(clips)), drawn[clips].astype(int))
        assert each == pytest.approx(BY_SCIPY[method](metric[points], people[points]).statistic, abs=1e-9)


@pytest.mark.parametrize("method", ROW_METHODS)
def test_rows_are_what_scipy_says(method: str) -> None:
    random = np.random.default_rng(1)
    first, second = random.integers(0, 4, (2, 50, 6)).astype(float)
    found = ROW_METHODS[method](first, second)
    for one, other, each in zip(first, second, found, strict=True):
        assert each == pytest.approx(BY_SCIPY[method](one, other).statistic, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("method", METHODS)
def test_what_does_not_vary_has_no_correlation(method: str) -> None:
    points = Points(np.ones(4), np.arange(4.0), np.arange(4), 4)
    assert np.isnan(METHODS[method](points, np.ones((1, 4)))[0])
