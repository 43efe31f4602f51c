"""Videos from files to files: picture and speech in, mp4 with sound and provenance out; edits; streams."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from datapipe.console import say
from datapipe.crop import Choice
from datapipe.phonemes import check_language
from datapipe.records import Rejected
from datapipe.sound import sound_blocks

from ..avatar import Avatar
from ..avatarsync.decode import DecodeConfig
from ..generate import GenerateConfig
from ..marking.watermark import WatermarkConfig
from ..speech.hearing import Request, expected_frames
from .edit import Change
from .project import read_project
from .save import Made, save

__all__ = ["Ends", "FilmConfig", "Request", "edit_film", "make_film", "stream_film"]


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
    guidance: tuple[float, ...] = (1.0,)
    """Weight of the phonemes against none, one or one per sub-token; 1 is off."""
    window: int | None = None
    """Tokens of a row before the next row starts; None writes one token after another."""
    compile: bool = False
    """Compile the steps of decoding."""
    units: int = 32
    """Most keyframes that are written together."""
    device: str = "cpu"
    """Where the networks run."""
    watermark: WatermarkConfig | None = field(default_factory=WatermarkConfig)
    """The invisible mark; None leaves it out."""

    def generate(self) -> GenerateConfig:
        """Return the settings of the generator itself."""
        decode = DecodeConfig(
            temperature=self.temperature,
            seed=self.seed,
            guidance=self.guidance,
            window=self.window,
            compile=self.compile,
        )
        return GenerateConfig(decode=decode, units=self.units, watermark=self.watermark)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """What a stream reads and writes; `-` is standard input and output."""

    audio: str
    """A file, or `-` for WAV."""
    language: str
    out: str
    """A file, or `-` for an mp4 in fragments."""
    raw: bool = False
    """Write bare RGB frames to standard output."""

    def __post_init__(self) -> None:
        if self.raw and self.out != "-":
            raise Rejected("bad_input", "--raw writes bare frames to standard output; give --out - with it")


def make_film(
    run: Path,
    reference: Path,
    request: Request,
    out: Path,
    config: FilmConfig = FilmConfig(),
    project: Path | None = None,
) -> Made:
    """Write the video, whole or not at all, and return its facts; `project` is a folder to edit it from.

    Raises `Rejected`: missing_weight (no trained run), bad_weight, missing_device, missing_file, bad_input,
    no_face, unknown_language, no_audio, silent, no_speech, not_aligned, too_large.
    """
    avatar = Avatar.load(run, config.device)
    speaker = avatar.set_reference(reference, crop=config.crop, face=config.face)
    video = speaker.with_config(config.generate()).speak(
        language=request.language,
        audio=request.audio,
        transcript=request.transcript,
        text=request.text,
        tts=request.tts,
    )
    made = video.save(out, project)
    say(
        f"{made.num_frames} frames in {made.seconds:.2f} s ({made.rtf:.2f} of the time they show), "
        f"the first after {made.first_frame_seconds:.2f} s"
    )
    return made


def edit_film(
    project: Path,
    change: Change,
    places: tuple[Path | None, Path | None],
    audio: Path | None = None,
    run: Path | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Change one phoneme of a project; write the video, the edited project or both, and return the facts.

    Raises `Rejected` as `edited.edit_project` and `load_avatar` do.
    """
    out, kept = places
    if out is None and kept is None:
        raise Rejected("bad_input", "nothing would be written; give --out VIDEO, --save PROJECT, or both")
    avatar = Avatar.load(run or read_project(project).run, device)
    edited = avatar.edit_segment(project, change, audio)
    made = edited.save(out, kept)
    if audio is None and edited.keyframes:
        say("the sound is as before; where a word is said otherwise too, bring its sound with --audio")
    num_anew = sum(stop - first for first, stop in edited.rendered)
    say(f"{num_anew} of {made.num_frames} frames were made anew, all others are the same bit for bit")
    return {**asdict(made), "keyframes": edited.keyframes, "rendered": edited.rendered}


def stream_film(run: Path, reference: Path, ends: Ends, config: FilmConfig = FilmConfig()) -> None:
    """Make a video while its speech comes in, in memory that does not grow with it.

    Raises `Rejected` as `make_film` does; unreachable when the reader of standard output goes away.
    """
    check_language(ends.language)
    avatar = Avatar.load(run, config.device)
    speaker = avatar.set_reference(reference, crop=config.crop, face=config.face)
    sound = sound_blocks(sys.stdin.buffer if ends.audio == "-" else Path(ends.audio))
    pieces = speaker.with_config(config.generate()).stream(sound, language=ends.language)
    try:
        if ends.raw:
            for piece in pieces:
                sys.stdout.buffer.write(piece.frames_THW3.tobytes())
            return
        target = sys.stdout.buffer if ends.out == "-" else Path(ends.out)
        total = None if ends.audio == "-" else expected_frames(Path(ends.audio))
        made = save(pieces, target, speaker.label(), total=total)
    except BrokenPipeError as error:
        raise Rejected("unreachable", "the reader of the stream went away before its end") from error
    say(f"{made.num_frames} frames, the first after {made.first_frame_seconds:.2f} s")
