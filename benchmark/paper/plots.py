"""How all figures of ours look: colours that the colour-blind can tell apart, the same bytes every time."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F", "#000000")
"""Okabe and Ito's, the yellow left out: it cannot be read on white."""
INK, QUIET = "#1e2228", "#5c6670"
DPI = 150


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches, without a window."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def saver(draw: Callable[[], Figure]) -> Callable[[Path], None]:
    """What writes a figure to a path: the same bytes for the same figure, without a date."""

    def save(path: Path) -> None:
        metadata = {"Software": None} if path.suffix == ".png" else {"Date": None, "Creator": None}
        with rc_context({"svg.hashsalt": "avatarsync", "svg.fonttype": "none"}):
            buffer = io.BytesIO()
            draw().savefig(buffer, format=path.suffix[1:], metadata=metadata)
        path.write_bytes(buffer.getvalue())

    return save


def dress(axes: Any, title: str, below: str = "", beside: str = "") -> None:
    """Title, axis labels, and no box."""
    axes.set_title(title, fontsize=9, color=INK, loc="left")
    axes.set_xlabel(below, fontsize=8, color=QUIET)
    axes.set_ylabel(beside, fontsize=8, color=QUIET)
    axes.tick_params(labelsize=7.5, colors=QUIET)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def safe(text: str, longest: int = 40) -> str:
    """Text that matplotlib takes as text: no mathematics, no line breaks, and a length that fits."""
    plain = " ".join(text.split()).replace("$", r"\$")
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"
