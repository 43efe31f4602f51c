"""The report's tables of ablations: the generator's variants as the paper's Tables 3, 5 and 6, ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..ablation import markdown, read_ablations, texts
from ..leaderboard import ARROWS
from .sections import table


def ablations(folder: Path | None) -> str:
    """A section with every grid's table; nothing where no folder was given."""
    if folder is None:
        return ""
    found = read_ablations(folder)
    parts = (
        table(
            ("configuration", "seeds", *(f"{info.title} {ARROWS[info.direction]}" for info in each.columns)),
            texts(each, bold=""),
            f"{each.title}, ours. {each.num_clips} clips. {each.how}",
        )
        for each in found
    )
    return f"<section><h2>Ablations</h2>{''.join(parts)}</section>"


def ablation_lines(folder: Path | None) -> Iterator[str]:
    """The same in Markdown."""
    if folder is not None:
        yield "## Ablations\n"
        yield from map(markdown, read_ablations(folder))
