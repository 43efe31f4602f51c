"""Cut a span of a long video at silences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..media import FPS, SAMPLE_RATE, read_audio
from ..records import Rejected, Seconds
from ..segment import SegmentConfig, segments
from ..track import loudness

STRETCH: Seconds = 600.0
"""Sound is read in pieces of this length: an hour of it takes 230 MB."""
Span = tuple[Seconds, Seconds]


def cut(path: Path, span: Span, config: SegmentConfig) -> list[Span]:
    """Cut a span (not empty) of a file; the pieces are on the file's clock.

    Raises `Rejected` as `read_audio` does.
    """
    level_T = np.concatenate(list(_levels(path, span)))
    return [(round(span[0] + start, 3), round(span[0] + end, 3)) for start, end in segments(level_T, config)]


def _levels(path: Path, span: Span) -> Iterator[NDArray[np.float64]]:
    """Yield the loudness per frame, (T,) in pieces; sound that ends before the span does ends it."""
    for start in np.arange(span[0], span[1], STRETCH).tolist():
        try:
            audio = read_audio(path, start, min(start + STRETCH, span[1]))
        except Rejected:
            if start == span[0]:
                raise
            return
        yield loudness(audio, len(audio) * FPS // SAMPLE_RATE)
