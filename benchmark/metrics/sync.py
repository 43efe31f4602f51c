"""Sync-C, Sync-D, the offset and Sync-C as played, by the published SyncNet or a judge of one's own.

What each is, is in `benchmark/sync/distances.py`. Metrics bear their judge's name: values of two networks
cannot be compared. Three protocols: `fast` is in memory, on the face track that all metrics share; `strict`
goes the way of the published chain, with a box per frame and the chain's lossy steps; `masked` leaves out
the pairs beyond the ends of the sound, which makes scores of clips of different length comparable. A fourth,
`package`, is syncnet-python's chain itself (`sync_package.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datapipe.records import Rejected
from datapipe.weights import lookup

from ..extract import Extractor, rows_of
from ..face_features import DETECT_EVERY, DETECTOR, detections
from ..footage import Footage
from ..records import protocol
from ..sync.chain import through_codecs, through_jpeg
from ..sync.distances import (
    MAX_SHIFT,
    SAMPLES_PER_FRAME,
    Edges,
    Pictures,
    SyncScore,
    crop_faces,
    lip_windows,
    score,
    sound_windows,
    whole_track,
)
from ..sync.judge import BATCH, PUBLISHED, Judge
from ..sync.syncnet import NUM_FRAMES
from .metric import Metric, Pair, mean_over_cases, per_case

Protocol = Literal["fast", "strict", "masked"]
LOSSES = "JPEG of frames; MPEG-4, then JPEG at 200 kbit/s of crops"
"""What the strict way does to the pictures; see `benchmark/sync/chain.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What differs between the metrics of a judge."""

    start: str
    title: str
    unit: str
    direction: Literal["higher", "lower", "target"]
    about: str
    value: Callable[[SyncScore], float]


COLUMNS = (
    Column(
        start="sync_c",
        title="Sync-C",
        unit="",
        direction="higher",
        about="Confidence that lips and sound belong together: median minus least distance over shifts.",
        value=lambda result: result.confidence,
    ),
    Column(
        start="sync_d",
        title="Sync-D",
        unit="",
        direction="lower",
        about="Least mean distance between lips and sound over shifts by up to 15 frames.",
        value=lambda result: result.distance,
    ),
    Column(
        start="sync_c0",
        title="Sync-C as played",
        unit="",
        direction="higher",
        about="Sync-C without looking for the best shift: a constant delay costs it, which Sync-C forgives.",
        value=lambda result: result.confidence_as_played,
    ),
    Column(
        start="sync_offset",
        title="AV offset",
        unit="frames",
        direction="target",
        about="Frames by which the sound has to be moved to fit the lips: -3 when it is three frames late.",
        value=lambda result: float(result.offset),
    ),
)


def metrics(judge: Judge, which: Protocol = "fast") -> tuple[Metric, ...]:
    """All columns of one judge. `fast` takes the judge's own way with the sound's ends."""
    strict = which == "strict"
    edges: Edges = "masked" if which == "masked" else "zeros" if strict else judge.edges
    lips, sound = lip_extractor(judge, strict), sound_extractor(judge)
    suffix = judge.name if which == "fast" else f"{judge.name}_{which}"
    return tuple(_metric(column, suffix, judge, which, edges, (lips, sound)) for column in COLUMNS)


def not_here(why: str) -> tuple[Metric, ...]:
    """Sync-C and Sync-D of the published network where its weights are not at hand: named, not measured."""

    def refuse(pair: Pair) -> float:
        """Say why."""
        raise Rejected("missing_weight", why)

    return tuple(
        Metric(
            name=f"video/{column.start}_{PUBLISHED}",
            title=f"{column.title} ({PUBLISHED})",
            unit=column.unit,
            direction=column.direction,
            best=None,
            as_printed="lower" if column.start == "sync_c" else None,
            protocol=protocol(judge=f"sync.{PUBLISHED}", weights="not at hand", score=column.start),
            unavailable=why,
            about=column.about,
            measure=per_case(refuse),
            compute=mean_over_cases,
            of="sound",
        )
        for column in COLUMNS[:2]
    )


def _metric(
    column: Column,
    suffix: str,
    judge: Judge,
    which: Protocol,
    edges: Edges,
    extractors: tuple[Extractor, Extractor],
) -> Metric:
    strict = which == "strict"

    def value(pair: Pair) -> float:
        """One number of a clip's score."""
        lips, sound = (rows_of(pair.generated, extractor) for extractor in extractors)
        try:
            return column.value(score(lips, sound, edges))
        except Rejected as rejected:
            raise Rejected(rejected.reason, f"{pair.key}: {rejected.message}") from rejected

    return Metric(
        name=f"video/{column.start}_{suffix}",
        title=f"{column.title} ({suffix})",
        unit=column.unit,
        direction=column.direction,
        target=0.0 if column.direction == "target" else None,
        best=None,
        as_printed="lower" if column.start == "sync_c" else None,
        protocol=protocol(
            judge=f"sync.{judge.name}",
            score=column.start,
            weights=judge.weights,
            languages=" ".join(judge.languages),
            way=which,
            edges=edges,
            shifts=f"-{MAX_SHIFT} to {MAX_SHIFT}",
            boxes="SCRFD-500M, every frame"
            if which == "strict"
            else f"SCRFD-500M, every {DETECT_EVERY}th frame",
            crop=_crop(judge),
            unit_vectors=judge.unit,
            losses=LOSSES if strict else "none",
            fps=25,
        ),
        weights=(DETECTOR,),
        about=f"{column.about} Judge: {judge.name}, trained on {' '.join(judge.languages)}.",
        needs=extractors,
        measure=per_case(value),
        compute=mean_over_cases,
        of="sound",
    )


def _crop(judge: Judge) -> str:
    region = judge.region
    return f"up {region.up:g} down {region.down:g} aside {region.aside:g} to {judge.side}, median of 13 boxes"


def lip_extractor(judge: Judge, strict: bool = False) -> Extractor:
    """Vectors of the lips, one per window of five frames; the last window is not counted, as published."""

    def inputs(footage: Footage) -> Iterator[Pictures]:
        count = max(0, len(footage.frames) - NUM_FRAMES)
        yield from lip_windows(pictures(footage, judge, strict), count) if count else ()

    boxes = f"every {1 if strict else DETECT_EVERY}, followed, {lookup(DETECTOR).sha256}"
    return Extractor(
        name="sync lips",
        settings=f"{judge.weights} {_crop(judge)} unit {judge.unit} strict {strict} {boxes}",
        batch=BATCH,
        dim=judge.network.config.dim,
        inputs=inputs,
        run=judge.lips,
    )


def sound_extractor(judge: Judge) -> Extractor:
    """Vectors of the sound, one per frame from which 0.2 s are left, less one, as published."""

    def inputs(footage: Footage) -> Iterator[NDArray[np.float32]]:
        if footage.audio is None:
            raise Rejected("no_audio", "the video has no sound to compare its lips with; add it")
        if not footage.audio.any():
            raise Rejected("silent", "the video's sound is silence, which no lips fit; add its sound")
        count = max(0, len(footage.audio) // SAMPLES_PER_FRAME - NUM_FRAMES)
        yield from sound_windows(footage.audio, count) if count else ()

    return Extractor(
        name="sync sound",
        settings=f"{judge.weights} unit {judge.unit} mfcc of python_speech_features",
        batch=BATCH,
        dim=judge.network.config.dim,
        inputs=inputs,
        run=judge.sound,
        sees="sound",
    )


def pictures(footage: Footage, judge: Judge, strict: bool) -> Pictures:
    """Faces (T, side, side, 3) of a video as the judge sees them; raises `Rejected("no_face")`."""
    every, frames = 1 if strict else DETECT_EVERY, footage.frames
    boxes = whole_track(detections(footage, every)[:, :4], every, len(frames))
    if not strict:
        return crop_faces(frames, boxes, judge.region, judge.side)
    return through_codecs(crop_faces(through_jpeg(frames), boxes, judge.region, judge.side))
