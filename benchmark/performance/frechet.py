"""(a) The exact Fréchet distance against scipy's matrix square root, which the FID tools use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from datapipe.performance.figures import Figure, Measurement
from datapipe.performance.repeat import interleaved, ratios

from ..frechet import frechet_distance
from .sizes import Sizes

Rows = NDArray[np.float64]
FULL_RANK_DIM = 400
"""Dimensions of the set that has more rows than dimensions, where the square root itself is exact."""
METHOD = (
    "Two sets of 500 feature rows of 2048 numbers (gamma distributed and mixed, as rectified and pooled "
    "activations are): `frechet_distance` against pytorch-fid's formula, numpy's covariances and "
    "`scipy.linalg.sqrtm` of their product, both in float64 with all cores. With fewer rows than dimensions "
    "that product is singular, and the square root of rounding errors that should be zeros costs the tool "
    "its last digits: what is exact is taken from a third way, the eigenvalues of A B' B A' for centred rows "
    "A and B (those of the covariances' product that are not zero), summed in extended precision. Where "
    "there are more rows than dimensions, sqrtm itself is the reference."
)


def measure_frechet(sizes: Sizes, _folder: Path) -> Measurement:
    """Time both ways on sets of the size of a FID, and compare values on two kinds of set."""
    sets = feature_sets(sizes.sqrtm_rows, sizes.sqrtm_dim)
    values: dict[str, float] = {}
    ways = {
        "sqrtm": lambda: values.update(sqrtm=by_sqrtm(*sets)),
        "ours": lambda: values.update(ours=frechet_distance(*sets)),
    }
    times = interleaved(ways, sizes.repeats, "(a) Fréchet distance", warm_up=False)
    exact = by_grams(*sets)
    full_rank = feature_sets(4 * FULL_RANK_DIM, FULL_RANK_DIM)
    off = relative(frechet_distance(*full_rank), by_sqrtm(*full_rank))
    figures = (
        Figure(
            name="time of sqrtm over ours",
            unit="x",
            values=ratios(times["sqrtm"], times["ours"]),
            expected="60 to 120",
            limit=30.0,
            sense="at least",
        ),
        _error("difference to the exact value, fewer rows than dimensions", relative(values["ours"], exact)),
        _error("difference to sqrtm, more rows than dimensions", off),
        Figure(
            name="difference of sqrtm to the exact value, fewer rows than dimensions",
            unit="ppm",
            values=(1e6 * relative(values["sqrtm"], exact),),
            expected="1 to 100",
        ),
        *(Figure(name=f"{name}: wall time", unit="s", values=taken) for name, taken in times.items()),
    )
    return Measurement(name="a", title="Fréchet distance", method=METHOD, figures=figures)


def _error(name: str, difference: float) -> Figure:
    return Figure(name=name, unit="ppm", values=(1e6 * difference,), expected="below 0.001", limit=1.0)


def feature_sets(num_rows: int, dim: int) -> tuple[Rows, Rows]:
    """Two sets of correlated non-negative rows, the second a little off the first."""
    random = np.random.default_rng(0)
    mixing = random.gamma(0.3, 1.0, (dim, dim)) / dim
    first, second = (random.gamma(0.5, 1.0, (num_rows, dim)) @ mixing for _ in range(2))
    return first, 1.05 * second + 0.01


def by_sqrtm(first_ND: Rows, second_ND: Rows) -> float:
    """pytorch-fid's `calculate_frechet_distance`, by the square root of the covariances' product."""
    means = first_ND.mean(0) - second_ND.mean(0)
    covariances = [np.cov(rows, rowvar=False) for rows in (first_ND, second_ND)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    traces = sum(float(np.trace(each)) for each in covariances)
    return float(means @ means) + traces - 2 * float(np.trace(root).real)


def by_grams(first_ND: Rows, second_ND: Rows) -> float:
    """An independent exact value where rows are fewer than dimensions, in x86's 80-bit floats.

    S1 S2 = A'A B'B / (n-1)(m-1) has the non-zero eigenvalues of A B' B A', which has as many rows as A; its
    entries are summed in extended precision.
    """
    means = (first_ND.mean(0) - second_ND.mean(0)).astype(np.longdouble)
    centred = [(rows - rows.mean(0)).astype(np.longdouble) for rows in (first_ND, second_ND)]
    free = [np.longdouble(len(rows) - 1) for rows in centred]
    traces = sum((rows * rows).sum() / count for rows, count in zip(centred, free, strict=True))
    product = centred[0] @ centred[1].T
    values = np.linalg.eigvalsh((product @ product.T).astype(np.float64))
    root = np.sqrt(np.clip(values, 0.0, None)).sum() / np.sqrt(free[0] * free[1])
    return float((means * means).sum() + traces - 2 * root)


def relative(value: float, reference: float) -> float:
    """Difference as a part of the reference."""
    return abs(value - reference) / abs(reference)
