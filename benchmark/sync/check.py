"""Our SyncNet against syncnet-python's, on the same weights and the same crops of a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datapipe.records import Rejected

from ..footage import Store, open_footage
from .distances import SyncScore, lip_windows, score, sound_windows
from .judge import Judge, in_batches, load_judge
from .package import score_crops
from .syncnet import NUM_FRAMES

LARGEST = 1e-4
"""Mean distances of the two lie this near to each other: another order of sums, and folded batch norms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Sync-C, Sync-D and the offset."""

    confidence: float
    distance: float
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Both scores of a video's crops."""

    video: str
    ours: Scores
    package: Scores
    largest: float
    """Largest difference among the 31 mean distances."""


def check(video: Path, syncnet: Path) -> Check:
    """Cut the face out once, and score it twice. Raises `Rejected` as the metrics do."""
    from ..metrics.sync import pictures  # which needs this package

    judge = load_judge(syncnet)
    footage = open_footage(video, Store())
    if footage.audio is None:
        raise Rejected("no_audio", f"{video.name} has no sound to compare its lips with; add it")
    crops_TSS3 = pictures(footage, judge, strict=False)
    ours = own_score(judge, crops_TSS3, footage.audio)
    package = score_crops(crops_TSS3, footage.audio, syncnet)
    apart = np.abs(ours.mean_distances_31 - package.mean_distances_31).max()
    return Check(video=video.name, ours=_scores(ours), package=_scores(package), largest=float(apart))


def own_score(judge: Judge, crops_TSS3: np.ndarray, audio: np.ndarray) -> SyncScore:
    """Score crops (T, side, side, 3) BGR against their sound (N,) as the metrics do."""
    count = max(1, len(crops_TSS3) - NUM_FRAMES)
    lips = in_batches(judge.lips, lip_windows(crops_TSS3, count))
    sound = in_batches(judge.sound, sound_windows(audio, count))
    return score(lips, sound, judge.edges)


def _scores(found: SyncScore) -> Scores:
    return Scores(confidence=found.confidence, distance=found.distance, offset=found.offset)


def markdown(checks: Sequence[Check]) -> str:
    """A table for people."""
    lines = ["| video | whose | Sync-C | Sync-D | offset |", "|---|---|---|---|---|"]
    lines += [
        f"| {each.video} | {whose} | {found.confidence:.4f} | {found.distance:.4f} | {found.offset} |"
        for each in checks
        for whose, found in (("ours", each.ours), ("syncnet-python", each.package))
    ]
    return "\n".join(lines) + "\n"
