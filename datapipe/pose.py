"""Where a head looks: angles from landmarks and a small model of a head.

The model is the eleven points of the crop's template with a depth each: the mean mesh of the sample's
frontal portraits, read at those points and mirrored. Zero is facing the camera as that mean face does.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .crop import STABLE_POINTS, TEMPLATE_K2
from .faces import Floats

DEPTH_K = (-0.095, 0.0, 0.0, -0.095, 0.119, 0.119, 0.257, 0.372, 0.515, 0.603, 0.368)
"""How far each point stands out before the eyes, in eye distances."""
MODEL_K3 = np.concatenate([TEMPLATE_K2, -np.array(DEPTH_K)[:, None]], axis=1)
"""x to the viewer's right, y down, z away from the viewer; eye distances."""
DISTANCE = 30.0
"""Between camera and head, in eye distances (1.9 m): nearly parallel rays, as the real lens is unknown."""


def head_angles(landmarks_TK2: Floats) -> NDArray[np.float64]:
    """Measure (T, 3) yaw, pitch and roll in degrees; right, down and clockwise for the viewer are positive.

    Perspective-n-point from eye corners and nose, started at a frontal head.
    """
    return np.stack([_angles(points[list(STABLE_POINTS)]) for points in landmarks_TK2.astype(np.float64)])


def _angles(points_K2: NDArray[np.float64]) -> NDArray[np.float64]:
    spread_px = float(np.linalg.norm(points_K2 - points_K2.mean(0)))
    unit_px = max(spread_px / float(np.linalg.norm(TEMPLATE_K2 - TEMPLATE_K2.mean(0))), 1e-6)
    image_K2 = (points_K2 - points_K2.mean(0)) * DISTANCE / unit_px
    shift = np.append(-MODEL_K3.mean(0)[:2], DISTANCE)
    camera = np.diag([DISTANCE**2, DISTANCE**2, 1.0])
    _, turn, _ = cv2.solvePnP(
        MODEL_K3, image_K2, camera, None, np.zeros(3), shift, True, cv2.SOLVEPNP_ITERATIVE
    )
    matrix, _ = cv2.Rodrigues(turn)
    yaw = np.arcsin(np.clip(matrix[2, 0], -1.0, 1.0))
    pitch = np.arctan2(matrix[2, 1], matrix[2, 2])
    roll = np.arctan2(matrix[1, 0], matrix[0, 0])
    return np.asarray(np.degrees([yaw, pitch, roll]), np.float64)
