"""Faces, landmarks and identities: facexlib's RetinaFace, FAN and ArcFace, and mmpose's RTMPose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from loading import CPU, once

FAN_SIDE, FAN_MARGIN = 256, 1.5
"""FAN's picture, and its side over the longer side of the face."""
ARCFACE_SIDE = 112
RTMPOSE = "face_2d_keypoint/rtmpose/face6/rtmpose-m_8xb256-120e_face6-256x256.py"
WHOLEBODY = "wholebody_2d_keypoint/rtmpose/coco-wholebody/rtmpose-m_8xb64-270e_coco-wholebody-256x192.py"
"""Configurations that come with mmpose."""
FACE_OF_BODY = slice(23, 91)
"""The 68 face points among COCO-WholeBody's 133 (Jin et al. 2020)."""


def detect(values: dict[str, Any], arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Find the faces of `frames_NHW3` with RetinaFace: boxes (M, 4), scores, five points, and whose frame."""
    network = once(DETECTORS[values["network"]], values["weights"]["model"])
    rows, owners = [np.zeros((0, 15), np.float32)], []
    for index, frame in enumerate(arrays["frames_NHW3"]):
        rows.append(network.detect_faces(frame[:, :, ::-1], float(values["min_score"])))
        owners += [index] * len(rows[-1])
    found = np.concatenate(rows).astype(np.float32)
    return {}, {
        "boxes_M4": found[:, :4],
        "scores_M": found[:, 4],
        "points_M52": found[:, 5:].reshape(-1, 5, 2),
        "frames_M": np.array(owners, np.int64),
    }


def landmarks(values: dict[str, Any], arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Locate the landmarks in the face box of each of `frames_NHW3`: (N, K, 2) in pixels, scores (N, K)."""
    locate = LOCATORS[values["network"]]
    pairs = zip(arrays["frames_NHW3"], arrays["boxes_N4"], strict=True)
    found = [locate(values["weights"]["model"], np.ascontiguousarray(f[:, :, ::-1]), box) for f, box in pairs]
    points, scores = zip(*found, strict=True)
    return {}, {
        "points_NK2": np.stack(points).astype(np.float32),
        "scores_NK": np.stack(scores).astype(np.float32),
    }


def embed(values: dict[str, Any], arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Describe the identity of aligned 112 x 112 faces: (N, 512), unit length."""
    network = once(_arcface, values["weights"]["model"])
    faces = torch.from_numpy(arrays["faces_NSS3"].transpose(0, 3, 1, 2).copy())
    vectors = network(faces / 127.5 - 1.0)
    return {}, {"vectors_ND": torch.nn.functional.normalize(vectors).numpy()}


def _face6(weight: Any, frame_HW3: Any, box_4: Any) -> tuple[Any, Any]:
    return _top_down(once(_load_face6, weight), frame_HW3, box_4)


def _wholebody(weight: Any, frame_HW3: Any, box_4: Any) -> tuple[Any, Any]:
    """The network wants the person, of whom the face is known: a body's proportions tell the rest."""
    points, scores = _top_down(once(_load_wholebody, weight), frame_HW3, _person(box_4, frame_HW3))
    return points[FACE_OF_BODY], scores[FACE_OF_BODY]


def _person(box_4: Any, frame_HW3: Any) -> Any:
    """Bound the person below a face: two faces to each side, half a face above, six below; in the picture."""
    (x0, y0, x1, y1), (height, width) = box_4, frame_HW3.shape[:2]
    across, down = x1 - x0, y1 - y0
    box = x0 - 2 * across, y0 - 0.5 * down, x1 + 2 * across, y1 + 6 * down
    return np.clip(box, 0, (width, height, width, height)).astype(np.float32)


def _top_down(network: Any, frame_HW3: Any, box_4: Any) -> tuple[Any, Any]:
    from mmpose.apis import inference_topdown

    found = inference_topdown(network, frame_HW3, np.asarray(box_4, np.float32)[None], "xyxy")[0]
    return found.pred_instances.keypoints[0], found.pred_instances.keypoint_scores[0]


def _fan(weight: Any, frame_HW3: Any, box_4: Any) -> tuple[Any, Any]:
    """FAN tells no scores: they are 1."""
    x0, y0, x1, y1 = (float(side) for side in box_4)
    scale = FAN_SIDE / (FAN_MARGIN * max(x1 - x0, y1 - y0, 1.0))
    shift = np.full(2, FAN_SIDE / 2) - scale * np.array([x0 + x1, y0 + y1]) / 2
    matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    points = once(_load_fan, weight).get_landmarks(cv2.warpAffine(frame_HW3, matrix, (FAN_SIDE, FAN_SIDE)))
    return (points - shift) / scale, np.ones(len(points))


def _load_fan(folder: Path) -> Any:
    from facexlib.alignment import init_alignment_model

    return init_alignment_model("awing_fan", device=CPU, model_rootpath=str(folder))


def _load_face6(folder: Path) -> Any:
    return _rtmpose(RTMPOSE, folder)


def _load_wholebody(folder: Path) -> Any:
    return _rtmpose(WHOLEBODY, folder)


def _rtmpose(config: str, folder: Path) -> Any:
    import mmpose
    from mmpose.apis import init_model

    (checkpoint,) = folder.iterdir()
    path = Path(mmpose.__file__).parent / ".mim" / "configs" / config
    return init_model(str(path), str(checkpoint), device="cpu")


def _retinaface(name: str) -> Callable[[Path], Any]:
    def load(folder: Path) -> Any:
        from facexlib.detection import init_detection_model

        return init_detection_model(name, device=CPU, model_rootpath=str(folder))

    load.__qualname__ = name
    return load


def _arcface(folder: Path) -> Any:
    """As facexlib's own loader, which puts the network on a GPU whatever it is told."""
    from facexlib.recognition.arcface_arch import Backbone

    (file,) = folder.iterdir()
    network = Backbone(num_layers=50, drop_ratio=0.6, mode="ir_se").eval()
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return network


DETECTORS = {name: _retinaface(name) for name in ("retinaface_resnet50", "retinaface_mobile0.25")}
LOCATORS = {"face6": _face6, "wholebody": _wholebody, "awing_fan": _fan}
