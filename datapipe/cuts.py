"""Where a clip cuts to another shot."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .faces import Floats, Image

THUMBNAIL = (32, 18)
"""Width and height at which frames are compared for cuts."""
SAMPLED = 108
"""Rows or columns of a frame that are looked at, at least."""
CUT_CHANGE = 8.0
"""Least mean change of a cut, grey levels; talking heads stay below 4."""
CUT_RATIO, CUT_WINDOW = 4.0, 6
"""A cut exceeds what is usual within so many frames by this factor."""
FLASH = 4
"""Frames on either side that must not show the same picture."""


def scene_cuts(frames_THW3: Image) -> tuple[int, ...]:
    """Find the frames that begin another shot.

    A cut is a change of thumbnails that is large, stands out among its neighbours (as PySceneDetect's
    adaptive detector has it) and lasts: a flash, after which the picture is the same again, is none.
    """
    thumbs_TD = np.stack([_thumbnail(frame) for frame in frames_THW3])
    change_T = np.append(0.0, np.abs(np.diff(thumbs_TD, axis=0)).mean(1))
    return tuple(t for t in range(1, len(change_T)) if _is_cut(thumbs_TD, change_T, t))


def _thumbnail(frame_HW3: Image) -> Floats:
    """Average a frame down; every so many pixels are enough for that, and ten times as fast."""
    step = max(1, min(frame_HW3.shape[:2]) // SAMPLED)
    sampled = np.ascontiguousarray(frame_HW3[::step, ::step])
    return np.asarray(cv2.resize(sampled, THUMBNAIL, interpolation=cv2.INTER_AREA).ravel(), np.float32)


def _is_cut(thumbs_TD: Floats, change_T: NDArray[np.float64], t: int) -> bool:
    around = np.r_[change_T[max(1, t - CUT_WINDOW) : t], change_T[t + 1 : t + 1 + CUT_WINDOW]]
    usual = float(np.percentile(around, 75)) if len(around) else 0.0
    if change_T[t] < max(CUT_CHANGE, CUT_RATIO * usual):
        return False
    before, after = thumbs_TD[max(0, t - FLASH) : t], thumbs_TD[t : t + FLASH]
    nearest = np.abs(before[:, None] - after[None]).mean(-1).min()
    return bool(nearest > 0.5 * change_T[t])
