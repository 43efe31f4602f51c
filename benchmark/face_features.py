"""One face track per video, shared by all metrics of the face: landmarks and identity are read off it."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe import faces
from datapipe.weights import lookup

from .extract import Extractor, rows_of
from .footage import Array, Footage

DETECTOR, LANDMARKS, ARCFACE = "scrfd-500m", "2d106det", "w600k-mbf"
"""Names in the weights registry."""
DETECT_EVERY = 10
"""Faces are detected in every tenth frame; landmarks in between use the nearest detection's box."""


def detections(footage: Footage) -> NDArray[np.float32]:
    """Largest face of every tenth frame, (n, 15): box, score, five points; NaN where there is none."""
    settings = f"every {DETECT_EVERY} {lookup(DETECTOR).sha256}"
    return footage.array("faces", settings, lambda: _detections(footage.frames[::DETECT_EVERY]))


def landmarks(footage: Footage, every: int) -> NDArray[np.float32]:
    """Landmarks (n, 106, 2) of every `every`-th frame; NaN where no face is near."""
    settings = f"every {every} {lookup(LANDMARKS).sha256} {lookup(DETECTOR).sha256}"
    return footage.array("landmarks", settings, lambda: _landmarks(footage, every))


def embeddings(footage: Footage) -> NDArray[np.float32]:
    """Unit ArcFace vectors (n, 512) of the frames in which faces were detected; NaN where there is none."""
    seen = np.isfinite(detections(footage)[:, 0])
    rows = np.full((len(seen), IDENTITY.dim), np.nan, np.float32)
    rows[seen] = rows_of(footage, IDENTITY)
    return rows


def _detections(frames_NHW3: NDArray[np.uint8]) -> Array:
    rows = np.full((len(frames_NHW3), 15), np.nan, np.float32)
    for row, frame in zip(rows, frames_NHW3, strict=True):
        found = faces.detect(frame)
        if found:
            row[:] = [*found[0].box, found[0].score, *np.ravel(found[0].points_52)]
    return rows


def _landmarks(footage: Footage, every: int) -> Array:
    rows = np.full((len(footage.frames[::every]), 106, 2), np.nan, np.float32)
    found = detections(footage)
    for number, frame in enumerate(footage.frames[::every]):
        face = found[min(round(number * every / DETECT_EVERY), len(found) - 1)]
        if np.isfinite(face).all():
            rows[number] = faces.landmarks(frame, face_of(face))
    return rows


def face_of(row_15: NDArray[np.float32]) -> faces.Face:
    """A detection's row as a face."""
    x0, y0, x1, y1, score = (float(value) for value in row_15[:5])
    return faces.Face(box=(x0, y0, x1, y1), score=score, points_52=row_15[5:].reshape(5, 2))


def aligned_faces(footage: Footage) -> Iterator[NDArray[np.uint8]]:
    """Each detected face, brought to ArcFace's five points: (112, 112, 3) RGB."""
    for frame, row in zip(footage.frames[::DETECT_EVERY], detections(footage), strict=True):
        if np.isfinite(row).all():
            matrix = faces.similarity(face_of(row).points_52, faces.ARCFACE_POINTS_52)
            yield cv2.warpAffine(frame, matrix, (faces.IDENTITY_SIDE, faces.IDENTITY_SIDE))


def _arcface(pictures_NHW3: NDArray[np.uint8]) -> Array:
    network = faces.session(ARCFACE)
    batch = ((pictures_NHW3.astype(np.float32) - 127.5) / 127.5).transpose(0, 3, 1, 2)
    vectors = network.run(None, {network.get_inputs()[0].name: np.ascontiguousarray(batch)})[0]
    unit: Array = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


IDENTITY = Extractor(
    name="identity",
    weights=(DETECTOR, ARCFACE),
    settings=f"every {DETECT_EVERY}, 5 points to 112",
    batch=8,
    dim=512,
    inputs=aligned_faces,
    run=_arcface,
)
"""ArcFace MobileFaceNet of each detected face."""
