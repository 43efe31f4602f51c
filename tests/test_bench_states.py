"""States add: no order, split or grouping of the cases changes a result."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark import frechet
from benchmark.intervals import frechet_estimate, mean_estimate
from benchmark.states import FeatureSets, Moments, Values

finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.dictionaries(st.text(max_size=8), finite, min_size=1), st.randoms(use_true_random=False))
def test_values_do_not_depend_on_order_or_split(by_case: dict[str, float], random) -> None:
    singles = [Values({key: value}) for key, value in by_case.items()]
    random.shuffle(singles)
    cut = random.randint(0, len(singles))
    whole = sum(singles[:cut], Values()) + sum(singles[cut:], Values())
    assert whole.ordered().tolist() == Values(by_case).ordered().tolist()
    assert mean_estimate(whole.ordered()) == mean_estimate(Values(by_case).ordered())


def test_a_case_cannot_count_twice() -> None:
    with pytest.raises(ValueError, match="measured twice: a"):
        Values({"a": 1.0}) + Values({"a": 1.0})
    with pytest.raises(ValueError, match="measured twice: a"):
        FeatureSets.failed("a", "x") + FeatureSets.failed("a", "y")


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6), st.lists(st.integers(1, 9), min_size=2, max_size=6))
def test_moments_merge_like_numpy_cov(seed: int, dimensions: int, sizes: list[int]) -> None:
    random = np.random.default_rng(seed)
    parts = [random.normal(1e3, 1.0, (size, dimensions)) for size in sizes]
    merged = sum((Moments.of(part) for part in parts), Moments.empty(dimensions))
    rows = np.concatenate(parts)
    assert merged.num == len(rows)
    np.testing.assert_allclose(merged.mean_D, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(merged.covariance(), np.atleast_2d(np.cov(rows.T)), rtol=1e-7, atol=1e-9)


def sqrtm_distance(x: np.ndarray, y: np.ndarray) -> float:
    """The textbook formula, as pytorch-fid computes it."""
    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(s1 @ s2)
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * np.trace(root).real)


def test_frechet_agrees_with_the_textbook_formula() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(0, 1, (300, 24)), random.normal(0.3, 1.4, (200, 24))
    assert frechet.frechet_distance(x, y) == pytest.approx(sqrtm_distance(x, y), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(3, 12), st.integers(3, 12))
def test_both_exact_forms_agree_and_are_symmetric(seed: int, num1: int, num2: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(num1, 20)), random.normal(0.5, 2.0, (num2, 20))
    by_grams = frechet.frechet_from_grams(*frechet.grams(x, y))
    by_moments = frechet.frechet_from_moments(Moments.of(x), Moments.of(y))
    assert by_grams == pytest.approx(by_moments, rel=1e-5)
    assert by_grams == pytest.approx(frechet.frechet_from_grams(*frechet.grams(y, x)), rel=1e-9)
    assert frechet.frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_grows_with_the_distance_between_means() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(40, 100))
    distances = [frechet.frechet_distance(x, x + shift) for shift in (0.0, 0.1, 0.2)]
    assert distances == pytest.approx([0.0, 1.0, 4.0], abs=1e-9)


def test_intervals_hold_the_value_and_are_repeatable() -> None:
    values = np.random.default_rng(2).normal(10, 2, 30)
    first, second = mean_estimate(values), mean_estimate(values)
    assert first == second
    assert first.low is not None and first.high is not None
    assert first.low < first.value < first.high
    expected = 1.96 * values.std(ddof=1) / np.sqrt(30)
    assert (first.high - first.low) / 2 == pytest.approx(expected, rel=0.15)
    assert mean_estimate(values[:2]).low is None


def test_interval_of_a_frechet_distance_resamples_clips() -> None:
    random = np.random.default_rng(3)
    clips = [
        (random.normal(0.2, 1, (6, 50)).astype("f4"), random.normal(0, 1, (6, 50)).astype("f4"))
        for _ in range(10)
    ]
    value = frechet.frechet_distance(*(np.concatenate([clip[k] for clip in clips]) for k in (0, 1)))
    estimate = frechet_estimate(value, clips)
    assert estimate.low is not None and estimate.high is not None
    assert 0 < estimate.low < value < estimate.high < 2 * value
    assert frechet_estimate(value, clips[:2]).low is None
