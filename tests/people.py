"""Real faces for tests: portraits, three seconds of the real clip, and scenes of portraits that move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import cv2
import numpy as np

from datapipe import track
from datapipe.media import read_audio, read_frames
from datapipe.weights import resolve

Image = np.ndarray
Place = tuple[float, float, float, float]
"""Middle x and y, height of the picture in pixels, turn in degrees."""
Path = Callable[[int], Place | None]
"""Where a portrait is in a frame; None: not there."""


@cache
def portrait(name: str = "portrait-collins") -> Image:
    return cv2.cvtColor(cv2.imread(str(resolve(name))), cv2.COLOR_BGR2RGB)


@cache
def clip() -> tuple[Image, Image, track.Speaker]:
    """Three seconds of the real clip: two people, the right one speaks."""
    path = resolve("clip-obama")
    frames, sound = read_frames(path, 0.5, 3.5), read_audio(path, 0.5, 3.5)
    return frames, sound, track.track_speaker(frames, sound)


def scene(num_frames: int, actors: Sequence[tuple[str, Path]], width: int = 480, height: int = 270) -> Image:
    """Draw portraits on a grey wall, frame by frame; later actors stand in front."""
    frames = np.full((num_frames, height, width, 3), 110, np.uint8)
    for index, frame in enumerate(frames):
        for name, path in actors:
            place = path(index)
            if place is not None:
                _paste(frame, portrait(name), place)
    return frames


def _paste(frame: Image, picture: Image, place: Place) -> None:
    x, y, tall, turn = place
    scale = tall / len(picture)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    middle = (np.array(small.shape[1::-1]) - 1) / 2
    matrix = cv2.getRotationMatrix2D(tuple(map(float, middle)), turn, 1.0)
    matrix[:, 2] += np.array([x, y]) - middle
    size = frame.shape[1::-1]
    cover = cv2.warpAffine(np.full(small.shape[:2], 255, np.uint8), matrix, size)[..., None] / 255.0
    frame[:] = np.rint(cover * cv2.warpAffine(small, matrix, size) + (1 - cover) * frame).astype(np.uint8)


def noise(num_frames: int) -> np.ndarray:
    """Sound of steady loudness, one second for 25 frames."""
    return np.random.default_rng(0).normal(0, 0.05, num_frames * 640).astype(np.float32)
