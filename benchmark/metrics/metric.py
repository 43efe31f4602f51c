"""What a metric is: two functions around a state that adds, and a protocol that names all its choices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected

from ..features import Array, Footage, key_of
from ..intervals import mean_estimate
from ..records import Direction, Estimate, MetricInfo, Protocol, Timing
from ..states import FeatureSets, Values

State = Any
"""`Values` or `FeatureSets`: a sum of the states of single cases."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One video beside its ground truth: same length, same size."""

    key: str
    truth: Footage
    generated: Footage
    timing: Timing | None = None

    def stored(self, name: str, settings: Protocol, make: Callable[[], Array]) -> Array:
        """An array that depends on both videos, from the feature store when it has it."""
        key = key_of(self.truth.identity, self.generated.identity, name, settings.hash)
        return self.truth.store.get(key, name, make)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One column of the table."""

    name: str
    title: str
    unit: str
    direction: Direction
    target: float | None = None
    """The value to be near to, for direction `target`."""
    best: float | None
    """Value of a video that equals its ground truth; None when the metric is not about the picture."""
    protocol: Protocol
    weights: tuple[str, ...] = ()
    """Registry names that must be present; else the metric reads "not measured"."""
    about: str
    """One sentence for a reader of the table."""
    kind: type[Values] | type[FeatureSets] = Values
    measure: Callable[[Pair], State]
    """State of one case. Raises `Rejected` when the case cannot be measured: a failure, never 0."""
    compute: Callable[[State], Estimate]
    """The score of a sum of states."""
    of: Literal["video", "timing"] = "video"

    def info(self) -> MetricInfo:
        """The record that goes into a run."""
        return MetricInfo(
            name=self.name,
            title=self.title,
            unit=self.unit,
            direction=self.direction,
            target=self.target,
            about=self.about,
            protocol=dict(self.protocol.settings),
            protocol_hash=self.protocol.hash,
        )


def per_case(value_of: Callable[[Pair], float]) -> Callable[[Pair], Values]:
    """Make `measure` out of a function that gives one number per case."""
    return lambda pair: Values({pair.key: float(value_of(pair))})


def mean_over_cases(state: Values) -> Estimate:
    """Mean over clips with a bootstrap interval over clips."""
    return mean_estimate(state.ordered())


def mean_of_found(values_N: NDArray[Any], what: str, at_most_missing: float) -> float:
    """Mean of the finite values; `Rejected("no_face")` when more than a share of the frames has none."""
    finite = values_N[np.isfinite(values_N)]
    missing = len(values_N) - len(finite)
    if not len(finite) or missing > at_most_missing * len(values_N):
        raise Rejected(
            "no_face", f"{what}: no face in {missing} of {len(values_N)} frames; look at the video"
        )
    return float(finite.mean(dtype=np.float64))
