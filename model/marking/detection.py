"""Does a video carry the mark of `watermark.py`, and whose? With a bound on the chance of a false alarm.

Without a mark the key's signs have nothing to do with the picture. A sum of signed values then exceeds z of
its standard deviations with at most 3.18 times a normal variable's chance, whatever the values are (Bentkus &
Dzindzalieta, A tight Gaussian bound for weighted sums of Rademacher random variables, Bernoulli 21, 2015).
The bound is multiplied by the number of places that were tried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain, combinations, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datapipe.media import read_frames
from datapipe.records import Seconds

from .watermark import (
    CHECK_BITS,
    CLIP,
    Floats,
    Layout,
    checksum,
    flattened,
    layout_of,
    level_of,
    read_sums,
    waves,
    working_luma,
)

MOST_FRAMES = 64
"""Frames that are averaged, spread over the span."""
CUTS = range(9)
"""Units of 1/128 of a side that may have been cut off at each of the four sides."""
NUM_PLACES = len(CUTS) ** 4
RADEMACHER = 3.18
"""The bound's factor, 1 / (4 * Q(sqrt 2)) rounded up."""
DOUBTFUL_BITS = 3
"""So many of the weakest bits may be turned until the checksum holds."""
Margins = tuple[float, float, float, float]
UNCUT: Margins = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectConfig:
    """When a video counts as marked."""

    key: str = "avatarsync"
    """The key it was marked with."""
    false_alarm: float = 1e-6
    """Largest chance that a video without the mark is called marked."""
    longest: Seconds = 10.0
    """Seconds from the start that are read; the mark is in every frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What was found."""

    is_marked: bool
    statistic: float
    """Standard deviations of a video without the mark."""
    p_value: float
    """Upper bound of the chance of such a statistic without a mark, all places tried included."""
    run: str | None
    """First four digits of the run's id; None without a mark, or when the checksum does not hold."""
    cut: Margins
    """What was cut off at top, bottom, left and right, in 1/128 of the side, by the best guess."""


def detect_file(path: Path, config: DetectConfig = DetectConfig()) -> Detection:
    """Look for the mark in a video file. Raises `Rejected` as `datapipe.media.read_frames` does."""
    return detect(read_frames(path, 0.0, config.longest), config)


def detect(frames_THW3: NDArray[np.uint8], config: DetectConfig = DetectConfig()) -> Detection:
    """Look for the mark in frames: where it was put first, then as if the sides had been cut.

    Half of the permitted chance of a false alarm is spent on either.
    """
    layout = layout_of(config.key)
    flat = flattened(working_luma(frames_THW3[:: -(-len(frames_THW3) // MOST_FRAMES)]))
    sums, cut = _read_at(flat, layout, UNCUT), UNCUT
    p_value = chance(sums[0], 1)
    if p_value > config.false_alarm:
        searched, best = _search(flat, layout)
        if chance(searched[0], NUM_PLACES) < p_value:
            sums, cut, p_value = searched, best, chance(searched[0], NUM_PLACES)
    is_marked = p_value <= config.false_alarm
    return Detection(
        is_marked=is_marked,
        statistic=round(float(sums[0]), 2),
        p_value=p_value,
        run=read_run(sums[1:]) if is_marked else None,
        cut=cut,
    )


def sentence(found: Detection) -> str:
    """Say what was found in a line of text."""
    measured = f"{found.statistic:.1f} standard deviations, p <= {found.p_value:.1e}"
    if not found.is_marked:
        return f"no mark found ({measured})"
    return f"marked by {f'run {found.run}' if found.run else 'a run whose name cannot be read'} ({measured})"


def read_run(sums_B: Floats) -> str | None:
    """Read the run's name off the sums of the bits, turning the weakest if need be; None when none fits."""
    signs = sums_B > 0
    weakest = np.argsort(np.abs(sums_B))[:DOUBTFUL_BITS]
    subsets = chain.from_iterable(combinations(weakest, count) for count in range(DOUBTFUL_BITS + 1))
    for turned in sorted(subsets, key=lambda each: float(np.abs(sums_B[list(each)]).sum())):
        bits = signs.copy()
        bits[list(turned)] ^= True
        word = int("".join("1" if bit else "0" for bit in bits), 2)
        number, check = word >> CHECK_BITS, word & (2**CHECK_BITS - 1)
        if checksum(number) == check:
            return f"{number:04x}"
    return None


def chance(statistic: float, places: int) -> float:
    """Bound the chance of such a sum at the best of some places; 2, since there are two ways to be found."""
    tail = 0.5 * math.erfc(statistic / math.sqrt(2.0))
    return min(1.0, 2.0 * places * RADEMACHER * tail)


def _read_at(flat_HW: Floats, layout: Layout, cut: Margins) -> Floats:
    height, width = flat_HW.shape
    return read_sums(waves(height, *cut[:2]) @ flat_HW @ waves(width, *cut[2:]).T, layout)


def _search(flat_HW: Floats, layout: Layout) -> tuple[Floats, Margins]:
    """Try all cuts and return the best one's sums; the level of the uncut picture evens all of them."""
    height, width = flat_HW.shape
    ways = tuple((float(first), float(last)) for first, last in product(CUTS, repeat=2))
    across = np.concatenate([waves(width, *way) for way in ways]).T
    pilot = layout.slots_K == 0
    rows, cols, signs = layout.rows_K[pilot], layout.cols_K[pilot], layout.signs_K[pilot]
    level = level_of(waves(height) @ flat_HW @ waves(width).T)[rows, cols]
    sums = np.empty((len(ways), len(ways)))
    for index, way in enumerate(ways):
        spectra = (waves(height, *way) @ flat_HW @ across).reshape(-1, len(ways), len(waves(width)))
        even = np.clip(spectra[rows, :, cols] / level[:, None], -CLIP, CLIP)
        sums[index] = signs @ even / np.sqrt(np.sum(even**2, 0) + 1e-9)
    upright, sideways = np.unravel_index(int(sums.argmax()), sums.shape)
    cut = (*ways[upright], *ways[sideways])
    found = _read_at(flat_HW, layout, cut)
    found[0] = sums.max()
    return found, cut
