"""Inter-frame difference: how much consecutive frames differ, alone and relative to the ground truth.

A frozen picture has no flicker and is no good video, so the number by itself is not ranked: the ratio to
the truth is, and its best value is 1.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected

from ..records import protocol
from .metric import Metric, Pair, mean_over_cases, per_case


def difference_map(frames_THW3: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean over time of |I_t - I_t+1|, averaged over RGB: (H, W) in grey levels; zero for a single frame."""
    total = np.zeros(frames_THW3.shape[1:3])
    for before, after in pairwise(frames_THW3):
        total += cv2.absdiff(before, after).mean(axis=2)
    return total / max(1, len(frames_THW3) - 1)


def _flicker(pair: Pair) -> float:
    return float(difference_map(pair.generated.frames).mean())


def _ratio(pair: Pair) -> float:
    truth = float(difference_map(pair.truth.frames).mean())
    if truth == 0:
        raise Rejected(
            "bad_input", f"{pair.key}: the ground truth never changes, so nothing can be put in ratio to it"
        )
    return _flicker(pair) / truth


FLICKER = Metric(
    name="video/flicker",
    title="inter-frame difference",
    unit="levels",
    direction="target",
    best=None,
    protocol=protocol(difference="mean |I_t - I_t+1| over RGB, pixels, time", scale="0..255"),
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
    protocol=protocol(difference="mean |I_t - I_t+1| over RGB, pixels, time", ratio="to the truth, per clip"),
    about="Inter-frame difference relative to the truth: 1 is right, 0 is a frozen picture.",
    measure=per_case(_ratio),
    compute=mean_over_cases,
)
