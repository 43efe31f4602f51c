"""Rows that every run can have besides its systems: made from the ground truth, they show that metrics work.

A copy must score nearly as well as the truth, and whatever a control breaks must cost it the metric that is
about it: `checks.py` says which.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datapipe.media import FPS, SAMPLE_RATE, read_frames, write_video
from datapipe.records import Rejected

from .footage import Footage, open_footage
from .records import Case

CRF = 28
SHIFT_FRAMES = 5
REENCODED, SHIFTED, FROZEN, OTHER = "re-encoded truth", "shifted audio", "frozen frame", "other speaker"


def reencoded(case: Case, truth: Footage) -> Footage:
    """The truth after H.264 at CRF 28: what a good copy reads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy.mp4"
        write_video(path, _even(truth.frames), crf=CRF)
        frames = read_frames(path)
    height, width = truth.frames.shape[1:3]
    whole = truth.frames.copy()
    whole[: len(frames), : height // 2 * 2, : width // 2 * 2] = frames[: len(whole)]
    return truth.changed(f"crf {CRF}", whole)


def _even(frames_THW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = frames_THW3.shape[1:3]
    return frames_THW3[:, : height // 2 * 2, : width // 2 * 2]


def shifted(case: Case, truth: Footage) -> Footage:
    """The truth with its sound 5 frames late: only what listens may notice."""
    if truth.audio is None:
        raise Rejected("no_audio", f"{case.key}: the ground truth has no sound to shift; add it to the video")
    samples = SHIFT_FRAMES * SAMPLE_RATE // FPS
    late = np.concatenate([np.zeros(samples, np.float32), truth.audio])[: len(truth.audio)]
    return truth.heard(f"{SHIFT_FRAMES} frames late", late)


def frozen(case: Case, truth: Footage) -> Footage:
    """The first frame for as long as the clip lasts."""
    return truth.changed("frozen", np.repeat(truth.frames[:1], len(truth.frames), axis=0))


def other_speaker(case: Case, truth: Footage) -> Footage:
    """Another speaker's video, to and fro when it is shorter, with the sound of this one."""
    if case.other is None:
        raise Rejected("bad_input", f"{case.key}: there is no clip of another speaker; add one to the cases")
    other = open_footage(case.other, truth.store)
    there_and_back = np.concatenate([other.frames, other.frames[-2:0:-1]])
    picked = there_and_back[np.arange(len(truth.frames)) % len(there_and_back)]
    return replace(other.changed("to and fro", picked), audio=truth.audio, sound=truth.sound)


CONTROLS: dict[str, Callable[[Case, Footage], Footage]] = {
    REENCODED: reencoded,
    SHIFTED: shifted,
    FROZEN: frozen,
    OTHER: other_speaker,
}
