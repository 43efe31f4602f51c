"""A sweep as a picture and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from datapipe.files import publish, write_text
from datapipe.records import to_json

from ..records import Estimate
from .latency import DECLARED_FPS
from .latency_report import CLOCKS
from .markdown_table import NOT_MEASURED, cell, plain, table
from .percentiles import headline
from .sweep import FLAT_SHARE, Fit, Sweep, work_median

LATENCY, WORK, QUIET, INK = "#1862a8", "#b3541e", "#8a94a0", "#1e2228"
DPI, SIZE, HEADROOM = 140, (13.0, 4.2), 1.35
TICKS = (2, 5, 10, 15, 20)


def plot(sweep: Sweep, out: Path) -> None:
    """Draw latency, work, and both on logarithmic axes with guides for flat and proportional growth.

    `out` ends in .png or .svg.
    """
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    first, second, third = figure.subplots(1, 3)
    _latency(first, sweep)
    _work(second, sweep)
    _logarithmic(third, sweep)
    figure.suptitle(f"{sweep.system}: cuts of {sweep.clip}", fontsize=10, color=INK, x=0.01, ha="left")
    with publish(out) as temporary:
        figure.savefig(temporary, metadata={"Software": None} if out.suffix == ".png" else {"Date": None})


def _counts(sweep: Sweep) -> NDArray[np.float64]:
    return np.array([point.num_phonemes for point in sweep.points], np.float64)


def _latency(axes: Any, sweep: Sweep) -> None:
    raw = [point.latency.seconds for point in sweep.points]
    medians = [point.latency.median for point in sweep.points]
    media = [point.latency.num_frames / DECLARED_FPS for point in sweep.points]
    first = medians[0]
    axes.axhspan(first * (1 - FLAT_SHARE), first * (1 + FLAT_SHARE), color=LATENCY, alpha=0.12, lw=0)
    axes.axvline(sweep.flat_until, color=QUIET, lw=0.8, ls=":")
    axes.plot(_counts(sweep), media, color=QUIET, lw=1, ls="--", label=f"real time at {DECLARED_FPS:g} fps")
    _scatter(axes, sweep, raw, medians, sweep.latency_fit, LATENCY)
    title = f"latency: flat within 10 % (band) up to {sweep.flat_until}"
    _frame(axes, title, "seconds", max(map(max, raw)))


def _work(axes: Any, sweep: Sweep) -> None:
    medians = [work_median(point) for point in sweep.points]
    raw = [[trial.cpu_seconds or 0.0 for trial in point.latency.trials] for point in sweep.points]
    if sweep.work_fit is None:
        axes.text(0.5, 0.5, f"work {NOT_MEASURED}", transform=axes.transAxes, ha="center", color=QUIET)
    else:
        _scatter(axes, sweep, raw, medians, sweep.work_fit, WORK)
    highest = max(map(max, raw)) if sweep.work_fit else None
    _frame(axes, "work: processor time of all processes", "processor seconds", highest)


def _scatter(
    axes: Any, sweep: Sweep, raw_CR: Sequence[Any], medians: Sequence[Any], fitted: Fit, colour: str
) -> None:
    counts = _counts(sweep)
    for count, values in zip(counts, raw_CR, strict=True):
        axes.plot([count] * len(values), values, "o", color=colour, alpha=0.3, ms=2.5, mew=0)
    axes.plot(counts, medians, "o", color=colour, ms=4.5, label="median of the repeats")
    line = fitted.intercept.value + fitted.slope.value * counts
    axes.plot(
        counts, line, color=colour, lw=1.3, label=f"slope {_span(fitted.slope, 1000, '.3g')} ms/phoneme"
    )


def _frame(axes: Any, title: str, unit: str, highest: float | None) -> None:
    """Begin at zero and end above the data: real time may lie far above, and would hide what is flat."""
    axes.set_ylim(0, None if highest is None else HEADROOM * highest)
    axes.set_xticks(TICKS)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, frameon=False, loc="upper left")
    _dress(axes, title, unit)


def _logarithmic(axes: Any, sweep: Sweep) -> None:
    counts = _counts(sweep)
    for values, fitted, colour, name in (
        ([point.latency.median for point in sweep.points], sweep.latency_fit, LATENCY, "latency"),
        ([work_median(point) for point in sweep.points], sweep.work_fit, WORK, "work"),
    ):
        if fitted is None:
            continue
        begin = float(values[0] or 0.0)
        label = f"{name} ~ n^{_span(fitted.exponent, 1, '.2f')}"
        axes.plot(counts, values, "o-", color=colour, ms=4, lw=1, label=label)
        axes.plot(counts, np.full_like(counts, begin), color=colour, lw=0.7, ls=":")
        axes.plot(counts, begin * counts / counts[0], color=colour, lw=0.7, ls="--")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([count for count in (2, 3, 5, 10, 20) if counts[0] <= count <= counts[-1]])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    axes.legend(fontsize=7, frameon=False)
    _dress(axes, "both, logarithmic: flat (dotted), proportional (dashed)", "seconds")


def _dress(axes: Any, title: str, unit: str) -> None:
    axes.set_title(title, fontsize=8.5, color=INK, loc="left")
    axes.set_xlabel("phonemes", fontsize=8, color=QUIET)
    axes.set_ylabel(unit, fontsize=8, color=QUIET)
    axes.tick_params(labelsize=7, colors=QUIET)
    axes.grid(alpha=0.25, lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def markdown(sweep: Sweep, picture: str) -> str:
    """Render facts, fits and points; `picture` is the plot's file name, beside the text."""
    return "\n\n".join(
        [
            f"# Latency of {plain(sweep.system)} over phonemes",
            _facts(sweep),
            f"![latency and work over phonemes]({picture})",
            _fits(sweep),
            _points(sweep),
        ]
    )


def _facts(sweep: Sweep) -> str:
    clocks = sorted({trial.clock for point in sweep.points for trial in point.latency.trials})
    machine = ", ".join(f"{name} {value}" for name, value in sweep.environment.items())
    return "\n".join(
        [
            f"- clip: {plain(sweep.clip)}, cut after its first n phonemes (pauses count)",
            f"- order: {sweep.config.warmup} round(s) of warm-up, then {sweep.config.repeats} of all "
            "lengths, each in random order; batch 1",
            f"- clock: {'; '.join(CLOCKS[each] for each in clocks)}",
            f"- loading: {cell(sweep.load_seconds, '.3f', ' s')}",
            f"- latency stays within 10 % of its first value up to {sweep.flat_until} phonemes",
            f"- machine: {machine}",
        ]
    )


def _fits(sweep: Sweep) -> str:
    heads = ("curve", "at 0 phonemes, ms", "slope, ms per phoneme", "exponent", "R² of the line")
    rows = [("latency", *_fit_cells(sweep.latency_fit)), ("work", *_fit_cells(sweep.work_fit))]
    return table(heads, rows) + "\n\nIn brackets: 95 % bootstrap intervals over repeats."


def _fit_cells(fitted: Fit | None) -> tuple[str, ...]:
    if fitted is None:
        return (NOT_MEASURED,) * 4
    return (
        _span(fitted.intercept, 1000, ".1f"),
        _span(fitted.slope, 1000, ".2f"),
        _span(fitted.exponent, 1, ".3f"),
        f"{fitted.r_squared:.3f}",
    )


def _span(estimate: Estimate, scale: float, form: str) -> str:
    value = f"{estimate.value * scale:{form}}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{estimate.low * scale:{form}}, {estimate.high * scale:{form}}]"


def _points(sweep: Sweep) -> str:
    middle = headline(sweep.points[0].latency.seconds)
    heads = ("phonemes", "frames", f"latency {middle} s", "RTF", "work s", "outliers")
    rows = [
        (
            str(point.num_phonemes),
            str(point.latency.num_frames),
            f"{point.latency.median:.4f}",
            f"{point.latency.rtf:.3f}",
            cell(work_median(point), ".3f"),
            ", ".join(f"run {index + 1}" for index in point.latency.outliers) or "none",
        )
        for point in sweep.points
    ]
    return table(heads, rows)


def write(sweep: Sweep, out: Path) -> str:
    """Write sweep.json, sweep.png, sweep.svg and sweep.md; return the Markdown."""
    for suffix in ("png", "svg"):
        plot(sweep, out / f"sweep.{suffix}")
    text = markdown(sweep, "sweep.png")
    write_text(out / "sweep.md", text + "\n")
    write_text(out / "sweep.json", to_json(sweep))
    return text
