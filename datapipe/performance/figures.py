"""What was measured: figures with their spread, what was expected of them before, and what they must be."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..files import write_text
from ..records import Rejected, Seconds, from_json, to_json

Sense = Literal["at most", "at least"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One quantity, once per repeat."""

    name: str
    unit: str
    values: tuple[float, ...]
    """In the order they were taken."""
    expected: str = ""
    """What it was thought to be, written down before it was measured."""
    limit: float | None = None
    """The bar; None for a figure that only informs."""
    sense: Sense = "at most"

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError(f"{self.name}: a figure without a value was not measured; leave it out")

    @property
    def median(self) -> float:
        """The middle of the repeats."""
        return statistics.median(self.values)

    @property
    def holds(self) -> bool | None:
        """Whether the median keeps to the bar; None without one."""
        if self.limit is None:
            return None
        return self.median <= self.limit if self.sense == "at most" else self.median >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a table."""

    label: str
    values: tuple[float | None, ...]
    """One per column after the first; None is not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Numbers side by side."""

    title: str
    columns: tuple[str, ...]
    """With units; the first one heads the labels."""
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One question, how it was put, and the answer."""

    name: str
    title: str
    method: str
    """What ran against what, on which input: enough to judge the figures by."""
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...] = ()
    seconds: Seconds = 0.0
    """How long the measuring took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """All measurements of one machine."""

    machine: dict[str, str]
    quick: bool
    """True for a trial of the measuring itself, whose figures mean little."""
    measurements: tuple[Measurement, ...] = field(default=())


def read_performance(folder: Path, file: str) -> Performance:
    """Read what was measured; `Rejected("bad_input")` when nothing was."""
    path = folder / file
    if not path.exists():
        raise Rejected("bad_input", f"{folder} holds no {file}; measure first: make bench-{path.stem}")
    return from_json(path.read_text(encoding="utf-8"), Performance)


def write_performance(folder: Path, performance: Performance, file: str) -> None:
    """Write the figures, whole."""
    write_text(folder / file, to_json(performance) + "\n")


def joined(before: Performance | None, now: Performance) -> Performance:
    """Put new measurements over older ones of the same machine and length; others are let go."""
    if before is None or (before.machine, before.quick) != (now.machine, now.quick):
        return now
    by_name = {each.name: each for each in (*before.measurements, *now.measurements)}
    ordered = tuple(by_name[name] for name in sorted(by_name))
    return Performance(machine=now.machine, quick=now.quick, measurements=ordered)
