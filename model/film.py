"""One video, from files to a file: picture and speech in, mp4 with sound and provenance out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from datapipe.console import say
from datapipe.crop import crop_image
from datapipe.media import read_audio, write_video
from datapipe.records import Rejected

from .avatar import load_avatar
from .avatarsync.decode import DecodeConfig
from .generate import GenerateConfig, generate
from .provenance import tag
from .speech import Speech, from_audio, from_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be said; exactly one of `audio` and `text`."""

    language: str
    audio: Path | None = None
    transcript: str | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if (self.audio is None) == (self.text is None):
            raise Rejected(
                "bad_input", "give either --audio FILE (with or without --transcript) or --text WORDS"
            )
        if self.text is not None and self.transcript is not None:
            raise Rejected("bad_input", "--transcript belongs to --audio; with --text it is not needed")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmConfig:
    """How the picture is read and the video made."""

    crop: bool = True
    """Find and cut out the face of the picture."""
    temperature: float = 0.0
    """Of the token choice."""
    seed: int = 0
    """Of the token choice."""


def make_film(
    run: Path, reference: Path, request: Request, out: Path, config: FilmConfig = FilmConfig()
) -> None:
    """Write the video, whole or not at all.

    Raises `Rejected`: missing_weight (no trained run), missing_file, bad_input, no_face, unknown_language,
    no_audio, silent, no_speech, not_aligned.
    """
    speech = listen(request)
    avatar = load_avatar(run)
    picture = read_reference(reference, avatar.size, config.crop)
    decode = DecodeConfig(temperature=config.temperature, seed=config.seed)
    blocks = generate(avatar, picture, speech.phonemes, speech.duration, GenerateConfig(decode=decode))
    frames = np.concatenate(list(blocks))
    write_video(out, frames, speech.audio, metadata=tag("avatarsync", avatar.run_id, picture))
    say(f"{len(frames)} frames, {len(speech.phonemes)} phonemes, {speech.duration:.2f} s")


def listen(request: Request) -> Speech:
    """Time the phonemes of a request."""
    if request.text is not None:
        return from_text(request.text, request.language)
    assert request.audio is not None
    if not request.audio.exists():
        raise Rejected("missing_file", f"there is no sound file {request.audio}; check the path")
    return from_audio(read_audio(request.audio), request.language, request.transcript)


def read_reference(path: Path, size: int, crop: bool) -> NDArray[np.uint8]:
    """Read a picture as the generator wants it: RGB, square, `size` pixels."""
    picture = read_picture(path)
    if crop:
        return crop_image(picture, size)
    if picture.shape[0] != picture.shape[1]:
        raise Rejected(
            "bad_input", f"{path.name} is not square; leave out --no-crop to have the face cut out"
        )
    resized = Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS)
    return picture if len(picture) == size else np.asarray(resized, np.uint8)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read any picture file as (H, W, 3) RGB, turned upright."""
    from PIL import ImageOps

    if not path.exists():
        raise Rejected("missing_file", f"there is no picture {path}; check the path")
    try:
        with Image.open(path) as opened:
            return np.array(ImageOps.exif_transpose(opened).convert("RGB"), np.uint8)
    except (UnidentifiedImageError, OSError) as error:
        raise Rejected("bad_input", f"{path.name} cannot be read as a picture; give a PNG or JPEG") from error
