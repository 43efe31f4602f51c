"""Loss curves of trainings, read from the logs that a run keeps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datapipe.records import Rejected

from ..report.sources import log_rows

CURVES_SCHEMA = "avatarsync-curves/1"
LOG = "log.jsonl"
NO_TERMS = {"step", "steps_per_second", "pictures_per_second", "mfu", "skipped"}
"""Numbers of a log that are no terms of a loss."""
ORDER = ("tokenizer", "keyframes", "interpolator", "durations")
MAX_POINTS = 150
END = 0.1
"""Share of a curve at its end that its last value is the mean of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One term of one part's training."""

    part: str
    term: str
    steps: tuple[float, ...]
    values: tuple[float, ...]
    """Means over neighbouring steps, at most 150."""

    @property
    def last(self) -> float:
        """Mean of the last tenth."""
        return float(np.mean(self.values[-max(1, round(END * len(self.values))) :]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """All terms of all parts of one run."""

    run: str
    curves: tuple[Curve, ...]
    schema: str = CURVES_SCHEMA


def read_curves(run: Path) -> Curves:
    """Read every part's log, in the order of training; `Rejected("bad_input")` when no part has one."""
    logs = sorted(run.glob(f"*/{LOG}"), key=lambda path: (_rank(path.parent.name), path.parent.name))
    curves = tuple(curve for path in logs for curve in curves_of(path))
    if not curves:
        raise Rejected("bad_input", f"{run} holds no {LOG} of a training; name the folder that was its --out")
    return Curves(run=run.name, curves=curves)


def curves_of(path: Path) -> Iterator[Curve]:
    """Every term of one log; the loss first."""
    rows = list(log_rows(path))
    names = dict.fromkeys(["loss", *(name for row in rows for name in row)])
    for name in (each for each in names if each not in NO_TERMS):
        points = [
            (row["step"], row[name])
            for row in rows
            if _is_number(row.get("step")) and _is_number(row.get(name))
        ]
        if len(points) > 1:
            steps, values = (_thinned([float(point[k]) for point in points]) for k in (0, 1))
            yield Curve(part=path.parent.name, term=name, steps=steps, values=values)


def _thinned(values: list[float]) -> tuple[float, ...]:
    """Means of neighbours, so that no more than `MAX_POINTS` stay."""
    pieces = np.array_split(np.array(values), min(len(values), MAX_POINTS))
    return tuple(round(float(piece.mean()), 6) for piece in pieces)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _rank(part: str) -> int:
    return ORDER.index(part) if part in ORDER else len(ORDER)
