"""The report's tables of ablations: ours as measured, and below each what the paper prints for its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ..ablation import Ablation, markdown, read_ablations, texts
from ..leaderboard import ARROWS, escaped
from .sections import table

PRINTED = Path(__file__).parents[2] / "reports" / "papers" / "avatarsync.json"
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


def printed_table(ours: Ablation) -> dict[str, Any] | None:
    """The paper's table that a grid repeats; None where its numbers are not known (Table 3 is a picture)."""
    return _printed().get(ours.title.partition(":")[0])


@cache
def _printed() -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in json.loads(PRINTED.read_text(encoding="utf-8"))["tables"]}


def _ours(each: Ablation) -> str:
    heads = (f"{info.title} {ARROWS[info.direction]}" for info in each.columns)
    caption = f"{each.title}, ours. {each.num_clips} clips. {each.how}"
    return table(("configuration", "seeds", *heads), texts(each, bold=""), caption)


def _theirs(each: Ablation) -> str:
    printed = printed_table(each)
    if printed is None:
        return ""
    return table(_heads(printed), _rows(printed), f"{printed['id']}, {NOT_COMPARABLE}. {printed['note']}")


def _printed_lines(printed: dict[str, Any]) -> Iterator[str]:
    heads = _heads(printed)
    yield f"{printed['id']}, {NOT_COMPARABLE}. {escaped(printed['note'])}\n"
    yield f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|"
    yield from (f"| {' | '.join(row)} |" for row in _rows(printed))
    yield ""


def _heads(printed: dict[str, Any]) -> tuple[str, ...]:
    arrows = printed["arrows_as_printed"]
    return ("configuration", *(f"{name} {ARROWS[arrow]}" for name, arrow in arrows.items()))


def _rows(printed: dict[str, Any]) -> list[tuple[str, ...]]:
    names = printed["arrows_as_printed"]
    return [(row["system"], *(str(row[name]) for name in names)) for row in printed["rows"]]
