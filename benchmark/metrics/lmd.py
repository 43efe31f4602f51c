"""Landmark distance (LMD, Chen et al. 2018, "Lip Movements Generation at a Glance").

Landmarks of the generated and the true frame of the same index, each set moved to its own mean point; the
mean distance of corresponding points, over points and frames. The paper gives pixels; here the unit is a
percent of the true frame's eye distance, so that the size of the picture does not matter. Head size and
turn count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datapipe import faces
from datapipe.records import Rejected

from ..face_features import DETECTOR, LANDMARKS, MOST_MISSING, landmark_rows, landmarks, seen_in
from ..records import protocol
from .metric import Metric, Pair, mean_over_cases, per_case

WHOLE = slice(0, 106)


def landmark_distances(
    truth_NK2: NDArray[np.float32], generated_NK2: NDArray[np.float32], part: slice
) -> NDArray[np.float64]:
    """Mean distance of the points of each frame, (N,), in percent of the true eye distance."""
    truth, generated = (each[:, part].astype(np.float64) for each in (truth_NK2, generated_NK2))
    moved = (generated - generated.mean(axis=1, keepdims=True)) - (truth - truth.mean(axis=1, keepdims=True))
    eyes = np.array([max(faces.eye_distance(points), 1e-6) for points in truth_NK2])
    distances: NDArray[np.float64] = 100 * np.hypot(moved[..., 0], moved[..., 1]).mean(axis=1) / eyes
    return distances


def lmd_mouth(every: int) -> Metric:
    """LMD of the twenty points of the lips."""
    return _metric("mouth", faces.MOUTH, every, "20 points of the lips")


def lmd_face(every: int) -> Metric:
    """LMD of all points."""
    return _metric("face", WHOLE, every, "all 106 points")


def _metric(name: str, part: slice, every: int, points: str) -> Metric:
    def value(pair: Pair) -> float:
        truth, generated = landmarks(pair.truth, every), landmarks(pair.generated, every)
        both = seen_in(truth, f"{pair.key}: ground truth") & seen_in(generated, f"{pair.key}: landmarks")
        if not both.any():
            raise Rejected("no_face", f"{pair.key}: no frame has a face on both sides; look at the video")
        return float(landmark_distances(truth[both], generated[both], part).mean())

    return Metric(
        name=f"video/lmd_{name}",
        title=f"LMD {name}",
        unit="% eye distance",
        direction="lower",
        best=0.0,
        protocol=protocol(
            points=points,
            alignment="mean point of each set, per frame",
            normalisation="eye distance of the true frame",
            landmarks="2d106det in interpolated boxes",
            landmarks_every=every,
            missing_faces_allowed=MOST_MISSING,
            mean="points, frames, then clips",
        ),
        weights=(DETECTOR, LANDMARKS),
        about=f"How far landmarks are from the true frame's ({points}), each set about its own middle.",
        needs=(landmark_rows(every),),
        measure=per_case(value),
        compute=mean_over_cases,
    )
