"""What a sync judge learns from: the clips of shards as pictures of the mouth and cepstra, decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datapipe import faces
from datapipe.console import say, track
from datapipe.machine import usable_cores
from datapipe.media import read_audio, read_frames
from datapipe.records import Rejected
from datapipe.shards import StoredSample, read_metas, read_samples

from .sync import MIN_WINDOWS, Pictures, Region, crop_faces, num_windows, sound_windows, whole_track

DETECT_EVERY = 10
"""Faces are detected in every tenth frame, as when videos are scored."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SyncClip:
    """One clip, ready for both streams."""

    key: str
    language: str
    faces_TSS3: Pictures
    """BGR, as the network sees them."""
    audio: NDArray[np.float32]
    """16 kHz mono."""
    cepstra_WFT: NDArray[np.float32]
    """(num_windows, 13, 20): the sound of each window of five pictures."""


def load_sync_clips(folders: Sequence[Path], split: str, region: Region, side: int) -> list[SyncClip]:
    """Read one split of one or several datasets; clips without a face or too short are left out, and named.

    Raises `Rejected("bad_input")` when a folder holds no shards; the list may be empty.
    """
    total = sum(meta.split == split for folder in folders for _, meta in read_metas(folder))
    samples = (sample for folder in folders for sample in read_samples(folder, split))
    clips = []
    with ThreadPoolExecutor(usable_cores()) as pool:
        prepared = pool.map(partial(_prepare, region=region, side=side), samples)
        for result in track(prepared, f"mouths of {split}", total):
            if isinstance(result, SyncClip):
                clips.append(result)
            else:
                say(f"left out: {result}")
    return clips


def _prepare(stored: StoredSample, region: Region, side: int) -> SyncClip | str:
    """Prepare one clip, or say why it cannot be used."""
    try:
        return to_sync_clip(stored, region, side)
    except Rejected as rejected:
        return f"{stored.meta.key}: {rejected.message}"


def to_sync_clip(stored: StoredSample, region: Region, side: int) -> SyncClip:
    """Decode one stored sample. Raises `Rejected`: no_face, no_audio, too_short, or what decoding raises."""
    frames, audio = read_frames(stored.video), read_audio(stored.audio)
    count = num_windows(len(frames), len(audio))
    if count < MIN_WINDOWS:
        raise Rejected("too_short", f"{count} windows of lips and sound; {MIN_WINDOWS} are the least")
    boxes = whole_track(face_boxes(frames[::DETECT_EVERY]), DETECT_EVERY, len(frames))
    return SyncClip(
        key=stored.meta.key,
        language=stored.meta.language,
        faces_TSS3=crop_faces(frames, boxes, region, side),
        audio=audio,
        cepstra_WFT=sound_windows(audio, count),
    )


def face_boxes(frames_NHW3: Pictures) -> NDArray[np.float64]:
    """Box (N, 4) of the best face of each frame, NaN where there is none."""
    rows = np.full((len(frames_NHW3), 4), np.nan)
    for row, frame in zip(rows, frames_NHW3, strict=True):
        found = faces.detect(frame)
        if found:
            row[:] = found[0].box
    return rows


def delayed(audio: NDArray[np.float32], num_frames: int) -> NDArray[np.float32]:
    """The same sound later by some frames (negative: earlier), of equal length; silence comes in."""
    moved = np.roll(audio, num_frames * 640)
    if num_frames > 0:
        moved[: num_frames * 640] = 0.0
    elif num_frames < 0:
        moved[num_frames * 640 :] = 0.0
    return moved
