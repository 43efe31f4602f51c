"""Our rows of Table 2: timing sessions, and the times that systems wrote beside their videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..intervals import MIN_CLIPS, SEED
from ..speed.latency import Latency
from ..speed.latency_report import LatencyReport
from .document import Cell, Row, measured
from .scores import Scored, cell, label, scored
from .sources import Found, Sources

PAPER_CLIP_SECONDS = 3.92
"""98 frames at 25 per second: what the paper's RTF and latency agree on."""
NUM_RESAMPLES = 2000


def timing_rows(sources: Sources) -> list[tuple[str, Row]]:
    """(system, row): sessions of `bench latency` first, then what runs read from timing.json."""
    reports = sources.of(LatencyReport)
    rows = [(report.system, _session(found, report)) for found, report in reports if report.clips]
    timed = [each for each in scored(sources) if _has_time(each)]
    return [*rows, *((each.system.name, _of_run(each, timed)) for each in timed)]


def _session(found: Found, report: LatencyReport) -> Row:
    """The clip nearest to the paper's length, and the real-time factor over all clips."""
    nearest = min(report.clips, key=lambda clip: abs(clip.media_seconds - PAPER_CLIP_SECONDS))
    note = (
        f"The clip nearest to {PAPER_CLIP_SECONDS} s, {nearest.media_seconds:.2f} s; interval over repeats."
    )
    return Row(
        label=f"{report.system} (bench latency)",
        origin="ours",
        cells=(_cell(found, (nearest,), note, False), _cell(found, report.clips, "All clips pooled.", True)),
    )


def _cell(found: Found, clips: Sequence[Latency], note: str, is_factor: bool) -> Cell:
    media = sum(clip.media_seconds for clip in clips) if is_factor else 1.0
    drawn = sum(np.median(again, axis=1) for again in _again(clips)) / media
    value = sum(clip.median for clip in clips) / media
    repeats = min(len(clip.trials) for clip in clips)
    low, high = np.percentile(drawn, [2.5, 97.5]) if repeats >= MIN_CLIPS else (None, None)
    bounds = (None, None) if low is None or high is None else (float(low), float(high))
    return measured(value, *bounds, count=f"{repeats} repeats", notes=(note,), trace=found.trace())


def _again(clips: Sequence[Latency]) -> Iterator[NDArray[np.float64]]:
    """Each clip's times, drawn again with replacement: (resamples, repeats)."""
    random = np.random.default_rng(SEED)
    for clip in clips:
        seconds = np.array(clip.seconds)
        yield seconds[random.integers(0, len(seconds), (NUM_RESAMPLES, len(seconds)))]


def _has_time(row: Scored) -> bool:
    return any(each.metric == "video/latency" and each.value is not None for each in row.system.scores)


def _of_run(row: Scored, rows: Sequence[Scored]) -> Row:
    note = (
        "From timing.json beside the videos, one time per clip of its own length; intervals are over clips."
    )
    return Row(
        label=label(row, rows),
        origin="ours",
        cells=tuple(cell(row, name) for name in ("latency", "RTF")),
        notes=(note,),
    )
