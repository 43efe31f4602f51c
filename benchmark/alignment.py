"""Bring a system's video beside its ground truth: rate, size, offset and length, each by a stated policy.

What differs is detected and recorded per clip; nothing is stretched or shifted in silence.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.media import FPS, SAMPLE_RATE, probe
from datapipe.records import Rejected

from .footage import Footage

SAMPLES_PER_FRAME = SAMPLE_RATE // FPS
MOST_OFFSET = 15
"""Frames to either side in which the offset of the sound is looked for."""
SURE = 0.5
"""Least correlation at which two sounds count as the same recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """What is done when a video does not fit its ground truth; part of every score's protocol."""

    fps: Literal["resample", "refuse"] = "resample"
    """A video at another rate than 25 frames per second: take the nearest frames in time, or refuse it."""
    size: Literal["resample", "refuse"] = "resample"
    """A video of another size: bring it to the truth's (area to shrink, bicubic to grow), or refuse it."""
    offset: Literal["keep", "trim", "refuse"] = "keep"
    """Sound earlier or later than the truth's: note it, trim both to where they agree, or refuse."""
    length: Literal["trim", "refuse"] = "trim"
    """A longer or shorter video: cut both to the shorter one, or refuse it."""
    most_trimmed: int = 1
    """Frames that may be trimmed at the end; a video that differs by more is a failure."""

    def settings(self) -> dict[str, str | int]:
        """The policy as protocol settings."""
        return {f"align_{name}": value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Aligned:
    """Two videos of equal rate, size and length, and what was done for it."""

    truth: Footage
    generated: Footage
    notes: tuple[str, ...]


def align(key: str, truth: Footage, generated: Footage, policy: Alignment) -> Aligned:
    """Apply the policy; raises `Rejected("bad_input")` for what it refuses."""
    notes: list[str] = []
    generated = _sized(key, truth, generated, policy, notes)
    truth, generated = _shifted(key, truth, generated, policy, notes)
    truth, generated = _cut(key, truth, generated, policy, notes)
    return Aligned(truth, generated, tuple(notes))


def check_rate(key: str, path: Path, policy: Alignment) -> tuple[str, ...]:
    """Say that a video was resampled in time; raises `Rejected("bad_input")` when the policy refuses it."""
    rate = Fraction(probe(path).fps).limit_denominator(1001)
    if rate == FPS:
        return ()
    if policy.fps == "refuse":
        what = f"{key}: {float(rate):g} frames per second, the truth has {FPS}"
        raise Rejected("bad_input", f"{what}; write the video at {FPS}, or allow --alignment.fps resample")
    return (f"resampled from {float(rate):g} to {FPS} frames per second",)


def _sized(key: str, truth: Footage, generated: Footage, policy: Alignment, notes: list[str]) -> Footage:
    (height, width), (old_height, old_width) = truth.frames.shape[1:3], generated.frames.shape[1:3]
    if (height, width) == (old_height, old_width):
        return generated
    what = f"{old_width}x{old_height} to {width}x{height}"
    if policy.size == "refuse":
        raise Rejected(
            "bad_input", f"{key}: {old_width}x{old_height}, the truth is {width}x{height}; make them equal"
        )
    shrinks = old_height * old_width > height * width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    notes.append(f"resized from {what}, {'area' if shrinks else 'bicubic'}")
    resized = [cv2.resize(frame, (width, height), interpolation=how) for frame in generated.frames]
    return generated.changed(f"size {what}", np.stack(resized))


def _shifted(
    key: str, truth: Footage, generated: Footage, policy: Alignment, notes: list[str]
) -> tuple[Footage, Footage]:
    lag = sound_offset(truth.audio, generated.audio)
    if not lag:
        return truth, generated
    what = f"its sound is {abs(lag)} frames {'late' if lag > 0 else 'early'}"
    if policy.offset == "refuse":
        raise Rejected("bad_input", f"{key}: {what}; cut the video, or use --alignment.offset trim")
    if policy.offset == "keep":
        notes.append(f"{what}; compared as it is")
        return truth, generated
    late, early = max(0, lag), max(0, -lag)
    if min(len(truth.frames), len(generated.frames)) <= abs(lag):
        raise Rejected("too_short", f"{key}: {what} and the video is no longer than that; make it again")
    notes.append(f"{what}; trimmed to where both agree")
    return (
        _span(truth, early, len(truth.frames) - late),
        _span(generated, late, len(generated.frames) - early),
    )


def _span(footage: Footage, first: int, end: int) -> Footage:
    name = f"frames {first} to {end}"
    audio = footage.audio
    if audio is not None:
        audio = audio[first * SAMPLES_PER_FRAME : end * SAMPLES_PER_FRAME]
    return footage.changed(name, footage.frames[first:end]).heard(name, audio)


def sound_offset(truth_S: NDArray[np.float32] | None, made_S: NDArray[np.float32] | None) -> int:
    """Frames by which the second sound lags the first; 0 where they are no two copies of one recording."""
    if truth_S is None or made_S is None:
        return 0
    norm = float(np.sqrt((truth_S.astype(np.float64) ** 2).sum() * (made_S.astype(np.float64) ** 2).sum()))
    if norm == 0:
        return 0
    size = len(truth_S) + len(made_S)
    found = np.fft.irfft(np.fft.rfft(made_S, size) * np.fft.rfft(truth_S, size).conj(), size)
    reach = min(MOST_OFFSET * SAMPLES_PER_FRAME, size // 2 - 1)
    window = np.concatenate([found[size - reach :], found[: reach + 1]])  # early sound lies at the far end
    best = int(window.argmax())
    return round((best - reach) / SAMPLES_PER_FRAME) if window[best] >= SURE * norm else 0


def _cut(
    key: str, truth: Footage, generated: Footage, policy: Alignment, notes: list[str]
) -> tuple[Footage, Footage]:
    num_true, num_made = len(truth.frames), len(generated.frames)
    if num_true == num_made:
        return truth, generated
    most = policy.most_trimmed if policy.length == "trim" else 0
    end = min(num_true, num_made)
    if abs(num_true - num_made) > most or end == 0:
        what = f"{key}: {num_made} frames at {FPS} fps, the truth has {num_true}"
        raise Rejected("bad_input", f"{what}; make them equal, or raise --alignment.most-trimmed")
    notes.append(f"trimmed from {max(num_true, num_made)} to {end} frames")
    cut = (_span(each, 0, end) if len(each.frames) > end else each for each in (truth, generated))
    first, second = cut
    return first, second
