"""States add: no order, split or grouping of the cases changes a result."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark import frechet, influence, intervals
from benchmark.extract import Rows
from benchmark.influence import influence_of_moments, influence_of_rows
from benchmark.intervals import clip_draws, extrapolated, frechet_estimate, frechet_of_clips, mean_estimate
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


def talking(num_clips: int, num_rows: int, dimensions: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(generated, true) rows per clip, as features of videos are: near each other within a clip."""
    random = np.random.default_rng(seed)
    scale = np.exp(-np.arange(dimensions) / (dimensions / 4))
    clips = []
    for number in range(num_clips):
        rows = num_rows + number % 3
        truth = (random.normal(size=dimensions) + 0.3 * random.normal(size=(rows, dimensions))) * scale
        off = 0.3 * (random.normal(size=dimensions) + 0.5) + 0.2 * random.normal(size=(rows, dimensions))
        clips.append(((truth + off * scale).astype("f4"), truth.astype("f4")))
    return clips


def held(clips: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[Rows, Rows]]:
    return [(Rows(len(first), first), Rows(len(second), second)) for first, second in clips]


def stored(clips: list[tuple[np.ndarray, np.ndarray]], folder) -> list[tuple[Rows, Rows]]:
    found = []
    for number, pair in enumerate(clips):
        paths = [folder / f"{number}-{side}.npy" for side in (0, 1)]
        for path, rows in zip(paths, pair, strict=True):
            np.save(path, rows)
        found.append(tuple(Rows(len(r), None, p) for r, p in zip(pair, paths, strict=True)))
    return found


@pytest.mark.parametrize(("num_clips", "num_rows", "dimensions"), [(40, 10, 24), (30, 8, 300)])
def test_influence_is_the_derivative_of_the_distance(num_clips: int, num_rows: int, dimensions: int) -> None:
    """Doubling one clip's weight a little moves the distance by its influence."""
    clips = talking(num_clips, num_rows, dimensions, 1)
    found = [influence_of_moments(held(clips), 0), influence_of_rows(held(clips), 0)]
    rows = [np.concatenate([clip[side] for clip in clips]).astype(float) for side in (0, 1)]
    assert found[0].value == pytest.approx(found[1].value, rel=1e-7)
    assert found[0].value == pytest.approx(frechet.frechet_distance(*rows, ddof=0), rel=1e-7)
    np.testing.assert_allclose(found[0].sums_2C, found[1].sums_2C, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[0].sums_2C.sum(axis=1), 0, atol=1e-9)
    step = 1e-4
    for clip in (0, 7):
        weights = [
            np.repeat([1 + step * (k == clip) for k in range(num_clips)], counts)
            for counts in found[0].counts_2C.astype(int)
        ]
        expected = sum(found[0].sums_2C[side, clip] * step / weights[side].sum() for side in (0, 1))
        moved = weighted_distance(rows, weights) - weighted_distance(rows, [np.ones(len(r)) for r in rows])
        assert moved == pytest.approx(expected, rel=0.02, abs=1e-8)


def weighted_distance(rows: list[np.ndarray], weights: list[np.ndarray]) -> float:
    means = [np.average(r, axis=0, weights=w) for r, w in zip(rows, weights, strict=True)]
    roots = [(r - m) * np.sqrt(w / w.sum())[:, None] for r, m, w in zip(rows, means, weights, strict=True)]
    nuclear = scipy.linalg.svdvals(roots[0] @ roots[1].T).sum()
    return float(((means[0] - means[1]) ** 2).sum() + sum((r**2).sum() for r in roots) - 2 * nuclear)


@pytest.mark.parametrize(("num_clips", "num_rows", "dimensions"), [(60, 8, 24), (40, 6, 300)])
def test_intervals_by_influence_are_those_of_the_bootstrap(
    num_clips: int, num_rows: int, dimensions: int
) -> None:
    clips = talking(num_clips, num_rows, dimensions, 2)
    drawn = clip_draws(num_clips, 200)
    exact = []
    for picked in drawn:
        sides = [Moments.of(np.concatenate([clips[k][side] for k in picked])) for side in (0, 1)]
        exact.append(frechet.frechet_from_moments(*sides) if dimensions < 100 else None)
    if dimensions > 100:
        value = frechet.frechet_distance(*(np.concatenate([clip[k] for clip in clips]) for k in (0, 1)))
        exact = list(frechet_estimate(value, clips).replicates)
    quick = influence_of_moments(held(clips), 1).resampled(drawn)
    assert np.corrcoef(quick, exact)[0, 1] > 0.7
    wide = [np.diff(np.percentile(each, [2.5, 97.5]))[0] for each in (quick, exact)]
    assert wide[0] == pytest.approx(wide[1], rel=0.3)


def test_every_size_has_an_interval_and_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = held(talking(12, 6, 40, 3))
    found = {}
    for most in (intervals.MAX_FRECHET_ROWS, 10):
        monkeypatch.setattr(intervals, "MAX_FRECHET_ROWS", most)
        found[most] = frechet_of_clips(held(talking(12, 6, 100, 3)), "FID", 1)
    found[0] = frechet_of_clips(clips, "FID", 1)
    for each in found.values():
        assert each.low < each.value < each.high and len(each.replicates) == 200
    assert found[10].value == pytest.approx(found[400].value, rel=1e-9)
    assert np.corrcoef(found[10].replicates, found[400].replicates)[0, 1] > 0.7
    assert found[400].note.startswith("84 rows of 12 clips for 100 dimensions: reads high; extrapolated")
    assert found[0].note == ""


def test_the_truth_is_decomposed_once_for_all_systems(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = talking(10, 8, 16, 4)
    systems = [stored([(first * factor, second) for first, second in clips], tmp_path) for factor in (1, 1)]
    loads = []
    monkeypatch.setattr(influence.scipy.linalg, "eigh", counting(loads, influence.scipy.linalg.eigh))
    influence._kept.cache_clear()
    values = [frechet_of_clips(system, "FID", 1) for system in systems]
    assert values[0] == values[1] == frechet_of_clips(held(clips), "FID", 1)
    assert len(loads) == 3 + 2, "one product each, the truth once for files and once for what is held"


def counting(calls: list, function):
    def counted(*arguments, **options):
        calls.append(1)
        return function(*arguments, **options)

    return counted


def test_a_truth_against_itself_is_zero_with_an_interval_of_zero() -> None:
    clips = [(first, first) for first, _ in talking(10, 8, 16, 5)]
    found = frechet_of_clips(held(clips), "FID", 1)
    assert (found.value, found.low, found.high) == pytest.approx((0, 0, 0), abs=1e-9)


def test_extrapolation_takes_most_of_the_bias_of_few_clips_away() -> None:
    """Two draws of one distribution: the distance over endless clips is 0."""
    random = np.random.default_rng(6)
    clips = [tuple(random.normal(size=(2, 30)).astype("f4") for _ in (0, 1)) for _ in range(30)]
    value = frechet.frechet_distance(*(np.concatenate([clip[k] for clip in clips]) for k in (0, 1)))
    assert 0 <= extrapolated(clips) < 0.4 * value


def test_draws_are_common_and_fewer_are_the_beginning_of_more() -> None:
    assert (clip_draws(9, 200) == clip_draws(9, 2000)[:200]).all()
    with pytest.raises(ValueError, match="read-only"):
        clip_draws(9, 200)[0, 0] = 1
