"""Krippendorff's alpha against its author's worked examples, a direct definition, and its bounds."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.human.krippendorff import counts_of, ordinal_alpha

NAN = np.nan
KRIPPENDORFF_2011 = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)
"""Krippendorff, Computing Krippendorff's Alpha-Reliability (2011): four observers, twelve units, values
missing; its ordinal alpha is 0.815 (so also in the tests of the package `krippendorff`)."""
VALUES = np.arange(1.0, 6.0)


def alpha_by_pairs(ratings_RU: np.ndarray) -> float:
    """The definition, pair by pair: 1 - observed / expected disagreement."""
    units = [column[~np.isnan(column)] for column in ratings_RU.T]
    units = [values for values in units if len(values) > 1]
    pooled = np.concatenate(units)
    total = {value: int((pooled == value).sum()) for value in VALUES}

    def distance(one: float, other: float) -> float:
        low, high = sorted((one, other))
        between = sum(total[value] for value in VALUES if low <= value <= high)
        return (between - (total[low] + total[high]) / 2) ** 2

    observed = sum(sum(distance(a, b) for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units)
    expected = sum(distance(a, b) for a, b in permutations(pooled, 2))
    return 1 - (len(pooled) - 1) * observed / expected


def test_the_worked_example_of_its_author() -> None:
    assert round(ordinal_alpha(counts_of(KRIPPENDORFF_2011, VALUES)), 3) == 0.815


@given(
    st.lists(st.lists(st.sampled_from([NAN, 1, 2, 3, 4, 5]), min_size=3, max_size=3), min_size=2, max_size=12)
)
@settings(max_examples=80, deadline=None)
def test_it_is_the_definition(columns: list[list[float]]) -> None:
    ratings = np.array(columns, float).T
    found = ordinal_alpha(counts_of(ratings, VALUES))
    pairable = [column[~np.isnan(column)] for column in ratings.T]
    pooled = np.concatenate([values for values in pairable if len(values) > 1] or [np.zeros(0)])
    if len(set(pooled)) < 2:
        assert found is None
    else:
        assert found == pytest.approx(alpha_by_pairs(ratings), abs=1e-9)


def test_perfect_agreement_chance_and_opposition() -> None:
    random = np.random.default_rng(0)
    one = random.integers(1, 6, 400).astype(float)
    assert ordinal_alpha(counts_of(np.stack([one, one, one]), VALUES)) == pytest.approx(1.0)
    by_chance = ordinal_alpha(counts_of(random.integers(1, 6, (3, 4000)).astype(float), VALUES))
    assert abs(by_chance) < 0.03
    assert ordinal_alpha(counts_of(np.stack([one, 6 - one]), VALUES)) < -0.5


def test_a_weight_counts_a_unit_several_times() -> None:
    counts = counts_of(KRIPPENDORFF_2011, VALUES)
    weights = np.array([2, 0, 1, 3, 1, 1, 0, 1, 1, 1, 1, 1], float)
    repeated = np.repeat(KRIPPENDORFF_2011, weights.astype(int), axis=1)
    assert ordinal_alpha(counts, weights) == pytest.approx(ordinal_alpha(counts_of(repeated, VALUES)))
