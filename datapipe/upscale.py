"""Super-resolution of face crops, with guards: identity is compared and nothing falls back unsaid.

The picture is enlarged from the crop at its own resolution, never from one that was blown up before. Two
stages, so that the second may run where a GPU is: `gather` takes what it needs from the full frames.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .crop import Cropped, warp
from .faces import Device, Floats, Image, embed, face_of, session
from .records import Keyframe, Rejected
from .vision import restore_faces

SMALLEST = 16
"""Pixels below which the network's picture has no face to work with."""
BATCH_PIXELS = 1 << 17
"""Most input pixels of one call of the network, which takes about 3 kB for each."""
SAME = 0.5
"""Mean difference in grey levels below which two pictures are the same one."""
PLAIN_WAYS = (cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_NEAREST, cv2.INTER_LANCZOS4)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleConfig:
    """Which frames are enhanced, by what, and what counts as the same person."""

    backend: Literal["none", "lanczos", "realesrgan", "gfpgan"] = "none"
    """`none` keeps the crop; `lanczos` resamples; `realesrgan` runs the registry's Real-ESRGAN x2; `gfpgan`
    restores the face by GFPGAN v1.4 (needs `avatarsync tools create vision`)."""
    enlarge: Literal[1, 2, 4] = 4
    """gfpgan: how many times larger the picture becomes before it is brought to the sample's size."""
    paste: bool = True
    """gfpgan: lay the face over the resampled picture under its parsing mask; else put all of the restored
    square there."""
    scope: Literal["keyframes", "all"] = "keyframes"
    """`keyframes` enhances one frame per phoneme; `all` the video too (the crop before it is kept)."""
    min_cosine: float = 0.4
    """A frame whose identity cosine to its own original is lower keeps the original, and is counted."""
    batch: int = 8
    """Most crops that go through the network at once; fewer when they are large."""
    device: Device = "cpu"
    """Where the network runs; `cuda` needs onnxruntime-gpu, and fails where there is none."""
    threads: int = 1
    """Threads within the network."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plain:
    """The frames to enhance, as they are; N of them, K keyframes."""

    indices_N: NDArray[np.int64]
    """Frame numbers, ascending."""
    native_N: tuple[Image, ...]
    """Crops at the source's resolution, square, each of its own size; empty when nothing is enhanced."""
    crops_NHW3: Image
    """Crops at the sample's size."""
    landmarks_NK2: Floats
    """In pixels of `crops_NHW3`."""
    picks_K: NDArray[np.int64]
    """Which of the N each keyframe shows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Enhanced:
    """The pictures of a sample after super-resolution."""

    stills_KHW3: Image
    """One frame per keyframe."""
    video_THW3: Image | None
    """All frames, when all were enhanced; None leaves the crop as the video."""
    cosines_N: Floats
    """Identity cosine of every enhanced frame to its original; empty when nothing was enhanced."""
    flicker: float | None
    """Mean absolute change from frame to frame of what was added, grey levels; None without neighbours."""
    note: str
    """What was done, in words."""


def gather(
    frames_THW3: Image,
    cropped: Cropped,
    keyframes: tuple[Keyframe, ...],
    config: UpscaleConfig = UpscaleConfig(),
) -> Plain:
    """Cut what is to be enhanced out of the (T, H, W, 3) source frames, at their resolution."""
    frames_K = np.array([keyframe.frame for keyframe in keyframes], np.int64)
    nothing = config.backend == "none"
    everything = config.scope == "all" and not nothing
    indices_N = np.arange(len(frames_THW3)) if everything else np.unique(frames_K)
    size = cropped.frames_THW3.shape[1]
    native = () if nothing else (_native(frames_THW3[i], cropped.matrices_T23[i], size) for i in indices_N)
    return Plain(
        indices_N=indices_N,
        native_N=tuple(native),
        crops_NHW3=cropped.frames_THW3[indices_N],
        landmarks_NK2=cropped.landmarks_TK2[indices_N],
        picks_K=np.searchsorted(indices_N, frames_K),
    )


def enhance(plain: Plain, config: UpscaleConfig = UpscaleConfig()) -> Enhanced:
    """Enhance what was gathered; frames that show another person afterwards keep the original.

    Raises `Rejected`: missing_weight, missing_tool, missing_device, and bad_weight when the network only
    resizes. There is no fall-back to another backend.
    """
    if config.backend == "none":
        stills = plain.crops_NHW3[plain.picks_K]
        nothing = np.zeros(0, np.float32)
        return Enhanced(stills_KHW3=stills, video_THW3=None, cosines_N=nothing, flicker=None, note="none")
    large_N = _enlarge(plain, config)
    size = plain.crops_NHW3.shape[1]
    better_NHW3 = np.stack([_resize(picture, size) for picture in large_N])
    triples = zip(plain.crops_NHW3, better_NHW3, plain.landmarks_NK2, strict=True)
    cosines_N = np.array([_cosine(*each) for each in triples])
    refused_N = cosines_N < config.min_cosine
    better_NHW3[refused_N] = plain.crops_NHW3[refused_N]
    return Enhanced(
        stills_KHW3=better_NHW3[plain.picks_K],
        video_THW3=better_NHW3 if config.scope == "all" else None,
        cosines_N=cosines_N.astype(np.float32),
        flicker=flicker(plain.indices_N, plain.crops_NHW3, better_NHW3),
        note=_note(cosines_N, config),
    )


def flicker(indices_N: NDArray[np.int64], before_NHW3: Image, after_NHW3: Image) -> float | None:
    """Measure how unsteady an enhancement is: mean |(after - before)_t - (after - before)_t-1|, grey levels.

    Only frames that follow one another count; 0 when the same is added to every frame, None when no two
    are neighbours.
    """
    neighbours = np.flatnonzero(np.diff(indices_N) == 1).tolist()
    steps = [
        np.abs(_added(before_NHW3[i + 1], after_NHW3[i + 1]) - _added(before_NHW3[i], after_NHW3[i])).mean()
        for i in neighbours
    ]
    return float(np.mean(steps)) if steps else None


def plain_to_npz(plain: Plain) -> bytes:
    """Serialise for the way to another machine; the same record gives the same bytes."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        indices_N=plain.indices_N,
        sides_N=np.array([len(picture) for picture in plain.native_N], np.int64),
        native=np.concatenate([np.zeros(0, np.uint8), *(picture.ravel() for picture in plain.native_N)]),
        crops_NHW3=plain.crops_NHW3,
        landmarks_NK2=plain.landmarks_NK2,
        picks_K=plain.picks_K,
    )
    return buffer.getvalue()


def plain_from_npz(data: bytes) -> Plain:
    """Give back what `plain_to_npz` was given."""
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        sides = stored["sides_N"]
        parts = np.split(stored["native"], np.cumsum(3 * sides**2)[:-1]) if len(sides) else []
        return Plain(
            indices_N=stored["indices_N"],
            native_N=tuple(part.reshape(side, side, 3) for part, side in zip(parts, sides, strict=True)),
            crops_NHW3=stored["crops_NHW3"],
            landmarks_NK2=stored["landmarks_NK2"],
            picks_K=stored["picks_K"],
        )


def _native(image_HW3: Image, matrix_23: NDArray[Any], size: int) -> Image:
    """Cut the crop at the source's resolution; no larger than `size`."""
    scale = float(np.hypot(matrix_23[0, 0], matrix_23[1, 0]))
    native = max(SMALLEST, 2 * round(size / max(scale, 1.0) / 2))
    ratio = native / size
    # pixel centres sit at half positions: scale about the corner, not about the first pixel's centre
    matrix = matrix_23 * ratio
    matrix[:, 2] += 0.5 * (ratio - 1)
    return warp(image_HW3, matrix, native)


def _enlarge(plain: Plain, config: UpscaleConfig) -> list[Image]:
    if config.backend == "lanczos":
        size = plain.crops_NHW3.shape[1]
        return [_resize(picture, size, cv2.INTER_LANCZOS4) for picture in plain.native_N]
    order = sorted(range(len(plain.native_N)), key=lambda i: len(plain.native_N[i]))
    large: dict[int, Image] = {}
    for side, same in groupby(order, key=lambda i: len(plain.native_N[i])):
        members = list(same)
        step = max(1, min(config.batch, BATCH_PIXELS // side**2))
        for first in range(0, len(members), step):
            chosen = members[first : first + step]
            batch_BHW3 = np.stack([plain.native_N[i] for i in chosen])
            points_B52 = np.stack([_five_points(plain, i) for i in chosen])
            large |= zip(chosen, _by_network(batch_BHW3, points_B52, config), strict=True)
    found = [large[i] for i in range(len(large))]
    _check_work(plain.native_N, found, config)
    return found


def _five_points(plain: Plain, index: int) -> Floats:
    """Eyes, nose and mouth corners in pixels of the crop at the source's resolution."""
    ratio = len(plain.native_N[index]) / plain.crops_NHW3.shape[1]
    points_52: Floats = (face_of(plain.landmarks_NK2[index]).points_52 + 0.5) * ratio - 0.5
    return points_52


def _by_network(batch_BHW3: Image, points_B52: Floats, config: UpscaleConfig) -> Image:
    if config.backend == "gfpgan":
        return restore_faces(batch_BHW3, points_B52, config)
    return _real_esrgan(batch_BHW3, config)


def _real_esrgan(batch_BHW3: Image, config: UpscaleConfig) -> Image:
    """Double the sides with Real-ESRGAN x2 (Wang et al. 2021); RGB in [0, 1] on both ends."""
    batch = np.ascontiguousarray(batch_BHW3.astype(np.float32).transpose(0, 3, 1, 2) / 255.0)
    network = session("realesrgan-x2", config.threads, config.device)
    output = network.run(None, {"input": batch})[0]
    if not np.isfinite(output).all():
        raise Rejected(
            "bad_weight",
            f"`{config.backend}` on {config.device} gave values that are no numbers; check file and device",
        )
    return np.asarray(np.round(np.clip(output.transpose(0, 2, 3, 1), 0.0, 1.0) * 255.0), np.uint8)


def _check_work(native_N: Sequence[Image], large_N: Sequence[Image], config: UpscaleConfig) -> None:
    """Refuse a network that hands its input through: every frame is a plain enlargement, or blank."""
    idle = sum(_is_idle(small, large) for small, large in zip(native_N, large_N, strict=True))
    if large_N and idle == len(large_N):
        raise Rejected(
            "bad_weight",
            f"`{config.backend}` on {config.device} only resized all {idle} frames, or left them blank; "
            "check its file and the device, or choose the backend `lanczos`",
        )


def _is_idle(small: Image, large: Image) -> bool:
    if large.shape == small.shape or int(large.max()) - int(large.min()) < 1:
        return True
    plain = (_resize(small, len(large), way) for way in PLAIN_WAYS)
    return any(float(np.abs(large.astype(np.float32) - each).mean()) < SAME for each in plain)


def _resize(image_HW3: Image, size: int, way: int | None = None) -> Image:
    if way is None:
        way = cv2.INTER_AREA if len(image_HW3) > size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image_HW3, (size, size), interpolation=way), np.uint8)


def _cosine(before_HW3: Image, after_HW3: Image, landmarks_K2: Floats) -> float:
    face = face_of(landmarks_K2)
    return float(embed(before_HW3, face) @ embed(after_HW3, face))


def _added(before_HW3: Image, after_HW3: Image) -> NDArray[np.int16]:
    return after_HW3.astype(np.int16) - before_HW3.astype(np.int16)


def _note(cosines_N: NDArray[np.float64], config: UpscaleConfig) -> str:
    refused = int(np.sum(cosines_N < config.min_cosine))
    return (
        f"{config.backend} on {len(cosines_N)} frames: identity cosine {cosines_N.mean():.2f} mean, "
        f"{cosines_N.min():.2f} least; {refused} kept as they were because the face changed"
    )
