"""What training reads: the clips of shards, decoded once, with their keyframes and where the mouth is."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datapipe.faces import ARCFACE_POINTS_52, face_of, mouth_box, similarity
from datapipe.media import read_frames
from datapipe.records import Rejected
from datapipe.shards import StoredSample, read_samples

MIN_KEYFRAMES = 2
POINTS = (*range(52, 72), 5, 6, 7, 8, 0, 24, 23, 22, 21)
"""Landmarks (of 106) that speech moves: the lips, and the jaw line around the chin."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TalkingClip:
    """One clip, ready to be sampled from."""

    key: str
    speaker: str
    frames_THW3: NDArray[np.uint8]
    keyframes_n: NDArray[np.int64]
    """Frame index of each phoneme's keyframe, never falling."""
    times_n: NDArray[np.float64]
    """Seconds of each keyframe."""
    phonemes: tuple[str, ...]
    mouth_T4: NDArray[np.float32]
    """x0, y0, x1, y1 of the mouth region of every frame, in pixels."""
    points_TL2: NDArray[np.float32]
    """Lips and chin in every frame, -1 to 1 across the picture."""
    faces_T23: NDArray[np.float32]
    """Turn, scale and shift from pixels of every frame to the 112 px face that identity networks read."""


def load_clips(folders: Sequence[Path], split: str, size: int | None) -> list[TalkingClip]:
    """Decode all clips of one split from one or several datasets.

    Raises `Rejected("bad_input")` when there are none, or when their pictures are not `size` pixels wide
    (None takes any).
    """
    with ThreadPoolExecutor(2) as pool:
        samples = (sample for folder in folders for sample in read_samples(folder, split))
        clips = [clip for clip in pool.map(to_clip, samples) if len(clip.phonemes) >= MIN_KEYFRAMES]
    if not clips:
        names = ", ".join(str(folder) for folder in folders)
        raise Rejected("bad_input", f"{names}: no clip of the split `{split}`; build shards that have some")
    for clip in clips:
        check_size(clip.key, clip.frames_THW3.shape[1], size)
    return clips


def check_size(key: str, found: int, wanted: int | None) -> None:
    """Refuse pictures of another size than wanted; None takes any."""
    if wanted not in (None, found):
        raise Rejected(
            "bad_input",
            f"{key}: pictures of {found} px, but the preset works at {wanted}; "
            f"build the shards with --size {wanted}",
        )


def to_clip(stored: StoredSample) -> TalkingClip:
    """Decode one stored sample."""
    frames = read_frames(stored.video)
    meta, last = stored.meta, len(frames) - 1
    return TalkingClip(
        key=meta.key,
        speaker=f"{meta.source}/{meta.speaker}",
        frames_THW3=frames,
        keyframes_n=np.array([min(each.frame, last) for each in meta.keyframes]),
        times_n=np.array([each.time for each in meta.keyframes]),
        phonemes=tuple(each.phoneme for each in meta.keyframes),
        mouth_T4=np.array([mouth_box(points, meta.size) for points in stored.landmarks_TK2], np.float32),
        points_TL2=moving_points(stored.landmarks_TK2, meta.size),
        faces_T23=np.array([to_face(points) for points in stored.landmarks_TK2], np.float32),
    )


def to_face(landmarks_K2: NDArray[np.float32]) -> NDArray[np.float64]:
    """Fit the (2, 3) map that puts eyes, nose and mouth corners where identity networks expect them."""
    return similarity(face_of(landmarks_K2).points_52, ARCFACE_POINTS_52)


def moving_points(landmarks_TK2: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Pick `POINTS` and put them between -1 and 1."""
    return np.asarray((landmarks_TK2[:, list(POINTS)] + 0.5) * (2.0 / size) - 1.0, np.float32)
