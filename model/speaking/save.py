"""Pieces of a video to a file or a stream: encoded as they come, with sound and provenance, and timed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from datapipe.console import track
from datapipe.media import FPS, new_reel
from datapipe.records import Rejected, Seconds

from ..marking.provenance import tag
from .pieces import Piece
from .project import Recorder


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Label:
    """What a video carries of its provenance."""

    run_id: str
    picture_HW3: NDArray[np.uint8]
    """The reference as the run saw it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Facts of one video."""

    num_frames: int
    media_seconds: Seconds
    seconds: float
    """From the bound picture to the end of the file: hearing, making and encoding, without loading."""
    first_frame_seconds: float
    """Until the first frames were there; hearing the first segment of the speech is part of it."""
    rtf: float
    """seconds / media_seconds."""
    run_id: str


def save(
    pieces: Iterable[Piece],
    target: Path | str | IO[bytes] | None,
    label: Label,
    recorder: Recorder | None = None,
    total: int | None = None,
) -> Made:
    """Write an mp4: a path gets it whole or not at all, a stream as it grows; a recorder takes it down.

    `total` is how many frames are expected, for the progress bar. Raises `Rejected("bad_input")` when the
    path is a folder or does not end in .mp4.
    """
    place = Path(target) if isinstance(target, str) else target
    if isinstance(place, Path):
        _check_place(place)
    metadata = tag("avatarsync", label.run_id, label.picture_HW3)
    began, first, count = time.perf_counter(), 0.0, 0
    with nullcontext() if place is None else new_reel(place, metadata=metadata) as reel:
        for piece in track(pieces, "frames", total, lambda piece: len(piece.frames_THW3)):
            first = first or time.perf_counter() - began
            if recorder is not None:
                recorder.piece(piece.frames_THW3, piece.audio)
            if reel is not None:
                reel.add(piece.frames_THW3, piece.audio)
            count += len(piece.frames_THW3)
    seconds = time.perf_counter() - began
    return Made(
        num_frames=count,
        media_seconds=count / FPS,
        seconds=round(seconds, 4),
        first_frame_seconds=round(first, 4),
        rtf=round(seconds * FPS / count, 4),
        run_id=label.run_id,
    )


def _check_place(place: Path) -> None:
    if place.is_dir():
        raise Rejected("bad_input", f"{place} is a folder; name the file of the video")
    if place.suffix.lower() != ".mp4":
        raise Rejected("bad_input", f"{place.name} is to be an mp4; end its name in .mp4")
