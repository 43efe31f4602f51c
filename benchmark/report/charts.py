"""Small charts as inline SVG: they follow the page's colours, light or dark, and need no library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from ..leaderboard import Table, column_id, heading, number
from ..records import MetricInfo, Score
from .sources import Curve

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 10, 28
MAX_POINTS = 400
SMOOTHING = 0.05
"""Share of the points in the window of the moving mean."""


def loss_chart(curve: Curve, colour: int) -> str:
    """Loss over steps on a logarithmic axis when it allows: every point faint, the moving mean strong."""
    logarithmic = min(curve.losses) > 0
    heights = [math.log10(value) if logarithmic else value for value in curve.losses]
    low, high = min(heights), max(heights)
    span, last = (high - low) or 1.0, max(curve.steps)
    first = min(curve.steps)

    def place(step: float, height: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * (step - first) / ((last - first) or 1.0)
        return x, TOP + (HEIGHT - TOP - BOTTOM) * (1 - (height - low) / span)

    ticks = [low + span * share for share in (0, 0.5, 1)]
    labels = [_number_at(tick, logarithmic) for tick in ticks]
    grid = "".join(_gridline(place(first, tick)[1], label) for tick, label in zip(ticks, labels, strict=True))
    raw = [place(step, height) for step, height in zip(curve.steps, heights, strict=True)]
    mean = [place(step, height) for step, height in zip(curve.steps, _smoothed(heights), strict=True)]
    paths = f'<path class="c{colour} raw" d="{_path(raw)}"/><path class="c{colour}" d="{_path(mean)}"/>'
    ends = (
        f'<text x="{LEFT}" y="{HEIGHT - 8}">step {first:g}</text>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{last:g}</text>'
    )
    begins, stops = (f"{curve.losses[k]:.4g} at step {curve.steps[k]:g}" for k in (0, -1))
    summary = f"Loss of {curve.name}: {begins}, {stops}"
    return _figure(curve.name, summary, HEIGHT, grid + paths + ends)


def _number_at(tick: float, logarithmic: bool) -> str:
    return f"{10**tick if logarithmic else tick:.3g}"


def _gridline(y: float, label: str) -> str:
    line = f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return f'{line}<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'


def _smoothed(heights: Sequence[float]) -> list[float]:
    reach = int(SMOOTHING * len(heights) / 2)
    windows = (heights[max(0, k - reach) : k + reach + 1] for k in range(len(heights)))
    return [sum(window) / len(window) for window in windows]


def _path(points: Sequence[tuple[float, float]]) -> str:
    every = max(1, len(points) // MAX_POINTS)
    kept = [*points[::every], points[-1]]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in kept)


def interval_chart(table: Table, info: MetricInfo) -> str:
    """Every system's mean as a dot on its interval; the truth only where it says something.

    Controls are left out: they lie so far off that the systems would fall into one.
    """
    column = column_id(info)
    truth_speaks = info.direction == "target" or info.name.startswith("video/sync")
    drawn = [row for row in table.rows if table.kinds[row[0]] != "control"]
    shown = [
        (colour, name, scores[column])
        for colour, (name, scores) in enumerate(drawn)
        if column in scores and (truth_speaks or table.kinds[name] == "system")
    ]
    shown = [row for row in shown if row[2].value is not None]
    if not shown:
        return ""
    bounds = [value for _, _, score in shown for value in _extent(score)]
    low, span = min(bounds), (max(bounds) - min(bounds)) or 1.0
    height = 26 * len(shown) + 24

    def x_of(value: float) -> float:
        return 120 + (WIDTH - 130) * (value - low) / span

    rows = "".join(_interval_row(26 * k + 16, row, x_of) for k, row in enumerate(shown))
    ends = (
        f'<text x="120" y="{height - 4}">{number(low)}</text>'
        f'<text x="{WIDTH - 10}" y="{height - 4}" text-anchor="end">{number(low + span)}</text>'
    )
    summary = ", ".join(f"{name} {number(score.value or 0.0)}" for _, name, score in shown)
    return _figure(heading(info, table.columns), summary, height, rows + ends)


def _extent(score: Score) -> tuple[float, float]:
    value = score.value or 0.0
    return (value if score.low is None else score.low), (value if score.high is None else score.high)


def _interval_row(y: float, row: tuple[int, str, Score], x_of: Callable[[float], float]) -> str:
    index, name, score = row
    low, high = (x_of(value) for value in _extent(score))
    label = name if len(name) <= 18 else f"{name[:17]}…"
    return (
        f'<line class="grid" x1="120" x2="{WIDTH - 10}" y1="{y}" y2="{y}"/>'
        f'<text class="name" x="0" y="{y + 4}">{escape(label)}</text>'
        f'<line class="c{index % 7}" stroke-width="3" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>'
        f'<circle class="c{index % 7}" cx="{x_of(score.value or 0.0):.1f}" cy="{y}" r="5"/>'
    )


def _figure(title: str, summary: str, height: int, inside: str) -> str:
    attributes = f'class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(summary)}"'
    return f"<figure><h3>{escape(title)}</h3><svg {attributes}>{inside}</svg></figure>"
