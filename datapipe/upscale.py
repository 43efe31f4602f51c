"""Super-resolution of face crops, with guards: identity is compared and nothing falls back unsaid.

The picture is enlarged from the crop at its own resolution, never from one that was blown up before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .crop import Cropped, warp
from .faces import Floats, Image, embed, face_of, session
from .records import Keyframe

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
class Enhanced:
    """The pictures of a sample after super-resolution."""

    video_THW3: Image
    stills_KHW3: Image
    """One frame per keyframe."""
    replaces_video: bool
    """True when `video_THW3` is no longer the plain crop."""
    cosines_N: Floats
    """Identity cosine of every enhanced frame to its original; empty when nothing was enhanced."""
    note: str
    """What was done, in words."""


def enhance(
    frames_THW3: Image,
    cropped: Cropped,
    keyframes: tuple[Keyframe, ...],
    config: UpscaleConfig = UpscaleConfig(),
) -> Enhanced:
    """Enhance the crops of keyframes, or of all frames, from the (T, H, W, 3) source frames.

    Raises `Rejected("missing_weight")` without the network: there is no fall-back to another backend.
    """
    picked = [keyframe.frame for keyframe in keyframes]
    if config.backend == "none":
        crops = cropped.frames_THW3
        nothing = np.zeros(0, np.float32)
        return Enhanced(
            video_THW3=crops, stills_KHW3=crops[picked], replaces_video=False, cosines_N=nothing, note="none"
        )
    everything = config.scope == "all"
    wanted = range(len(frames_THW3)) if everything else sorted(set(picked))
    better_THW3 = cropped.frames_THW3.copy()
    cosines = []
    for index in wanted:
        better_THW3[index], cosine = _checked(frames_THW3[index], cropped, index, config)
        cosines.append(cosine)
    return Enhanced(
        video_THW3=better_THW3 if everything else cropped.frames_THW3,
        stills_KHW3=better_THW3[picked],
        replaces_video=everything,
        cosines_N=np.array(cosines, np.float32),
        note=_note(cosines, config),
    )


def _note(cosines: list[float], config: UpscaleConfig) -> str:
    refused = sum(cosine < config.min_cosine for cosine in cosines)
    return (
        f"{config.backend} on {len(cosines)} frames: identity cosine {np.mean(cosines):.2f} mean, "
        f"{min(cosines):.2f} least; {refused} kept as they were because the face changed"
    )


def _checked(image_HW3: Image, cropped: Cropped, index: int, config: UpscaleConfig) -> tuple[Image, float]:
    """Enhance one crop; give the original back when it shows another person afterwards."""
    plain = cropped.frames_THW3[index]
    better = _enhance(image_HW3, cropped.matrices_T23[index], plain.shape[0], config)
    face = face_of(cropped.landmarks_TK2[index])
    cosine = float(embed(plain, face) @ embed(better, face))
    return (better if cosine >= config.min_cosine else plain), cosine


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
