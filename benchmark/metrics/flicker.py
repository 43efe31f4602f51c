"""Inter-frame difference: how much consecutive frames differ, alone and beside the ground truth.

A frozen picture has no flicker and is no good video, so the number by itself is not ranked: the ratio to
the truth is, and its best value is 1; and so is how far the map of differences is from the truth's.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected

from ..footage import Footage
from ..records import protocol
from .metric import Metric, Pair, mean_over_cases, per_case

DIFFERENCE = "mean |I_t - I_t+1| over RGB, pixels, time"


def difference_map(frames_THW3: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean over time of |I_t - I_t+1|, averaged over RGB: (H, W) in grey levels; zero for a single frame."""
    total = np.zeros(frames_THW3.shape[1:3])
    for before, after in pairwise(frames_THW3):
        total += cv2.absdiff(before, after).mean(axis=2)
    return total / max(1, len(frames_THW3) - 1)


def difference_map_of(footage: Footage) -> NDArray[np.float64]:
    """The map of a video, kept for the next metric and the next system."""
    if len(footage.frames) < 2:
        raise Rejected("too_short", "a single frame has no difference to a next one; leave the clip out")
    if "differences" not in footage.towers:
        footage.towers["differences"] = difference_map(footage.frames)
    return cast(NDArray[np.float64], footage.towers["differences"])


def _flicker(pair: Pair) -> float:
    return float(difference_map_of(pair.generated).mean())


def _ratio(pair: Pair) -> float:
    truth = float(difference_map_of(pair.truth).mean())
    if truth == 0:
        raise Rejected(
            "bad_input", f"{pair.key}: the ground truth never changes, so it has no ratio; leave the clip out"
        )
    return _flicker(pair) / truth


def _map_distance(pair: Pair) -> float:
    return float(np.abs(difference_map_of(pair.generated) - difference_map_of(pair.truth)).mean())


FLICKER = Metric(
    name="video/flicker",
    title="inter-frame difference",
    unit="levels",
    direction="target",
    best=None,
    protocol=protocol(difference=DIFFERENCE, scale="0..255"),
    about="Mean change from frame to frame; read it beside the ground truth's.",
    measure=per_case(_flicker),
    compute=mean_over_cases,
)
RATIO = Metric(
    name="video/flicker_ratio",
    title="difference / truth",
    unit="",
    direction="target",
    target=1.0,
    best=1.0,
    protocol=protocol(difference=DIFFERENCE, ratio="to the truth, per clip"),
    about="Inter-frame difference relative to the truth: 1 is right, 0 is a frozen picture.",
    measure=per_case(_ratio),
    compute=mean_over_cases,
)
MAP_L1 = Metric(
    name="video/flicker_map_l1",
    title="difference map L1",
    unit="levels",
    direction="lower",
    best=0.0,
    protocol=protocol(
        map="mean |I_t - I_t+1| over RGB and time, per pixel",
        distance="mean absolute difference to the truth's map, over pixels",
        scale="0..255",
    ),
    about="How far the map of inter-frame differences is from the truth's: what moves or flickers where.",
    symmetric=True,
    measure=per_case(_map_distance),
    compute=mean_over_cases,
)
