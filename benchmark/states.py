"""What metrics accumulate. States add; the order and the split of the cases cannot change a result.

Per-case values are kept by key and reduced in the order of the keys, so aggregates are bit-equal for any
number of workers. `Moments` streams where features are too many to keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from .extract import Rows

ValueT = TypeVar("ValueT")


class State(Protocol):
    """The result of measuring some cases."""

    @property
    def failures(self) -> Mapping[str, str]:
        """Case key to the reason why it could not be measured."""

    @classmethod
    def failed(cls, key: str, why: str) -> Self:
        """State of one case that could not be measured."""

    def __add__(self, other: Self, /) -> Self: ...


@dataclass(frozen=True, slots=True)
class Values:
    """One number per case."""

    by_case: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def failed(cls, key: str, why: str) -> Values:
        """State of one case without a value."""
        return cls({}, {key: why})

    def __add__(self, other: Values) -> Values:
        return Values(_joined(self.by_case, other.by_case), _joined(self.failures, other.failures))

    def ordered(self) -> NDArray[np.float64]:
        """The values in the order of their keys."""
        return np.array([self.by_case[key] for key in sorted(self.by_case)], np.float64)


@dataclass(frozen=True, slots=True)
class FeatureSets:
    """Feature rows per case, of the generated and of the true video: (n, d) each."""

    by_case: Mapping[str, tuple[Rows, Rows]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def failed(cls, key: str, why: str) -> FeatureSets:
        """State of one case without features."""
        return cls({}, {key: why})

    def __add__(self, other: FeatureSets) -> FeatureSets:
        return FeatureSets(_joined(self.by_case, other.by_case), _joined(self.failures, other.failures))

    def ordered(self) -> list[tuple[Rows, Rows]]:
        """(generated, true) rows in the order of the keys."""
        return [self.by_case[key] for key in sorted(self.by_case)]


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean and scatter of feature vectors in float64; merged by Chan, Golub and LeVeque (1979)."""

    num: int
    mean_D: NDArray[np.float64]
    scatter_DD: NDArray[np.float64]

    @classmethod
    def empty(cls, num_dimensions: int) -> Moments:
        """Moments of nothing."""
        return cls(0, np.zeros(num_dimensions), np.zeros((num_dimensions, num_dimensions)))

    @classmethod
    def of(cls, features_ND: NDArray[np.float32] | NDArray[np.float64]) -> Moments:
        """Moments of the rows."""
        rows = features_ND.astype(np.float64)
        mean = rows.mean(axis=0)
        centred = rows - mean
        return cls(len(rows), mean, centred.T @ centred)

    def __add__(self, other: Moments) -> Moments:
        num = self.num + other.num
        if num == 0:
            return self
        delta = other.mean_D - self.mean_D
        mean = self.mean_D + delta * (other.num / num)
        between = np.outer(delta, delta) * (self.num * other.num / num)
        return Moments(num, mean, self.scatter_DD + other.scatter_DD + between)

    def covariance(self, ddof: int = 1) -> NDArray[np.float64]:
        """Sample covariance (d, d); `ddof` 1 as in numpy.cov and every FID tool, 0 as in StyleGAN's FVD."""
        return self.scatter_DD / (self.num - ddof)


def _joined(left: Mapping[str, ValueT], right: Mapping[str, ValueT]) -> dict[str, ValueT]:
    twice = left.keys() & right.keys()
    if twice:
        raise ValueError(f"measured twice: {', '.join(sorted(twice))}")
    return {**left, **right}
