"""A project with one change: a video of the old frames, made anew only where it must be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray

from datapipe.media import FPS, SAMPLE_RATE, read_audio
from datapipe.records import Phoneme, Rejected

from ..avatar import Avatar, bind
from .edit import Change, Scene, Score, changed, edited_frames, plan, rewritten
from .pieces import Piece
from .project import Opened, Origin, open_project, recording
from .save import Label, Made, save

STEP = SAMPLE_RATE // FPS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Edited:
    """The video after a change; frames are made, or read, when they are asked for."""

    scene: Scene
    project: Opened
    new: Score
    audio: NDArray[np.float32]

    @property
    def old(self) -> Score:
        """Phonemes and tokens before the change."""
        return Score(phonemes=self.project.project.phonemes, tokens_nK=self.project.tokens_nK)

    @property
    def keyframes(self) -> tuple[int, ...]:
        """Numbers of the keyframes that were written again and came out different."""
        differ = (self.new.tokens_nK != self.old.tokens_nK).any(1)
        return tuple(int(i) for i in torch.nonzero(differ)[:, 0])

    @property
    def rendered(self) -> tuple[tuple[int, int], ...]:
        """Spans of frames (first, stop) that are made anew; all others are the old ones, bit for bit."""
        spans = plan(self.old, self.new, self.project.project.num_frames)
        return tuple((each.first, each.stop) for each, is_new in spans if is_new and each.first < each.stop)

    def pieces(self) -> Iterator[Piece]:
        """Yield every frame with its sound."""
        total = self.project.project.num_frames
        frames = edited_frames(self.scene, self.project.frames(), self.old, self.new, total)
        for index, frame in enumerate(frames):
            stop = None if index == total - 1 else (index + 1) * STEP
            yield Piece(frames_THW3=frame[None], audio=self.audio[index * STEP : stop])

    def save(self, target: Path | str | IO[bytes] | None, project: Path | str | None = None) -> Made:
        """Write an mp4, the edited project, which may take the old one's place, or both."""
        with ExitStack() as stack:
            recorder = None
            if project is not None:
                recorder = stack.enter_context(recording(Path(project), self._origin()))
                recorder.phonemes.extend(self.new.phonemes)
                recorder.tokens.extend(self.new.tokens_nK)
            return save(self.pieces(), target, self._label(), recorder)

    def _label(self) -> Label:
        return Label(run_id=self.scene.avatar.run_id, picture_HW3=self.project.picture_HW3)

    def _origin(self) -> Origin:
        old = self.project.project
        return Origin(
            run=old.run,
            run_id=old.run_id,
            picture_HW3=self.project.picture_HW3,
            settings=old.settings,
        )


def edit_project(avatar: Avatar, folder: Path, change: Change, audio: Path | None = None) -> Edited:
    """Change one phoneme of a project.

    The sound stays as it is, so that lips and sound differ where the phoneme changed, unless `audio` brings
    the sound of the whole video anew. Raises `Rejected`: missing_file, bad_input (a project of another run,
    no such phoneme, a symbol that the run does not know, no room, sound of another length).
    """
    opened = open_project(folder)
    old = opened.project
    check_run(avatar, opened)
    score = Score(phonemes=old.phonemes, tokens_nK=opened.tokens_nK)
    scene = Scene(avatar=avatar, reference=bind(avatar, opened.picture_HW3), settings=old.settings)
    phonemes: tuple[Phoneme, ...] = changed(old.phonemes, change)
    return Edited(
        scene=scene,
        project=opened,
        new=rewritten(scene, score, phonemes),
        audio=opened.audio if audio is None else _sound(audio, old.num_frames),
    )


def check_run(avatar: Avatar, opened: Opened) -> None:
    """Refuse a project of another run, or one whose frames cannot be placed again."""
    old = opened.project
    if old.run_id != avatar.run_id:
        raise Rejected(
            "bad_input",
            f"{opened.folder} was made by the run {old.run_id}, this is {avatar.run_id}; "
            "give the run that made it with --run",
        )
    if old.settings.allocation != "dynamic":
        raise Rejected(
            "bad_input",
            f"{opened.folder} was made with the allocation `{old.settings.allocation}`, in which every frame "
            "hangs on every phoneme; generate it with `dynamic`",
        )


def _sound(path: Path, num_frames: int) -> NDArray[np.float32]:
    audio = read_audio(path)
    if abs(len(audio) - num_frames * STEP) > STEP:
        raise Rejected(
            "bad_input",
            f"{path.name} lasts {len(audio) / SAMPLE_RATE:.2f} s, the video {num_frames / FPS:.2f} s; "
            "give sound of the same length",
        )
    return audio
