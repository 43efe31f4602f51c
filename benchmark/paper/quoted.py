"""What the papers print, as records: every number with its table, row, column and page, never repaired.

`reports/papers/NAME.json` holds one paper each. A cell is the text as printed; marks (bold, underlined) are
the paper's own. Where a paper contradicts itself, a note says so beside the number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from datapipe.records import Rejected, read_record

from ..records import Direction

PAPERS = Path(__file__).parents[2] / "reports" / "papers"
PAPER_SCHEMA = "avatarsync-paper/1"
NAMES = ("avatarsync", "eartalking", "joyavatar")
PLUS_MINUS = "±"

Mark = Literal["", "best", "second"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedColumn:
    """One column of a table."""

    name: str
    """Unique within its table: `CMLR FID`."""
    title: str
    """As printed: `FID`."""
    group: str = ""
    """The heading above several columns, such as a corpus."""
    arrow: Direction | None = None
    """The direction that the paper prints; None where it prints none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedRow:
    """One row of a table."""

    name: str
    """As printed."""
    cells: dict[str, str]
    """Column name to the text as printed; a column that the row leaves empty is not in it."""
    best: tuple[str, ...] = ()
    """Columns that the paper prints in bold here."""
    second: tuple[str, ...] = ()
    """Columns that the paper underlines here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A remark on a table, most often on where the paper contradicts itself."""

    text: str
    row: str = ""
    """Name of the row that it is about; empty for the whole column, or the whole table."""
    column: str = ""
    """Name of the column that it is about; empty for the whole row, or the whole table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedTable:
    """A table, or a figure's numbers as far as the text gives them."""

    id: str
    """`Table 1`, `Figure 9`."""
    caption: str
    page: int | None
    """Page of the paper; None where the text at hand has no pages."""
    columns: tuple[QuotedColumn, ...]
    rows: tuple[QuotedRow, ...]
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        columns = {column.name for column in self.columns}
        named = [(row.name, name) for row in self.rows for name in (*row.cells, *row.best, *row.second)]
        if lost := [f"{row}: {name}" for row, name in named if name not in columns]:
            raise ValueError(f"{self.id} has no column for {', '.join(lost)}")

    def row(self, name: str) -> QuotedRow:
        """The row of that name; `KeyError` when there is none."""
        return {row.name: row for row in self.rows}[name]

    def mark(self, row: QuotedRow, column: str) -> Mark:
        """How the paper marks a cell."""
        return "best" if column in row.best else "second" if column in row.second else ""

    def notes_on(self, row: str, column: str) -> tuple[str, ...]:
        """Remarks on one cell, on nothing larger."""
        return tuple(note.text for note in self.notes if note.row == row and note.column == column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """One paper."""

    paper: str
    """Title."""
    cite: str
    """Authors or venue and year, and where it can be read."""
    about: str
    """Where the numbers were read, and what pages mean."""
    tables: tuple[QuotedTable, ...]
    schema: str = PAPER_SCHEMA

    def table(self, name: str) -> QuotedTable:
        """The table or figure of that id; `KeyError` when there is none."""
        return {each.id: each for each in self.tables}[name]


@cache
def quoted(name: str = "avatarsync") -> Paper:
    """Read one of the papers; `Rejected("bad_input")` for a name that none has."""
    if name not in NAMES:
        raise Rejected("bad_input", f"no paper `{name}` is quoted here; known: {', '.join(NAMES)}")
    return read_record(PAPERS / f"{name}.json", Paper, "take the committed file")


def number_of(printed: str) -> float:
    """The number that a cell prints, without its deviation: 4.8 of `4.8 ± 0.41`."""
    return float(printed.split(PLUS_MINUS)[0].rstrip("%Bx× "))


def deviation_of(printed: str) -> float | None:
    """The deviation that a cell prints; None where there is none."""
    parts = printed.split(PLUS_MINUS)
    return float(parts[1]) if len(parts) > 1 else None
