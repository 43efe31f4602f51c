"""Fréchet distance between two sets of feature vectors, exactly and fast.

d^2 = |mu1 - mu2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)), with ddof 1 (numpy.cov) or 0. The last trace is
- with fewer vectors than dimensions: the nuclear norm of the centred cross-Gram matrix (n1, n2), which stays
  accurate where a matrix square root of a singular product loses digits;
- otherwise: the eigenvalues of S1^(1/2) S2 S1^(1/2), symmetric, so none can turn complex.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from .states import Moments

Features = NDArray[np.float32] | NDArray[np.float64]


def frechet_distance(first_ND: Features, second_ND: Features, ddof: int = 1) -> float:
    """Distance between the rows of two matrices; each needs at least two rows."""
    if len(first_ND) < 2 or len(second_ND) < 2:
        raise ValueError("a covariance needs at least two feature vectors on each side")
    if max(len(first_ND), len(second_ND)) < first_ND.shape[1]:
        return frechet_from_grams(*grams(first_ND, second_ND), ddof)
    return frechet_from_moments(Moments.of(first_ND), Moments.of(second_ND), ddof)


def frechet_from_moments(first: Moments, second: Moments, ddof: int = 1) -> float:
    """Distance between two Gaussians given by their moments."""
    covariances = first.covariance(ddof), second.covariance(ddof)
    return frechet_from_gaussians(first.mean_D, covariances[0], second.mean_D, covariances[1])


def frechet_from_gaussians(
    mean1_D: NDArray[np.float64],
    covariance1_DD: NDArray[np.float64],
    mean2_D: NDArray[np.float64],
    covariance2_DD: NDArray[np.float64],
) -> float:
    """Distance between N(mean1, covariance1) and N(mean2, covariance2)."""
    values, vectors = scipy.linalg.eigh(covariance1_DD)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    product = root @ covariance2_DD @ root
    spectrum = scipy.linalg.eigvalsh((product + product.T) / 2)
    cross = float(np.sqrt(np.clip(spectrum, 0.0, None)).sum())
    traces = float(np.trace(covariance1_DD) + np.trace(covariance2_DD))
    return float(((mean1_D - mean2_D) ** 2).sum()) + traces - 2 * cross


Grams = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def grams(first_ND: Features, second_ND: Features) -> Grams:
    """Inner products of the rows, about a common origin: first-first, second-second, first-second."""
    shift = first_ND.mean(axis=0, dtype=np.float64)
    first, second = first_ND - shift, second_ND - shift
    return first @ first.T, second @ second.T, first @ second.T


def frechet_from_grams(
    gram1_NN: NDArray[np.float64],
    gram2_MM: NDArray[np.float64],
    cross_NM: NDArray[np.float64],
    ddof: int = 1,
) -> float:
    """The same distance from inner products alone, in O(n^3) whatever the dimension."""
    num1, num2 = cross_NM.shape
    free1, free2 = num1 - ddof, num2 - ddof
    means = gram1_NN.mean() + gram2_MM.mean() - 2 * cross_NM.mean()
    trace1 = (np.trace(gram1_NN) - num1 * gram1_NN.mean()) / free1
    trace2 = (np.trace(gram2_MM) - num2 * gram2_MM.mean()) / free2
    centred = cross_NM - cross_NM.mean(0) - cross_NM.mean(1, keepdims=True) + cross_NM.mean()
    nuclear = scipy.linalg.svdvals(centred).sum() / np.sqrt(free1 * free2)
    return float(means + trace1 + trace2 - 2 * nuclear)
