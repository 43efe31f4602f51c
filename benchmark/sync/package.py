"""SyncNet as syncnet-python runs it, unpatched, in the tool environment `speech`.

Two ways: the package's network and sums over crops of ours, and its whole chain (S3FD, tracks, crops,
network) over a video. On two cores the network takes 0.4 s for a second of video, S3FD 3 s for it at 720p.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datapipe.lossless import new_roll
from datapipe.media import write_wav
from datapipe.records import Rejected, Seconds
from datapipe.tools.home import python_of
from datapipe.tools.registry import TOOLS
from datapipe.tools.worker import worker_of
from datapipe.weights import resolve

from .distances import MAX_SHIFT, Pictures, SyncScore
from .mfcc import to_int16

TOOL, PACKAGE = "speech", "syncnet-python"
DETECTOR = "s3fd"
"""Registry name of the chain's face detector."""
BATCH = 20
"""Windows at a time; the package's own number."""
SMALLEST_FACE = 100
"""Pixels; the package's own number."""
THREADS = 1
TIMEOUT: Seconds = 3600.0
"""A long video takes the chain minutes."""


def missing() -> str:
    """Say why the package cannot run here; empty when it can."""
    try:
        python_of(TOOLS[TOOL])
    except Rejected as rejected:
        return rejected.message
    return ""


def version() -> str:
    """Version of the package, by the lock of its environment."""
    return TOOLS[TOOL].pins()[PACKAGE]


def score_crops(crops_TSS3: Pictures, audio: NDArray[np.float32], syncnet: Path) -> SyncScore:
    """Score BGR crops (T, 224, 224, 3) at 25 fps against their sound (N,) at 16 kHz.

    Raises `Rejected`: missing_tool, bad_weight, too_short.
    """
    answer = worker_of(TOOL).ask(
        "sync",
        arrays={"crops": crops_TSS3, "audio": to_int16(audio)},
        timeout=TIMEOUT,
        syncnet=str(syncnet.absolute()),
        batch=BATCH,
        shifts=MAX_SHIFT,
        threads=THREADS,
    )
    return SyncScore(
        confidence=answer.values["confidence"],
        distance=answer.values["distance"],
        offset=answer.values["offset"],
        mean_distances_31=answer.arrays["distances"].mean(axis=0, dtype=np.float64),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainScore:
    """What the package's chain says of a video."""

    confidence: float
    """LSE-C: the highest of all tracks."""
    distance: float
    """LSE-D: the least of all tracks, which may be another track."""
    offset: int
    """Frames, of the track with the highest confidence."""
    num_tracks: int


def score_film(
    frames_THW3: Pictures, audio: NDArray[np.float32], syncnet: Path, smallest_face: int = SMALLEST_FACE
) -> ChainScore:
    """Give RGB frames (T, H, W, 3) at 25 fps and their sound to the package's whole chain.

    They go to it without loss. Raises `Rejected`: no_face when nobody is seen for two seconds, missing_tool,
    missing_weight, bad_weight.
    """
    detector = resolve(DETECTOR)
    with tempfile.TemporaryDirectory(prefix="avatarsync.") as folder:
        video, sound = Path(folder, "film.mkv"), Path(folder, "sound.wav")
        with new_roll(video) as roll:
            roll.add(frames_THW3)
        write_wav(sound, audio)
        answer = (
            worker_of(TOOL)
            .ask(
                "sync_video",
                timeout=TIMEOUT,
                video=str(video),
                audio=str(sound),
                syncnet=str(syncnet.absolute()),
                s3fd=str(detector.absolute()),
                min_face=smallest_face,
                batch=BATCH,
                threads=THREADS,
            )
            .values
        )
    tracks: list[tuple[int, float, float]] = answer["tracks"]
    if not tracks:
        raise Rejected("no_face", "nobody is followed in the video; look at it")
    offset = max(tracks, key=lambda track: track[1])[0]
    return ChainScore(
        confidence=answer["confidence"],
        distance=answer["distance"],
        offset=offset,
        num_tracks=len(tracks),
    )
