"""Keyframes: the frame that stands for each phoneme, and how well the choice could be made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .records import Keyframe, Phoneme, Seconds

Rule = Literal["midpoint", "onset", "release", "widest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyframeConfig:
    """Where in a phoneme its keyframe lies."""

    rule: Rule = "midpoint"
    """midpoint: its middle. onset: its start. release: its last frame. widest: the frame of the phoneme at
    which the mouth is opened widest (needs the opening curve)."""
    fps: int = 25
    """Frames per second of the clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyframeReport:
    """What the frame rate did to the phonemes of a clip."""

    num_phonemes: int
    num_frames_used: int
    """Distinct frames among the keyframes."""
    num_collisions: int
    """Keyframes that share their frame with the one before."""
    num_under_one_frame: int
    """Phonemes shorter than one frame."""
    worst_offset: Seconds
    """Largest distance between a chosen instant and the centre of its frame."""
    frames_histogram: dict[int, int]
    """Phonemes by their length in frames, rounded down."""


def choose_keyframes(
    phonemes: Sequence[Phoneme],
    num_frames: int,
    config: KeyframeConfig = KeyframeConfig(),
    opening_T: NDArray[np.float32] | None = None,
) -> tuple[Keyframe, ...]:
    """Choose one frame for every phoneme, in order; frames never go back and lie in [0, num_frames).

    Frame i shows the instants [i, i + 1) / fps. `opening_T` is the mouth opening of every frame, for the
    rule `widest`. Phonemes shorter than a frame may share one (see `report`).
    """
    if num_frames < 1:
        raise ValueError("a clip without frames has no keyframes")
    if config.rule == "widest" and (opening_T is None or len(opening_T) != num_frames):
        raise ValueError(f"the rule `widest` needs the mouth opening of all {num_frames} frames")
    found: list[Keyframe] = []
    earliest = 0
    for phoneme in phonemes:
        time = _instant(phoneme, config, opening_T)
        frame = min(max(int(time * config.fps + 1e-6), earliest), num_frames - 1)
        earliest = frame
        found.append(Keyframe(frame=frame, time=round(time, 4), phoneme=phoneme.symbol))
    return tuple(found)


def _instant(phoneme: Phoneme, config: KeyframeConfig, opening_T: NDArray[np.float32] | None) -> Seconds:
    if config.rule == "onset":
        return phoneme.start
    if config.rule == "release":
        return max(phoneme.start, phoneme.end - 1 / config.fps)
    middle = (phoneme.start + phoneme.end) / 2
    if config.rule == "midpoint" or opening_T is None:
        return middle
    return _widest(phoneme, config.fps, opening_T, middle)


def _widest(phoneme: Phoneme, fps: int, opening_T: NDArray[np.float32], middle: Seconds) -> Seconds:
    """Centre of the widest frame among those whose centre lies in the phoneme; its middle when none does."""
    first = int(np.ceil(phoneme.start * fps - 0.5 - 1e-6))
    last = int(np.ceil(phoneme.end * fps - 0.5 - 1e-6))
    window = opening_T[max(0, first) : max(0, last)]
    if not len(window):
        return middle
    return (max(0, first) + int(window.argmax()) + 0.5) / fps


def report(phonemes: Sequence[Phoneme], keyframes: Sequence[Keyframe], fps: int = 25) -> KeyframeReport:
    """Count collisions and phonemes that the frame rate cannot resolve."""
    frames = [keyframe.frame for keyframe in keyframes]
    lengths = [int((phoneme.end - phoneme.start) * fps + 1e-6) for phoneme in phonemes]
    offsets = [abs(keyframe.time - (keyframe.frame + 0.5) / fps) for keyframe in keyframes]
    return KeyframeReport(
        num_phonemes=len(phonemes),
        num_frames_used=len(set(frames)),
        num_collisions=sum(a == b for a, b in pairwise(frames)),
        num_under_one_frame=sum(length < 1 for length in lengths),
        worst_offset=round(max(offsets, default=0.0), 4),
        frames_histogram=dict(sorted(Counter(lengths).items())),
    )
