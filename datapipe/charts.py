"""Yield curves as one picture: a small chart per quality column, what each threshold would leave."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .files import publish
from .quality import COLUMNS
from .records import Rejected
from .stats import Curve

PER_ROW, INCHES, DPI = 4, (3.2, 2.5), 120
INK, ACCENT, QUIET = "#1e2228", "#1862a8", "#8a94a0"
SUFFIXES = (".png", ".svg", ".pdf")


def plot_curves(curves: Sequence[Curve], out: Path) -> None:
    """Draw all curves as small multiples.

    Raises `Rejected("bad_input")` when there are none, and for a suffix that is no picture's.
    """
    if out.suffix not in SUFFIXES:
        raise Rejected("bad_input", f"{out.name}: a plot ends in {', '.join(SUFFIXES)}")
    if not curves:
        raise Rejected("bad_input", "no sample has a quality column, so there is nothing to plot")
    rows = -(-len(curves) // PER_ROW)
    columns = min(PER_ROW, len(curves))
    figure = Figure(figsize=(INCHES[0] * columns, INCHES[1] * rows), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    for place, curve in zip(grid.flat, curves, strict=False):
        _chart(place, curve)
    for place in list(grid.flat)[len(curves) :]:
        place.set_axis_off()
    with publish(out) as temporary:
        figure.savefig(temporary, metadata={"Software": None} if out.suffix == ".png" else None)


def _chart(axes: Any, curve: Curve) -> None:
    shares = [100 * kept.samples / curve.samples for kept in curve.kept]
    axes.step(curve.thresholds, shares, where="pre" if curve.side == ">=" else "post", color=ACCENT, lw=1.6)
    axes.plot(curve.thresholds, shares, "o", color=ACCENT, ms=3)
    axes.set_ylim(0, 105)
    if len(shares) == 1:
        axes.text(
            0.5, 0.5, f"{curve.thresholds[0]:g} in all", transform=axes.transAxes, ha="center", fontsize=8
        )
    axes.set_title(curve.column, fontsize=9, color=INK, loc="left", fontweight="bold")
    meaning = textwrap.shorten(COLUMNS.get(curve.column, ""), 52, placeholder=" ...")
    sign = f"|{curve.column}|" if curve.better == "small" else curve.column
    axes.set_xlabel(f"{sign} {curve.side} threshold\n{meaning}", fontsize=6.5, color=QUIET)
    axes.set_ylabel("% of samples", fontsize=6.5, color=QUIET)
    axes.tick_params(labelsize=6.5, colors=QUIET)
    axes.grid(alpha=0.25, lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
