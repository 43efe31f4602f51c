"""What is measured on: the registry's public-domain clip, as it is and enlarged to a downloader's 720p."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np

from ..faces import Floats, Image
from ..media import FPS, SAMPLE_RATE, mux, read_audio, read_frames, write_video
from ..records import Seconds
from ..track import track_speaker
from ..weights import resolve

ENLARGED = (1280, 720)
TIMES = 3
GRAIN = 3.0
"""Standard deviation of the film grain: enlarged pictures have no fine detail of their own to decode."""
BIT_RATE = 2_500_000
"""Of the pictures, per second; with an intra-coded frame every `GROUP`: about what video platforms send."""
GROUP: Seconds = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Footage:
    """A video file and where the speaker's face is in it."""

    path: Path
    landmarks_TK2: Floats
    """One set per frame, pixels of the picture."""


def plain(folder: Path, seconds: Seconds) -> Footage:
    """Write the clip at 25 fps, 320 x 240."""
    frames, _ = _clip()
    picked = _there_and_back(len(frames), round(seconds * FPS))
    path = folder / "plain.mp4"
    write_video(path, frames[picked])
    return Footage(path=path, landmarks_TK2=_landmarks()[picked])


def enlarged(folder: Path, seconds: Seconds) -> Footage:
    """Write the clip enlarged at 25 fps."""
    frames, _ = _clip()
    picked = _there_and_back(len(frames), round(seconds * FPS))
    shift = np.array([_margin(frames), 0], np.float32)
    path = enlarged_video(folder, seconds, FPS)
    return Footage(path=path, landmarks_TK2=TIMES * _landmarks()[picked] + shift)


def enlarged_video(folder: Path, seconds: Seconds, fps: int) -> Path:
    """Write the clip enlarged to 1280 x 720 with grain, at any length and rate, with sound."""
    frames, audio = _clip()
    picked = _there_and_back(len(frames), round(seconds * fps))
    silent, path = folder / f"silent-{fps}.mp4", folder / f"enlarged-{fps}.mp4"
    _encode(silent, _enlarge(frames, picked), fps)
    mux(path, silent.read_bytes(), np.resize(audio, round(seconds * SAMPLE_RATE)))
    return path


def likeness(a: Path, b: Path, most_lag: int = 0) -> float:
    """Compare two videos of one length: PSNR in dB, at the best of the allowed shifts in frames."""
    first, second = read_frames(a).astype(np.float32), read_frames(b).astype(np.float32)
    length = len(first) - most_lag
    errors = [
        float(np.mean((first[one : one + length] - second[two : two + length]) ** 2))
        for lag in range(most_lag + 1)
        for one, two in ((lag, 0), (0, lag))
    ]
    return 10.0 * float(np.log10(255.0**2 / max(min(errors), 1e-6)))


def _enlarge(frames_THW3: Image, picked: Sequence[int]) -> Iterator[Image]:
    rng = np.random.default_rng(0)
    width, height = ENLARGED
    margin = _margin(frames_THW3)
    grain = rng.normal(0.0, GRAIN, (height + 64, width + 64, 1)).astype(np.float32)
    for index in picked:
        y, x = rng.integers(0, 64, 2)
        picture = cv2.resize(frames_THW3[index], (width - 2 * margin, height), interpolation=cv2.INTER_CUBIC)
        picture = cv2.copyMakeBorder(picture, 0, 0, margin, margin, cv2.BORDER_REFLECT_101)
        noisy = np.round(picture.astype(np.float32) + grain[y : y + height, x : x + width])
        yield np.clip(noisy, 0, 255).astype(np.uint8)


def _encode(path: Path, pictures: Iterator[Image], fps: int) -> None:
    """Encode as a platform would: a fixed rate of bits, and groups of a few seconds."""
    with av.open(str(path), "w") as out:
        options = {"preset": "veryfast", "g": f"{round(GROUP * fps)}"}
        stream = out.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height = ENLARGED
        stream.pix_fmt, stream.bit_rate = "yuv420p", BIT_RATE
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))


def _margin(frames_THW3: Image) -> int:
    return (ENLARGED[0] - TIMES * int(frames_THW3.shape[2])) // 2


def _there_and_back(length: int, count: int) -> list[int]:
    """Play forwards and backwards in turns: any length without a jump."""
    once = [*range(length), *range(length - 2, 0, -1)]
    return [once[index % len(once)] for index in range(count)]


@cache
def _clip() -> tuple[Image, Floats]:
    path = resolve("clip-obama")
    return read_frames(path), read_audio(path)


@cache
def _landmarks() -> Floats:
    """Find the speaker of the clip once; this is no part of what is measured."""
    return track_speaker(*_clip(), None).face.landmarks_TK2
