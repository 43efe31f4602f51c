"""The record of a timing session and its Markdown: what was asked, on which machine, every raw time."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

from datapipe.records import Seconds

from ..machine import environment
from .latency import DECLARED_FPS, Latency, LatencyConfig, median_of, stage_medians
from .markdown_table import NOT_MEASURED, cell, plain, table
from .percentiles import headline, percentile_of, supported, upper_bound

LATENCY_SCHEMA = "avatarsync-latency/1"
CLOCKS = {
    "outside": "process start and loading included",
    "inside": "by the system's process; loading is apart",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """A percentile over all queries, printed only when there are enough of them."""

    percentile: int
    num_runs: int
    seconds: Seconds
    at_most: Seconds
    """The true percentile is not above this, with 99 % confidence."""
    rtf: float
    rtf_at_most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyReport:
    """One timing session of one system."""

    system: str
    created: str
    config: LatencyConfig
    load_seconds: Seconds | None
    """Loading apart; None when it cannot be told from the rest."""
    clips: tuple[Latency, ...]
    tails: tuple[Tail, ...]
    environment: dict[str, str]
    failures: dict[str, str] = field(default_factory=dict)
    schema: str = LATENCY_SCHEMA


def stamp() -> dict[str, str]:
    """The machine, and how busy it was before the first run: times of a busy machine are no one's fault."""
    busy = f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"
    return {**environment(1), "gpu": _gpus(), "load average before": busy}


def now() -> str:
    """The moment of the session, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _gpus() -> str:
    import torch

    names = [torch.cuda.get_device_name(device) for device in range(torch.cuda.device_count())]
    return ", ".join(names) or "none"


def tails(latencies: Sequence[Latency]) -> tuple[Tail, ...]:
    """Pool the runs of all clips, as MLPerf does with queries, and keep the percentiles they support."""
    seconds = [second for each in latencies for second in each.seconds]
    rtfs = [second / each.media_seconds for each in latencies for second in each.seconds]
    return tuple(
        Tail(
            percentile=each,
            num_runs=len(seconds),
            seconds=percentile_of(seconds, each),
            at_most=upper_bound(seconds, each),
            rtf=percentile_of(rtfs, each),
            rtf_at_most=upper_bound(rtfs, each),
        )
        for each in supported(len(seconds))
    )


def markdown(report: LatencyReport) -> str:
    """Render the tables of a session."""
    parts = [_facts(report)]
    if report.clips:
        parts += [_clips(report.clips), _tails(report), _stages(report.clips)]
    if report.failures:
        parts.append("\n".join(f"- failed: {plain(each)}" for each in report.failures.values()))
    return "\n\n".join(filter(None, parts))


def _facts(report: LatencyReport) -> str:
    clocks = sorted({trial.clock for each in report.clips for trial in each.trials})
    return "\n".join(
        [
            f"- system: {plain(report.system)}; batch 1, {report.config.warmup} warm-up(s) per clip, apart",
            f"- clock: {'; '.join(CLOCKS[each] for each in clocks) or NOT_MEASURED}",
            f"- loading: {cell(report.load_seconds, '.3f', ' s')}",
            f"- machine: {', '.join(f'{name} {value}' for name, value in report.environment.items())}",
        ]
    )


def _clips(latencies: Sequence[Latency]) -> str:
    middle = headline(min((each.seconds for each in latencies), key=len))
    heads = ("clip", "frames", "fps", f"{middle} s", "min-max s", "first run s", "first frame s")
    speeds = ("RTF", f"RTF at {DECLARED_FPS:g} fps", "FPS", "CPU s", "peak MiB", "outliers")
    return table((*heads, *speeds), [_row(each) for each in latencies])


def _row(latency: Latency) -> tuple[str, ...]:
    trials = latency.trials
    peak = max(filter(None, (trial.peak_bytes for trial in trials)), default=None)
    return (
        latency.key,
        str(latency.num_frames),
        f"{latency.fps:g}",
        f"{latency.median:.3f}",
        f"{min(latency.seconds):.3f}-{max(latency.seconds):.3f}",
        cell(latency.warmups[0].seconds if latency.warmups else None, ".3f"),
        cell(median_of([trial.first_frame_seconds for trial in trials]), ".3f"),
        f"{latency.rtf:.3f}",
        f"{latency.rtf_declared:.3f}",
        f"{latency.frames_per_second:.1f}",
        cell(median_of([trial.cpu_seconds for trial in trials]), ".2f"),
        cell(None if peak is None else peak / 2**20, ".0f"),
        ", ".join(f"run {index + 1}" for index in latency.outliers) or "none",
    )


def _tails(report: LatencyReport) -> str:
    if not report.tails:
        return ""
    heads = ("percentile", "runs", "s", "at most s (99 %)", "RTF", "at most RTF (99 %)")
    rows = [(f"p{each.percentile}", str(each.num_runs), *_numbers(each)) for each in report.tails]
    return table(heads, rows)


def _numbers(tail: Tail) -> tuple[str, ...]:
    values = (tail.seconds, tail.at_most, tail.rtf, tail.rtf_at_most)
    return tuple(f"{value:.3f}" for value in values)


def _stages(latencies: Sequence[Latency]) -> str:
    """Median seconds per stage; what no stage claims is `rest`."""
    names = list(dict.fromkeys(chain.from_iterable(stage_medians(each) for each in latencies)))
    if not names:
        return ""
    rows = [(each.key, *(cell(value, ".3f") for value in _split(each, names))) for each in latencies]
    return table(("stage s", *names, "rest"), rows)


def _split(latency: Latency, names: Sequence[str]) -> list[float | None]:
    medians = stage_medians(latency)
    rest = statistics.median(trial.seconds - sum(trial.stages.values()) for trial in latency.trials)
    return [*(medians.get(name) for name in names), rest]
