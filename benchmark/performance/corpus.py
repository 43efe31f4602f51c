"""What is measured on: a real face out of the registry's public-domain clip, and a damaged copy of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.media import FPS, SAMPLE_RATE, read_audio, read_frames, write_video
from datapipe.weights import resolve

WINDOW = (110, 20, 170)
"""Left, top and side of the speaker's head in the 320 x 240 picture."""
JITTER = 12
"""Pixels by which the window of a clip may be moved: no two clips are the same pictures."""
BLUR, NOISE = 1.2, 4.0
"""Standard deviations of the damage, in pixels and grey levels."""
Frames = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FolderPair:
    """Ground truths, and what a system made of them, by the same names."""

    truth: Path
    generated: Path

    @property
    def folders(self) -> tuple[Path, Path]:
        """Generated first, as in every tool's arguments."""
        return self.generated, self.truth


def folder_pair(folder: Path, num_clips: int, num_frames: int, side: int) -> FolderPair:
    """Write clips of `num_frames` frames, `side` x `side`, with sound, and their damaged copies."""
    pair = FolderPair(folder / "truth", folder / "generated")
    for each in pair.folders:
        each.mkdir(parents=True)
    for number in range(num_clips):
        frames, audio = clip(number, num_frames, side)
        write_video(pair.truth / f"clip-{number:03}.mp4", frames, audio)
        write_video(pair.generated / f"clip-{number:03}.mp4", damaged(frames, number), audio)
    return pair


def clip(number: int, num_frames: int, side: int) -> tuple[Frames, NDArray[np.float32]]:
    """Cut a clip: its own start in the film and its own window; the film is played there and back."""
    film, audio = _span(number, num_frames)
    x, y = np.random.default_rng(number).integers(-JITTER, JITTER + 1, 2)
    left, top, width = WINDOW[0] + x, WINDOW[1] + max(y, -WINDOW[1]), WINDOW[2]
    cut = film[:, top : top + width, left : left + width]
    return np.stack([cv2.resize(frame, (side, side), interpolation=cv2.INTER_CUBIC) for frame in cut]), audio


def whole_picture(number: int, num_frames: int, height: int) -> tuple[Frames, NDArray[np.float32]]:
    """Take a clip of the whole picture, `height` pixels high, as raw videos come."""
    film, audio = _span(number, num_frames)
    width = height * film.shape[2] // film.shape[1]
    return np.stack(
        [cv2.resize(each, (width, height), interpolation=cv2.INTER_CUBIC) for each in film]
    ), audio


def _span(number: int, num_frames: int) -> tuple[Frames, NDArray[np.float32]]:
    film, sound = _film()
    once = [*range(len(film)), *range(len(film) - 2, 0, -1)]
    start = (number * 37) % len(film)
    picked = [once[(start + index) % len(once)] for index in range(num_frames)]
    first = start * SAMPLE_RATE // FPS
    return film[picked], np.resize(np.roll(sound, -first), num_frames * SAMPLE_RATE // FPS)


def damaged(frames_THW3: Frames, seed: int) -> Frames:
    """Blur and add noise: what a generator's faults look like to a metric."""
    random = np.random.default_rng(seed)
    soft = [cv2.GaussianBlur(frame, (0, 0), BLUR).astype(np.float32) for frame in frames_THW3]
    noisy = [frame + random.normal(0.0, NOISE, frame.shape) for frame in soft]
    return np.clip(np.round(np.stack(noisy)), 0, 255).astype(np.uint8)


@cache
def _film() -> tuple[Frames, NDArray[np.float32]]:
    path = resolve("clip-obama")
    return read_frames(path), read_audio(path)
