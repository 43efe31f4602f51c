"""Cut long sound into clips of at most ten seconds, where it is quiet."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from .media import FPS
from .records import Rejected, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentConfig:
    """How long the pieces are."""

    longest: Seconds = 10.0
    """No piece is longer."""
    shortest: Seconds = 3.0
    """No cut comes earlier than this after the last; the end may leave a shorter rest joined to it."""
    pause: Seconds = 0.2
    """Length of the stretch whose mean level is compared."""

    def __post_init__(self) -> None:
        if self.shortest < 1 / FPS or self.longest < 2 * self.shortest or self.pause < 0:
            message = (
                f"pieces of {self.shortest} to {self.longest} s cannot be cut; longest must be twice shortest"
            )
            raise Rejected("bad_input", message)


def segments(
    level_T: NDArray[np.float64], config: SegmentConfig = SegmentConfig()
) -> tuple[tuple[Seconds, Seconds], ...]:
    """Cut sound into consecutive spans that cover it, at the quietest instants, on the frame grid.

    `level_T` is its level in every frame, on any scale.
    """
    num_frames = len(level_T)
    level_T = uniform_filter1d(level_T, max(1, round(config.pause * FPS)), mode="nearest")
    longest, shortest = round(config.longest * FPS), round(config.shortest * FPS)
    cuts = [0]
    while num_frames - cuts[-1] > longest:
        # leave enough for the rest: a cut too late would orphan a stub at the end
        last = min(cuts[-1] + longest, max(num_frames - shortest, cuts[-1] + shortest))
        window_T = level_T[cuts[-1] + shortest : last + 1]
        cuts.append(cuts[-1] + shortest + int(np.argmin(window_T)))
    edges = [*cuts, num_frames]
    return tuple((a / FPS, b / FPS) for a, b in pairwise(edges) if b > a)
