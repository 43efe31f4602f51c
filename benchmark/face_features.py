"""One face track per video, shared by all metrics of the face: boxes and landmarks are read off it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe import faces
from datapipe.records import Box, Rejected
from datapipe.weights import lookup

from .extract import Extractor, rows_of
from .footage import Array, Footage

DETECTOR, LANDMARKS = "scrfd-500m", "2d106det"
"""Names in the weights registry."""
DETECT_EVERY = 10
"""Faces are detected in every tenth frame; boxes in between are interpolated."""
SAME_FACE = 0.3
"""Boxes that overlap by more are the same face, ten frames later."""
MOST_MISSING = 0.1
"""Share of frames that may lack a face; a video with more is a failure, never a mean over the rest."""
LANDMARK_BATCH = 4
NUM_PLACE = 3
"""An input of the landmark network starts with scale and shift (x, y): where its picture is in the frame."""


def detections(footage: Footage, every: int = DETECT_EVERY) -> NDArray[np.float32]:
    """One face of every `every`-th frame, (n, 15): box, score, five points; NaN where there is none.

    It is the largest face at first, then the one that overlaps the last most.
    """
    settings = f"every {every}, followed, {lookup(DETECTOR).sha256}"
    return footage.array("faces", settings, lambda: followed_faces(footage.frames[::every]))


def boxes(footage: Footage) -> NDArray[np.float32]:
    """Box of the face in every frame, (T, 4): x0, y0, x1, y1 in pixels; NaN where there is none."""
    return boxes_between(detections(footage), len(footage.frames))


def landmarks(footage: Footage, every: int) -> NDArray[np.float32]:
    """Landmarks (n, 106, 2) in pixels of every `every`-th frame; NaN where there is no face."""
    return rows_of(footage, landmark_rows(every)).reshape(-1, 106, 2)


@cache
def landmark_rows(every: int) -> Extractor:
    """Landmarks of every `every`-th frame as rows (n, 212), for metrics that share batches."""

    def inputs(footage: Footage) -> Iterator[NDArray[np.float32]]:
        return landmark_inputs(footage.frames[::every], boxes(footage)[::every])

    return Extractor(
        name="landmarks",
        weights=(DETECTOR, LANDMARKS),
        settings=f"every {every}, in interpolated boxes of every {DETECT_EVERY}, followed",
        batch=LANDMARK_BATCH,
        dim=212,
        inputs=inputs,
        run=_landmarks,
    )


def seen_in(rows_ND: Array, whose: str) -> NDArray[np.bool_]:
    """Which rows have a face, (n,); `Rejected("no_face")` when more than a tenth, or all, have none."""
    seen = np.isfinite(rows_ND.reshape(-1, math.prod(rows_ND.shape[1:]))[:, 0])
    missing = len(seen) - int(seen.sum())
    if missing == len(seen) or missing > MOST_MISSING * len(seen):
        raise Rejected(
            "no_face",
            f"{whose}: no face in {missing} of {len(seen)} frames; look at the video, or leave it out",
        )
    return seen


def face_of(row_15: NDArray[np.float32]) -> faces.Face:
    """A detection's row as a face."""
    x0, y0, x1, y1, score = (float(value) for value in row_15[:5])
    return faces.Face(box=(x0, y0, x1, y1), score=score, points_52=row_15[5:].reshape(5, 2))


def followed(found: Sequence[faces.Face], last: Box | None) -> faces.Face | None:
    """The face that overlaps the last box most; the largest when none does; None when there is none."""

    def rank(face: faces.Face) -> tuple[float, float]:
        shared = faces.overlap(face.box, last) if last else 0.0
        return (shared if shared > SAME_FACE else 0.0, face.size)

    return max(found, key=rank, default=None)


def followed_faces(frames_NHW3: NDArray[np.uint8]) -> Array:
    """One face of every frame, as `detections` says."""
    rows = np.full((len(frames_NHW3), 15), np.nan, np.float32)
    last: Box | None = None
    for row, frame in zip(rows, frames_NHW3, strict=True):
        face = followed(faces.detect(frame), last)
        if face:
            row[:] = [*face.box, face.score, *np.ravel(face.points_52)]
            last = face.box
    return rows


def boxes_between(found_N15: NDArray[np.float32], num_frames: int) -> NDArray[np.float32]:
    """Interpolate the boxes of every tenth frame, (num_frames, 4); the nearest one's where a face is missing.

    Between two faces that are not the same the nearest box counts too: there is nobody halfway.
    """
    place_T = np.arange(num_frames) / DETECT_EVERY
    before_T = place_T.astype(int)
    after_T = np.minimum(before_T + 1, len(found_N15) - 1)
    share_T1 = (place_T - before_T)[:, None]
    first_T4, second_T4 = found_N15[before_T, :4], found_N15[after_T, :4]
    same_T = [faces.overlap(_box(a), _box(b)) > SAME_FACE for a, b in zip(first_T4, second_T4, strict=True)]
    between_T4 = first_T4 + share_T1 * (second_T4 - first_T4)
    nearest_T4 = np.where(share_T1 <= 0.5, first_T4, second_T4)
    return np.where(np.array(same_T, bool)[:, None], between_T4, nearest_T4).astype(np.float32)


def _box(row_4: NDArray[np.float32]) -> Box:
    x0, y0, x1, y1 = (float(value) for value in row_4)
    return x0, y0, x1, y1


def landmark_inputs(
    frames_NHW3: NDArray[np.uint8], boxes_N4: NDArray[np.float32]
) -> Iterator[NDArray[np.float32]]:
    """What the landmark network sees of each frame, as `datapipe.faces` cuts it; zeros without a face."""
    side = faces.LANDMARK_SIDE
    for frame, box in zip(frames_NHW3, boxes_N4, strict=True):
        if not np.isfinite(box).all():
            yield np.zeros(NUM_PLACE + 3 * side * side, np.float32)
            continue
        scale = side / (1.5 * max(float(box[2] - box[0]), float(box[3] - box[1]), 1.0))
        shift = side / 2 - scale * (box[:2] + box[2:]).astype(np.float64) / 2
        matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
        picture = cv2.warpAffine(frame, matrix, (side, side)).transpose(2, 0, 1)
        yield np.concatenate([[scale, *shift], picture.ravel()], dtype=np.float32)


def _landmarks(inputs_NX: NDArray[np.float32]) -> Array:
    """Rows (N, 212) in pixels of the frame; NaN where the scale is 0, which stands for no face."""
    side = faces.LANDMARK_SIDE
    pictures = np.ascontiguousarray(inputs_NX[:, NUM_PLACE:]).reshape(-1, 3, side, side)
    raw = faces.session(LANDMARKS).run(None, {"data": pictures})[0].reshape(-1, 106, 2)
    scale, shift = inputs_NX[:, :1, None], inputs_NX[:, None, 1:NUM_PLACE]
    points = ((raw + 1) * (side / 2) - shift) / np.where(scale > 0, scale, np.nan)
    rows: Array = points.reshape(-1, 212).astype(np.float32)
    return rows
