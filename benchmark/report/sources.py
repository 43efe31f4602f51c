"""What a report is made from besides the run: videos, shard ledgers, training logs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cattrs

from datapipe.ledger import Counts, count, read_ledger
from datapipe.records import Rejected

from ..records import Case, Run, System


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything that a report shows."""

    run: Run
    cases: tuple[Case, ...]
    systems: tuple[System, ...]
    train_log: Path | None = None
    """Folder whose */log.jsonl are loss curves."""
    ledgers: tuple[Path, ...] = ()
    """Shard folders with a ledger.jsonl."""
    ablation: Path | None = None
    """Folder of ablations; their tables stand after the differences."""
    title: str = "Talking-head benchmark"
    pictures: tuple[str, ...] = ()
    """Starts of the keys of the cases on the contact sheet; empty takes the first ones."""
    previews: tuple[Path, ...] = ()
    """Pictures of the data, as `avatarsync data preview` draws them."""
    cache: Path | None = None
    """Feature cache of the run; without it landmarks are found again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What became of the clips of one corpus."""

    name: str
    counts: Counts
    examples: dict[str, str]
    """Reason to the sentence of one clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One training run's losses."""

    name: str
    steps: tuple[float, ...]
    losses: tuple[float, ...]


def preview_places(sources: Sources) -> list[str]:
    """Name the copies of the previews, relative to the report."""
    return [f"media/preview-{number}.png" for number in range(len(sources.previews))]


def open_ledger(folder: Path) -> Ledger:
    """Count the ledger of a shard folder; `Rejected("bad_input")` when there is none or it is not one."""
    try:
        rows = list(read_ledger(folder).values())
    except (ValueError, OSError, cattrs.BaseValidationError) as error:
        raise Rejected("bad_input", f"{folder}: its ledger cannot be read; build the shards again") from error
    if not rows:
        raise Rejected("bad_input", f"{folder} holds no ledger; give one that `avatarsync data build` made")
    examples = {row.reason: row.message for row in rows if row.status == "rejected"}
    return Ledger(name=folder.name, counts=count(rows, len(rows)), examples=examples)


def read_curves(folder: Path) -> tuple[Curve, ...]:
    """Read every */log.jsonl, in the order of training when the names are known."""
    order = {"tokenizer": 0, "keyframes": 1, "interpolator": 2}
    logs = sorted(
        folder.glob("*/log.jsonl"), key=lambda path: (order.get(path.parent.name, 9), path.parent.name)
    )
    curves = (_curve(path) for path in logs)
    return tuple(curve for curve in curves if len(curve.steps) > 1)


def _curve(path: Path) -> Curve:
    points = [
        (float(row["step"]), float(row["loss"]))
        for row in log_rows(path)
        if isinstance(row.get("step"), int | float) and isinstance(row.get("loss"), int | float)
    ]
    points = [(step, loss) for step, loss in points if math.isfinite(loss)]
    return Curve(name=path.parent.name, steps=tuple(p[0] for p in points), losses=tuple(p[1] for p in points))


def log_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Parse the lines that are whole; the last one of a killed run may not be."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row
