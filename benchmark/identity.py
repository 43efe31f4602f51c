"""Networks that tell who a face is. One entry of `BACKBONES` gives a CSIM and an ISS of its own.

A fifth is one entry here and its file in the weights registry (`manifests/weights.json`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe import faces

from .extract import Extractor, rows_of
from .face_features import DETECT_EVERY, DETECTOR, detections, face_of
from .footage import Array, Footage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Backbone:
    """An ONNX network that turns an aligned face into a vector, and how it wants to see the face."""

    label: str
    """In the titles of its columns."""
    about: str
    """Architecture and training data, in a few words."""
    weight: str
    """Name in the weights registry."""
    dim: int
    """Length of the vector."""
    side: int = faces.IDENTITY_SIDE
    """Width and height in pixels of the aligned face."""
    points_52: NDArray[np.float32] = field(default_factory=lambda: faces.ARCFACE_POINTS_52)
    """Where eyes, nose and mouth corners go in it, from the viewer's left."""
    mean: float
    """Subtracted from RGB values 0 to 255."""
    scale: float
    """What they are then divided by."""
    colour: str = "RGB"
    """Order of the channels: RGB or BGR."""
    batch: int
    """Faces that the network takes at a time."""

    @property
    def settings(self) -> str:
        """All choices that a vector depends on besides the weights."""
        points = " ".join(f"{value:.4f}" for value in self.points_52.ravel())
        return f"{self.colour} -{self.mean} /{self.scale}, 5 points to {self.side}: {points}"


BACKBONES: dict[str, Backbone] = {
    "w600k_mbf": Backbone(
        label="w600k",
        about="ArcFace MobileFaceNet, WebFace600K",
        weight="w600k-mbf",
        dim=512,
        mean=127.5,
        scale=127.5,
        batch=8,
    ),
    "sface": Backbone(
        label="SFace",
        about="SFace MobileFaceNet, OpenCV zoo 2021dec",
        weight="sface",
        dim=128,
        mean=0.0,
        scale=1.0,
        batch=1,
    ),
}
"""By the name that stands in the metric's name."""


def embeddings(footage: Footage, name: str, every: int = DETECT_EVERY) -> NDArray[np.float32]:
    """Unit vectors (n, dim) of every `every`-th frame; NaN where there is no face."""
    return rows_of(footage, identity_rows(name, every))


@cache
def identity_rows(name: str, every: int = DETECT_EVERY) -> Extractor:
    """Vectors of one backbone, for metrics that share batches."""
    backbone = BACKBONES[name]
    return Extractor(
        name=f"identity {name}",
        weights=(DETECTOR, backbone.weight),
        settings=f"every {every}, followed, {backbone.settings}",
        batch=backbone.batch,
        dim=backbone.dim,
        inputs=lambda footage: aligned_faces(footage, backbone, every),
        run=lambda pictures: embedded(pictures, backbone),
    )


def aligned_faces(footage: Footage, backbone: Backbone, every: int) -> Iterator[NDArray[np.uint8]]:
    """The face of every `every`-th frame, placed as the backbone wants it; black without a face."""
    size = (backbone.side, backbone.side)
    for frame, row in zip(footage.frames[::every], detections(footage, every), strict=True):
        if np.isfinite(row).all():
            matrix = faces.similarity(face_of(row).points_52, backbone.points_52)
            yield cv2.warpAffine(frame, matrix, size)
        else:
            yield np.zeros((*size, 3), np.uint8)


def embedded(pictures_NHW3: NDArray[np.uint8], backbone: Backbone) -> Array:
    """Unit vectors (N, dim); NaN for a picture that is black all over, which stands for no face."""
    network = faces.session(backbone.weight)
    ordered = pictures_NHW3 if backbone.colour == "RGB" else pictures_NHW3[..., ::-1]
    batch = ((ordered.astype(np.float32) - backbone.mean) / backbone.scale).transpose(0, 3, 1, 2)
    vectors = network.run(None, {network.get_inputs()[0].name: np.ascontiguousarray(batch, np.float32)})[0]
    unit: Array = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    unit[~pictures_NHW3.any(axis=(1, 2, 3))] = np.nan
    return unit
