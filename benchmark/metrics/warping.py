"""Warping error: what changes from frame to frame when the motion is taken out (Lai et al. 2018).

The next frame is brought back onto this one by optical flow and compared where both see the same surface.
The paper prints a mean square; here it is a mean of absolute levels, as `flicker` is. Motion alone costs
nothing but a residue of the flow, which the truth has too: so what is ranked is the ratio to the truth's own.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected

from ..footage import Array, Footage
from ..records import protocol
from .metric import Metric, Pair, mean_over_cases, per_case

FLOW_SIDE = 128
"""Longest side in pixels at which the flow is computed; frames are compared at their own size."""
CONSISTENCY, CONSISTENCY_FLOOR = 0.01, 0.5
"""Forward and backward flow agree when |f + b|^2 <= 0.01 (|f|^2 + |b|^2) + 0.5 (Sundaram et al. 2010).

The backward flow is read where the forward one leads.
"""
SETTINGS = protocol(
    error="mean |I_t - warped I_t+1| over RGB, visible pixels, time",
    flow=f"DIS, medium preset, on grey frames of longest side {FLOW_SIDE} (area)",
    visible=f"|f + b|^2 <= {CONSISTENCY} (|f|^2 + |b|^2) + {CONSISTENCY_FLOOR} and inside the picture",
    scale="0..255",
    ratio="to the truth's own, per clip",
)


def warping_error(footage: Footage) -> float:
    """Mean error in grey levels; raises `Rejected` for a single frame or when nothing is seen twice."""
    return float(footage.array("warping", SETTINGS.hash, lambda: _errors(footage.frames))[0])


def _errors(frames_THW3: NDArray[np.uint8]) -> Array:
    if len(frames_THW3) < 2:
        raise Rejected("too_short", "a single frame has no next one to warp onto it; leave the clip out")
    total, num_seen = 0.0, 0
    small = [shrunk(frame) for frame in frames_THW3]
    for (before, after), shrunken in zip(pairwise(frames_THW3), pairwise(small), strict=True):
        error, seen = warped_difference(before, after, *flow_between(*shrunken))
        total += float(error[seen].sum(dtype=np.float64))
        num_seen += int(seen.sum())
    if num_seen == 0:
        raise Rejected("bad_input", "no frame shows anything of the one before it; look at the video")
    return np.array([total / num_seen])


def shrunk(frame_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey picture whose longest side is `FLOW_SIDE`."""
    height, width = frame_HW3.shape[:2]
    scale = FLOW_SIDE / max(height, width)
    size = max(16, round(width * scale)), max(16, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    grey: NDArray[np.uint8] = cv2.cvtColor(cv2.resize(frame_HW3, size, interpolation=how), cv2.COLOR_RGB2GRAY)
    return grey


def flow_between(
    before_hw: NDArray[np.uint8], after_hw: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where each pixel of the first picture is in the second, (h, w, 2), and whether the way back agrees."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    forward, backward = method.calc(before_hw, after_hw, None), method.calc(after_hw, before_hw, None)
    back = _warped(backward, forward)
    limit = CONSISTENCY * ((forward**2).sum(2) + (back**2).sum(2)) + CONSISTENCY_FLOOR
    return forward, ((forward + back) ** 2).sum(2) <= limit


def warped_difference(
    before_HW3: NDArray[np.uint8],
    after_HW3: NDArray[np.uint8],
    flow_hw2: NDArray[np.float32],
    visible_hw: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Levels (H, W) by which the second picture, brought onto the first, differs; and where that counts."""
    height, width = before_HW3.shape[:2]
    stretch = np.array([width / flow_hw2.shape[1], height / flow_hw2.shape[0]], np.float32)
    flow = cv2.resize(flow_hw2, (width, height), interpolation=cv2.INTER_LINEAR) * stretch
    visible = cv2.resize(visible_hw.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    x, y = _places(flow)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    difference = cv2.absdiff(_warped(after_HW3, flow), before_HW3).mean(axis=2)
    return difference, visible & inside


def _places(flow_HW2: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    height, width = flow_HW2.shape[:2]
    x = np.arange(width, dtype=np.float32)[None] + flow_HW2[..., 0]
    return x, np.arange(height, dtype=np.float32)[:, None] + flow_HW2[..., 1]


def _warped(image: Array, flow_HW2: NDArray[np.float32]) -> Array:
    warped: Array = cv2.remap(image, *_places(flow_HW2), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return warped


def _ratio(pair: Pair) -> float:
    truth = warping_error(pair.truth)
    if truth == 0:
        raise Rejected(
            "bad_input", f"{pair.key}: the ground truth never changes, so it has no ratio; leave the clip out"
        )
    return warping_error(pair.generated) / truth


METRIC = Metric(
    name="video/warping_error",
    title="warping error / truth",
    unit="",
    direction="target",
    target=1.0,
    best=1.0,
    protocol=SETTINGS,
    about="Change from frame to frame that motion does not explain, relative to the truth: 1 is right.",
    measure=per_case(_ratio),
    compute=mean_over_cases,
)
