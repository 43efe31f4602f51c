"""The report's tables of ablations: ours as measured, and below each what the paper prints for its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..ablation import Ablation, markdown, read_ablations, texts
from ..leaderboard import ARROWS, escaped
from ..paper.quoted import QuotedTable, quoted
from .sections import table

NOT_COMPARABLE = "as printed in the paper: other data, size and protocol. Compare orders, not numbers"


def ablations(folder: Path | None) -> str:
    """A section with every grid's table; nothing where no folder was given."""
    if folder is None:
        return ""
    parts = (_ours(each) + _theirs(each) for each in read_ablations(folder))
    return f"<section><h2>Ablations</h2>{''.join(parts)}</section>"


def ablation_lines(folder: Path | None) -> Iterator[str]:
    """The same in Markdown."""
    if folder is None:
        return
    yield "## Ablations\n"
    for each in read_ablations(folder):
        yield markdown(each)
        printed = printed_table(each)
        if printed:
            yield from _printed_lines(printed)


def printed_table(ours: Ablation) -> QuotedTable | None:
    """The paper's table that a grid repeats; None where its numbers are not known (Table 3 is a picture)."""
    name = ours.title.partition(":")[0]
    return next((each for each in quoted().tables if each.id == name and each.columns), None)


def _ours(each: Ablation) -> str:
    heads = (f"{info.title} {ARROWS[info.direction]}" for info in each.columns)
    caption = f"{each.title}, ours. {each.num_clips} clips. {each.how}"
    return table(("configuration", "seeds", *heads), texts(each, bold=""), caption)


def _theirs(each: Ablation) -> str:
    printed = printed_table(each)
    if printed is None:
        return ""
    return table(_heads(printed), _rows(printed), _caption(printed))


def _caption(printed: QuotedTable) -> str:
    remarks = dict.fromkeys(_remark(note.row, note.column, note.text) for note in printed.notes)
    return " ".join((f"{printed.id}, {NOT_COMPARABLE}.", *remarks))


def _remark(row: str, column: str, text: str) -> str:
    about = ", ".join(filter(None, (row, column)))
    return f"{about}: {text}" if about else text


def _printed_lines(printed: QuotedTable) -> Iterator[str]:
    heads = _heads(printed)
    yield f"{escaped(_caption(printed))}\n"
    yield f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|"
    yield from (f"| {' | '.join(row)} |" for row in _rows(printed))
    yield ""


def _heads(printed: QuotedTable) -> tuple[str, ...]:
    titles = (f"{each.title} {ARROWS[each.arrow]}" if each.arrow else each.title for each in printed.columns)
    return ("configuration", *titles)


def _rows(printed: QuotedTable) -> list[tuple[str, ...]]:
    columns = [each.name for each in printed.columns]
    return [(row.name, *(row.cells.get(name, "") for name in columns)) for row in printed.rows]
