"""Two systems to be beaten: the reference held still, and the nearest phonemes of the training clips.

Retrieval takes, for every phoneme, the keyframe of the same person and the same phoneme whose neighbours fit
best, and crossfades. Without that person it takes the one whose pictures are nearest to the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.keyframes import choose_keyframes
from datapipe.media import FPS
from datapipe.records import SILENCE, Phoneme, Seconds

from .avatarsync.allocate import allocate, count_frames
from .avatarsync.vocabulary import viseme_class
from .data import TalkingClip

THUMBNAIL = 16


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """The training keyframes of one person."""

    pictures_NSS3: NDArray[np.uint8]
    contexts: tuple[tuple[str, str, str], ...]
    """Phoneme before, phoneme, phoneme after."""
    thumbnail: NDArray[np.float32]
    """Mean of the first frames, small: what the person looks like."""


def hold_still(reference_HW3: NDArray[np.uint8], duration: Seconds) -> NDArray[np.uint8]:
    """Repeat the reference for round(duration * 25) frames."""
    return np.repeat(reference_HW3[None], count_frames(duration, FPS), axis=0)


def make_shelves(clips: Sequence[TalkingClip]) -> dict[str, Shelf]:
    """Sort training keyframes by person."""
    people = sorted({clip.speaker for clip in clips})
    return {person: _shelf([clip for clip in clips if clip.speaker == person]) for person in people}


def retrieve(
    shelves: dict[str, Shelf],
    speaker: str,
    reference_HW3: NDArray[np.uint8],
    phonemes: Sequence[Phoneme],
    duration: Seconds,
) -> NDArray[np.uint8]:
    """Frames (T, S, S, 3) put together from training keyframes."""
    num_frames = count_frames(duration, FPS)
    keyframes = choose_keyframes(tuple(phonemes), num_frames)
    shelf = shelves.get(speaker) or _nearest(shelves, reference_HW3)
    symbols = [SILENCE, *(each.phoneme for each in keyframes), SILENCE]
    chosen = [_best(shelf, tuple(symbols[i : i + 3])) for i in range(len(keyframes))]
    pictures = shelf.pictures_NSS3[np.array([*chosen, chosen[-1]])].astype(np.float32)
    times = np.array([*(each.time for each in keyframes), max(duration, keyframes[-1].time) + 1.0])
    where = allocate(times, num_frames, FPS)
    t = where.t[:, None, None, None] * (where.pair < len(keyframes) - 1)[:, None, None, None]
    mixed = (1 - t) * pictures[where.pair] + t * pictures[where.pair + 1]
    return np.asarray(np.rint(mixed), np.uint8)


def _shelf(clips: Sequence[TalkingClip]) -> Shelf:
    contexts: list[tuple[str, str, str]] = []
    for clip in clips:
        padded = (SILENCE, *clip.phonemes, SILENCE)
        contexts += [(padded[i], padded[i + 1], padded[i + 2]) for i in range(len(clip.phonemes))]
    return Shelf(
        pictures_NSS3=np.concatenate([clip.frames_THW3[clip.keyframes_n] for clip in clips]),
        contexts=tuple(contexts),
        thumbnail=np.mean([_thumbnail(clip.frames_THW3[0]) for clip in clips], axis=0),
    )


def _thumbnail(picture_HW3: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(
        cv2.resize(picture_HW3, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA), np.float32
    )


def _nearest(shelves: dict[str, Shelf], reference_HW3: NDArray[np.uint8]) -> Shelf:
    seen = _thumbnail(reference_HW3)
    return min(shelves.values(), key=lambda shelf: float(np.abs(shelf.thumbnail - seen).mean()))


def _best(shelf: Shelf, wanted: tuple[str, ...]) -> int:
    """Index of the keyframe that fits best: the phoneme first, its mouth class next, then the neighbours."""
    fits = [_fit(each, wanted) for each in shelf.contexts]
    return int(np.argmax(fits))


def _fit(context: tuple[str, str, str], wanted: tuple[str, ...]) -> float:
    same = [float(a == b) for a, b in zip(context, wanted, strict=True)]
    like = [float(viseme_class(a) == viseme_class(b)) for a, b in zip(context, wanted, strict=True)]
    return 8 * same[1] + 4 * like[1] + same[0] + same[2] + 0.5 * (like[0] + like[2])
