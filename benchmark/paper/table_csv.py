"""An artefact as CSV: one line per number, with all that it rests on."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from .document import Artefact, Cell, Column, Grid, Row

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""
HEAD = (
    *("artefact", "table", "row", "from", "group", "column", "arrow", "text", "value", "low", "high"),
    *("over", "mark", "notes", "file", "sha256", "protocol"),
)


def render(artefact: Artefact, out: Path) -> str:
    """All grids of the artefact."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for grid in artefact.grids:
        for row in grid.rows:
            filled = row.cells * (len(grid.columns) if len(row.cells) < len(grid.columns) else 1)
            for column, cell in zip(grid.columns, filled, strict=True):
                writer.writerow(map(inert, _line(artefact, (grid, row, column, cell), out)))
    return text.getvalue()


def _line(artefact: Artefact, place: tuple[Grid, Row, Column, Cell], out: Path) -> tuple[str, ...]:
    grid, row, column, cell = place
    numbers = ("" if value is None else repr(value) for value in (cell.value, cell.low, cell.high))
    traced = (cell.trace.place(out), cell.trace.file_id, cell.trace.protocol) if cell.trace else ("", "", "")
    names = (artefact.name, grid.name, row.label, row.origin, column.group, column.title, column.arrow or "")
    notes = " ".join((*column.notes, *row.notes, *cell.notes))
    return (*names, cell.text, *numbers, cell.count, cell.mark, notes, *traced)


def inert(text: str) -> str:
    """Keep text from becoming a formula in a spreadsheet; numbers stay numbers."""
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
