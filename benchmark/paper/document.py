"""An artefact between its numbers and its four forms: grids of cells, pictures, remarks, sources.

Every form (Markdown, LaTeX, CSV, HTML) renders the same records, so that none can say more than another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..leaderboard import NOT_MEASURED, number
from ..records import Direction
from .quoted import Mark, QuotedRow, QuotedTable, number_of

Origin = Literal["paper", "ours"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The file that a number of ours was read from."""

    path: Path
    file_id: str
    """First twelve hexadecimal digits of the file's sha256."""
    protocol: str = ""
    """Hash of the protocol that the number was measured under; empty where there is none."""

    def place(self, out: Path) -> str:
        """Address of the file as seen from the folder of the artefact."""
        return Path(os.path.relpath(self.path.resolve(), out.resolve())).as_posix()

    def words(self) -> str:
        """Name and hashes in one line."""
        protocol = f", protocol {self.protocol}" if self.protocol else ""
        return f"{self.path.name}, sha256 {self.file_id}{protocol}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One number, or the reason why there is none."""

    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    """95 % interval; None where there is none."""
    count: str = ""
    """What the interval is over: `8 clips`."""
    mark: Mark = ""
    notes: tuple[str, ...] = ()
    trace: Trace | None = None

    @property
    def interval(self) -> str:
        """`[low, high]`, or nothing."""
        return "" if self.low is None or self.high is None else f"[{number(self.low)}, {number(self.high)}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of numbers."""

    title: str
    group: str = ""
    arrow: Direction | None = None
    """Which direction is better, as the artefact's source prints it."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of one origin; printed and measured numbers never share a row."""

    label: str
    origin: Origin
    cells: tuple[Cell, ...]
    """One per column, or one alone that stands for all."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """One table."""

    name: str
    """Tells the tables of an artefact apart: `CMLR`."""
    caption: str
    head: str
    """Heading of the first column."""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    """Remarks on the whole table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure; drawn as PNG and SVG."""

    stem: str
    caption: str
    alt: str
    """What it shows, in words with numbers."""
    draw: Callable[[Path], None]
    """Writes it to a path; the format follows from the name's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A table or figure of a paper, with ours beside it."""

    name: str
    """`table1`, `fig4b`."""
    title: str
    where: str
    """Paper, table and page."""
    grids: tuple[Grid, ...]
    pictures: tuple[Picture, ...] = ()
    command: str
    """What measures ours."""
    is_measured: bool = True
    """Whether any number of ours is in it."""


@dataclass(frozen=True, slots=True)
class Footnotes:
    """Letters for remarks, in the order in which a grid shows them."""

    texts: list[str] = field(default_factory=list)

    def marks(self, notes: tuple[str, ...]) -> str:
        """`a,c` for remarks; new ones get the next letter."""
        for note in notes:
            if note not in self.texts:
                self.texts.append(note)
        return ",".join(letter(self.texts.index(note)) for note in notes)


def letter(index: int) -> str:
    """A to z, then aa, ab, ...: the name of a remark."""
    first, last = divmod(index, 26)
    return (letter(first - 1) if first else "") + chr(ord("a") + last)


def traces(artefact: Artefact) -> tuple[Trace, ...]:
    """Every file that numbers of ours come from, once, without protocols."""
    found = {
        cell.trace.path: Trace(path=cell.trace.path, file_id=cell.trace.file_id)
        for cell in cells(artefact)
        if cell.trace
    }
    return tuple(found.values())


def cells(artefact: Artefact) -> Iterator[Cell]:
    """All cells of all grids."""
    for grid in artefact.grids:
        for row in grid.rows:
            yield from row.cells


def measured(
    value: float | None, low: float | None = None, high: float | None = None, **more: object
) -> Cell:
    """A number of ours; without one the cell reads `not measured`."""
    if value is None:
        return missing()
    return Cell(text=number(value), value=value, low=low, high=high, **more)  # type: ignore[arg-type]


def missing(reason: str = "") -> Cell:
    """No number of ours, and why not."""
    return Cell(text=NOT_MEASURED, notes=(reason,) if reason else ())


NOT_PRINTED = Cell(text="–")
"""A cell that the paper has no number for."""


def printed(table: QuotedTable, row: QuotedRow, column: str) -> Cell:
    """A number of the paper with its marks and remarks."""
    if column not in row.cells:
        return NOT_PRINTED
    return Cell(
        text=row.cells[column],
        value=number_of(row.cells[column]),
        mark=table.mark(row, column),
        notes=table.notes_on(row.name, column),
    )


def printed_columns(table: QuotedTable, group: str = "") -> tuple[Column, ...]:
    """The paper's columns of one group, or all."""
    return tuple(
        Column(
            title=each.title,
            group="" if group else each.group,
            arrow=each.arrow,
            notes=table.notes_on("", each.name),
        )
        for each in table.columns
        if not group or each.group == group
    )


def printed_row(table: QuotedTable, row: QuotedRow, group: str = "") -> Row:
    """A row as the paper prints it."""
    names = [each.name for each in table.columns if not group or each.group == group]
    filled = tuple(printed(table, row, name) for name in names)
    return Row(label=row.name, origin="paper", cells=filled, notes=table.notes_on(row.name, ""))


def printed_grid(table: QuotedTable, head: str, ours: tuple[Row, ...] = ()) -> Grid:
    """A whole table as printed, and rows of ours below it."""
    return Grid(
        name="printed",
        caption=f"{table.id}. {table.caption}",
        head=head,
        columns=printed_columns(table),
        rows=(*(printed_row(table, row) for row in table.rows), *ours),
        notes=remarks(table),
    )


def remarks(table: QuotedTable) -> tuple[str, ...]:
    """Remarks on the whole table."""
    return tuple(note.text for note in table.notes if not note.row and not note.column)


def unmeasured(name: str, is_measured: bool) -> tuple[Row, ...]:
    """A row that says so where nothing of ours was measured."""
    return () if is_measured else (Row(label=name, origin="ours", cells=(missing(),)),)


def where(table: QuotedTable, paper: str = "AvatarSync") -> str:
    """`AvatarSync, Table 1, page 7`."""
    return ", ".join((paper, table.id, *(() if table.page is None else (f"page {table.page}",))))
