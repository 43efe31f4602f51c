"""Sync-C, Sync-D and the offset by syncnet-python's own chain, for a run that names them.

Detector, tracks, crops and sums are the package's (`benchmark/sync/package.py`); only videos whose faces are
100 pixels wide or more, and followed for two seconds, have a score. Needs the tool environment `speech`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected
from datapipe.weights import lookup

from ..footage import Footage
from ..records import Protocol, protocol
from ..sync.judge import Judge, load_judge
from ..sync.package import DETECTOR, PACKAGE, SMALLEST_FACE, missing, score_film, version
from .metric import Metric, Pair, mean_over_cases, per_case
from .sync import COLUMNS, Column

CHOSEN = {"sync_c": 0, "sync_d": 1, "sync_offset": 2}
"""The columns that the package gives, and where they are in a row of `_row`."""


def metrics(path: Path) -> tuple[Metric, ...]:
    """Columns of the package's chain with the SyncNet in `path`, in the published layout."""
    judge = load_judge(path)
    settings = _protocol(judge)
    return tuple(_metric(each, judge, path, settings) for each in COLUMNS if each.start in CHOSEN)


def _protocol(judge: Judge) -> Protocol:
    return protocol(
        judge=f"sync.{judge.name}",
        weights=judge.weights,
        way=f"whole chain of {PACKAGE} {version()}",
        boxes=f"S3FD {lookup(DETECTOR).sha256}",
        smallest_face=SMALLEST_FACE,
        sums="highest confidence, least distance over tracks",
    )


def _metric(column: Column, judge: Judge, path: Path, settings: Protocol) -> Metric:
    return Metric(
        name=f"video/{column.start}_{judge.name}_package",
        title=f"{column.title} ({judge.name}, {PACKAGE})",
        unit=column.unit,
        direction=column.direction,
        target=0.0 if column.direction == "target" else None,
        best=None,
        as_printed="lower" if column.start == "sync_c" else None,
        protocol=protocol(**dict(settings.settings), score=column.start),
        weights=(DETECTOR,),
        unavailable=missing(),
        about=f"{column.about} By the whole chain of {PACKAGE}.",
        measure=per_case(_value(path, settings, CHOSEN[column.start])),
        compute=mean_over_cases,
        of="sound",
    )


def _value(path: Path, settings: Protocol, place: int) -> Callable[[Pair], float]:
    def value(pair: Pair) -> float:
        """One number of the row that the chain gives a video."""
        footage = pair.generated
        name = f"{settings.hash} {footage.sound}"
        row_3 = footage.array(PACKAGE, name, lambda: _row(footage, path))
        if np.isnan(row_3).any():
            what = f"{pair.key}: no face of {SMALLEST_FACE} pixels was followed for two seconds"
            raise Rejected("no_face", f"{what}, so the chain has nothing to score; look at the video")
        return float(row_3[place])

    return value


def _row(footage: Footage, path: Path) -> NDArray[np.float64]:
    """Confidence, distance and offset; NaN where nobody is seen, which is kept like any other result."""
    if footage.audio is None:
        raise Rejected("no_audio", "the video has no sound to compare its lips with; add it")
    if not footage.audio.any():
        raise Rejected("silent", "the video's sound is silence, which no lips fit; add its sound")
    try:
        found = score_film(footage.frames, footage.audio, path)
    except Rejected as rejected:
        if rejected.reason != "no_face":
            raise
        return np.full(3, np.nan)
    return np.array([found.confidence, found.distance, float(found.offset)])
