"""Drawn talking faces whose right answer is known: for tests and quick trials, without any corpus.

A head, two eyes and a mouth whose opening and width follow the phoneme; identities differ in colours and
proportions. Keyframes stand at the middle of each phoneme and the mouth eases between them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.faces import ARCFACE_POINTS_52, similarity
from model.data import TalkingClip

MOUTHS = {
    "SIL": (0.0, 1.0), "M": (0.0, 0.85), "AA": (1.0, 1.0), "EH": (0.6, 1.1),
    "IY": (0.25, 1.35), "UW": (0.3, 0.5), "OW": (0.6, 0.65), "S": (0.12, 1.2),
}  # fmt: skip
"""Opening and width of each symbol's mouth."""
SYMBOLS = tuple(MOUTHS)
FRAMES_PER_PHONEME = 4
FACE_52 = np.array([(0.355, 0.38), (0.645, 0.38), (0.5, 0.55), (0.39, 0.72), (0.61, 0.72)])
"""Eyes, nose and mouth corners of every drawn face, as parts of the side."""
FINE = 4
"""Drawn this much larger, then averaged: soft edges."""


def make_clips(num_clips: int, size: int, num_phonemes: int = 6, seed: int = 0) -> list[TalkingClip]:
    """Draw clips of four identities, each starting in silence."""
    rng = np.random.default_rng(seed)
    return [_clip(index, size, num_phonemes, rng) for index in range(num_clips)]


def draw_face(identity: int, opening: float, width: float, size: int) -> NDArray[np.uint8]:
    """One face, (size, size, 3)."""
    rng = np.random.default_rng(1000 + identity)
    skin, hair, lips = (rng.integers(low, high, 3) for low, high in ((150, 235), (20, 90), (90, 150)))
    large = size * FINE
    canvas = np.full((large, large, 3), rng.integers(60, 200, 3), np.uint8)
    _ellipse(canvas, (0.5, 0.45), (0.40, 0.42), hair)
    _ellipse(canvas, (0.5, 0.52), (0.34 + 0.03 * (identity % 3), 0.42), skin)
    for side in (-1, 1):
        _ellipse(canvas, (0.5 + 0.145 * side, 0.38), (0.06, 0.03), np.array([245, 245, 245]))
        _ellipse(canvas, (0.5 + 0.145 * side, 0.38), (0.025, 0.028), hair)
    _ellipse(canvas, (0.5, 0.72 + 0.02 * opening), (0.11 * width, 0.03 + 0.07 * opening), lips)
    if opening > 0.02:
        _ellipse(
            canvas, (0.5, 0.72 + 0.02 * opening), (0.085 * width, 0.07 * opening), np.array([40, 12, 16])
        )
    return np.asarray(cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _ellipse(
    canvas: NDArray[np.uint8],
    centre: tuple[float, float],
    radii: tuple[float, float],
    colour: NDArray[np.int64],
) -> None:
    side = len(canvas)
    middle = (round(centre[0] * side), round(centre[1] * side))
    axes = (max(1, round(radii[0] * side)), max(1, round(radii[1] * side)))
    cv2.ellipse(canvas, middle, axes, 0, 0, 360, [int(c) for c in colour], -1, cv2.LINE_AA)


def _points(opening: float, width: float) -> NDArray[np.float32]:
    """Twenty points around the lips and nine along the chin, -1 to 1."""
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    x = 0.5 + 0.11 * width * np.cos(turn)
    lips = np.stack((x, 0.72 + 0.02 * opening + (0.03 + 0.07 * opening) * np.sin(turn)), 1)
    along = np.linspace(-1, 1, 9)
    chin = np.stack((0.5 + 0.2 * along, 0.93 - 0.1 * along**2), 1)
    return np.asarray(np.concatenate((lips, chin)) * 2 - 1, np.float32)


def _clip(index: int, size: int, num_phonemes: int, rng: np.random.Generator) -> TalkingClip:
    phonemes = ("SIL", *(SYMBOLS[i] for i in rng.integers(1, len(SYMBOLS), num_phonemes - 1)))
    keyframes = FRAMES_PER_PHONEME // 2 + FRAMES_PER_PHONEME * np.arange(num_phonemes)
    num_frames = FRAMES_PER_PHONEME * num_phonemes
    poses = np.array([MOUTHS[symbol] for symbol in phonemes])
    ease = [np.interp(np.arange(num_frames), keyframes, poses[:, column]) for column in (0, 1)]
    frames = [draw_face(index % 4, opening, width, size) for opening, width in zip(*ease, strict=True)]
    points = np.stack([_points(opening, width) for opening, width in zip(*ease, strict=True)])
    box = np.array([0.3, 0.6, 0.7, 0.9], np.float32) * size
    return TalkingClip(
        key=f"toy-{index}",
        speaker=f"toy/{index % 4}",
        frames_THW3=np.stack(frames),
        keyframes_n=keyframes,
        times_n=keyframes / 25.0,
        phonemes=phonemes,
        mouth_T4=np.repeat(box[None], num_frames, 0),
        points_TL2=points,
        faces_T23=np.repeat(similarity(FACE_52 * size, ARCFACE_POINTS_52)[None], num_frames, 0).astype("f4"),
    )
