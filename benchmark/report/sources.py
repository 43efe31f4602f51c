"""What a report is made from besides the run: videos, shard ledgers, training logs."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    title: str = "Talking-head benchmark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What became of the clips of one corpus."""

    name: str
    num_in: int
    num_out: int
    num_failed: int
    rejected: dict[str, int]
    """Reason to count."""
    examples: dict[str, str]
    """Reason to the sentence of one clip."""

    @property
    def balanced(self) -> bool:
        """Whether in = out + rejected + failed."""
        return self.num_in == self.num_out + self.num_failed + sum(self.rejected.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One training run's losses."""

    name: str
    steps: tuple[float, ...]
    losses: tuple[float, ...]


def read_ledger(folder: Path) -> Ledger:
    """Count a ledger.jsonl; the last row of a clip is what became of it."""
    path = folder / "ledger.jsonl" if folder.is_dir() else folder
    rows = {str(row.get("clip", number)): row for number, row in enumerate(_rows(path))}
    status = Counter(str(row.get("status")) for row in rows.values())
    rejects = [row for row in rows.values() if row.get("status") == "rejected"]
    return Ledger(
        name=(folder if folder.is_dir() else folder.parent).name,
        num_in=len(rows),
        num_out=status["done"],
        num_failed=status["failed"],
        rejected=dict(sorted(Counter(str(row.get("reason")) for row in rejects).items())),
        examples={str(row.get("reason")): str(row.get("message", "")) for row in rejects},
    )


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
        for row in _rows(path)
        if isinstance(row.get("step"), int | float) and isinstance(row.get("loss"), int | float)
    ]
    points = [(step, loss) for step, loss in points if math.isfinite(loss)]
    return Curve(name=path.parent.name, steps=tuple(p[0] for p in points), losses=tuple(p[1] for p in points))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Parse the lines that are whole; the last one of a killed run may not be."""
    if not path.is_file():
        raise Rejected("bad_input", f"{path} is not there; give a folder that holds it")
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row
