"""Find faces, their 106 landmarks and their identity, with small ONNX networks on one thread.

Detector: SCRFD-500M (Guo et al. 2021). Landmarks: insightface `2d106det`, which takes raw RGB 0-255 and
a square of 1.5 times the box. Identity: ArcFace MobileFaceNet (`w600k_mbf`), aligned by five points.
Faces and landmarks may come of a named package instead (`vision`); their order stays insightface's.
Points are named from the viewer's side: the left eye is the one at the left of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from . import vision
from .records import Box, Rejected
from .weights import resolve

CHIN = 0
LEFT_EYE = slice(33, 43)
RIGHT_EYE = slice(87, 97)
LEFT_EYE_CORNERS = (35, 39)
RIGHT_EYE_CORNERS = (89, 93)
LEFT_BROW = slice(43, 52)
RIGHT_BROW = slice(97, 106)
NOSE_BRIDGE = (72, 73, 74)
NOSE_TIP = 86
NOSE_BASE = 80
MOUTH_CORNERS = (52, 61)
INNER_LIPS_UPPER = (66, 62, 70)
INNER_LIPS_LOWER = (54, 60, 57)
OUTER_LIPS = (52, 64, 63, 71, 67, 68, 61, 58, 59, 53, 56, 55)
"""Clockwise from the left corner."""
INNER_LIPS = (65, 66, 62, 70, 69, 57, 60, 54)
"""Clockwise from the left corner."""
MOUTH = slice(52, 72)

ARCFACE_POINTS_52 = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    np.float32,
)
"""Where the five points go in the 112 px picture that ArcFace reads (insightface `face_align`)."""
LANDMARK_SIDE, IDENTITY_SIDE = 192, 112
STRIDES, ANCHORS = (8, 16, 32), 2
OVERLAP_LIMIT = 0.4

Device = Literal["cpu", "cuda"]
PROVIDERS: dict[Device, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceConfig:
    """How faces are searched for, and by whom."""

    finder: Literal["scrfd", "retinaface-mobilenet", "retinaface-resnet50"] = "scrfd"
    """Who finds faces: SCRFD in core, or facexlib's RetinaFace (needs `avatarsync tools create vision`)."""
    landmarks: Literal["2d106det", "mmpose-face6", "mmpose-wholebody", "facexlib"] = "2d106det"
    """Who locates landmarks: insightface in core; mmpose's RTMPose, 106 points of the face or the face's 68
    of a body's 133; or facexlib's FAN, 98 points. All but the first need `avatarsync tools create vision`."""
    detector_size: int = 320
    """Longest side in pixels at which the detector looks first."""
    detector_size_small: int = 800
    """Second look, for faces that are tiny in the picture; 0 leaves it out."""
    look_closer: bool = True
    """Third look with the picture shrunk inside a border, for faces that fill it."""
    min_score: float = 0.5
    """Detections below this confidence do not count."""
    threads: int = 1
    """Threads within one network; one per process, because the pipeline runs one process per core."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Face:
    """One detection, in pixels of the picture it was found in."""

    box: Box
    score: float
    points_52: Floats
    """Left eye, right eye, nose, left and right mouth corner."""

    @property
    def size(self) -> float:
        """Longer side of the box in pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


@cache
def session(name: str, threads: int = 1, device: Device = "cpu") -> Any:
    """Load a registry network once per process; inputs go by the network's own names.

    Raises `Rejected("missing_device")` where the device cannot be used: a GPU is never replaced by the CPU.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    provider = PROVIDERS[device]
    missing = Rejected(
        "missing_device",
        f"`{name}` shall run on {device}, which onnxruntime cannot use here; install onnxruntime-gpu "
        "and its CUDA libraries, or choose the device cpu",
    )
    if provider not in onnxruntime.get_available_providers():
        raise missing
    loaded = onnxruntime.InferenceSession(str(resolve(name)), options, providers=[provider])
    if loaded.get_providers()[0] != provider:  # a provider that fails to start is replaced without a word
        raise missing
    return loaded


def detect(image_HW3: Image, config: FaceConfig = FaceConfig()) -> tuple[Face, ...]:
    """Find the faces of an RGB picture, best score first; empty when there is none.

    Raises `Rejected`: what the finder's weights or its environment lack.
    """
    if config.finder != "scrfd":
        return vision.find_faces(image_HW3, config)
    longest = max(image_HW3.shape[:2])
    found = _look(image_HW3, config, config.detector_size, 1.0)
    if not found and config.detector_size_small > config.detector_size and longest > config.detector_size:
        found = _look(image_HW3, config, config.detector_size_small, 1.0)
    if not found and config.look_closer:
        found = _look(image_HW3, config, config.detector_size, 0.5)
    return found


def landmarks(image_HW3: Image, face: Face, config: FaceConfig = FaceConfig()) -> Floats:
    """Locate the (106, 2) landmarks of a face, in pixels of the picture."""
    return landmarks_in_box(image_HW3, face.box, config)


def landmarks_in_box(image_HW3: Image, box: Box, config: FaceConfig = FaceConfig()) -> Floats:
    """Locate the (106, 2) landmarks of the face that a box holds."""
    found: Floats = landmarks_in_boxes(image_HW3[None], np.array([box]), config)[0]
    return found


def landmarks_in_boxes(
    frames_THW3: Image, boxes_T4: NDArray[Any], config: FaceConfig = FaceConfig()
) -> Floats:
    """Locate the landmarks of the face that a box holds in each frame: (T, 106, 2).

    Raises `Rejected`: what the network's weights or its environment lack.
    """
    if config.landmarks != "2d106det":
        return vision.locate(frames_THW3, boxes_T4, config)
    pairs = zip(frames_THW3, boxes_T4, strict=True)
    return np.stack([_by_2d106det(frame, box, config.threads) for frame, box in pairs])


def _by_2d106det(image_HW3: Image, box: NDArray[Any], threads: int) -> Floats:
    scale = LANDMARK_SIDE / (1.5 * max(box[2] - box[0], box[3] - box[1], 1.0))
    shift = LANDMARK_SIDE / 2 - scale * np.array([box[0] + box[2], box[1] + box[3]]) / 2
    matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    picture = cv2.warpAffine(image_HW3, matrix, (LANDMARK_SIDE, LANDMARK_SIDE))
    batch = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)
    raw = session("2d106det", threads).run(None, {"data": batch})[0].reshape(106, 2)
    found: Floats = (((raw + 1) * (LANDMARK_SIDE / 2) - shift) / scale).astype(np.float32)
    return found


def embed(image_HW3: Image, face: Face, config: FaceConfig = FaceConfig()) -> Floats:
    """Describe the identity of a face: (512,) of unit length; the dot product of two is their cosine."""
    matrix = similarity(face.points_52, ARCFACE_POINTS_52)
    picture = cv2.warpAffine(image_HW3, matrix, (IDENTITY_SIDE, IDENTITY_SIDE))
    batch = ((picture.astype(np.float32) - 127.5) / 127.5).transpose(2, 0, 1)[None]
    network = session("w600k-mbf", config.threads)
    vector = network.run(None, {network.get_inputs()[0].name: np.ascontiguousarray(batch)})[0][0]
    unit: Floats = (vector / np.linalg.norm(vector)).astype(np.float32)
    return unit


def similarity(source_K2: NDArray[Any], target_K2: NDArray[Any]) -> NDArray[np.float64]:
    """Fit rotation, one scale and shift by least squares (Umeyama 1991, without mirroring); (2, 3)."""
    source = np.asarray(source_K2, np.float64)
    target = np.asarray(target_K2, np.float64)
    a, b = source - source.mean(0), target - target.mean(0)
    # as complex numbers the best turn-and-scale is one quotient
    turn = np.vdot(a @ [1, 1j], b @ [1, 1j]) / np.vdot(a @ [1, 1j], a @ [1, 1j])
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.concatenate([linear, (target.mean(0) - linear @ source.mean(0))[:, None]], axis=1)


def face_of(landmarks_106_2: Floats, score: float = 1.0) -> Face:
    """Make a face record of landmarks alone, so that `embed` can be used without detecting again."""
    points = np.stack(
        [
            landmarks_106_2[LEFT_EYE].mean(0),
            landmarks_106_2[RIGHT_EYE].mean(0),
            landmarks_106_2[NOSE_TIP],
            landmarks_106_2[MOUTH_CORNERS[0]],
            landmarks_106_2[MOUTH_CORNERS[1]],
        ]
    )
    (x0, y0), (x1, y1) = landmarks_106_2.min(0), landmarks_106_2.max(0)
    box = (float(x0), float(y0), float(x1), float(y1))
    return Face(box=box, score=score, points_52=points.astype(np.float32))


def eye_distance(landmarks_106_2: NDArray[Any]) -> float:
    """Measure the distance between the eyes' centres in pixels."""
    between = landmarks_106_2[RIGHT_EYE].mean(0) - landmarks_106_2[LEFT_EYE].mean(0)
    return float(np.hypot(*between))


def mouth_opening(landmarks_106_2: NDArray[Any]) -> float:
    """Measure how far the inner lips are apart, in eye distances; the mean of three pairs of points."""
    gaps = landmarks_106_2[list(INNER_LIPS_LOWER)] - landmarks_106_2[list(INNER_LIPS_UPPER)]
    return float(np.hypot(gaps[:, 0], gaps[:, 1]).mean() / max(eye_distance(landmarks_106_2), 1e-6))


def openings(landmarks_TK2: Floats) -> Floats:
    """Measure the mouth opening of every frame: (T,), eye distances."""
    return np.array([mouth_opening(points) for points in landmarks_TK2], np.float32)


def mouth_box(landmarks_106_2: NDArray[Any], size: int) -> Box:
    """Bound the mouth region, lips and a margin of a quarter eye distance, inside a size x size picture."""
    lips = landmarks_106_2[MOUTH]
    margin = 0.25 * eye_distance(landmarks_106_2)
    (x0, y0), (x1, y1) = lips.min(0) - margin, lips.max(0) + margin
    low, high = 0.0, float(size)
    return (max(low, float(x0)), max(low, float(y0)), min(high, float(x1)), min(high, float(y1)))


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def _look(image_HW3: Image, config: FaceConfig, side: int, fill: float) -> tuple[Face, ...]:
    """Run the detector once on the picture, scaled to `fill` of a square canvas of `side` pixels."""
    height, width = image_HW3.shape[:2]
    scale = side * fill / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    offset = np.array([(side - size[0]) // 2, (side - size[1]) // 2]) if fill < 1 else np.zeros(2, int)
    canvas = np.zeros((side, side, 3), np.float32)
    canvas[offset[1] : offset[1] + size[1], offset[0] : offset[0] + size[0]] = (small - 127.5) / 128.0
    batch = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None])
    outputs = session("scrfd-500m", config.threads).run(None, {"input.1": batch})
    boxes_N4, scores_N, points_N52 = _decode(outputs, side, config.min_score)
    boxes_N4 = (boxes_N4 - np.tile(offset, 2)) / scale
    points_N52 = (points_N52 - offset) / scale
    return tuple(
        Face(
            box=tuple(float(v) for v in boxes_N4[i]),  # type: ignore[arg-type]
            score=float(scores_N[i]),
            points_52=points_N52[i].astype(np.float32),
        )
        for i in _suppress(boxes_N4, scores_N)
    )


def _decode(outputs: list[Any], side: int, min_score: float) -> tuple[Floats, Floats, Floats]:
    """Turn the nine feature maps (scores, distances to box sides, points; strides 8, 16, 32) into boxes."""
    boxes, scores, points = [], [], []
    for level, stride in enumerate(STRIDES):
        score_N = outputs[level].reshape(-1)
        keep = np.flatnonzero(score_N > min_score)
        cells = keep // ANCHORS
        centre_N2 = np.stack([cells % (side // stride), cells // (side // stride)], 1) * float(stride)
        reach_N4 = outputs[level + 3].reshape(-1, 4)[keep] * stride
        boxes.append(np.concatenate([centre_N2 - reach_N4[:, :2], centre_N2 + reach_N4[:, 2:]], 1))
        points.append(outputs[level + 6].reshape(-1, 5, 2)[keep] * stride + centre_N2[:, None])
        scores.append(score_N[keep])
    return np.concatenate(boxes), np.concatenate(scores), np.concatenate(points)


def _suppress(boxes_N4: Floats, scores_N: Floats) -> list[int]:
    """Keep the best of boxes that overlap; best first."""
    kept: list[int] = []
    boxes = [tuple(float(v) for v in box) for box in boxes_N4]
    for i in np.argsort(-scores_N, kind="stable"):
        if all(overlap(boxes[i], boxes[j]) < OVERLAP_LIMIT for j in kept):  # type: ignore[arg-type]
            kept.append(int(i))
    return kept
