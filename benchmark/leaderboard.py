"""Tables from runs. Scores share a column only if their protocols agree, a table only if their references do.

Ranking goes by the metric's own direction. A system with failed clips stands behind all that have none:
failing on the hard clips cannot win a place. Ground truth is shown, not ranked.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .records import MetricInfo, RowKind, Run, Score

ARROWS = {"higher": "↑", "lower": "↓", "target": "→"}
NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Table:
    """Systems on one set of ground-truth videos."""

    reference_hash: str
    num_clips: int
    columns: tuple[MetricInfo, ...]
    rows: tuple[tuple[str, dict[str, Score]], ...]
    """Name of the system and its scores by column id."""
    kinds: dict[str, RowKind]
    """Name of the row to what it is; only systems are ranked."""
    ranks: dict[str, dict[str, int]]
    """Column id to system to rank, 1 is best; ties share the better rank."""


def column_id(info: MetricInfo) -> str:
    """What a column stands for: the metric under its protocol."""
    return f"{info.name}@{info.protocol_hash}"


def tables(runs: Sequence[Run]) -> tuple[Table, ...]:
    """One table per set of references, in the order in which they occur."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.reference_hash, []).append(run)
    return tuple(_table(name, group) for name, group in groups.items())


def _table(reference_hash: str, runs: Sequence[Run]) -> Table:
    columns = {column_id(info): info for run in runs for info in run.metrics}
    rows: dict[str, dict[str, Score]] = {}
    kinds: dict[str, RowKind] = {}
    for run in runs:
        ids = {info.name: column_id(info) for info in run.metrics}
        for system in run.systems:
            scores = {ids[score.metric]: score for score in system.scores}
            if system.kind == "system":
                name = _free_name(system.name, run.created, rows)
                rows[name], kinds[name] = scores, "system"
            else:
                rows.setdefault(system.name, {}).update(scores)
                kinds[system.name] = system.kind
    ranked = {name: scores for name, scores in rows.items() if kinds[name] == "system"}
    ranks = {name: _ranks(info, name, ranked) for name, info in columns.items()}
    num_clips = len(runs[0].reference)
    return Table(reference_hash, num_clips, tuple(columns.values()), tuple(rows.items()), kinds, ranks)


def _free_name(name: str, created: str, taken: dict[str, dict[str, Score]]) -> str:
    return name if name not in taken else f"{name} ({created})"


def _ranks(info: MetricInfo, column: str, rows: dict[str, dict[str, Score]]) -> dict[str, int]:
    if info.direction == "target" and info.target is None:
        return {}
    keys = {}
    for system, scores in rows.items():
        score = scores.get(column)
        if score is not None and score.value is not None:
            keys[system] = (score.num_ok < score.num_total, _badness(info, score.value))
    return {system: 1 + sum(other < key for other in keys.values()) for system, key in keys.items()}


def _badness(info: MetricInfo, value: float) -> float:
    if info.direction == "higher":
        return -value
    return value if info.direction == "lower" or info.target is None else abs(value - info.target)


def heading(info: MetricInfo, columns: Sequence[MetricInfo]) -> str:
    """Title, unit and direction; the protocol's hash when two columns would look alike."""
    twins = sum(other.name == info.name for other in columns) > 1
    unit = f" [{info.unit}]" if info.unit else ""
    return f"{info.title}{unit} {ARROWS[info.direction]}" + (f" ({info.protocol_hash})" if twins else "")


def number(value: float) -> str:
    """Four significant digits, without exponents for what tables hold."""
    if 1e-9 < abs(value) < 1e-3 or abs(value) >= 1e6:
        return f"{value:.2e}"
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1
    return f"{value:.{digits}f}" if abs(value) > 1e-9 else "0.000"


def cell(score: Score | None) -> str:
    """Value, interval and, when clips failed, how many count."""
    if score is None or score.value is None:
        return NOT_MEASURED if score is None or not (score.not_measured or "").startswith("not app") else "–"
    interval = (
        f" [{number(score.low)}, {number(score.high)}]"
        if score.low is not None and score.high is not None
        else ""
    )
    counted = f" ({score.num_ok}/{score.num_total})" if score.num_ok < score.num_total else ""
    return number(score.value) + interval + counted


def markdown(runs: Sequence[Run]) -> str:
    """All tables in Markdown; the best value of a column is bold."""
    return "\n\n".join("\n".join(_markdown(table)) for table in tables(runs)) + "\n"


def _markdown(table: Table) -> Iterator[str]:
    yield f"{table.num_clips} clips, reference set `{table.reference_hash}`; mean, 95 % interval over clips."
    yield ""
    yield "| system | " + " | ".join(heading(info, table.columns) for info in table.columns) + " |"
    yield "|---" * (len(table.columns) + 1) + "|"
    for name, scores in table.rows:
        cells = []
        for info in table.columns:
            column = column_id(info)
            text = cell(scores.get(column))
            cells.append(f"**{text}**" if table.ranks[column].get(name) == 1 else text)
        yield f"| {escaped(name)} | " + " | ".join(cells) + " |"


def escaped(text: str) -> str:
    """Keep names from becoming Markdown or HTML."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
    return "".join(f"\\{letter}" if letter in "|*_`[]\\" else letter for letter in escaped)


def as_csv(runs: Sequence[Run]) -> str:
    """One line per system and metric, with all that the cell rests on."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ("reference", "system", "metric", "protocol", "unit", "direction", "value", "low", "high")
    writer.writerow((*names, "num_ok", "num_total", "rank", "not_measured"))
    for table in tables(runs):
        for name, scores in table.rows:
            for info in table.columns:
                score = scores.get(column_id(info))
                if score:
                    rank = table.ranks[column_id(info)].get(name, "")
                    writer.writerow((table.reference_hash, _inert(name), *_csv_cells(info, score, rank)))
    return out.getvalue()


def _csv_cells(info: MetricInfo, score: Score, rank: int | str) -> tuple[object, ...]:
    numbers = ("" if value is None else repr(value) for value in (score.value, score.low, score.high))
    counts = (score.num_ok, score.num_total, rank, score.not_measured or "")
    return (info.name, info.protocol_hash, info.unit, info.direction, *numbers, *counts)


def _inert(name: str) -> str:
    """Keep a name from becoming a formula in a spreadsheet."""
    return f"'{name}" if name[:1] in "=+-@" else name
