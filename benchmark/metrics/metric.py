"""What a metric is: two functions around a state that adds, and a protocol that names all its choices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected

from ..extract import Extractor
from ..footage import Array, Footage, key_of
from ..intervals import mean_estimate
from ..records import Direction, Estimate, MetricInfo, Protocol, Timing, protocol
from ..states import FeatureSets, Values

State = Any
"""`Values` or `FeatureSets`: a sum of the states of single cases."""
Namespace = Literal["video", "keyframe"]
"""`video`: the free-running result. `keyframe`: pictures made one by one from the true past."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One video beside its ground truth: same length, same size."""

    key: str
    truth: Footage
    generated: Footage
    timing: Timing | None = None
    language: str | None = None
    """`zh` or `en`, when the case says so."""

    def stored(self, name: str, settings: Protocol, make: Callable[[], Array]) -> Array:
        """An array that depends on both videos, from the feature store when it has it."""
        key = key_of(self.truth.picture, self.generated.picture, name, settings.hash)
        return self.truth.store.get(key, name, make)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One column of the table."""

    name: str
    """Namespace and name, such as `video/psnr`."""
    title: str
    unit: str
    direction: Direction
    target: float | None = None
    """The value to be near to, for direction `target`."""
    best: float | None
    """Value of a video that equals its ground truth; None when the metric is not about the picture."""
    as_printed: Direction | None = None
    """The arrow that papers print, where it contradicts the definition; ranking goes by `direction`."""
    protocol: Protocol
    weights: tuple[str, ...] = ()
    """Registry names that must be present; else the metric reads "not measured"."""
    unavailable: str = ""
    """Why nobody can measure it here, when it rests on something that no registry carries."""
    about: str
    """One sentence for a reader of the table."""
    symmetric: bool = False
    """Whether generated and true video may change places."""
    needs: tuple[Extractor, ...] = ()
    """Rows that `measure` works on, and on nothing else, extracted in shared batches: of both videos, or only
    of the generated one when the metric is about sound."""
    kind: type[Values] | type[FeatureSets] = Values
    measure: Callable[[Pair], State]
    """State of one case. Raises `Rejected` when the case cannot be measured: a failure, never 0."""
    compute: Callable[[State], Estimate]
    """The score of a sum of states."""
    of: Literal["video", "timing", "sound"] = "video"
    """`sound`: how the pictures follow the sound; the ground truth has a score of its own."""

    @property
    def namespace(self) -> Namespace:
        """What kind of output the metric is about."""
        return "keyframe" if self.name.startswith("keyframe/") else "video"

    def info(self, **settings: str | int | float | bool) -> MetricInfo:
        """The record that goes into a run; `settings` of the run become part of the protocol."""
        full = protocol(**dict(self.protocol.settings), **settings)
        return MetricInfo(
            name=self.name,
            title=self.title,
            unit=self.unit,
            direction=self.direction,
            target=self.target,
            as_printed=self.as_printed,
            about=self.about,
            protocol=dict(full.settings),
            protocol_hash=full.hash,
        )


def for_keyframes(metric: Metric) -> Metric:
    """The same metric over teacher-forced keyframes; never in a column with its free-running twin."""
    return replace(
        metric,
        name=metric.name.replace("video/", "keyframe/", 1),
        title=f"keyframe {metric.title}",
        protocol=protocol(**dict(metric.protocol.settings), pictures="teacher-forced keyframes"),
        about=f"{metric.about} Over single keyframes, each made from the true past.",
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
