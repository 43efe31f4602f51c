"""Cut a span of a long video at silences; a file of the same size and time of change is cut once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..media import FPS, SAMPLE_RATE, read_audio
from ..records import Rejected, Seconds, printable, to_dict
from ..segment import SegmentConfig, segments
from ..track import loudness
from .found import Memo

STRETCH: Seconds = 600.0
"""Sound is read in pieces of this length: an hour of it takes 230 MB."""
Span = tuple[Seconds, Seconds]


def cut(root: Path, path: str, span: Span, config: SegmentConfig, memo: Memo) -> list[Span]:
    """Cut a span (not empty) of a file below the root; the pieces are on the file's clock.

    Raises `Rejected` as `read_audio` does; nothing is noted in the memo then.
    """
    if span[1] - span[0] <= config.longest:
        return [span]
    key = memo_key(root / path, path, span, config)
    if key not in memo:
        level_T = np.concatenate(list(_levels(root / path, span)))
        memo[key] = [
            (round(span[0] + start, 3), round(span[0] + end, 3)) for start, end in segments(level_T, config)
        ]
    return [(start, end) for start, end in memo[key]]


def memo_key(path: Path, name: str, span: Span, config: SegmentConfig) -> str:
    """Name a cut: the file (by path below the root, size and time of change), the span, the settings."""
    stat = path.stat()
    settings = hashlib.sha256(json.dumps(to_dict(config), sort_keys=True).encode()).hexdigest()[:12]
    return f"{printable(name)}|{stat.st_size}|{stat.st_mtime_ns}|{span[0]:.3f}-{span[1]:.3f}|{settings}"


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
