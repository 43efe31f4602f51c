"""A still portrait, turned upright and scaled so that every face has the same size and place."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .mesh import LEFT_CHEEK, LEFT_EYE, RIGHT_CHEEK, RIGHT_EYE

SIZE = 256
"""Side of the square that is animated, in pixels."""
FACE_WIDTH = 0.47
"""Width of the face between the cheeks, as a part of the square."""
EYES_AT = (0.5, 0.42)
"""Where the middle between the eyes comes to lie, as parts of the square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """A face ready to be animated, with the picture around it."""

    name: str
    image_HW3: NDArray[np.uint8]
    """The square that moves, RGB, `SIZE` pixels a side."""
    scene_HW3: NDArray[np.uint8]
    """The whole frame; the square lies in it at `offset`."""
    offset: tuple[int, int]
    """x, y of the square's corner in the scene."""
    mesh_478_3: NDArray[np.float64]
    """Mesh in pixels of the square."""


def normalise(
    name: str,
    photo_HW3: NDArray[np.uint8],
    mesh_478_3: NDArray[np.float64],
    scene: tuple[int, int] = (SIZE, SIZE),
    offset: tuple[int, int] = (0, 0),
) -> Portrait:
    """Cut the face out of a photo into the place it takes in a frame.

    Args:
        name: identity label.
        photo_HW3: RGB photo.
        mesh_478_3: mesh in pixels of the photo.
        scene: width and height of the frame.
        offset: x, y of the animated square in the frame.
    """
    square_23, scale = upright(mesh_478_3)
    shift = np.array([[0, 0, offset[0]], [0, 0, offset[1]]], dtype=np.float64)
    frame = _sample(photo_HW3, square_23 + shift, scale, scene)
    x, y = offset
    points = mesh_478_3[:, :2] @ square_23[:, :2].T + square_23[:, 2]
    return Portrait(
        name=name,
        image_HW3=np.ascontiguousarray(frame[y : y + SIZE, x : x + SIZE]),
        scene_HW3=frame,
        offset=offset,
        mesh_478_3=np.concatenate([points, mesh_478_3[:, 2:] * scale], axis=1),
    )


def upright(mesh_478_3: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Similarity (2, 3) from the photo to the square, and its scale."""
    xy = mesh_478_3[:, :2]
    left = xy[[LEFT_EYE[0][0], LEFT_EYE[0][-1]]].mean(0)
    right = xy[[RIGHT_EYE[0][0], RIGHT_EYE[0][-1]]].mean(0)
    angle = np.arctan2(right[1] - left[1], right[0] - left[0])
    scale = FACE_WIDTH * SIZE / float(np.linalg.norm(xy[RIGHT_CHEEK] - xy[LEFT_CHEEK]))
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    move = np.array(EYES_AT) * SIZE - turn @ ((left + right) / 2)
    return np.hstack([turn, move[:, None]]), scale


def _sample(
    photo_HW3: NDArray[np.uint8], matrix_23: NDArray[np.float64], scale: float, scene: tuple[int, int]
) -> NDArray[np.uint8]:
    """Warp the photo into the frame; what the photo does not cover is its blurred reflection."""
    matrix = matrix_23.copy()
    photo = photo_HW3
    if scale < 0.7:  # the sampler has no prefilter: shrink by area first, else hair and cloth alias
        photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        matrix[:, :2] /= scale
        matrix[:, 2] += matrix[:, :2] @ np.full(2, (1 - scale) / 2)
    inside = np.full(photo.shape[:2], 255, np.uint8)
    sharp = cv2.warpAffine(photo, matrix, scene, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    cover = cv2.warpAffine(inside, matrix, scene, flags=cv2.INTER_LINEAR)
    outside = cv2.warpAffine(photo, matrix, scene, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    blurred = cv2.GaussianBlur(outside, (0, 0), 14)
    weight = cv2.GaussianBlur(cv2.erode(cover, np.ones((9, 9), np.uint8)), (0, 0), 3)[..., None] / 255.0
    weight = np.where(cover[..., None] > 250, np.maximum(weight, 0.0), 0.0)
    return np.asarray(np.rint(weight * sharp + (1 - weight) * blurred), dtype=np.uint8)
