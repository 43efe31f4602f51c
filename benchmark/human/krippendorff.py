"""Krippendorff's alpha for ordinal answers: how far raters agree beyond chance, with answers missing or not.

Krippendorff, Computing Krippendorff's Alpha-Reliability (2011); Hayes and Krippendorff (2007).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def counts_of(ratings_RU: Floats, values_V: Floats) -> Floats:
    """How many raters gave each unit each value, (U, V); NaN is no answer."""
    return np.asarray((ratings_RU[:, :, None] == values_V).sum(axis=0), np.float64)


def ordinal_alpha(counts_UV: Floats, weights_U: Floats | None = None) -> float | None:
    """Alpha from the counts of every value in every unit; the values stand in their order.

    `weights_U` counts a unit several times, as a resampling draws it. A unit with fewer than two answers does
    not count. None when no unit counts, or all answers are equal: then nothing can be said.
    """
    per_unit = counts_UV.sum(axis=1)
    usable = per_unit >= 2
    weights = (np.ones(len(counts_UV)) if weights_U is None else weights_U)[usable]
    counts, sizes = counts_UV[usable], per_unit[usable]
    scale = weights / (sizes - 1) if len(sizes) else weights
    coincidences_VV = (counts * scale[:, None]).T @ counts - np.diag(scale @ counts)
    totals_V = coincidences_VV.sum(axis=1)
    total = totals_V.sum()
    distances_VV = ordinal_distances(totals_V)
    expected = float(totals_V @ distances_VV @ totals_V)
    if expected <= 0:
        return None
    observed = float((coincidences_VV * distances_VV).sum())
    return 1.0 - (float(total) - 1.0) * observed / expected


def ordinal_distances(totals_V: Floats) -> Floats:
    """Squared number of answers between two values, each of the two counted half, (V, V)."""
    ends = np.cumsum(totals_V) - totals_V / 2
    return np.asarray((ends[:, None] - ends[None, :]) ** 2)
