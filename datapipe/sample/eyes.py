"""Blinks: the skin above the eye is drawn down over it, at eight levels prepared once."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from . import mesh as face

LEVELS = 8
BROW_REACH = 0.8
"""How far up towards the brow the skin stretches."""
OVERLAP = 1.2
"""Pixels by which a closed lid passes the lower one."""

Image = NDArray[np.uint8]
Points = NDArray[np.float64]


def blink_levels(image_HW3: Image, mesh_478_3: Points) -> tuple[Image, ...]:
    """Draw the portrait with its eyes closed by 0, 1/8 ... 8/8."""
    eyes = ((face.LEFT_EYE, face.LEFT_BROW), (face.RIGHT_EYE, face.RIGHT_BROW))
    levels = [image_HW3]
    for level in range(1, LEVELS + 1):
        drawn = image_HW3.copy()
        for lids, brow in eyes:
            _close(drawn, image_HW3, [mesh_478_3[list(line), :2] for line in (*lids, brow)], level / LEVELS)
        levels.append(drawn)
    return tuple(levels)


def _close(drawn: Image, source: Image, lines: list[Points], amount: float) -> None:
    """Close one eye in `drawn`; `lines` are upper lid, lower lid and brow, each from left to right."""
    upper, lower, brow = lines
    x0, x1 = int(np.ceil(upper[0, 0])), int(np.floor(upper[-1, 0])) + 1
    columns = np.arange(x0, x1, dtype=np.float64)
    lid = np.interp(columns, upper[:, 0], upper[:, 1])
    floor = np.interp(columns, lower[:, 0], lower[:, 1]) + OVERLAP
    arch = np.interp(columns, brow[:, 0], brow[:, 1])
    fixed = lid - BROW_REACH * np.maximum(lid - arch, 2.0)
    moved = lid + amount * np.maximum(floor - lid, 0.0)
    y0, y1 = int(fixed.min()), int(np.ceil(moved.max())) + 3
    rows = np.arange(y0, y1, dtype=np.float64)[:, None]
    stretch = (lid - fixed) / np.maximum(moved - fixed, 1e-3)
    from_y = fixed + (rows - fixed) * stretch
    from_x = np.broadcast_to(columns, from_y.shape)
    skin = cv2.remap(source, from_x.astype(np.float32), from_y.astype(np.float32), cv2.INTER_LINEAR)
    weight = np.clip(moved + 0.5 - rows, 0, 1) * np.clip(rows - fixed, 0, 1)
    weight = weight * np.clip(np.minimum(columns - x0 + 0.5, x1 - columns - 0.5) / 2, 0, 1)
    region = drawn[y0:y1, x0:x1]
    drawn[y0:y1, x0:x1] = np.rint(region + weight[..., None] * (skin.astype(np.float64) - region)).astype(
        np.uint8
    )
