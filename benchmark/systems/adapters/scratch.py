"""One clip through an adapter: a scratch folder like the repository's root, then the one video it left."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml  # type: ignore[import-untyped]
from numpy.typing import NDArray

from datapipe import template
from datapipe.child import last_words
from datapipe.files import write_bytes, write_text
from datapipe.media import FPS, mux, probe, read_frames, wav_bytes, write_video
from datapipe.records import Rejected

from ...records import Case
from ..inputs import (
    SAMPLES_PER_FRAME,
    num_frames_of,
    reference_frame,
    sound_of_length,
    text_of,
    write_reference,
)
from .adapter import AUDIO, FACES, OUT, REFERENCE, STILL, VIDEO, Adapter, ScratchFile

CASE = "case"
FINISHED_CRF = 10
"""A video that must be cut is encoded once more, far above what the metrics see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """An adapter with the user's repository, Python and options."""

    adapter: Adapter
    repo: Path
    python: str
    options: dict[str, str]

    @property
    def recipe(self) -> dict[str, Any]:
        """Everything of the setup that the videos depend on."""
        adapter = self.adapter
        padding = [adapter.pad_seconds, adapter.least_seconds, adapter.crop]
        files = [[each.path, each.base, each.values, each.text] for each in adapter.files]
        where = [str(self.repo), self.python]
        return {"run": [adapter.command, files, padding, where], "options": self.options}


def stage(setup: Setup, case: Case, root: Path) -> tuple[str, ...]:
    """Fill `root` for one clip and return the command to run in it.

    Raises `Rejected`: what decoding the case raises; bad_input when a file of the repository is missing.
    """
    adapter = setup.adapter
    _link(setup.repo, root, adapter.fresh)
    (root / CASE).mkdir()
    num_frames = num_frames_of(case)
    write_reference(case, root / REFERENCE)
    heard = max(num_frames + round(adapter.pad_seconds * FPS), round(adapter.least_seconds * FPS))
    silence = (heard - num_frames) * SAMPLES_PER_FRAME
    write_bytes(root / AUDIO, wav_bytes(np.pad(sound_of_length(case, num_frames), (0, silence))))
    values = _values(setup, case)
    _stage_videos(case, root, num_frames, values["face"])
    for wanted in adapter.files:
        _write_file(wanted, setup.repo, root, values)
    words = template.split(adapter.command, adapter.places)
    return tuple(template.fill(word, values) for word in words)


def _link(repo: Path, root: Path, fresh: tuple[str, ...]) -> None:
    for entry in repo.iterdir():
        if not entry.name.startswith(".") and entry.name not in (*fresh, CASE):
            (root / entry.name).symlink_to(entry)
    for name in fresh:
        (root / name).mkdir(parents=True)


def _values(setup: Setup, case: Case) -> dict[str, str]:
    files = {"reference": REFERENCE, "audio": AUDIO, "still": STILL, "video": VIDEO, "out": OUT}
    given = {"python": setup.python, "repo": str(setup.repo), "key": case.key, "text": text_of(case)}
    face = FACES[setup.options.get("face", "picture")]
    return {**setup.options, **files, **given, "face": face}


def _stage_videos(case: Case, root: Path, num_frames: int, face: str) -> None:
    """Make the videos that only some methods are shown: one that repeats the picture, or the true one."""
    if face == STILL:
        still_1HW3 = _even(reference_frame(case)[None])
        write_video(root / STILL, np.repeat(still_1HW3, num_frames, axis=0), crf=FINISHED_CRF)
    if face == VIDEO:
        shutil.copyfile(case.video, root / VIDEO)


def _write_file(wanted: ScratchFile, repo: Path, root: Path, values: dict[str, str]) -> None:
    content = template.fill_all(wanted.values, values)
    if wanted.base:
        content = {**_load(repo / wanted.base), **content}
    suffix = Path(wanted.path).suffix
    if suffix == ".yaml":
        text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    else:
        text = json.dumps(content, indent=1) if suffix == ".json" else template.fill(wanted.text, values)
    write_text(root / wanted.path, text)


def _load(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        message = (
            f"{path.name} cannot be read in the repository ({error}); check out the version that was read"
        )
        raise Rejected("bad_input", message) from error
    if not isinstance(content, dict):
        raise Rejected("bad_input", f"{path.name} of the repository holds no settings by name")
    return content


def collect(adapter: Adapter, root: Path, log: Path) -> Path:
    """The one video that the method left; raises `Rejected`: missing_file (none), bad_input (several)."""
    found = sorted(path for path in root.glob(adapter.collect) if path.is_file())
    if not found:
        said = last_words(log)
        raise Rejected(
            "missing_file", f"{adapter.title} ended but wrote no {adapter.collect}; its last line: {said}"
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found[:4])
        raise Rejected(
            "bad_input", f"{adapter.title} wrote {len(found)} videos where one was expected: {names}"
        )
    return found[0]


def finish(adapter: Adapter, case: Case, made: Path, folder: Path) -> Path:
    """Cut what the method added (other pictures, padding at the end); give a silent video the clip's sound.

    A video that needs neither is returned as it is. Frames are never added: one too short stays too short.
    """
    num_frames, shown = num_frames_of(case), probe(made)
    finished = folder / "finished.mp4"
    if adapter.crop or round(shown.duration * FPS) > num_frames:
        frames = _cropped(adapter, read_frames(made, 0.0, num_frames / FPS))
        write_video(finished, frames, sound_of_length(case, len(frames)), crf=FINISHED_CRF)
        return finished
    if shown.audio_codec is None:
        mux(finished, made.read_bytes(), sound_of_length(case, num_frames))
        return finished
    return made


def _even(frames_THW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Without the last row or column where H.264 cannot have it."""
    return frames_THW3[:, : frames_THW3.shape[1] // 2 * 2, : frames_THW3.shape[2] // 2 * 2]


def _cropped(adapter: Adapter, frames_THW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if adapter.crop is None:
        return _even(frames_THW3)
    left, top, right, bottom = adapter.crop
    height, width = frames_THW3.shape[1:3]
    if right > width or bottom > height:
        message = f"{adapter.title} wrote {width}x{height}; its result is expected in {adapter.crop}"
        raise Rejected("bad_input", f"{message}; run it with the size that the adapter gives")
    return frames_THW3[:, top:bottom, left:right]
