"""Decode a clip once: frames at the working rate and the sound that belongs to them, of equal length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .faces import Floats, Image
from .level import SILENCE_DBFS, check_audible
from .media import FPS, SAMPLE_RATE, read_audio, read_frames
from .records import Clip, Rejected, Seconds

SAMPLES_PER_FRAME = SAMPLE_RATE // FPS


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeConfig:
    """What counts as a usable clip."""

    shortest: Seconds = 0.4
    """Shorter clips are rejected (too_short)."""
    silence_dbfs: float = SILENCE_DBFS
    """A clip whose loudest 40 ms are below this level is silent."""
    pad: Seconds = 0.25
    """Sound that ends this much before the picture is filled with silence; beyond, the picture is cut."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """A clip's content; `audio` has exactly 640 samples per frame."""

    frames_THW3: Image
    audio: Floats
    difference: Seconds
    """Sound minus picture before they were cut to one length."""

    @property
    def duration(self) -> Seconds:
        """Length in seconds."""
        return len(self.frames_THW3) / FPS


def decode(clip: Clip, config: DecodeConfig = DecodeConfig()) -> Decoded:
    """Read picture and sound of a clip and cut them to one length.

    Raises `Rejected`: missing_file, no_audio, silent, too_short, and what `media` raises.
    """
    for path in (clip.video, clip.audio):
        if path is not None and not path.is_file():
            raise Rejected("missing_file", f"{clip.id}: {path.name} is not there; complete the download")
    audio = _sound(clip)
    frames = read_frames(clip.video, clip.start, clip.end)
    difference = len(audio) / SAMPLE_RATE - len(frames) / FPS
    num_frames = len(frames) if difference >= -config.pad else len(audio) // SAMPLES_PER_FRAME
    if num_frames < config.shortest * FPS:
        raise Rejected("too_short", f"{clip.id}: {num_frames} frames with sound are not a clip; leave it out")
    fitted = np.zeros(num_frames * SAMPLES_PER_FRAME, np.float32)
    fitted[: min(len(audio), len(fitted))] = audio[: len(fitted)]
    check_audible(fitted, config.silence_dbfs)
    return Decoded(frames_THW3=frames[:num_frames], audio=fitted, difference=difference)


def _sound(clip: Clip) -> Floats:
    if clip.audio is None:
        return read_audio(clip.video, clip.start, clip.end)
    try:
        return read_audio(clip.audio, clip.start, clip.end)
    except Rejected as rejected:
        message = f"{clip.id}: {clip.audio.name} cannot be read as sound; copy it again"
        raise Rejected("no_audio", message) from rejected
