"""The mouth: PSNR, SSIM and LPIPS of its region, and how its opening follows the truth over time."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe import faces
from datapipe.networks.lpips import ALEX
from datapipe.records import Rejected

from ..face_features import DETECTOR, LANDMARKS, MOST_MISSING, landmark_rows, landmarks
from ..footage import Footage
from ..records import Protocol, protocol
from . import lpips
from .metric import Metric, Pair, mean_over_cases, per_case
from .psnr import BEST, psnr_frames
from .ssim import ssim_image

LPIPS_SIDE = 128
"""Pixels to which a mouth is brought for LPIPS."""
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


def mouth_crops(pair: Pair, every: int) -> tuple[Footage, Footage]:
    """Mouth of the generated and the true video: a box that is fixed per clip, from the truth's landmarks."""
    _, height, width, _ = pair.truth.frames.shape
    rows, columns = mouth_region(landmarks(pair.truth, every), height, width)
    how = f"mouth {rows.start} {rows.stop} {columns.start} {columns.stop}"
    generated, truth = (
        each.changed(how, each.frames[:, rows, columns]) for each in (pair.generated, pair.truth)
    )
    return generated, truth


def mouth_psnr(every: int) -> Metric:
    """PSNR of the mouth's box."""

    def value(pair: Pair) -> float:
        """Mean over the frames of a clip."""
        generated, truth = mouth_crops(pair, every)
        return float(psnr_frames(generated.frames, truth.frames).mean())

    return Metric(
        name="video/mouth_psnr",
        title="mouth PSNR",
        unit="dB",
        direction="higher",
        best=BEST,
        protocol=region_protocol(every, mse_floor="1/12"),
        weights=(DETECTOR, LANDMARKS),
        about="PSNR inside the mouth region, located in the ground truth.",
        measure=per_case(value),
        compute=mean_over_cases,
    )


def mouth_ssim(every: int) -> Metric:
    """SSIM of the mouth's box, by the same definition as SSIM of whole frames."""

    def value(pair: Pair) -> float:
        """Mean over the frames of a clip; raises `Rejected` for a mouth smaller than SSIM's window."""
        generated, truth = mouth_crops(pair, every)
        frames = zip(generated.frames, truth.frames, strict=True)
        return float(np.mean([ssim_image(first, second) for first, second in frames]))

    return Metric(
        name="video/mouth_ssim",
        title="mouth SSIM",
        unit="",
        direction="higher",
        best=1.0,
        protocol=region_protocol(every, ssim="gaussian 11x11 sigma 1.5, RGB mean, valid"),
        weights=(DETECTOR, LANDMARKS),
        about="SSIM inside the mouth region, located in the ground truth.",
        measure=per_case(value),
        compute=mean_over_cases,
    )


def mouth_lpips(every: int, frames_every: int) -> Metric:
    """LPIPS (AlexNet trunk) of the mouth's box, brought to one size, since LPIPS depends on it."""
    settings = region_protocol(
        every,
        version="0.1",
        trunk="alex",
        size=f"{LPIPS_SIDE}x{LPIPS_SIDE}, area to shrink, bicubic to grow",
        lpips_every=frames_every,
    )

    def distances(pair: Pair) -> NDArray[np.float64]:
        generated, truth = (_resized(each, LPIPS_SIDE) for each in mouth_crops(pair, every))
        return lpips.distances(truth, generated, frames_every)

    def value(pair: Pair) -> float:
        """Mean over the frames of a clip."""
        return float(pair.stored("mouth_lpips_alex", settings, lambda: distances(pair)).mean())

    return Metric(
        name="video/mouth_lpips_alex",
        title="mouth LPIPS",
        unit="",
        direction="lower",
        best=0.0,
        protocol=settings,
        weights=(DETECTOR, LANDMARKS, ALEX),
        about="Perceptual distance inside the mouth region (AlexNet trunk), located in the ground truth.",
        measure=per_case(value),
        compute=mean_over_cases,
    )


def region_protocol(every: int, **settings: str | int) -> Protocol:
    """What all metrics of the mouth's box depend on."""
    return protocol(
        region="union over the clip of the true frames' mouth boxes",
        landmarks="2d106det in interpolated boxes",
        landmarks_every=every,
        mean="frames, then clips",
        **settings,
    )


def _resized(footage: Footage, side: int) -> Footage:
    height, width = footage.frames.shape[1:3]
    how = cv2.INTER_AREA if height * width > side * side else cv2.INTER_CUBIC
    frames = [cv2.resize(frame, (side, side), interpolation=how) for frame in footage.frames]
    return footage.changed(f"to {side}", np.stack(frames))


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
            landmarks="2d106det in interpolated boxes",
            every=every,
            constant_mouth="r = 0",
            missing_faces_allowed=MOST_MISSING,
        ),
        weights=(DETECTOR, LANDMARKS),
        about="How the mouth's opening follows the true one over time (Pearson r per clip).",
        needs=(landmark_rows(every),),
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
    if seen.sum() < 3 or both.sum() < (1 - MOST_MISSING) * seen.sum():
        raise Rejected(
            "no_face", f"{key}: a face in {both.sum()} of {seen.sum()} frames is too few; look at the video"
        )
    truth, generated = truth_T[both], generated_T[both]
    if truth.std() < STILL:
        raise Rejected(
            "bad_input", f"{key}: the true mouth does not move, so nothing can follow it; leave the clip out"
        )
    return 0.0 if generated.std() < STILL else float(np.corrcoef(truth, generated)[0, 1])
