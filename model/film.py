"""One video, from files to a file: picture and speech in, mp4 with sound and provenance out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from datapipe.console import say
from datapipe.crop import Choice

from .avatar import Avatar
from .avatarsync.decode import DecodeConfig
from .generate import GenerateConfig
from .hearing import Request
from .speaker import Made
from .watermark import WatermarkConfig

__all__ = ["FilmConfig", "Request", "make_film"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmConfig:
    """How the picture is read and the video made."""

    crop: bool = True
    """Find and cut out the face of the picture."""
    face: Choice = "only"
    """only: refuse a picture with several faces. largest: take the largest."""
    temperature: float = 0.0
    """Of the token choice."""
    seed: int = 0
    """Of the token choice."""
    units: int = 32
    """Most keyframes that are written together."""
    device: str = "cpu"
    """Where the networks run."""
    watermark: WatermarkConfig | None = field(default_factory=WatermarkConfig)
    """The invisible mark; None leaves it out."""

    def generate(self) -> GenerateConfig:
        """Return the settings of the generator itself."""
        decode = DecodeConfig(temperature=self.temperature, seed=self.seed)
        return GenerateConfig(decode=decode, units=self.units, watermark=self.watermark)


def make_film(
    run: Path, reference: Path, request: Request, out: Path, config: FilmConfig = FilmConfig()
) -> Made:
    """Write the video, whole or not at all, and return its facts.

    Raises `Rejected`: missing_weight (no trained run), bad_weight, missing_device, missing_file, bad_input,
    no_face, unknown_language, no_audio, silent, no_speech, not_aligned, too_large.
    """
    avatar = Avatar.load(run, config.device)
    speaker = avatar.set_reference(reference, crop=config.crop, face=config.face)
    video = speaker.with_config(config.generate()).speak(
        language=request.language, audio=request.audio, transcript=request.transcript, text=request.text
    )
    made = video.save(out)
    say(
        f"{made.num_frames} frames in {made.seconds:.2f} s ({made.rtf:.2f} of the time they show), "
        f"the first after {made.first_frame_seconds:.2f} s"
    )
    return made
