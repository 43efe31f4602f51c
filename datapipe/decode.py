"""Decode a clip once: frames at the working rate and the sound that belongs to them, of equal length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .container import check_file, name_of
from .faces import Floats, Image
from .film import MISSING_TOLERANCE, Film, read_film
from .level import SILENCE_DBFS, check_audible
from .media import FPS, SAMPLE_RATE
from .picture import MAX_BYTES
from .records import Box, Clip, Rejected, Seconds
from .sound import Sound, read_sound

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
    longest: Seconds = 600.0
    """Longer clips are rejected (too_large), and sound is not read beyond."""
    max_bytes: int = MAX_BYTES
    """Memory that a clip's frames may take: larger pictures are scaled down to it, to 256 pixels at the
    shorter side; what does not fit then is rejected (too_large)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """A clip's content; `audio` has exactly 640 samples per frame."""

    frames_THW3: Image
    audio: Floats
    difference: Seconds
    """Sound minus picture before they were cut to one length."""
    crop_hint: Box | None = None
    """The clip's annotated window in pixels of these frames."""
    note: str = ""
    """What was done to the pictures beside decoding, in words."""

    @property
    def duration(self) -> Seconds:
        """Length in seconds."""
        return len(self.frames_THW3) / FPS


def decode(clip: Clip, config: DecodeConfig = DecodeConfig()) -> Decoded:
    """Read picture and sound of a clip and cut them to one length.

    Raises `Rejected`: missing_file, no_audio, truncated, silent, too_short, too_large, and what `film` and
    `sound` raise.
    """
    for path in (clip.video, clip.audio):
        if path is not None:
            check_file(path)
    sound = _sound(clip, config.longest).audio
    film = read_film(clip.video, clip.start, clip.end, max_bytes=config.max_bytes)
    num_frames, difference = _common_length(clip, film, sound, config)
    fitted = np.zeros(num_frames * SAMPLES_PER_FRAME, np.float32)
    fitted[: min(len(sound), len(fitted))] = sound[: len(fitted)]
    check_audible(fitted, config.silence_dbfs)
    return Decoded(
        frames_THW3=film.frames_THW3[:num_frames],
        audio=fitted,
        difference=difference,
        crop_hint=film.look.placed(clip.crop_hint),
        note=film.look.sentence(),
    )


def _common_length(clip: Clip, film: Film, sound: Floats, config: DecodeConfig) -> tuple[int, Seconds]:
    """Frames that both have, and how much longer the sound is."""
    num_frames = len(film.frames_THW3)
    if num_frames > config.longest * FPS:
        raise Rejected(
            "too_large", f"{clip.id} lasts {num_frames / FPS:.0f} s; cut it, or raise --decode.longest"
        )
    difference = len(sound) / SAMPLE_RATE - num_frames / FPS
    num_frames = num_frames if difference >= -config.pad else len(sound) // SAMPLES_PER_FRAME
    if num_frames < config.shortest * FPS:
        raise Rejected("too_short", f"{clip.id}: {num_frames} frames with sound are not a clip; leave it out")
    return num_frames, difference


def _sound(clip: Clip, longest: Seconds) -> Sound:
    end = clip.start + longest if clip.end is None else min(clip.end, clip.start + longest)
    try:
        sound = read_sound(clip.audio or clip.video, clip.start, end)
    except Rejected as rejected:
        if clip.audio is None:
            raise
        message = f"{clip.id}: {name_of(clip.audio)} cannot be read as sound; copy it again"
        raise Rejected("no_audio", message) from rejected
    if sound.damaged > MISSING_TOLERANCE:
        raise Rejected(
            "truncated", f"{clip.id}: {sound.damaged:.2f} s of its sound are damaged; copy it again"
        )
    return sound
