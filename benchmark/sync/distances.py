"""Sync-C and Sync-D: how well lips and sound fit, from SyncNet's two sequences of vectors.

Definition (SyncNetInstance.evaluate of joonson/syncnet_python, copied by every later tool): the distance of
lip window i to sound window i + k, averaged over i, for k from -15 to 15. Sync-D is the least of the 31
means, Sync-C their median minus the least, and the offset 15 minus the place of the least: sound that comes
3 frames late has offset -3. A window is five pictures at 25 fps and the 0.2 s of sound with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from datapipe.media import FPS, SAMPLE_RATE
from datapipe.records import Rejected

from .mfcc import mfcc, to_int16
from .syncnet import COLUMNS_PER_FRAME, NUM_COLUMNS, NUM_FRAMES

MAX_SHIFT = 15
"""Frames by which sound is moved, to either side."""
DISTANCE_EPSILON = 1e-6
"""Added to each difference, as torch's pairwise distance does."""
SAMPLES_PER_FRAME = SAMPLE_RATE // FPS
MIN_WINDOWS = MAX_SHIFT + 1
"""With fewer, the largest shifts would be means over no true pair at all."""
SMOOTHING = 13
"""Frames of the median that steadies the boxes."""
BORDER = 110
"""Grey beyond the edge of the picture."""
AT_MOST_MISSING = 0.1
"""Share of the boxes that may be missing, but always one: the published chain bridges 25 frames."""

Edges = Literal["zeros", "masked"]
"""Beyond the ends of the sound: `zeros` (published) takes zero vectors, `masked` leaves such pairs out."""
Pictures = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """What a network sees of a face: distances from the centre of its box, in halves of its longer side."""

    up: float = 1.0
    """Above the centre; negative begins below it."""
    down: float = 1.8
    """Below the centre."""
    aside: float = 1.4
    """To the left and to the right."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SyncScore:
    """What two sequences of vectors say."""

    confidence: float
    """Sync-C: higher is better."""
    distance: float
    """Sync-D: lower is better."""
    offset: int
    """Frames: 3 when the sound comes three frames early, -3 when it comes three frames late."""
    mean_distances_31: NDArray[np.float64]
    """For sound moved by -15 to 15 frames."""

    @property
    def confidence_as_played(self) -> float:
        """Median minus the distance without any shift; at most Sync-C, and below 0 when others fit better."""
        return float(np.median(self.mean_distances_31) - self.mean_distances_31[MAX_SHIFT])


def score(lips_VD: NDArray[Any], sound_AD: NDArray[Any], edges: Edges = "zeros") -> SyncScore:
    """Score the vectors of lip windows against those of sound windows; both are cut to equal number."""
    means = mean_distances(lips_VD, sound_AD, edges)
    least = int(means.argmin())
    return SyncScore(
        confidence=float(np.median(means) - means[least]),
        distance=float(means[least]),
        offset=MAX_SHIFT - least,
        mean_distances_31=means,
    )


def mean_distances(
    lips_VD: NDArray[Any], sound_AD: NDArray[Any], edges: Edges = "zeros"
) -> NDArray[np.float64]:
    """Mean distance (31,) for each shift, in float64; `Rejected("too_short")` below 16 windows."""
    count = min(len(lips_VD), len(sound_AD))
    if count < MIN_WINDOWS:
        seconds = (MIN_WINDOWS + NUM_FRAMES) / FPS
        raise Rejected(
            "too_short", f"{count} windows of sound and lips; a score needs {seconds:.2f} s of both"
        )
    lips = lips_VD[:count].astype(np.float64) + DISTANCE_EPSILON
    sound = np.pad(sound_AD[:count].astype(np.float64), ((MAX_SHIFT, MAX_SHIFT), (0, 0)))
    shifts = range(2 * MAX_SHIFT + 1)
    distances_KV = np.stack([np.linalg.norm(lips - sound[k : k + count], axis=1) for k in shifts])
    if edges == "zeros":
        return np.asarray(distances_KV.mean(axis=1))
    partner_KV = np.arange(count) + np.arange(-MAX_SHIFT, MAX_SHIFT + 1)[:, None]
    real_KV = (partner_KV >= 0) & (partner_KV < count)
    return np.asarray((distances_KV * real_KV).sum(axis=1) / real_KV.sum(axis=1))


def num_windows(num_frames: int, num_samples: int) -> int:
    """Windows that the published chain counts: one fewer than there are."""
    return max(0, min(num_frames, num_samples // SAMPLES_PER_FRAME) - NUM_FRAMES)


def lip_windows(pictures_TSS3: Pictures, count: int) -> Pictures:
    """View (count, 5, S, S, 3) of runs of five pictures; raises IndexError when there are fewer."""
    if count > len(pictures_TSS3) - NUM_FRAMES + 1:
        raise IndexError(f"{count} windows asked of {len(pictures_TSS3)} pictures")
    view: Pictures = np.lib.stride_tricks.sliding_window_view(pictures_TSS3, NUM_FRAMES, axis=0)
    return view[:count].transpose(0, 4, 1, 2, 3)


def sound_windows(audio: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Cepstra (count, 13, 20) of the 0.2 s from each frame on; silence where the sound has ended."""
    wanted = (count - 1) * COLUMNS_PER_FRAME + NUM_COLUMNS
    columns = mfcc(to_int16(audio)).astype(np.float32)
    if len(columns) < wanted:
        missing = wanted - len(columns)
        audio = np.pad(audio, (0, missing * SAMPLE_RATE // 100 + SAMPLES_PER_FRAME))
        columns = mfcc(to_int16(audio)).astype(np.float32)
    view = np.lib.stride_tricks.sliding_window_view(columns, NUM_COLUMNS, axis=0)
    return view[::COLUMNS_PER_FRAME][:count]


def crop_faces(frames_THW3: Pictures, boxes_T4: NDArray[Any], region: Region, side: int) -> Pictures:
    """Cut (T, side, side, 3) BGR pictures of a face out of RGB frames, as the published chain does.

    Boxes are x0, y0, x1, y1 in pixels, NaN where there is none; raises as `whole_track` does.
    """
    y, x, half = steadied(whole_track(boxes_T4, 1, len(frames_THW3)))
    pictures = np.empty((len(frames_THW3), side, side, 3), np.uint8)
    for index, (frame, picture) in enumerate(zip(frames_THW3, pictures, strict=True)):
        cut = _cut(frame, *_edges(y[index], x[index], half[index], region))
        picture[:] = cv2.resize(cut, (side, side), interpolation=cv2.INTER_LINEAR)[..., ::-1]
    return pictures


def whole_track(boxes_N4: NDArray[Any], every: int, num_frames: int) -> NDArray[np.float64]:
    """Boxes (num_frames, 4) out of those of every `every`-th frame, along straight lines over gaps.

    Raises `Rejected("no_face")` when more than a tenth of the boxes (and more than one) is NaN.
    """
    seen = np.isfinite(boxes_N4).all(axis=1)
    if not seen.any() or (~seen).sum() > max(1.0, AT_MOST_MISSING * len(seen)):
        missing = f"no face in {(~seen).sum()} of {len(seen)} frames"
        raise Rejected("no_face", f"{missing}, so there are no lips to compare; look at the video")
    known, wanted = np.flatnonzero(seen) * every, np.arange(num_frames)
    columns = boxes_N4[seen].astype(np.float64).T
    return np.stack([np.interp(wanted, known, column) for column in columns], axis=1)


def steadied(boxes_T4: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Centre y, centre x and half the longer side of each box, by a median over 13 frames."""
    x0, y0, x1, y1 = boxes_T4.T
    half = np.maximum(x1 - x0, y1 - y0) / 2
    courses = ((y0 + y1) / 2, (x0 + x1) / 2, half)
    # zeros beyond the ends, as in the published chain
    y, x, size = (median_filter(each, SMOOTHING, mode="constant", cval=0.0) for each in courses)
    return y, x, np.maximum(size, 1.0)


def _edges(y: float, x: float, half: float, region: Region) -> tuple[int, int, int, int]:
    """First and last row, first and last column; at least one pixel."""
    ends = (y - half * region.up, y + half * region.down, x - half * region.aside, x + half * region.aside)
    top, bottom, left, right = (int(np.floor(end)) for end in ends)
    return top, max(bottom, top + 1), left, max(right, left + 1)


def _cut(frame_HW3: Pictures, top: int, bottom: int, left: int, right: int) -> Pictures:
    height, width = frame_HW3.shape[:2]
    cut = np.full((bottom - top, right - left, 3), BORDER, np.uint8)
    rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    inside = frame_HW3[rows, columns]
    if inside.size:
        y, x = rows.start - top, columns.start - left
        cut[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return cut
