"""Super-resolution of face crops, with guards: identity is compared and nothing falls back unsaid.

The picture is enlarged from the crop at its own resolution, never from one that was blown up before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .crop import warp
from .faces import Floats, Image, embed, face_of, session

SMALLEST = 16
"""Pixels below which the network's picture has no face to work with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleConfig:
    """Which frames are enhanced, by what, and what counts as the same person."""

    backend: Literal["none", "lanczos", "realesrgan"] = "none"
    """`none` keeps the crop; `lanczos` resamples; `realesrgan` runs the registry's Real-ESRGAN x2."""
    scope: Literal["keyframes", "all"] = "keyframes"
    """`keyframes` enhances one frame per phoneme; `all` the video too (the crop before it is kept)."""
    min_cosine: float = 0.4
    """A frame whose identity cosine to its own original is lower keeps the original, and is counted."""
    threads: int = 1
    """Threads within the network."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Upscaled:
    """Enhanced frames and how well they kept the person."""

    frames_THW3: Image
    cosines_T: Floats
    """Identity cosine to the original, by frame; empty when nothing was enhanced."""
    refused: int
    """Frames that kept the original because the identity drifted."""
    note: str
    """What was done, in words."""


def upscale(
    frames_THW3: Image,
    matrices_T23: NDArray[Any],
    crops_THW3: Image,
    landmarks_TK2: Floats,
    config: UpscaleConfig = UpscaleConfig(),
) -> Upscaled:
    """Enhance crops of (T, H, W, 3) source frames; `landmarks_TK2` are in pixels of the crop.

    Raises `Rejected("missing_weight")` without the network: there is no fall-back to another backend.
    """
    if config.backend == "none":
        return Upscaled(frames_THW3=crops_THW3, cosines_T=np.zeros(0, np.float32), refused=0, note="none")
    size = crops_THW3.shape[1]
    enhanced, cosines, refused = crops_THW3.copy(), np.zeros(len(crops_THW3), np.float32), 0
    for index, crop in enumerate(crops_THW3):
        better = _enhance(frames_THW3[index], matrices_T23[index], size, config)
        face = face_of(landmarks_TK2[index])
        cosines[index] = float(embed(crop, face) @ embed(better, face))
        if cosines[index] >= config.min_cosine:
            enhanced[index] = better
        else:
            refused += 1
    note = f"{config.backend} x {len(crops_THW3)} frames, identity cosine {cosines.mean():.2f} mean"
    note += f", {cosines.min():.2f} least; {refused} kept as they were because the face changed"
    return Upscaled(frames_THW3=enhanced, cosines_T=cosines, refused=refused, note=note)


def _enhance(image_HW3: Image, matrix_23: NDArray[Any], size: int, config: UpscaleConfig) -> Image:
    """Cut the crop at the source's resolution, enlarge it, and bring it to `size`."""
    scale = float(np.hypot(matrix_23[0, 0], matrix_23[1, 0]))
    native = max(SMALLEST, 2 * round(size / max(scale, 1.0) / 2))
    ratio = native / size
    # pixel centres sit at half positions: scale about the corner, not about the first pixel's centre
    matrix = matrix_23 * ratio
    matrix[:, 2] += 0.5 * (ratio - 1)
    small = warp(image_HW3, matrix, native)
    if config.backend == "lanczos":
        return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_LANCZOS4), np.uint8)
    large = _real_esrgan(small, config.threads)
    shrink = cv2.INTER_AREA if large.shape[0] > size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(large, (size, size), interpolation=shrink), np.uint8)


def _real_esrgan(image_HW3: Image, threads: int) -> Image:
    """Double the sides with Real-ESRGAN x2 (Wang et al. 2021); RGB in [0, 1] on both ends."""
    batch = np.ascontiguousarray(image_HW3.astype(np.float32).transpose(2, 0, 1)[None] / 255.0)
    output = session("realesrgan-x2", threads).run(None, {"input": batch})[0][0]
    return np.asarray(np.round(np.clip(output.transpose(1, 2, 0), 0.0, 1.0) * 255.0), np.uint8)
