"""Where output frames fall between keyframes: the paper's A.5, with an exact total.

Output frame j shows the instants [j, j + 1) / fps and stands at their middle. Its pair is the one whose
interval holds that time, its position t in [0, 1] the fraction of the interval: the frame rate is exact
everywhere and each pair gets frames in proportion to its length. Before the first and after the last keyframe
the nearest keyframe is held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datapipe.records import Seconds

Strategy = Literal["dynamic", "fixed", "random"]


@dataclass(frozen=True, slots=True, eq=False)
class Allocation:
    """For each output frame: the keyframe pair it lies in, and where."""

    pair: NDArray[np.int64]
    """Index of the left keyframe, 0..n-2; (num_frames,)."""
    t: NDArray[np.float32]
    """0 at the left keyframe, 1 at the right one; (num_frames,)."""


def count_frames(duration: Seconds, fps: int) -> int:
    """round(duration * fps), at least one; as `datapipe.media` counts the frames it reads."""
    return max(1, round(duration * fps))


def allocate(
    times: NDArray[np.float64], num_frames: int, fps: int, strategy: Strategy = "dynamic", seed: int = 0
) -> Allocation:
    """Place `num_frames` frames among keyframes at `times` (seconds, not falling, two at least)."""
    if strategy == "dynamic":
        return _by_time(times, (np.arange(num_frames) + 0.5) / fps)
    pairs = len(times) - 1
    counts = _equal(num_frames, pairs) if strategy == "fixed" else _drawn(num_frames, pairs, seed)
    pair = np.repeat(np.arange(pairs), counts)
    t = np.concatenate([np.arange(count) / count for count in counts if count])
    return Allocation(pair=pair, t=t.astype(np.float32))


def _by_time(times: NDArray[np.float64], at: NDArray[np.float64]) -> Allocation:
    pair = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
    length = np.maximum(times[pair + 1] - times[pair], 1e-9)
    t = np.clip((at - times[pair]) / length, 0.0, 1.0)
    return Allocation(pair=pair, t=t.astype(np.float32))


def _equal(total: int, parts: int) -> NDArray[np.int64]:
    edges = np.arange(parts + 1) * total // parts
    return np.diff(edges)


def _drawn(total: int, parts: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).multinomial(total, np.full(parts, 1 / parts))
