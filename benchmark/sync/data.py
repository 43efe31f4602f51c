"""What a sync judge learns from: the clips of shards, where the face is, and the sound's cepstra."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from datapipe.console import say, track
from datapipe.machine import usable_cores
from datapipe.media import read_audio, read_frames
from datapipe.records import Rejected
from datapipe.shards import StoredSample, read_metas, read_samples

from ..face_features import DETECT_EVERY, followed_faces
from .distances import (
    MIN_WINDOWS,
    SAMPLES_PER_FRAME,
    Pictures,
    Region,
    crop_faces,
    num_windows,
    sound_windows,
    whole_track,
)

MEMORY_BYTES = 4 << 30
"""Cropped pictures are kept up to this size; the rest is decoded each time it is used."""
READ_AHEAD = 4
"""Clips per core that are in work at a time while shards are read."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SyncClip:
    """One clip, ready for both streams; pictures are still encoded."""

    key: str
    language: str
    video: bytes
    boxes_T4: NDArray[np.float64]
    """Face of every frame, in pixels."""
    audio: NDArray[np.float32]
    """16 kHz mono."""
    cepstra_WFT: NDArray[np.float32]
    """(num_windows, 13, 20): a view of the sound that goes with each window of five pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crops:
    """Cuts faces out of clips and keeps them while there is room; usable from several threads."""

    region: Region
    side: int
    limit: int = MEMORY_BYTES
    kept: dict[str, Pictures] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def of(self, clip: SyncClip) -> Pictures:
        """Pictures (T, side, side, 3) of a clip, BGR."""
        known = self.kept.get(clip.key)
        return self.cut(clip, read_frames(clip.video)) if known is None else known

    def cut(self, clip: SyncClip, frames_THW3: Pictures) -> Pictures:
        """The same, when its frames are decoded already."""
        pictures = crop_faces(frames_THW3, clip.boxes_T4, self.region, self.side)
        with self.lock:
            if (len(self.kept) + 1) * pictures.nbytes <= self.limit:
                self.kept[clip.key] = pictures
        return pictures


def load_sync_clips(folders: Sequence[Path], split: str, crops: Crops) -> list[SyncClip]:
    """Read one split of one or several datasets; a clip that cannot be used is left out, and named.

    Raises `Rejected("bad_input")` when a folder holds no shards; the list may be empty.
    """
    total = sum(meta.split == split for folder in folders for _, meta in read_metas(folder))
    samples = (sample for folder in folders for sample in read_samples(folder, split))
    clips = []
    with ThreadPoolExecutor(usable_cores()) as pool:
        for result in track(_prepared(pool, samples, crops), f"mouths of {split}", total):
            if isinstance(result, SyncClip):
                clips.append(result)
            else:
                say(f"left out: {result}")
    return clips


def _prepared(
    pool: ThreadPoolExecutor, samples: Iterator[StoredSample], crops: Crops
) -> Iterator[SyncClip | str]:
    """Work on a few clips at a time, so that a large corpus is never in memory as a whole."""
    while batch := list(islice(samples, READ_AHEAD * usable_cores())):
        yield from pool.map(lambda sample: _prepare(sample, crops), batch)


def _prepare(stored: StoredSample, crops: Crops) -> SyncClip | str:
    """Prepare one clip, or say why it cannot be used."""
    try:
        return to_sync_clip(stored, crops)
    except Rejected as rejected:
        return f"{stored.meta.key}: {rejected.message}"


def to_sync_clip(stored: StoredSample, crops: Crops) -> SyncClip:
    """Read one stored sample. Raises `Rejected`: no_face, no_audio, too_short, or what decoding raises."""
    frames, audio = read_frames(stored.video), read_audio(stored.audio)
    count = num_windows(len(frames), len(audio))
    if count < MIN_WINDOWS:
        raise Rejected("too_short", f"{count} windows of lips and sound; {MIN_WINDOWS} are the least")
    clip = SyncClip(
        key=f"{stored.meta.source}/{stored.meta.key}",
        language=stored.meta.language,
        video=stored.video,
        boxes_T4=whole_track(followed_faces(frames[::DETECT_EVERY])[:, :4], DETECT_EVERY, len(frames)),
        audio=audio,
        cepstra_WFT=sound_windows(audio, count),
    )
    crops.cut(clip, frames)
    return clip


def delayed(audio: NDArray[np.float32], num_frames: int) -> NDArray[np.float32]:
    """The same sound later by some frames (negative: earlier), of equal length; silence fills the gap."""
    samples = num_frames * SAMPLES_PER_FRAME
    if samples >= 0:
        return np.concatenate([np.zeros(samples, np.float32), audio])[: len(audio)]
    return np.concatenate([audio[-samples:], np.zeros(-samples, np.float32)])[-len(audio) :]
