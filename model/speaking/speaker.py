"""A picture that can speak: set once, then asked for any number of videos or streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from datapipe.crop import Choice
from datapipe.records import Phoneme, Rejected

from ..avatar import Avatar, bind
from ..avatarsync.intervals import Drawn
from ..avatarsync.write import Reference
from ..generate import GenerateConfig
from ..picture import prepare, read_picture
from ..speech.hearing import Heard, Request, Sound, expected_frames, hear, hear_blocks
from ..speech.synthesis import Synthesiser
from .pieces import Piece, enough_memory, make_pieces
from .project import Origin, recording
from .remembered import bind_once
from .save import Label, Made, save

Picture = Path | str | NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Video:
    """A video that is made when it is read; reading it again makes the same again."""

    speaker: Speaker
    start: Callable[[], Iterator[Heard]]
    """Gives the speech from its beginning."""
    config: GenerateConfig
    num_frames: int | None = None
    """How many frames are expected, where that is known before the speech is heard."""

    def pieces(self) -> Iterator[Piece]:
        """Yield frames with their sound as they are made."""
        return make_pieces(self.speaker.avatar, self.speaker.reference, self.start(), self.config)

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield blocks of frames (n, S, S, 3) as they are made."""
        return (piece.frames_THW3 for piece in self.pieces() if len(piece.frames_THW3))

    def save(self, target: Path | str | IO[bytes], project: Path | str | None = None) -> Made:
        """Write an mp4 with sound and provenance: a path gets it whole, a stream as it grows.

        `project` is a folder for what `Avatar.edit_segment` needs.
        """
        avatar, reference = self.speaker.avatar, self.speaker.reference
        with ExitStack() as stack:
            note: Callable[[Drawn], None] = _ignore
            recorder = None
            if project is not None:
                recorder = stack.enter_context(recording(Path(project), self.speaker.origin(self.config)))
                note = recorder.keyframe
            pieces = make_pieces(avatar, reference, self.start(), self.config, note)
            return save(pieces, target, self.speaker.label(), recorder, self.num_frames)


def _ignore(keyframe: Drawn) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Speaker:
    """An avatar with a face. A value: binding another picture gives another speaker."""

    avatar: Avatar
    reference: Reference
    config: GenerateConfig = field(default_factory=GenerateConfig)
    """How its videos are made."""

    @classmethod
    def of(
        cls,
        avatar: Avatar,
        image: Picture,
        *,
        crop: bool = True,
        face: Choice = "only",
        cache: Path | None = None,
    ) -> Speaker:
        """Read, crop and bind a picture; see `Avatar.set_reference`."""
        picture = image if isinstance(image, np.ndarray) else read_picture(Path(image))
        square = prepare(picture, avatar.crop if crop else None, face, avatar.size)
        with enough_memory():
            reference = bind(avatar, square) if cache is None else bind_once(avatar, square, cache)
        return cls(avatar=avatar, reference=reference)

    def with_config(self, config: GenerateConfig) -> Speaker:
        """Return the same face with other settings; nothing is computed again."""
        return replace(self, config=config)

    def label(self) -> Label:
        """Say what its videos carry of their provenance."""
        return Label(run_id=self.avatar.run_id, picture_HW3=self.reference.picture_HW3)

    def origin(self, config: GenerateConfig) -> Origin:
        """Say what its videos are made from. Raises `Rejected("bad_input")` without a folder of its run."""
        if self.avatar.folder is None:
            raise Rejected("bad_input", "a project names the folder of its run; load the avatar from one")
        return Origin(
            run=self.avatar.folder,
            run_id=self.avatar.run_id,
            picture_HW3=self.reference.picture_HW3,
            settings=config,
        )

    def speak(
        self,
        *,
        language: str,
        audio: Path | str | None = None,
        transcript: str | None = None,
        text: str | None = None,
        tts: Synthesiser | None = None,
    ) -> Video:
        """Prepare a video of a recording or of a text; frames are made when they are read.

        Raises `Rejected`: bad_input (not exactly one of audio and text); reading it raises what `hear` and
        `make_pieces` raise.
        """
        given = None if audio is None else Path(audio)
        request = Request(language=language, audio=given, transcript=transcript, text=text, tts=tts)
        return Video(
            speaker=self,
            start=lambda: hear(request, self.avatar.folder),
            config=self.config,
            num_frames=expected_frames(given) if given else None,
        )

    def say(self, phonemes: Iterable[Phoneme], audio: Sound) -> Video:
        """Prepare a video of timed phonemes, from 0 without gaps, and their 16 kHz sound."""
        heard = Heard(phonemes=tuple(phonemes), audio=audio)
        return Video(speaker=self, start=lambda: iter((heard,)), config=self.config)

    def stream(
        self, speech: Iterable[Heard] | Iterable[Sound], *, language: str | None = None
    ) -> Iterator[Piece]:
        """Yield frames and sound while speech comes in, in constant memory.

        `speech` yields `Heard` segments (timed phonemes, which go on where the last ended), or with a
        `language` blocks of 16 kHz sound, which are cut at silences, recognised and timed. The first frames
        come with the first two phonemes; they are, byte for byte, those of the video of the whole speech.
        """
        heard: Any = speech if language is None else hear_blocks(speech, language)  # type: ignore[arg-type]
        return make_pieces(self.avatar, self.reference, heard, self.config)
