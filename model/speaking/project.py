"""A video as a project that can be edited: what was said, what was written, and every frame, bit for bit.

A project is a folder. `project.json` is written last and names the other two files: tensors (tokens, picture,
sound) and the frames as they were before encoding. Replacing a project writes new files beside the old ones,
then the JSON, then takes the old ones away: there is always one whole project.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datapipe.files import sha256_of, write_text
from datapipe.lossless import Roll, new_roll, read_roll
from datapipe.records import Phoneme, Rejected, read_record, to_json

from ..avatarsync.intervals import Drawn
from ..checkpoint import load_tensors, save_tensors
from ..generate import GenerateConfig

FILE = "project.json"
SCHEMA = "avatarsync-project/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The content of `project.json`."""

    run: Path
    """Folder of the run that made it."""
    run_id: str
    reference_sha256: str
    """Hash of the reference picture as the run saw it."""
    phonemes: tuple[Phoneme, ...]
    settings: GenerateConfig
    num_frames: int
    tensors: str
    """Name of the file that holds tokens (n, K), picture (S, S, 3) and audio (N,)."""
    frames: str
    """Name of the lossless film."""
    schema: str = SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opened:
    """A project, read; its frames stay on disk."""

    folder: Path
    project: Project
    tokens_nK: Tensor
    picture_HW3: NDArray[np.uint8]
    audio: NDArray[np.float32]

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames one by one."""
        return read_roll(self.folder / self.project.frames)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recorder:
    """Takes down a video while it is made."""

    roll: Roll
    phonemes: list[Phoneme] = field(default_factory=list)
    tokens: list[Tensor] = field(default_factory=list)
    audio: list[NDArray[np.float32]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def keyframe(self, keyframe: Drawn) -> None:
        """Take down one keyframe."""
        self.phonemes.append(keyframe.phoneme)
        self.tokens.append(keyframe.tokens_K.cpu())

    def piece(self, frames_THW3: NDArray[np.uint8], audio: NDArray[np.float32]) -> None:
        """Take down frames and sound."""
        self.roll.add(frames_THW3)
        self.counts.append(len(frames_THW3))
        self.audio.append(audio)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Origin:
    """What made a video: run, picture and settings."""

    run: Path
    run_id: str
    picture_HW3: NDArray[np.uint8]
    settings: GenerateConfig


@contextmanager
def recording(folder: Path, origin: Origin) -> Iterator[Recorder]:
    """Take a video down; the project appears, whole, when the body ends without an error."""
    making = folder / "frames.new.mkv"
    with new_roll(making) as roll:
        recorder = Recorder(roll=roll)
        yield recorder
    tensors = {
        "tokens": torch.stack(recorder.tokens),
        "picture": torch.from_numpy(np.ascontiguousarray(origin.picture_HW3)),
        "audio": torch.from_numpy(np.concatenate(recorder.audio)),
    }
    written = folder / "tensors.new.safetensors"
    save_tensors(written, tensors)
    names = {path: _name(path) for path in (making, written)}
    for path, name in names.items():
        path.replace(folder / name)
    project = Project(
        run=origin.run.resolve(),
        run_id=origin.run_id,
        reference_sha256=hash_of(origin.picture_HW3),
        phonemes=tuple(recorder.phonemes),
        settings=origin.settings,
        num_frames=sum(recorder.counts),
        tensors=names[written],
        frames=names[making],
    )
    write_text(folder / FILE, to_json(project) + "\n")
    _sweep(folder, project)


def read_project(folder: Path) -> Project:
    """Read what a project says of itself. Raises `Rejected`: missing_file, bad_input (of another version)."""
    if not (folder / FILE).exists():
        raise Rejected(
            "missing_file",
            f"{folder} holds no project; `avatarsync model generate ... --project {folder}` writes one",
        )
    return read_record(folder / FILE, Project, "generate it again")


def open_project(folder: Path) -> Opened:
    """Read a project. Raises `Rejected`: missing_file, bad_input (damaged, or of another version)."""
    project = read_project(folder)
    for name in (project.tensors, project.frames):
        if not (folder / name).exists():
            raise Rejected("missing_file", f"{folder} lacks its file {name}; generate the project again")
    tensors = load_tensors(folder / project.tensors)
    opened = Opened(
        folder=folder,
        project=project,
        tokens_nK=tensors["tokens"],
        picture_HW3=tensors["picture"].numpy(),
        audio=tensors["audio"].numpy(),
    )
    count, digest = len(opened.tokens_nK), hash_of(opened.picture_HW3)
    if count != len(project.phonemes) or digest != project.reference_sha256:
        raise Rejected("bad_input", f"{folder}: its files do not belong together; generate it again")
    return opened


def phoneme_table(phonemes: Sequence[Phoneme]) -> list[str]:
    """List phonemes with the numbers that an edit names, one a line: number, symbol, start, end."""
    return [f"{i}\t{each.symbol}\t{each.start:.3f}\t{each.end:.3f}" for i, each in enumerate(phonemes)]


def hash_of(picture_HW3: NDArray[np.uint8]) -> str:
    """Hash a picture's pixels."""
    return hashlib.sha256(np.ascontiguousarray(picture_HW3).tobytes()).hexdigest()


def _name(path: Path) -> str:
    return f"{path.name.split('.')[0]}-{sha256_of(path)[:12]}{path.suffix}"


def _sweep(folder: Path, project: Project) -> None:
    for pattern in ("frames-*.mkv", "tensors-*.safetensors"):
        for path in folder.glob(pattern):
            if path.name not in (project.frames, project.tensors):
                path.unlink(missing_ok=True)
