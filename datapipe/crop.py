"""Put a face into a square, in one of three ways that all start from the same landmarks.

`pose` (AvatarSync's pose-driven landmark crop): eyes at 38 % of the height, chin near 90 %, mouth free to
move. The transform is fitted to points that speech does not move (eye corners and nose), then smoothed over
time, so that opening the mouth cannot push the picture about. `face` (its ablation, face-centric cropping)
centres the face's box in every frame, whatever moves it. `union` (HDTF, FOMM) is one window for the whole
clip, in which the head moves. The same framing serves still pictures, so a reference photo fits the videos
a generator learned from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from .faces import NOSE_BRIDGE, FaceConfig, Floats, Image, detect, landmarks, similarity
from .records import Rejected

STABLE_POINTS = (35, 39, 89, 93, 75, 81, 72, 73, 74, 86, 80)
"""Landmarks that stay while speaking: eye corners, nose root, bridge, tip and base."""
TEMPLATE_K2 = np.array(
    [
        [-0.714, 0.008], [-0.280, 0.038], [0.280, 0.038], [0.714, 0.008], [-0.157, 0.038], [0.157, 0.038],
        [0.0, -0.039], [0.0, 0.153], [0.0, 0.345], [0.0, 0.536], [0.0, 0.728],
    ]
)  # fmt: skip
"""Their mean places over nine portraits, mirrored; unit: eye distance, origin between the eyes."""
MIRROR_POINT = NOSE_BRIDGE[2]
"""The chin mirrored about it is where the forehead ends (MuseTalk `preprocessing.py`: point 29 of 68)."""


FFHQ_POINTS_52 = np.array(
    [[192.98138, 239.94708], [318.90277, 240.1936], [256.63416, 314.01935], [201.26117, 371.41043],
     [313.08905, 371.15118]]
)  # fmt: skip
"""Where eyes, nose and corners of the mouth lie in FFHQ's 512 px faces (facexlib `FaceRestoreHelper`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CropConfig:
    """Framing and steadiness of the face crop."""

    mode: Literal["pose", "face", "union"] = "pose"
    """pose: turned and scaled by eyes and nose, smoothed. face: a square around the face, frame by frame.
    union: one square around all faces of the clip."""
    size: int = 128
    """Side of the square in pixels (even)."""
    eyes_at: float = 0.38
    """Height of the eye line, as a part of the side (pose)."""
    eye_distance: float = 0.29
    """Distance between the eyes' centres, as a part of the side; puts a resting chin at 0.885
    (pose)."""
    smooth_shift: float = 3.0
    """Standard deviation in frames of the smoothing of the crop's place; 0 follows every frame (pose)."""
    smooth_shape: float = 8.0
    """The same for its scale and turn, which a head changes more slowly (pose)."""
    margin: float = 1.2
    """Side of the square over the longer side of the face, or of the union of faces (face, union)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cropped:
    """The face crop of every frame of a clip."""

    frames_THW3: Image
    matrices_T23: NDArray[np.float64]
    """Maps from source pixels to crop pixels."""
    landmarks_TK2: Floats
    """In pixels of the crop."""


def crop_face(frames_THW3: Image, landmarks_TK2: Floats, config: CropConfig = CropConfig()) -> Cropped:
    """Cut the face that the landmarks (source pixels) outline out of every frame."""
    matrices_T23 = fit_matrices(landmarks_TK2, config)
    return Cropped(
        frames_THW3=crop_frames(frames_THW3, matrices_T23, config.size),
        matrices_T23=matrices_T23,
        landmarks_TK2=to_crop(landmarks_TK2, matrices_T23),
    )


def fit_matrices(landmarks_TK2: Floats, config: CropConfig = CropConfig()) -> NDArray[np.float64]:
    """Find the (T, 2, 3) maps from source pixels to crop pixels, by the config's mode."""
    if config.mode == "pose":
        return _follow_pose(landmarks_TK2, config)
    boxes_T4 = np.stack([_face_box(points) for points in landmarks_TK2])
    if config.mode == "union":
        low_4, high_4 = boxes_T4.min(0), boxes_T4.max(0)
        boxes_T4 = np.repeat([[*low_4[:2], *high_4[2:]]], len(boxes_T4), axis=0)
    return np.stack([_frame_box(box, config) for box in boxes_T4])


def ffhq_matrix(points_52: Floats) -> NDArray[np.float64]:
    """Find the (2, 3) map from a picture to the 512 px square that face restoration reads.

    The least median of squares, as facexlib fits it: one of five points may be off. Raises
    `Rejected("no_face")` when the points are no face (all in one place).
    """
    matrix_23, _ = cv2.estimateAffinePartial2D(points_52.astype(np.float64), FFHQ_POINTS_52, method=cv2.LMEDS)
    if matrix_23 is None:
        raise Rejected("no_face", "the five points of a face lie in one place; look at its landmarks")
    return np.asarray(matrix_23, np.float64)


def describe(config: CropConfig) -> str:
    """Say in words how the crop was framed."""
    if config.mode == "pose":
        return f"pose: eyes at {config.eyes_at:.2f}, {config.eye_distance:.2f} of the side apart"
    return f"{config.mode}: {config.margin:.2f} times the face"


def warp(image_HW3: Image, matrix_23: NDArray[Any], size: int) -> Image:
    """Cut one (size, size, 3) crop; mirrored beyond the border, averaged where it shrinks."""
    scale = float(np.hypot(matrix_23[0, 0], matrix_23[1, 0]))
    if scale < 0.75:  # bilinear sampling would alias: blur to what the crop can hold
        spread = 0.5 * float(np.sqrt(1.0 / scale**2 - 1.0))
        image_HW3 = _blurred(image_HW3, spread, _seen_by(matrix_23, size))
    interpolation = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    cropped = cv2.warpAffine(
        image_HW3, np.asarray(matrix_23), (size, size), flags=interpolation, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(cropped, np.uint8)


def _seen_by(matrix_23: NDArray[Any], size: int) -> tuple[int, int, int, int]:
    """Bound the source pixels that a crop samples: (x0, y0, x1, y1), the last ones exclusive."""
    corners_42 = np.array([[0.0, 0.0], [size, 0.0], [0.0, size], [size, size]])
    seen_42 = _apply(_inverse(np.asarray(matrix_23, np.float64)), corners_42)
    (x0, y0), (x1, y1) = np.floor(seen_42.min(0)) - 2, np.ceil(seen_42.max(0)) + 3
    return int(x0), int(y0), int(x1), int(y1)


def _blurred(image_HW3: Image, spread: float, window: tuple[int, int, int, int]) -> Image:
    """Blur a picture where a crop looks; all of it when the crop looks beyond the border, into the mirror."""
    height, width = image_HW3.shape[:2]
    x0, y0, x1, y1 = window
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        return np.asarray(cv2.GaussianBlur(image_HW3, (0, 0), spread), np.uint8)
    reach = int(np.ceil(3 * spread)) + 2  # OpenCV's kernel for 8 bit ends at three standard deviations
    left, top = max(0, x0 - reach), max(0, y0 - reach)
    part = cv2.GaussianBlur(image_HW3[top : y1 + reach, left : x1 + reach], (0, 0), spread)
    result = np.empty_like(image_HW3)
    result[y0:y1, x0:x1] = part[y0 - top : y1 - top, x0 - left : x1 - left]
    return result


def crop_frames(frames_THW3: Image, matrices_T23: NDArray[Any], size: int) -> Image:
    """Cut the crop of every frame: (T, size, size, 3)."""
    pairs = zip(frames_THW3, matrices_T23, strict=True)
    return np.stack([warp(frame, matrix, size) for frame, matrix in pairs])


Choice = Literal["only", "largest"]
BYSTANDER = 0.3
"""A face smaller than this part of the largest is background."""


def crop_image(
    image_HW3: Image, size: int, config: CropConfig = CropConfig(), choice: Choice = "largest"
) -> Image:
    """Cut the crop of a still picture, framed as the videos are: (size, size, 3).

    Raises `Rejected`: no_face when the picture shows none, bad_input when it shows several and `choice` is
    `only`.
    """
    found = detect(image_HW3, FaceConfig())
    if not found:
        raise Rejected(
            "no_face", "no face was found in the picture; give one that shows a face from the front"
        )
    largest = max(face.size for face in found)
    count = sum(face.size >= BYSTANDER * largest for face in found)
    if choice == "only" and count > 1:
        raise Rejected(
            "bad_input",
            f"the picture shows {count} faces; crop it to one, or take the largest: --face largest",
        )
    points_K2 = landmarks(image_HW3, max(found, key=lambda face: face.size * face.score))
    return warp(image_HW3, fit_matrices(points_K2[None], replace(config, size=size))[0], size)


def to_crop(points_TK2: Floats, matrices_T23: NDArray[Any]) -> Floats:
    """Move points from source pixels to crop pixels."""
    moved = [_apply(matrix, points) for points, matrix in zip(points_TK2, matrices_T23, strict=True)]
    return np.stack(moved).astype(np.float32)


def to_source(points_TK2: Floats, matrices_T23: NDArray[Any]) -> Floats:
    """Move points from crop pixels back to source pixels."""
    return to_crop(points_TK2, np.stack([_inverse(matrix) for matrix in matrices_T23]))


def _follow_pose(landmarks_TK2: Floats, config: CropConfig) -> NDArray[np.float64]:
    target_K2 = _template(config)
    centre = target_K2.mean(0)
    raw_T23 = np.stack([similarity(points[list(STABLE_POINTS)], target_K2) for points in landmarks_TK2])
    # what is smoothed: log scale and turn, and where in the source the crop's centre looks
    turn_T = np.log(raw_T23[:, 0, 0] + 1j * raw_T23[:, 1, 0])
    look_T2 = np.stack([_apply(_inverse(matrix), centre[None])[0] for matrix in raw_T23])
    scale_T = np.exp(_smooth(turn_T.real, config.smooth_shape))
    angle_T = _smooth(np.unwrap(turn_T.imag), config.smooth_shape)
    look_T2 = _smooth(look_T2, config.smooth_shift)
    return np.stack([_around(*each, centre) for each in zip(scale_T, angle_T, look_T2, strict=True)])


def _face_box(points_K2: Floats) -> NDArray[np.float64]:
    """Bound a face from forehead to chin: (x0, y0, x1, y1), pixels."""
    (x0, y0), (x1, y1) = points_K2.min(0), points_K2.max(0)
    return np.array([x0, min(y0, 2 * points_K2[MIRROR_POINT, 1] - y1), x1, y1], np.float64)


def _frame_box(box_4: NDArray[np.float64], config: CropConfig) -> NDArray[np.float64]:
    """Map the square around a box, `margin` times its longer side, to the crop."""
    side = max(config.margin * float(max(box_4[2] - box_4[0], box_4[3] - box_4[1])), 1.0)
    look_2, centre_2 = (box_4[:2] + box_4[2:]) / 2, np.full(2, (config.size - 1) / 2)
    return _around(config.size / side, 0.0, look_2, centre_2)


def _template(config: CropConfig) -> NDArray[np.float64]:
    placed_K2 = config.eye_distance * TEMPLATE_K2 + np.array([0.5, config.eyes_at])
    return np.asarray(config.size * placed_K2 - 0.5)


def _smooth(values_T: NDArray[Any], spread: float) -> NDArray[np.float64]:
    values_T = np.asarray(values_T, np.float64)
    if spread <= 0:
        return values_T
    return np.asarray(gaussian_filter1d(values_T, spread, axis=0, mode="nearest"), np.float64)


def _around(
    scale: float, angle: float, look_2: NDArray[np.float64], centre_2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compose the map that scales and turns about `look_2` and puts it at `centre_2`."""
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.concatenate([linear, (centre_2 - linear @ look_2)[:, None]], axis=1)


def _apply(matrix_23: NDArray[Any], points_K2: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(points_K2 @ matrix_23[:, :2].T + matrix_23[:, 2], np.float64)


def _inverse(matrix_23: NDArray[Any]) -> NDArray[np.float64]:
    linear = np.linalg.inv(matrix_23[:, :2])
    return np.concatenate([linear, -(linear @ matrix_23[:, 2])[:, None]], axis=1)
