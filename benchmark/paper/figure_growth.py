"""Figure 10: latency against the number of phonemes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..records import Estimate
from ..speed.latency import DECLARED_FPS
from ..speed.sweep import Fit, Point, Sweep, work_median
from .document import (
    Artefact,
    Cell,
    Column,
    Grid,
    Picture,
    Row,
    measured,
    missing,
    printed_grid,
    unmeasured,
    where,
)
from .plots import COLOURS, QUIET, dress, new_figure, safe, saver
from .quoted import quoted
from .scored_tables import LATENCY
from .sources import Found, Sources

COLUMNS = (
    Column(title="latency, ms per phoneme", arrow="lower"),
    Column(title="latency at 0 phonemes, s"),
    Column(
        title="latency ~ n^k: k",
        notes=("0 is flat, 1 is proportional, above 1 is faster than proportional.",),
    ),
    Column(title="work, ms per phoneme", arrow="lower"),
    Column(title="work ~ n^k: k"),
)


def fig10(sources: Sources) -> Artefact:
    """Sweeps of our systems."""
    table, found = quoted().table("Figure 10"), sources.of(Sweep)
    pictures = (_picture([sweep for _, sweep in found]),) if found else ()
    return Artefact(
        name="fig10",
        title="Figure 10: latency against phonemes",
        where=where(table),
        grids=(
            printed_grid(table, "method", unmeasured("any system", bool(found))),
            *((_ours(found),) if found else ()),
            *(_points(*each) for each in found),
        ),
        pictures=pictures,
        command=f"{LATENCY} --sweep --repeats 5",
        is_measured=bool(found),
    )  # fmt: skip


def _ours(found: Sequence[tuple[Found, Sweep]]) -> Grid:
    machines = dict.fromkeys(
        f"‡ {sweep.system}: cuts of {sweep.clip}, {sweep.config.repeats} repeats, "
        f"{', '.join(sweep.environment.get(name, '') for name in ('processor', 'gpu'))}; "
        "the paper: 512 px, hardware not stated."
        for _, sweep in found
    )
    return Grid(
        name="fits",
        caption="Ours: lines and powers fitted to the medians, intervals over repeats",
        head="system",
        columns=COLUMNS,
        rows=tuple(_fit_row(file, sweep) for file, sweep in found),
        notes=tuple(machines),
    )


def _fit_row(file: Found, sweep: Sweep) -> Row:
    latency, work = sweep.latency_fit, sweep.work_fit
    cells = (
        _cell(latency.slope, file, 1000),
        _cell(latency.intercept, file),
        _cell(latency.exponent, file),
        _cell(work.slope, file, 1000) if work else missing("no processor time"),
        _cell(work.exponent, file) if work else missing("no processor time"),
    )
    note = f"Flat within 10 % up to {sweep.flat_until} phonemes."
    return Row(label=sweep.system, origin="ours", cells=cells, notes=(note,))


def _cell(estimate: Estimate, file: Found, scale: float = 1.0) -> Cell:
    low, high = (None if bound is None else scale * bound for bound in (estimate.low, estimate.high))
    return measured(scale * estimate.value, low, high, trace=file.trace())


def _points(file: Found, sweep: Sweep) -> Grid:
    return Grid(
        name=f"{file.path.stem} points",
        caption=f"Ours: {sweep.system}, every length",
        head="phonemes",
        columns=tuple(Column(title=each) for each in ("latency, s", "work, s", "video, s")),
        rows=tuple(_point(file, each) for each in sweep.points),
    )  # fmt: skip


def _point(file: Found, point: Point) -> Row:
    seconds, work = point.latency.seconds, work_median(point)
    count = f"least and most of {len(seconds)}"
    cells = (
        measured(point.latency.median, min(seconds), max(seconds), count=count, trace=file.trace()),
        measured(work, trace=file.trace()) if work is not None else missing(),
        measured(point.latency.media_seconds, trace=file.trace()),
    )  # fmt: skip
    return Row(label=str(point.num_phonemes), origin="ours", cells=cells)


def _picture(sweeps: Sequence[Sweep]) -> Picture:
    said = "; ".join(
        f"{sweep.system} from {sweep.points[0].latency.median:.3g} s at {sweep.points[0].num_phonemes} "
        f"to {sweep.points[-1].latency.median:.3g} s at {sweep.points[-1].num_phonemes} phonemes"
        for sweep in sweeps
    )
    return Picture(
        stem="fig10",
        caption="Ours: repeats (faint), medians, fitted lines; the wait, and the processor time behind it.",
        alt=f"Latency against phonemes: {said}",
        draw=saver(lambda: _draw(sweeps)),
    )  # fmt: skip


def _draw(sweeps: Sequence[Sweep]) -> Figure:
    figure = new_figure(9.0, 3.6)
    left, right = figure.subplots(1, 2)
    for sweep, colour in zip(sweeps, COLOURS, strict=False):
        raw = [point.latency.seconds for point in sweep.points]
        _line(left, sweep, raw, sweep.latency_fit, colour)
        if sweep.work_fit:
            work = [
                tuple(trial.cpu_seconds or 0.0 for trial in point.latency.trials) for point in sweep.points
            ]
            _line(right, sweep, work, sweep.work_fit, colour)
    media = [(point.num_phonemes, point.latency.num_frames / DECLARED_FPS) for point in sweeps[0].points]
    left.plot(
        *zip(*media, strict=True), color=QUIET, lw=1, ls="--", label=f"real time at {DECLARED_FPS:g} fps"
    )
    for axes, title, beside in ((left, "latency", "seconds"), (right, "work", "processor seconds")):
        axes.set_ylim(0, None)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=7, frameon=False)
        dress(axes, title, "phonemes", beside)
    return figure


def _line(axes: Any, sweep: Sweep, raw: Sequence[Sequence[float]], fit: Fit, colour: str) -> None:
    counts = [point.num_phonemes for point in sweep.points]
    for count, values in zip(counts, raw, strict=True):
        axes.plot([count] * len(values), values, "o", color=colour, alpha=0.3, ms=2.5, mew=0)
    axes.plot(counts, [sorted(values)[len(values) // 2] for values in raw], "o", color=colour, ms=4)
    line = [fit.intercept.value + fit.slope.value * count for count in counts]
    axes.plot(
        counts,
        line,
        color=colour,
        lw=1.3,
        label=f"{safe(sweep.system, 24)}: {1000 * fit.slope.value:.3g} ms per phoneme",
    )
