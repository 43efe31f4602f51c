"""Quality as columns to filter by, never as a reason to delete: see docs/shard-format.md for each."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from .align import Alignment
from .crop import STABLE_POINTS, Cropped
from .cuts import scene_cuts
from .faces import Floats, Image
from .media import SAMPLE_RATE
from .pose import head_angles
from .records import SILENCE, Seconds
from .track import FollowedFace, loudness

COLUMNS: dict[str, str] = {
    "face_px": "height of the face box in the source, pixels, median",
    "detected_ratio": "part of the frames in which the detector saw the face",
    "speaker_motion": "correlation of lip motion with loudness, -1 to 1",
    "sharpness": "variance of the Laplacian of the crop's luma at the crop's size, median over frames",
    "exposure": "mean luma of the crop, 0 to 1",
    "clipped_ratio": "part of the crop's pixels that are black or white",
    "snr_db": "level of the loudest tenth of the frames above the quietest tenth, dB; 60 at most",
    "jitter_px": "mean second difference of the crop window's corners, crop pixels per frame",
    "head_motion_px": "mean movement of eyes and nose inside the crop, crop pixels per frame",
    "yaw_deg": "mean angle by which the head is turned aside, degrees without sign; 0 faces the camera",
    "pitch_deg": "the same for looking up or down",
    "roll_deg": "the same for leaning, in the source picture",
    "eye_distance_px": "distance between the eyes' centres in the source, pixels, median",
    "scene_cuts": "hard cuts inside the clip, in the source picture",
    "held_ratio": "part of the source frames that equal the one before, bit for bit",
    "out_of_frame": "part of the crop's area that lies outside the source picture, mean",
    "av_difference_ms": "length of the sound minus length of the picture before they were cut to fit",
    "align_score": "mean aligner score of the phonemes that are not silence (the aligner's own scale)",
    "foreign_ratio": "part of the phonemes said that the transcript does not explain",
    "missing_ratio": "part of the transcript's words (Mandarin: syllables) that are not in the sound",
    "guessed_ratio": "part of the transcript's words that no dictionary has, said by rule; English only",
    "boundary_error_ms": "released word starts and ends against ours, absolute, median over the clip's",
    "boundary_error_p95_ms": "the same, 95th percentile",
    "boundary_coverage": "part of the released starts and ends that are a start or end of ours too",
    "cer": "characters that the recogniser gets wrong, over those of the released transcript; Mandarin",
    "wer": "the same in words; English; both only when the released transcripts are checked",
    "keyframe_collisions": "keyframes that share their frame with the one before",
    "phonemes_under_frame": "phonemes shorter than one frame, silence included",
    "upscale_cosine": "mean identity cosine before and after super-resolution; only when there was any",
    "upscale_flicker": "mean change from frame to frame of what super-resolution added, grey levels",
}
"""Every column that a build can write, with its definition."""


def picture_columns(frames_THW3: Image, face: FollowedFace, cropped: Cropped) -> dict[str, float]:
    """Measure source picture, face and crop."""
    return _source_columns(frames_THW3, face) | _crop_columns(cropped, frames_THW3.shape[2:0:-1])


def _source_columns(frames_THW3: Image, face: FollowedFace) -> dict[str, float]:
    yaw, pitch, roll = np.abs(head_angles(face.landmarks_TK2)).mean(0)
    return {
        "face_px": float(np.median(face.boxes_T4[:, 3] - face.boxes_T4[:, 1])),
        "eye_distance_px": face.size,
        "detected_ratio": face.presence,
        "speaker_motion": face.motion,
        "yaw_deg": float(yaw),
        "pitch_deg": float(pitch),
        "roll_deg": float(roll),
        "scene_cuts": float(len(scene_cuts(frames_THW3))),
        "held_ratio": held_ratio(frames_THW3),
    }


def _crop_columns(cropped: Cropped, source_size: tuple[int, ...]) -> dict[str, float]:
    """Measure the crop; `source_size` is (width, height) in pixels."""
    crops_THW3, matrices_T23 = cropped.frames_THW3, cropped.matrices_T23
    points_TK2 = cropped.landmarks_TK2
    luma_THW = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops_THW3])
    return {
        "sharpness": float(np.median([cv2.Laplacian(luma, cv2.CV_64F).var() for luma in luma_THW])),
        "exposure": float(luma_THW.mean() / 255.0),
        "clipped_ratio": float(np.mean((luma_THW <= 3) | (luma_THW >= 252))),
        "jitter_px": jitter_px(matrices_T23, crops_THW3.shape[1]),
        "head_motion_px": _mean_step(points_TK2[:, list(STABLE_POINTS)].mean(1)),
        "out_of_frame": float(np.mean([outside(m, crops_THW3.shape[1], source_size) for m in matrices_T23])),
    }


def sound_columns(audio: Floats, alignment: Alignment, difference: Seconds) -> dict[str, float]:
    """Measure the sound and how well the transcript sits on it."""
    spoken = [phoneme.score for phoneme in alignment.phonemes if phoneme.symbol != SILENCE]
    num_words = max(1, len(alignment.words) + len(alignment.missing))
    return {
        "snr_db": snr_db(audio),
        "av_difference_ms": 1000.0 * difference,
        "align_score": float(np.mean(spoken)) if spoken else 0.0,
        "foreign_ratio": min(1.0, alignment.num_foreign / max(1, len(spoken))),
        "missing_ratio": len(alignment.missing) / num_words,
        "guessed_ratio": len(alignment.guessed) / num_words,
    }


def snr_db(audio: Floats) -> float:
    """Estimate the signal-to-noise ratio: loudest against quietest tenth of 40 ms frames, in dB."""
    level_T = loudness(audio, max(1, len(audio) * 25 // SAMPLE_RATE))
    return float(np.percentile(level_T, 90) - np.percentile(level_T, 10))


def jitter_px(matrices_T23: NDArray[np.float64], size: int) -> float:
    """Measure how unsteady the crop window is: mean second difference of its corners, crop pixels."""
    if len(matrices_T23) < 3:
        return 0.0
    corners_42 = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * float(size) - 0.5
    linear_T22, shift_T12 = matrices_T23[:, :, :2], matrices_T23[:, None, :, 2]
    seen_T42 = (corners_42 - shift_T12) @ np.linalg.inv(linear_T22).transpose(0, 2, 1)
    scale = float(np.mean(np.hypot(linear_T22[:, 0, 0], linear_T22[:, 1, 0])))
    bends_T42 = np.diff(seen_T42, 2, axis=0)
    return float(np.hypot(bends_T42[..., 0], bends_T42[..., 1]).mean() * scale)


def outside(matrix_23: NDArray[np.float64], size: int, source_size: tuple[int, ...]) -> float:
    """Measure the part of a crop's area that the source does not cover, on a 16 x 16 grid."""
    ticks = (np.arange(16) + 0.5) / 16 * size - 0.5
    grid_N2 = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    in_source = np.linalg.solve(matrix_23[:, :2], (grid_N2 - matrix_23[:, 2]).T).T
    width, height = source_size
    x, y = in_source[:, 0], in_source[:, 1]
    return float(np.mean((x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)))


def held_ratio(frames_THW3: Image) -> float:
    """Give the part of the frames that equal the one before."""
    held = [np.array_equal(a, b) for a, b in pairwise(frames_THW3)]
    return float(np.mean(held)) if held else 0.0


def _mean_step(place_T2: Floats) -> float:
    steps = np.diff(place_T2, axis=0)
    return float(np.hypot(steps[:, 0], steps[:, 1]).mean()) if len(steps) else 0.0
