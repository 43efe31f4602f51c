"""The figures as a page of Markdown, from nothing but the record."""

from __future__ import annotations

from pathlib import Path

from ..files import write_text
from .figures import Figure, Measurement, Performance, Table

TRIAL = "\n**A quick trial: the sizes are so small that these figures only show that measuring works.**\n"
VERDICTS = {True: "holds", False: "**missed**", None: ""}


def write_page(folder: Path, performance: Performance, file: str, head: str) -> Path:
    """Write the page beside the record and give its path."""
    path = folder / file
    write_text(path, render(performance, head))
    return path


def render(performance: Performance, head: str) -> str:
    """Draw everything: the bars on top, then each measurement, then the machine."""
    parts = [head + (TRIAL if performance.quick else ""), _bars(performance)]
    parts += [_section(each) for each in performance.measurements]
    machine = [f"| {name} | {value} |" for name, value in sorted(performance.machine.items())]
    parts.append("\n".join(["## Machine", "", "| | |", "|---|---|", *machine]))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _bars(performance: Performance) -> str:
    figures = [
        (measurement.name, figure)
        for measurement in performance.measurements
        for figure in measurement.figures
        if figure.limit is not None
    ]
    rows = [
        f"| {name} | {figure.name} | {figure.expected} | {_spread(figure)} | {figure.sense} "
        f"{_number(figure.limit)} {figure.unit} | {VERDICTS[figure.holds]} |"
        for name, figure in figures
    ]
    head = ["| | bar | expected | median [min, max] | limit | |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _section(measurement: Measurement) -> str:
    head = [f"## ({measurement.name}) {measurement.title}", "", measurement.method, ""]
    figures = ["| figure | expected | median [min, max] | repeats |", "|---|---|---|---|"]
    figures += [
        f"| {figure.name} | {figure.expected} | {_spread(figure)} | {len(figure.values)} |"
        for figure in measurement.figures
    ]
    tables = [line for table in measurement.tables for line in ("", *_table(table))]
    return "\n".join([*head, *figures, *tables, "", f"Measuring took {measurement.seconds:.0f} s."])


def _table(table: Table) -> list[str]:
    rows = [f"| {line.label} | {' | '.join(map(_number, line.values))} |" for line in table.lines]
    head = f"| {' | '.join(table.columns)} |"
    return [f"{table.title}:", "", head, "|---" + "|---:" * (len(table.columns) - 1) + "|", *rows]


def _spread(figure: Figure) -> str:
    unit = f" {figure.unit}"
    if len(figure.values) == 1:
        return _number(figure.median) + unit
    return f"{_number(figure.median)} [{_number(min(figure.values))}, {_number(max(figure.values))}]{unit}"


def _number(value: float | None) -> str:
    """Show three digits; what was not measured as a dash."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:.{digits}f}"
