"""Every quality column on the page: what thresholds leave, and the worst samples by it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import pandas as pd

from ..media import read_frames
from ..quality import COLUMNS
from ..shards import StoredSample
from ..stats import BETTER, PREFIX, Curve, yield_curves
from .strips import picture_uri

WIDTH, HEIGHT = 320, 132
LEFT, RIGHT, TOP, BOTTOM = 34, 10, 8, 22
SHARES = (90, 50)
"""Parts of the samples, in percent, for which the threshold is named."""


def worst_rows(rows: pd.DataFrame, column: str, count: int) -> pd.DataFrame:
    """Give the worst rows by a column, worst first; without a better end, the furthest from the median.

    A column that says the same of all samples has no worst.
    """
    there = rows[rows[PREFIX + column].notna()]
    values = there[PREFIX + column]
    if values.nunique() < 2:
        return there.head(0)
    better = BETTER.get(column, "none")
    if better == "none":
        badness = (values - values.median()).abs()
    else:
        badness = {"higher": -values, "lower": values, "small": values.abs()}[better]
    return there.loc[badness.sort_values(ascending=False, kind="stable").index[:count]]


def thumbnail(sample: StoredSample) -> str:
    """Give the frame at the middle of a sample as a URI."""
    middle = sample.meta.num_frames // 2 / sample.meta.fps
    return picture_uri(read_frames(sample.video, middle, middle + 1 / sample.meta.fps)[0])


def quality_section(rows: pd.DataFrame, thumbnails: Mapping[str, str], count: int) -> str:
    """Show every column: its definition, its yield curve, its worst samples."""
    curves = yield_curves(rows)
    if not curves:
        return ""
    cards = "".join(
        _card(curve, worst_rows(rows, curve.column, count), thumbnails) for curve in curves if _varies(curve)
    )
    constant = [f"{curve.column} {curve.thresholds[0]:g}" for curve in curves if not _varies(curve)]
    same = f'<p class="soft">The same in all samples: {escape(", ".join(constant))}</p>' if constant else ""
    return (
        '<section id="quality"><h2>Quality</h2><p class="soft">For every column: how many samples a '
        "threshold leaves (filter with <code>--where</code> when you export), and the worst samples by it. "
        f'Nothing was dropped by these.</p><div class="columns">{cards}</div>{same}</section>'
    )


def _varies(curve: Curve) -> bool:
    return len(curve.thresholds) > 1


def _card(curve: Curve, worst: pd.DataFrame, thumbnails: Mapping[str, str]) -> str:
    shown = "".join(_figure(row, curve.column, thumbnails) for _, row in worst.iterrows())
    which = "Furthest from the median" if curve.better == "none" else "Worst"
    meaning = escape(COLUMNS.get(curve.column, ""))
    return (
        f'<article class="column"><h3>{escape(curve.column)}</h3><p class="soft">{meaning}</p>'
        f'{curve_svg(curve)}{_advice(curve)}<h4>{which}</h4><div class="worst">{shown}</div></article>'
    )


def _figure(row: pd.Series, column: str, thumbnails: Mapping[str, str]) -> str:
    name = escape(str(row["id"]))
    return (
        f'<figure title="{name}"><img alt="" loading="lazy" src="{thumbnails[row["key"]]}">'
        f"<figcaption><b>{row[PREFIX + column]:.4g}</b> {name}</figcaption></figure>"
    )


def _advice(curve: Curve) -> str:
    """Name the strictest thresholds that leave nine tenths and half of the samples."""
    lines = []
    for share in SHARES:
        fitting = [
            (kept.samples, threshold)
            for kept, threshold in zip(curve.kept, curve.thresholds, strict=True)
            if 100 * kept.samples >= share * curve.samples
        ]
        kept, threshold = min(fitting)
        part = f"{100 * kept / curve.samples:.0f} %"
        lines.append(f"<li>keep {part}: <code>{escape(curve.condition(threshold))}</code></li>")
    return f'<ul class="advice">{"".join(dict.fromkeys(lines))}</ul>'


def curve_svg(curve: Curve) -> str:
    """Draw the share of samples that each threshold leaves."""
    low, high = curve.thresholds[0], curve.thresholds[-1]
    span = (high - low) or 1.0

    def place(threshold: float, samples: int) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * (threshold - low) / span
        return x, TOP + (HEIGHT - TOP - BOTTOM) * (1 - samples / curve.samples)

    points = [place(at, kept.samples) for at, kept in zip(curve.thresholds, curve.kept, strict=True)]
    steps = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for x, y in points[1:]:
        steps += f"V{y:.1f}H{x:.1f}" if curve.side == ">=" else f"H{x:.1f}V{y:.1f}"
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>' for x, y in points)
    name = f"|{curve.column}|" if curve.better == "small" else curve.column
    middle = (LEFT + WIDTH - RIGHT) / 2
    label = f"{name} {'≥' if curve.side == '>=' else '≤'} threshold"
    texts = (
        f'<text x="{LEFT}" y="{HEIGHT - 6}">{low:.4g}</text>'
        f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(label)}</text>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{high:.4g}</text>'
    )
    return (
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="share of samples left by thresholds from {low:.4g} to {high:.4g}">'
        f'{"".join(map(_grid, (0, 50, 100)))}<path d="{steps}"/>{dots}{texts}</svg>'
    )


def _grid(percent: int) -> str:
    y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - percent / 100)
    line = f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return f'{line}<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{percent}%</text>'
