"""How much each clip moves a Fréchet distance, to first order: resampling without computing it again.

Giving row x of one side the weight 1 + e changes the distance by e/n times
    2 (mu - mu') . (x - mu) + |x - mu|^2 - (x - mu)^T T (x - mu), less its mean over the rows,
where T is the optimal transport map from the row's own Gaussian to the other one: the derivative of the
distance with respect to the covariance is I - T. Rows of a clip add up, so hundreds of resampled distances
cost one eigen-decomposition more than the distance itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from .extract import Rows
from .states import Moments

BLOCK_ROWS = 4096
CUT = 1e-10
"""Share of the largest eigenvalue below which a direction counts as empty."""


@dataclass(frozen=True, slots=True)
class Influence:
    """A Fréchet distance, and what each clip adds to it."""

    value: float
    sums_2C: NDArray[np.float64]
    """Per side and clip, the sum of its rows' influences; each side adds up to zero."""
    counts_2C: NDArray[np.float64]
    """Per side and clip, its rows."""

    def resampled(self, drawn_BC: NDArray[np.int64]) -> NDArray[np.float64]:
        """The distance over drawn clips, (B,): the first-order change of both sides, drawn alike."""
        changes = self.sums_2C[:, drawn_BC].sum(axis=2) / self.counts_2C[:, drawn_BC].sum(axis=2)
        return np.asarray(self.value + changes.sum(axis=0))


@dataclass(frozen=True, slots=True)
class Side:
    """The Gaussian of one side, decomposed: covariance = (vectors * values) vectors^T."""

    moments: Moments
    values_D: NDArray[np.float64]
    vectors_DD: NDArray[np.float64]


def streamed(rows: Sequence[Rows]) -> Moments:
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


def decomposed(rows: Sequence[Rows], ddof: int) -> Side:
    """Moments and eigenvectors; kept for the next system when the rows are files, as the truth's are."""
    if all(each.path for each in rows):
        return _kept(tuple(rows), ddof)
    return _decompose(rows, ddof)


def _decompose(rows: Sequence[Rows], ddof: int) -> Side:
    moments = streamed(rows)
    values, vectors = scipy.linalg.eigh(moments.covariance(ddof))
    return Side(moments, np.clip(values, 0.0, None), vectors)


_kept = lru_cache(maxsize=2)(_decompose)


def influence_of_moments(clips: Sequence[tuple[Rows, Rows]], ddof: int) -> Influence:
    """Distance between (generated, true) rows from streamed moments; two passes, memory of a few (d, d).

    The truth's decomposition is reused over systems: only the product's is made for each.
    """
    generated, truth = [clip[0] for clip in clips], [clip[1] for clip in clips]
    side, other = decomposed(truth, ddof), streamed(generated)
    root = (side.vectors_DD * np.sqrt(side.values_D)) @ side.vectors_DD.T
    covariance = other.covariance(ddof)
    product = root @ covariance @ root
    squares, vectors = scipy.linalg.eigh((product + product.T) / 2)
    cross = np.sqrt(np.clip(squares, 0.0, None))
    delta = other.mean_D - side.moments.mean_D
    value = float(delta @ delta + side.values_D.sum() + np.trace(covariance) - 2 * cross.sum())
    maps = (
        root @ (vectors * _inverse_root(cross)),
        (side.vectors_DD * _inverse_root(side.values_D)) @ (side.vectors_DD.T @ vectors) * np.sqrt(cross),
    )
    sums = [
        _clip_sums(generated, other.mean_D, 2 * delta, maps[0]),
        _clip_sums(truth, side.moments.mean_D, -2 * delta, maps[1]),
    ]
    return Influence(max(0.0, value), np.stack(sums), _counts(clips))


def _inverse_root(values_D: NDArray[np.float64]) -> NDArray[np.float64]:
    full = values_D > CUT * values_D.max(initial=0.0)
    return np.where(full, 1 / np.sqrt(np.where(full, values_D, 1.0)), 0.0)


def _clip_sums(
    rows: Sequence[Rows],
    mean_D: NDArray[np.float64],
    slope_D: NDArray[np.float64],
    map_DD: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sum per clip of slope . x + |x|^2 - |map^T x|^2 over its centred rows, less the mean over all rows."""
    sums = []
    for each in rows:
        centred = each.load().astype(np.float64) - mean_D
        sums.append(float((centred @ slope_D).sum() + (centred**2).sum() - ((centred @ map_DD) ** 2).sum()))
    return _without_mean(np.array(sums), np.array([each.num for each in rows], np.float64))


def _without_mean(sums_C: NDArray[np.float64], counts_C: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(sums_C - counts_C * (sums_C.sum() / counts_C.sum()))


def _counts(clips: Sequence[tuple[Rows, Rows]]) -> NDArray[np.float64]:
    return np.array([[clip[side].num for clip in clips] for side in (0, 1)], np.float64)


def influence_of_rows(clips: Sequence[tuple[Rows, Rows]], ddof: int) -> Influence:
    """The same with fewer rows than dimensions: from the singular vectors of the cross-Gram matrix."""
    first, second = (np.concatenate([clip[side].load() for clip in clips]) for side in (0, 1))
    means = first.mean(axis=0, dtype=np.float64), second.mean(axis=0, dtype=np.float64)
    centred = first - means[0], second - means[1]
    left, singular, right = scipy.linalg.svd(centred[0] @ centred[1].T, full_matrices=False)
    free = len(first) - ddof, len(second) - ddof
    scale = np.sqrt(free[0] * free[1])
    delta = means[0] - means[1]
    squares = [(rows**2).sum(axis=1) for rows in centred]
    mapped = (left**2) @ singular * (free[0] / scale), (right.T**2) @ singular * (free[1] / scale)
    value = float(delta @ delta - 2 * singular.sum() / scale)
    value += sum(float(each.sum()) / num for each, num in zip(squares, free, strict=True))
    counts = _counts(clips)
    sums = []
    for side, sign in ((0, 2.0), (1, -2.0)):
        per_row = sign * (centred[side] @ delta) + squares[side] - mapped[side]
        ends = np.concatenate([[0.0], np.cumsum(per_row)])[np.cumsum([0, *counts[side]]).astype(int)]
        sums.append(_without_mean(np.diff(ends), counts[side]))
    return Influence(max(0.0, value), np.stack(sums), counts)
