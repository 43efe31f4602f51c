"""What a method is given for a clip: the reference picture, the sound, the text, and a digest of them all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.files import hash_once
from datapipe.media import FPS, SAMPLE_RATE, probe, read_audio, read_frames, write_wav
from datapipe.records import Rejected

from ..records import Case

SAMPLES_PER_FRAME = SAMPLE_RATE // FPS


def check_key(key: str) -> str:
    """Return a key that can name a file of its own folder; raises `Rejected("bad_input")` otherwise."""
    if not key or key.startswith(".") or any(each in key for each in "/\\\0"):
        raise Rejected("bad_input", f"`{key}` cannot name a file: it leaves the folder; rename the case")
    return key


def num_frames_of(case: Case) -> int:
    """Frames of the ground truth at 25 fps: what a system must make."""
    truth = probe(case.video)
    return truth.num_frames if truth.fps == FPS else round(truth.duration * FPS)


def text_of(case: Case) -> str:
    """The transcript, empty where there is none."""
    return case.sample.text if case.sample else ""


def reference_file(case: Case, folder: Path) -> Path:
    """The reference picture; the first frame, written into `folder`, where the case has none."""
    if case.picture is not None:
        return case.picture.resolve()
    return write_reference(case, folder / "reference.png")


def write_reference(case: Case, path: Path) -> Path:
    """Write the reference picture as a PNG, whatever its own format is, and return where it is."""
    if not cv2.imwrite(str(path), np.ascontiguousarray(reference_frame(case)[:, :, ::-1])):
        raise Rejected("bad_input", f"{path.name} cannot be written as a picture")
    return path


def reference_frame(case: Case) -> NDArray[np.uint8]:
    """The reference picture as (H, W, 3) RGB; the first frame of the truth where the case has none."""
    if case.picture is None:
        first_HW3: NDArray[np.uint8] = read_frames(case.video, 0.0, 1.0 / FPS)[0]
        return first_HW3
    picture = cv2.imread(str(case.picture), cv2.IMREAD_COLOR)
    if picture is None:
        raise Rejected("bad_input", f"{case.picture.name} cannot be read as a picture; export the case again")
    return np.ascontiguousarray(picture[:, :, ::-1], dtype=np.uint8)


def sound_source(case: Case) -> Path:
    """KEY.wav where there is one, else the video."""
    wav = case.video.with_suffix(".wav")
    return wav if wav.is_file() else case.video


def audio_file(case: Case, folder: Path) -> Path:
    """KEY.wav where there is one; else the video's sound, written into `folder`. Raises as `read_audio`."""
    source = sound_source(case)
    if source != case.video:
        return source.resolve()
    path = folder / "audio.wav"
    write_wav(path, read_audio(source))
    return path


def sound_of_length(case: Case, num_frames: int) -> NDArray[np.float32]:
    """Exactly `num_frames` x 640 samples of the clip's sound at 16 kHz, silence where it ends before."""
    sound, num_samples = read_audio(sound_source(case)), num_frames * SAMPLES_PER_FRAME
    return np.pad(sound[:num_samples], (0, max(0, num_samples - len(sound))))


def digest_of(case: Case, recipe: Any) -> str:
    """Name what a video is made from: the recipe (plain values) and everything the case gives."""
    files = [case.video, case.picture, sound_source(case)]
    parts = [recipe, text_of(case), *(path and hash_once(path) for path in files)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
