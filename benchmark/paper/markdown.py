"""An artefact as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from ..leaderboard import ARROWS, escaped
from .document import Artefact, Cell, Footnotes, Grid, Row, letter, traces


def render(artefact: Artefact, out: Path) -> str:
    """The whole artefact as a page of its own."""
    return "\n".join(_lines(artefact, out)) + "\n"


def _lines(artefact: Artefact, out: Path) -> Iterator[str]:
    yield f"# {escaped(artefact.title)}\n"
    yield f"{escaped(artefact.where)}. The paper as printed; ours with 95 % intervals in brackets.\n"
    for picture in artefact.pictures:
        yield f"![{escaped(picture.alt)}]({picture.stem}.png)\n"
        yield f"{escaped(picture.caption)} [SVG]({picture.stem}.svg)\n"
    for grid in artefact.grids:
        yield from _grid(grid, out)
    yield f"Measured by `{artefact.command}`.\n"
    for trace in traces(artefact):
        yield f"- ours from {_link(trace.path.name, trace.place(out))}, sha256 `{trace.file_id}`"


def _grid(grid: Grid, out: Path) -> Iterator[str]:
    notes = Footnotes()
    heads = [
        " ".join(filter(None, (each.group, each.title, ARROWS[each.arrow] if each.arrow else "")))
        for each in grid.columns
    ]
    marks = [notes.marks(each.notes) for each in grid.columns]
    yield f"## {escaped(grid.caption)}\n"
    titles = [f"{escaped(head)}{_raised(mark)}" for head, mark in zip(heads, marks, strict=True)]
    yield f"| {escaped(grid.head)} | from | {' | '.join(titles)} |"
    yield "|---" * (len(titles) + 2) + "|"
    for row in grid.rows:
        yield _row(row, len(titles), notes, out)
    yield ""
    yield from (f"- <sup>{letter(k)}</sup> {escaped(text)}" for k, text in enumerate(notes.texts))
    yield from (f"- {escaped(text)}" for text in grid.notes)
    yield ""


def _row(row: Row, width: int, notes: Footnotes, out: Path) -> str:
    label = escaped(row.label) + _raised(notes.marks(row.notes))
    filled = [_cell(each, notes, out) for each in row.cells]
    if len(filled) < width:
        filled *= width
    return f"| {label} | {row.origin} | {' | '.join(filled)} |"


def _cell(cell: Cell, notes: Footnotes, out: Path) -> str:
    text = escaped(cell.text)
    text = {"best": f"**{text}**", "second": f"<ins>{text}</ins>"}.get(cell.mark, text)
    if cell.trace:
        text = _link(text, cell.trace.place(out), is_escaped=True)
    text += _raised(notes.marks(cell.notes))
    return " ".join(filter(None, (text, escaped(cell.interval), escaped(cell.count))))


def _link(text: str, place: str, is_escaped: bool = False) -> str:
    return f"[{text if is_escaped else escaped(text)}]({quote(place)})"


def _raised(marks: str) -> str:
    return f"<sup>{marks}</sup>" if marks else ""
