"""Loss curves of a run as one picture: a row for each part, a panel for each term (the paper's Figure 11)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datapipe.files import publish
from datapipe.records import Rejected

from ..checkpoint import LOG

NO_TERMS = {"step", "steps_per_second", "pictures_per_second", "mfu", "skipped"}
ORDER = ("durations", "tokenizer", "keyframes", "interpolator")
PANEL = (2.6, 2.0)
"""Inches of a panel."""
SMOOTH = 0.05
"""Part of a curve that its smooth line averages over."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """One term of one part's training."""

    part: str
    term: str
    steps_n: NDArray[np.float64]
    values_n: NDArray[np.float64]


def read_curves(run: Path) -> list[Curve]:
    """All terms of all parts of a run, in the order of the parts, the loss first.

    Raises `Rejected("bad_input")` when no part has a log.
    """
    logs = sorted(run.glob(f"*/{LOG}"), key=lambda path: (_rank(path.parent.name), path.parent.name))
    curves = [curve for path in logs for curve in _curves(path)]
    if not curves:
        raise Rejected("bad_input", f"{run} holds no {LOG} of a training; train a part into it first")
    return curves


def draw_curves(curves: Sequence[Curve], path: Path) -> None:
    """Publish the picture; its format follows from the name's end.

    Raises `Rejected("bad_input")` for an end that is no format.
    """
    from matplotlib.figure import Figure

    parts = list(dict.fromkeys(curve.part for curve in curves))
    rows = [[curve for curve in curves if curve.part == part] for part in parts]
    width = max(len(row) for row in rows)
    figure = Figure(figsize=(PANEL[0] * width, PANEL[1] * len(rows)), layout="constrained", dpi=150)
    if path.suffix[1:] not in figure.canvas.get_supported_filetypes():
        raise Rejected("bad_input", f"{path.name} ends in no format of pictures; write .png, .svg or .pdf")
    panels = figure.subplots(len(rows), width, squeeze=False)
    for row, line in zip(rows, panels, strict=True):
        for panel in line[len(row) :]:
            panel.set_axis_off()
        for curve, panel in zip(row, line, strict=False):
            _draw(curve, panel)
    with publish(path) as temporary:
        figure.savefig(temporary)


def smooth(values_n: NDArray[np.float64], part: float = SMOOTH) -> NDArray[np.float64]:
    """Centred moving mean over a part of the curve; at its ends over what there is."""
    reach = round(len(values_n) * part / 2)
    sums = np.concatenate(([0.0], np.cumsum(values_n)))
    at = np.arange(len(values_n))
    low, high = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(values_n))
    return np.asarray((sums[high] - sums[low]) / (high - low))


def _draw(curve: Curve, panel: Any) -> None:
    panel.plot(curve.steps_n, curve.values_n, color="tab:blue", alpha=0.3, linewidth=0.8)
    panel.plot(curve.steps_n, smooth(curve.values_n), color="tab:blue", linewidth=1.4)
    panel.set_title(f"{curve.part}: {curve.term.replace('_', ' ')}", fontsize=8)
    panel.tick_params(labelsize=7)
    panel.set_xlabel("step", fontsize=7)
    low, high = curve.values_n.min(), curve.values_n.max()
    if low > 0 and high / low > 30:  # else the first steps hide all others
        panel.set_yscale("log")


def _curves(path: Path) -> list[Curve]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    names = dict.fromkeys(["loss", *(name for row in rows for name in row)])
    found = []
    for name in (each for each in names if each not in NO_TERMS):
        points = [(row["step"], row[name]) for row in rows if math.isfinite(row.get(name, math.nan))]
        if len(points) > 1:
            steps, values = np.array(points, np.float64).T
            found.append(Curve(part=path.parent.name, term=name, steps_n=steps, values_n=values))
    return found


def _rank(part: str) -> int:
    return ORDER.index(part) if part in ORDER else len(ORDER)
