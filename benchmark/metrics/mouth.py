"""Two metrics of the mouth: PSNR of its region, and how its opening follows the truth over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datapipe import faces
from datapipe.records import Rejected

from ..face_features import DETECTOR, LANDMARKS, landmarks
from ..records import protocol
from .metric import Metric, Pair, mean_over_cases, per_case
from .psnr import BEST, psnr_frames

AT_MOST_MISSING = 0.1
STILL = 1e-6
"""Openings that vary by less (in eye distances) do not move."""


def mouth_region(landmarks_TK2: NDArray[np.float32], height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of the mouth: the union of the mouth boxes over the frames, inside the picture."""
    seen = landmarks_TK2[np.isfinite(landmarks_TK2[:, 0, 0])]
    if not len(seen):
        raise Rejected(
            "no_face", "the ground truth shows no face, so there is no mouth region; leave the clip out"
        )
    boxes = np.array([faces.mouth_box(points, min(height, width)) for points in seen])
    x0, y0 = np.floor(boxes[:, :2].min(axis=0)).astype(int).clip(0)
    x1, y1 = np.ceil(boxes[:, 2:].max(axis=0)).astype(int)
    return slice(int(y0), min(int(y1), height)), slice(int(x0), min(int(x1), width))


def mouth_psnr(every: int) -> Metric:
    """PSNR of a box that is fixed per clip and comes from the ground truth's landmarks alone."""

    def value(pair: Pair) -> float:
        """PSNR of the clip's box."""
        _, height, width, _ = pair.truth.frames.shape
        rows, columns = mouth_region(landmarks(pair.truth, every), height, width)
        return float(
            psnr_frames(pair.generated.frames[:, rows, columns], pair.truth.frames[:, rows, columns]).mean()
        )

    return Metric(
        name="video/mouth_psnr",
        title="mouth PSNR",
        unit="dB",
        direction="higher",
        best=BEST,
        protocol=protocol(
            region="union over the clip of the true frames' mouth boxes",
            landmarks="2d106det",
            landmarks_every=every,
            mse_floor="1/12",
            mean="frames, then clips",
        ),
        weights=(DETECTOR, LANDMARKS),
        about="PSNR inside the mouth region, located in the ground truth.",
        measure=per_case(value),
        compute=mean_over_cases,
    )


def mouth_opening_r(every: int) -> Metric:
    """Pearson correlation over time of the inner-lip gap, in eye distances, with the truth's."""

    def value(pair: Pair) -> float:
        truth, generated = openings(landmarks(pair.truth, every)), openings(landmarks(pair.generated, every))
        return correlation(truth, generated, pair.key)

    return Metric(
        name="video/mouth_opening_r",
        title="mouth opening r",
        unit="",
        direction="higher",
        best=1.0,
        protocol=protocol(
            opening="inner-lip gap / eye distance",
            landmarks="2d106det",
            every=every,
            constant_mouth="r = 0",
            missing_faces_allowed=AT_MOST_MISSING,
        ),
        weights=(DETECTOR, LANDMARKS),
        about="How the mouth's opening follows the true one over time (Pearson r per clip).",
        measure=per_case(value),
        compute=mean_over_cases,
    )


def openings(landmarks_TK2: NDArray[np.float32]) -> NDArray[np.float64]:
    """Inner-lip gap over eye distance of each frame; NaN where there is no face."""
    return np.array(
        [faces.mouth_opening(p) if np.isfinite(p[0, 0]) else np.nan for p in landmarks_TK2], np.float64
    )


def correlation(truth_T: NDArray[np.float64], generated_T: NDArray[np.float64], key: str) -> float:
    """Pearson r over the frames with a face in both; 0 for a mouth that never moves."""
    seen = np.isfinite(truth_T)
    both = seen & np.isfinite(generated_T)
    if seen.sum() < 3 or both.sum() < (1 - AT_MOST_MISSING) * seen.sum():
        raise Rejected(
            "no_face", f"{key}: a face in {both.sum()} of {seen.sum()} frames is too few; look at the video"
        )
    truth, generated = truth_T[both], generated_T[both]
    if truth.std() < STILL:
        raise Rejected(
            "bad_input", f"{key}: the true mouth does not move, so nothing can follow it; leave the clip out"
        )
    return 0.0 if generated.std() < STILL else float(np.corrcoef(truth, generated)[0, 1])
